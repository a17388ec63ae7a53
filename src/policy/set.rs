//! A bundle understood: what `pipeline` holds and asks.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde::Deserialize;

use super::bundle::{Bundle, MANIFEST};
use super::engine::Engine;
use super::fault::PolicyFault;
use super::labels::Labels;
use super::memo::Memo;
use super::rules::{Rule, Rules};
use super::vendors::{Register, Registration, Vendor};
use crate::types::{Class, Coverage, Label, PolicyRef, Timestamp, spelled};

const LABELS: &str = "labels.toml";
const VENDORS: &str = "vendors.toml";
const DETECTORS: &str = "detectors.toml";

spelled! {
    /// Whether a bundle may be used at some time.
    Validity {
        /// It may.
        Valid = "valid",
        /// Its time has not come.
        NotYetValid = "not_yet_valid",
        /// Its time is over.
        Expired = "expired",
    }
}

/// `bundle.toml`, checked.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// The bundle's name.
    pub name: Arc<str>,
    /// Its owner's name for this state of it.
    pub version: Arc<str>,
    /// Who answers for it.
    pub owner: String,
    /// The first instant at which it may be used.
    pub valid_from: Timestamp,
    /// The first instant at which it no longer may.
    pub valid_until: Timestamp,
    /// Minutes east of UTC of the zone of `hour` and `weekday`.
    pub zone_minutes: i32,
    /// Whether routes may observe.
    pub observe: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawManifest {
    name: toml::Spanned<String>,
    version: toml::Spanned<String>,
    owner: String,
    valid_from: Timestamp,
    valid_until: toml::Spanned<Timestamp>,
    #[serde(default = "utc")]
    zone: toml::Spanned<String>,
    #[serde(default)]
    observe: bool,
}

fn utc() -> toml::Spanned<String> {
    toml::Spanned::new(0..0, "UTC".to_owned())
}

impl Manifest {
    fn parse(text: &str) -> Result<Self, Vec<PolicyFault>> {
        let raw: RawManifest = toml::from_str(text).map_err(|error| vec![PolicyFault::toml(MANIFEST, text, &error)])?;
        let mut faults = Vec::new();
        for (what, word) in [("name", &raw.name), ("version", &raw.version)] {
            let text_of = word.get_ref();
            let good = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
            if text_of.is_empty() || text_of.len() > 64 || !text_of.bytes().all(good) || text_of == "packs" {
                let message =
                    format!("`{what}` is 1 to 64 of `[A-Za-z0-9._-]`, and not `packs`: it goes into every record");
                faults.push(PolicyFault::at(MANIFEST, text, word.span().start, message));
            }
        }
        let zone_minutes = zone(raw.zone.get_ref());
        if zone_minutes.is_none() {
            let message = "`zone` is `UTC` or a fixed offset such as `+01:00`: a named zone would make decisions depend on the machine's tables";
            faults.push(PolicyFault::at(MANIFEST, text, raw.zone.span().start, message));
        }
        if *raw.valid_until.get_ref() <= raw.valid_from {
            let message = "`valid_until` is not after `valid_from`: the bundle would never be valid";
            faults.push(PolicyFault::at(MANIFEST, text, raw.valid_until.span().start, message));
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Manifest {
            name: raw.name.into_inner().into(),
            version: raw.version.into_inner().into(),
            owner: raw.owner,
            valid_from: raw.valid_from,
            valid_until: raw.valid_until.into_inner(),
            zone_minutes: zone_minutes.unwrap_or(0),
            observe: raw.observe,
        })
    }

    /// A time shifted so that its UTC hour and weekday are those of the bundle's zone.
    pub(crate) fn local(&self, time: Timestamp) -> Timestamp {
        Timestamp::from_micros(time.micros().saturating_add(i64::from(self.zone_minutes) * 60_000_000))
    }
}

/// Minutes east of UTC.
fn zone(text: &str) -> Option<i32> {
    if text == "UTC" || text == "Z" {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let two = |part: &str| if part.len() == 2 { part.parse::<u8>().ok() } else { None };
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours <= 14 && minutes < 60).then(|| sign * (i32::from(hours) * 60 + i32::from(minutes)))
}

/// Rules, labels and register of one bundle, ready to be asked.
pub struct PolicySet {
    manifest: Manifest,
    reference: PolicyRef,
    labels: Labels,
    register: Register,
    engine: Engine,
    memo: Memo,
    bundle: Bundle,
}

impl std::fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PolicySet({} {} {})", self.reference.name, self.reference.version, self.reference.digest)
    }
}

impl PolicySet {
    /// Reads and checks every file; all faults at once, in the order of files and lines.
    pub fn load(bundle: &Bundle) -> Result<Self, Vec<PolicyFault>> {
        let mut faults = misplaced(bundle);
        let manifest = taken(text(bundle, MANIFEST).and_then(Manifest::parse), &mut faults);
        let labels = taken(text(bundle, LABELS).and_then(|text| Labels::parse(LABELS, text)), &mut faults);
        let register = taken(text(bundle, VENDORS).and_then(|text| Register::parse(VENDORS, text)), &mut faults);
        taken(text(bundle, DETECTORS).map(|_| ()), &mut faults);
        let rules = register.as_ref().and_then(|register| taken(rules(bundle, register), &mut faults));
        let engine = rules.and_then(|rules| {
            taken(Engine::new(rules).map_err(|message| vec![PolicyFault::whole("*.cedar", message)]), &mut faults)
        });
        let (Some(manifest), Some(labels), Some(register), Some(engine), true) =
            (manifest, labels, register, engine, faults.is_empty())
        else {
            faults.sort();
            return Err(faults);
        };
        let (name, version) = (manifest.name.clone(), manifest.version.clone());
        let reference = PolicyRef { digest: bundle.digest(), name, version };
        let set =
            PolicySet { manifest, reference, labels, register, engine, memo: Memo::default(), bundle: bundle.clone() };
        let faults = set.case_faults();
        if faults.is_empty() { Ok(set) } else { Err(faults) }
    }

    /// Name, version and digest, as records carry them.
    pub fn reference(&self) -> &PolicyRef {
        &self.reference
    }

    /// `bundle.toml`.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The bundle this was made of.
    pub fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// `detectors.toml` as it is: `scan` reads it.
    pub fn detectors_toml(&self) -> &[u8] {
        self.bundle.file(DETECTORS).unwrap_or_default()
    }

    /// The label of a body with these classes on a route with this floor.
    pub fn label(&self, classes: &[Class], floor: Label, coverage: Coverage) -> Label {
        self.labels.body(classes, floor, coverage)
    }

    /// Whether a finding of this class must be replaced before this vendor sees it (or its answer is delivered): its
    /// label is above the vendor's ceiling, or it never passes.
    pub fn redacts(&self, class: &Class, vendor: &str) -> bool {
        self.labels.never_passes(class) || self.labels.of(class).rank() > self.ceiling(vendor).rank()
    }

    /// The highest label this vendor may see; `public` where the register does not hold it.
    pub fn ceiling(&self, vendor: &str) -> Label {
        self.vendor(vendor).map_or(Label::Public, |vendor| vendor.ceiling)
    }

    /// The register's entry.
    pub fn vendor(&self, id: &str) -> Option<&Vendor> {
        self.register.vendors.get(id)
    }

    /// Every entry of the register, by id.
    pub fn vendors(&self) -> impl Iterator<Item = &Vendor> {
        self.register.vendors.values()
    }

    /// The models approved for a vendor: exact names and patterns.
    pub fn models(&self, vendor: &str) -> &[String] {
        self.vendor(vendor).map_or(&[], |vendor| &vendor.models)
    }

    /// How a model stands in the register. One that is there by pattern may be shown only if the scanner finds nothing in it.
    pub fn model(&self, vendor: &str, model: &str) -> Registration {
        self.register.model(vendor, model)
    }

    /// Whether a model is registered, by name or pattern.
    pub fn registers_model(&self, vendor: &str, model: &str) -> bool {
        self.model(vendor, model) != Registration::Absent
    }

    /// How a tool's name stands in the register.
    pub fn tool(&self, name: &str) -> Registration {
        self.register.tool(name)
    }

    /// Whether a tool's name is registered, by name or pattern.
    pub fn registers_tool(&self, name: &str) -> bool {
        self.tool(name) != Registration::Absent
    }

    /// Whether a route may run with `mode = "observe"`.
    pub fn permits_observe(&self) -> bool {
        self.manifest.observe
    }

    /// Whether the bundle may be used at this time.
    pub fn validity(&self, now: Timestamp) -> Validity {
        if now < self.manifest.valid_from {
            Validity::NotYetValid
        } else if now < self.manifest.valid_until {
            Validity::Valid
        } else {
            Validity::Expired
        }
    }

    /// Every rule, by id.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.engine.rules().values()
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    pub(crate) fn memo(&self) -> &Memo {
        &self.memo
    }
}

fn taken<T>(result: Result<T, Vec<PolicyFault>>, faults: &mut Vec<PolicyFault>) -> Option<T> {
    result.map_err(|found| faults.extend(found)).ok()
}

/// One file's text.
pub(crate) fn text<'a>(bundle: &'a Bundle, path: &str) -> Result<&'a str, Vec<PolicyFault>> {
    let bytes = bundle.file(path).ok_or_else(|| vec![PolicyFault::whole(path, "the bundle lacks this file")])?;
    std::str::from_utf8(bytes).map_err(|_| vec![PolicyFault::whole(path, "not UTF-8")])
}

fn rules(bundle: &Bundle, register: &Register) -> Result<Rules, Vec<PolicyFault>> {
    let mut texts = Vec::new();
    for path in bundle.files().keys().filter(|path| path.ends_with(".cedar")) {
        texts.push((path.as_str(), text(bundle, path)?));
    }
    if texts.is_empty() {
        return Err(vec![PolicyFault::whole("*.cedar", "the bundle holds no rules: everything would be denied")]);
    }
    let vendors: BTreeSet<&str> = register.vendors.keys().map(|id| &**id).collect();
    Rules::parse(texts.into_iter(), &vendors)
}

/// Files that would silently not be read: rules and cases in the wrong folder, settings under a wrong name.
fn misplaced(bundle: &Bundle) -> Vec<PolicyFault> {
    let known = [MANIFEST, LABELS, VENDORS, DETECTORS];
    let told = |path: &String| match path.split_once('/') {
        Some(_) if path.ends_with(".cedar") => {
            Some("rules stand in the bundle's own folder: move this file up".to_owned())
        }
        Some(("case", _)) => Some("cases stand in `cases/`: rename this folder".to_owned()),
        None if path.ends_with(".toml") && !known.contains(&path.as_str()) => {
            Some(format!("nothing reads a file of this name: a bundle's settings are {}", known.join(", ")))
        }
        _ => None,
    };
    bundle.files().keys().filter_map(|path| told(path).map(|message| PolicyFault::whole(path, message))).collect()
}
