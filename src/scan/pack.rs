//! Detector packs: TOML read and checked, every fault with its file and line.
//!
//! A pack is a list of `[[detector]]` tables. The bundle's `detectors.toml` may hold the same tables (its own
//! detectors), plus `threshold`, `[packs] off = […]` and `[detectors] off = […]`.

use serde::Deserialize;
use toml::Spanned;

use crate::types::Class;

use super::{ScanConfigError, Source};

/// The lowest likelihood that counts, unless the bundle says otherwise.
pub(super) const THRESHOLD: u8 = 3;

/// One detector as written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Detector {
    pub(super) id: Spanned<String>,
    #[serde(default = "first_version")]
    pub(super) version: u32,
    pub(super) class: String,
    /// 1 (very unlikely) to 5 (certain).
    pub(super) likelihood: u8,
    /// The likelihood when one of `context` stands before.
    pub(super) with_context: Option<u8>,
    #[serde(default)]
    pub(super) context: Vec<String>,
    /// Most bytes from the end of a context word to the finding, with no line or clause ending between.
    pub(super) context_within: Option<u8>,
    /// Literals, one of which begins every match; without any, the detector belongs to the run scanner.
    #[serde(default)]
    pub(super) anchors: Vec<String>,
    /// What stands between the beginning of the anchor and the finding.
    pub(super) lead: Option<String>,
    /// The finding; begins at the anchor unless there is a `lead`.
    #[serde(default)]
    pub(super) pattern: String,
    #[serde(default)]
    pub(super) kind: Kind,
    #[serde(default)]
    pub(super) left: Border,
    #[serde(default)]
    pub(super) right: Border,
    pub(super) validator: Option<String>,
    /// Bits per byte that the finding must have.
    pub(super) entropy_min: Option<f32>,
    #[serde(default)]
    pub(super) positive: Vec<String>,
    #[serde(default)]
    pub(super) negative: Vec<String>,
}

/// How a detector searches.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    /// By pattern.
    #[default]
    Pattern,
    /// An e-mail address: the anchor is its `@`.
    Email,
    /// A PEM block: the anchor is its `-----BEGIN`.
    Pem,
}

/// What must not stand next to a finding.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(super) enum Border {
    /// A letter, digit or underscore.
    #[default]
    Word,
    /// The same, and no number joined by one of `.:/-+`.
    Number,
    /// A letter, digit, `_` or `-`; on the right also `+`, `/` and `=`.
    Token,
    /// Anything may.
    None,
}

const fn first_version() -> u32 {
    1
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    detector: Vec<Detector>,
    threshold: Option<u8>,
    #[serde(default)]
    packs: Off,
    #[serde(default)]
    detectors: Off,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Off {
    #[serde(default)]
    off: Vec<String>,
}

/// Everything the packs and the bundle say.
#[derive(Debug)]
pub(super) struct Catalogue {
    pub(super) threshold: u8,
    pub(super) detectors: Vec<Placed>,
    /// The packs in use, by name.
    pub(super) packs: Vec<String>,
}

/// A detector, its class and where it was written.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) spec: Detector,
    pub(super) class: Class,
    pub(super) file: String,
    pub(super) line: usize,
}

impl Placed {
    pub(super) fn fault(&self, message: impl Into<String>) -> ScanConfigError {
        let id = self.spec.id.get_ref().escape_debug();
        ScanConfigError {
            file: self.file.clone(),
            line: self.line,
            message: format!("detector `{id}`: {}", message.into()),
        }
    }
}

/// Name of the bundle's file in messages and in the digest.
pub(super) const BUNDLE_FILE: &str = "detectors.toml";

/// Reads every pack and the bundle's file.
pub(super) fn read(source: &Source) -> Result<Catalogue, Vec<ScanConfigError>> {
    let mut faults = Vec::new();
    let bundle = parse(BUNDLE_FILE, &source.bundle, &mut faults);
    let mut catalogue = Catalogue { threshold: THRESHOLD, detectors: Vec::new(), packs: Vec::new() };
    if let Some(threshold) = bundle.threshold {
        if !(1..=5).contains(&threshold) {
            faults.push(ScanConfigError::at(BUNDLE_FILE, 1, "`threshold` must be 1 to 5"));
        }
        catalogue.threshold = threshold;
    }
    let stem = |name: &str| name.rsplit('/').next().unwrap_or(name).trim_end_matches(".toml").to_owned();
    for name in &bundle.packs.off {
        if !source.packs.iter().any(|(pack, _)| stem(pack) == *name) {
            let text = format!("`packs.off` names `{}`, which is no pack", name.escape_debug());
            faults.push(ScanConfigError::at(BUNDLE_FILE, 1, text));
        }
    }
    for (name, bytes) in &source.packs {
        if bundle.packs.off.contains(&stem(name)) {
            continue;
        }
        let file = parse(name, bytes, &mut faults);
        if file.threshold.is_some() || !file.packs.off.is_empty() || !file.detectors.off.is_empty() {
            faults.push(ScanConfigError::at(name, 1, "a pack holds only `[[detector]]` tables"));
        }
        place(name, bytes, file.detector, &mut catalogue, &mut faults);
        catalogue.packs.push(name.clone());
    }
    let known: Vec<String> = catalogue.detectors.iter().map(|d| d.spec.id.get_ref().clone()).collect();
    for id in bundle.detectors.off.iter().filter(|id| !known.contains(id)) {
        let text = format!("`detectors.off` names `{}`, which is no detector in use", id.escape_debug());
        faults.push(ScanConfigError::at(BUNDLE_FILE, 1, text));
    }
    catalogue.detectors.retain(|d| !bundle.detectors.off.contains(d.spec.id.get_ref()));
    place(BUNDLE_FILE, &source.bundle, bundle.detector, &mut catalogue, &mut faults);
    if faults.is_empty() { Ok(catalogue) } else { Err(faults) }
}

fn parse(name: &str, bytes: &[u8], faults: &mut Vec<ScanConfigError>) -> File {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) => {
            faults.push(ScanConfigError::at(name, 1, "not UTF-8"));
            return File::default();
        }
    };
    toml::from_str(text).unwrap_or_else(|error| {
        let line = error.span().map_or(1, |span| line_of(bytes, span.start));
        faults.push(ScanConfigError::at(name, line, error.message().replace('\n', " ")));
        File::default()
    })
}

fn line_of(bytes: &[u8], offset: usize) -> usize {
    1 + bytes.iter().take(offset).filter(|&&b| b == b'\n').count()
}

/// Checks the plain fields of each detector and adds it.
fn place(name: &str, bytes: &[u8], specs: Vec<Detector>, catalogue: &mut Catalogue, faults: &mut Vec<ScanConfigError>) {
    for spec in specs {
        let line = line_of(bytes, spec.id.span().start);
        let class = Class::new(&spec.class);
        let fallback = Class::new("custom");
        let (class, class_fault) = match (class, fallback) {
            (Ok(class), _) => (class, None),
            (Err(message), Ok(custom)) => (custom, Some(message)),
            (Err(_), Err(_)) => continue,
        };
        let placed = Placed { spec, class, file: name.to_owned(), line };
        if let Some(message) = class_fault.or_else(|| plain_fault(&placed.spec)) {
            faults.push(placed.fault(message));
        }
        let examples = placed.spec.positive.len().min(placed.spec.negative.len());
        if name != BUNDLE_FILE && examples < EXAMPLES_MIN {
            faults.push(placed.fault("a pack's detector has 2 `positive` and 2 `negative` examples or more"));
        }
        if catalogue.detectors.iter().any(|d| d.spec.id.get_ref() == placed.spec.id.get_ref()) {
            faults.push(placed.fault("another detector has this id"));
        }
        catalogue.detectors.push(placed);
    }
}

fn plain_fault(spec: &Detector) -> Option<String> {
    let id = spec.id.get_ref();
    let word = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'.' | b'-');
    if id.is_empty() || id.len() > 64 || !id.bytes().all(word) {
        return Some("an id is 1 to 64 of `a-z 0-9 . _ -`".to_owned());
    }
    if !(1..=5).contains(&spec.likelihood) || !(1..=5).contains(&spec.with_context.unwrap_or(1)) {
        return Some("a likelihood is 1 to 5".to_owned());
    }
    if spec.with_context.is_some() == spec.context.is_empty() {
        return Some("`context` and `with_context` go together".to_owned());
    }
    if spec.version == 0 {
        return Some("versions begin at 1".to_owned());
    }
    if spec.kind == Kind::Pattern && spec.pattern.is_empty() {
        return Some("`pattern` is missing".to_owned());
    }
    if spec.anchors.is_empty() && (spec.lead.is_some() || spec.kind != Kind::Pattern) {
        return Some("needs `anchors`".to_owned());
    }
    if spec.anchors.iter().any(|a| a.is_empty() || a.len() > ANCHOR_BYTES_MAX || !a.is_ascii()) {
        return Some(format!("an anchor is 1 to {ANCHOR_BYTES_MAX} ASCII characters"));
    }
    None
}

/// Examples of each kind that a pack's detector must have.
const EXAMPLES_MIN: usize = 2;

/// Longest anchor, in bytes.
pub(super) const ANCHOR_BYTES_MAX: usize = 32;
