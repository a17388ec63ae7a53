//! `vendors.toml`: the vendor register, and the tool names that may stand in heads.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::fault::PolicyFault;
use crate::types::{Label, Timestamp, spelled};

/// The value of a field that nobody has filled in; it counts as absent.
pub(crate) const TO_BE_FILLED_IN: &str = "to be filled in";

/// What a pattern may match: names longer than this are never registered by one.
const NAME_BYTES_MAX: usize = 96;

spelled! {
    /// Whether a vendor trains on what it is sent.
    TrainingUse {
        /// Nobody has recorded it.
        Unknown = "unknown",
        /// It does not.
        None = "none",
        /// It does not, because somebody opted out.
        OptOut = "opt_out",
        /// It does.
        Yes = "yes",
    }
}

/// How a name stands in the register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// By its exact spelling: it may be shown.
    Named,
    /// By a pattern: it may be shown if the scanner finds nothing in it.
    Pattern,
    /// Not at all.
    Absent,
}

/// One vendor of the register.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vendor {
    /// The id that `[[vendor]]` of the configuration uses.
    pub id: Arc<str>,
    /// What people call it.
    pub name: String,
    /// Whether requests may go there at all.
    pub approved: bool,
    /// The highest label it may see.
    pub ceiling: Label,
    /// The contract's other party, where recorded.
    pub legal_entity: Option<String>,
    /// A reference to the contract, where recorded.
    pub contract: Option<String>,
    /// A reference to the data processing agreement, where recorded.
    pub dpa: Option<String>,
    /// A reference to the assurance report, where recorded.
    pub assurance_report: Option<String>,
    /// The first instant at which that report no longer counts.
    pub assurance_expires: Option<Timestamp>,
    /// Where it processes.
    pub region: Arc<str>,
    /// Whether it trains on what it is sent.
    pub training_use: TrainingUse,
    /// Exact names and patterns of approved models.
    pub models: Vec<String>,
}

impl Vendor {
    /// The fields that nobody has filled in.
    pub fn missing(&self) -> Vec<&'static str> {
        let fields = [
            ("legal_entity", self.legal_entity.is_none()),
            ("contract", self.contract.is_none()),
            ("dpa", self.dpa.is_none()),
            ("assurance_report", self.assurance_report.is_none()),
        ];
        fields.into_iter().filter(|(_, missing)| *missing).map(|(field, _)| field).collect()
    }
}

/// The whole register.
#[derive(Clone, Debug, Default)]
pub(crate) struct Register {
    pub(crate) vendors: BTreeMap<Arc<str>, Vendor>,
    pub(crate) tools: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default)]
    tools: RawTools,
    #[serde(default)]
    vendor: Vec<toml::Spanned<RawVendor>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTools {
    #[serde(default)]
    registered: Vec<toml::Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawVendor {
    id: String,
    name: Option<String>,
    approved: bool,
    ceiling: Label,
    models: Vec<toml::Spanned<String>>,
    legal_entity: Option<String>,
    contract: Option<String>,
    dpa: Option<String>,
    assurance_report: Option<String>,
    assurance_expires: Option<Timestamp>,
    #[serde(default = "unknown")]
    region: String,
    #[serde(default = "unknown_use")]
    training_use: TrainingUse,
}

fn unknown() -> String {
    "unknown".to_owned()
}

fn unknown_use() -> TrainingUse {
    TrainingUse::Unknown
}

impl Register {
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, Vec<PolicyFault>> {
        let raw: Raw = toml::from_str(text).map_err(|error| vec![PolicyFault::toml(file, text, &error)])?;
        let mut faults = Vec::new();
        let mut fault = |at: usize, message: String| faults.push(PolicyFault::at(file, text, at, message));
        let mut vendors = BTreeMap::new();
        for spanned in raw.vendor {
            let at = spanned.span().start;
            let vendor = spanned.into_inner();
            check_vendor(&vendor, at, &mut fault);
            let id: Arc<str> = vendor.id.as_str().into();
            if vendors.insert(id.clone(), checked(vendor, id)).is_some() {
                fault(at, "a second entry for the same vendor id: remove one".to_owned());
            }
        }
        raw.tools.registered.iter().for_each(|name| check_name(name, &mut fault));
        let tools = raw.tools.registered.into_iter().map(toml::Spanned::into_inner).collect();
        if faults.is_empty() { Ok(Register { vendors, tools }) } else { Err(faults) }
    }

    pub(crate) fn model(&self, vendor: &str, model: &str) -> Registration {
        self.vendors.get(vendor).map_or(Registration::Absent, |vendor| registration(&vendor.models, model))
    }

    pub(crate) fn tool(&self, name: &str) -> Registration {
        registration(&self.tools, name)
    }
}

fn check_vendor(vendor: &RawVendor, at: usize, fault: &mut impl FnMut(usize, String)) {
    let word = |text: &str| {
        !text.is_empty()
            && text.len() <= 64
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    };
    if !word(&vendor.id) {
        fault(at, format!("vendor id `{}`: use lower-case letters, digits and `-`", vendor.id.escape_debug()));
    }
    if !word(&vendor.region) {
        fault(at, format!("region `{}`: use lower-case letters, digits and `-`", vendor.region.escape_debug()));
    }
    if vendor.ceiling == Label::Unclassified {
        fault(at, "`ceiling` cannot be `unclassified`: name the highest label this vendor may see".to_owned());
    }
    vendor.models.iter().for_each(|name| check_name(name, fault));
}

fn check_name(name: &toml::Spanned<String>, fault: &mut impl FnMut(usize, String)) {
    let text = name.get_ref();
    if text.is_empty() || text.len() > 128 || !text.bytes().all(|b| b.is_ascii_graphic()) {
        fault(name.span().start, "a registered name is 1 to 128 printable ASCII characters without spaces".to_owned());
    }
}

fn checked(raw: RawVendor, id: Arc<str>) -> Vendor {
    let filled = |field: Option<String>| field.filter(|text| !text.is_empty() && text != TO_BE_FILLED_IN);
    Vendor {
        name: raw.name.unwrap_or_else(|| id.to_string()),
        id,
        approved: raw.approved,
        ceiling: raw.ceiling,
        legal_entity: filled(raw.legal_entity),
        contract: filled(raw.contract),
        dpa: filled(raw.dpa),
        assurance_report: filled(raw.assurance_report),
        assurance_expires: raw.assurance_expires,
        region: raw.region.into(),
        training_use: raw.training_use,
        models: raw.models.into_iter().map(toml::Spanned::into_inner).collect(),
    }
}

fn registration(entries: &[String], name: &str) -> Registration {
    if entries.iter().any(|entry| !entry.contains('*') && entry == name) {
        return Registration::Named;
    }
    let plain = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._:/-".contains(&b));
    if plain && entries.iter().any(|entry| entry.contains('*') && glob(entry, name)) {
        Registration::Pattern
    } else {
        Registration::Absent
    }
}

/// Whether `pattern`, whose `*` stands for any bytes, matches the whole of `text`. Linear in pattern times text.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let mut pieces: Vec<&str> = pieces.collect();
    let Some(last) = pieces.pop() else { return rest.is_empty() };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = rest.get(at + piece.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    rest.ends_with(last)
}
