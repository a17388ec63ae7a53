//! The scanner: finds personal data, card numbers and secrets in texts, JSON documents and streams.
//!
//! What the reader may rely on, each held by a test:
//! 1. **Exact places.** A finding's range is in bytes of the original source, through JSON escapes, JSON in JSON
//!    strings and folded characters; cutting it out touches nothing else, and redacted JSON stays JSON.
//! 2. **Streams agree.** However a text is split, [`StreamScan`] finds what the whole text shows, and nothing of a
//!    finding is released before it is decided.
//! 3. **Linear time.** Bounded automata over windows and a budget per text; what the budget leaves out makes the
//!    [`Coverage`] partial, never a stall and never a silent pass.
//! 4. **Detectors are data** with their own examples, which the tests run.
//!
//! Text is read as it would read to a person: folded digits and dashes of any script, invisible characters dropped
//! (`fold`). Not here: what to do about a finding (policy), and who sent the text.

mod build;
mod channel;
mod check;
mod context;
mod document;
mod engine;
mod fold;
mod national;
mod national_world;
mod norm;
mod pack;
mod pan;
mod pem;
mod phone;
mod redact;
mod resolve;
mod secret;
mod stream;
mod validate;

use std::fmt;
use std::sync::Arc;

use crate::types::{Class, Coverage, Digest};

pub use norm::Form;
pub use redact::redact;
pub use stream::{StreamFinding, StreamScan};

use channel::{Channel, Located};
use engine::{Engine, Hit, View, Work};

/// Source bytes that one step of a whole-text scan takes.
const PIECE_BYTES: usize = 64 * 1024;

/// What a scanner is built from.
#[derive(Clone, Debug, Default)]
pub struct Source {
    /// Packs: name in listings (`packs/payment.toml`) and content.
    pub packs: Vec<(String, Vec<u8>)>,
    /// The bundle's `detectors.toml`; may be empty.
    pub bundle: Vec<u8>,
}

/// A fault in a pack or in the bundle's `detectors.toml`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct ScanConfigError {
    /// The file's name.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

impl ScanConfigError {
    fn at(file: &str, line: usize, message: impl Into<String>) -> Self {
        ScanConfigError { file: file.to_owned(), line, message: message.into() }
    }
}

/// The detectors of a bundle, ready to scan; immutable and shared.
pub struct Scanner {
    engine: Engine,
    /// Class and name of each detector.
    names: Vec<(Class, Arc<str>)>,
    /// For a detector without a name, which there is none of.
    unnamed: (Class, Arc<str>),
    digest: Digest,
}

/// What a scan found.
#[derive(Clone, Debug)]
pub struct Scan {
    /// Findings that count, in order of their place.
    pub findings: Vec<Finding>,
    /// How much was looked at.
    pub coverage: Coverage,
    /// Source bytes scanned.
    pub bytes: u64,
}

/// Something that a detector found; never holds what stood there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of data.
    pub class: Class,
    /// Which detector.
    pub detector: Arc<str>,
    /// 1 (very unlikely) to 5 (certain).
    pub likelihood: u8,
    /// Whether a checksum proved it.
    pub validated: bool,
    /// First byte in the source.
    pub start: usize,
    /// One past the last byte in the source.
    pub end: usize,
    /// RFC 6901 pointer of the leaf it stands in; empty for plain text.
    pub pointer: String,
    /// What it stands in.
    pub site: Site,
}

/// What a finding stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Site {
    /// Plain text.
    Text,
    /// A member's name.
    Key,
    /// A number.
    Number,
    /// A string.
    String,
    /// A string of JSON held in a string, so many levels down.
    NestedString(u8),
    /// A number of JSON held in a string.
    NestedNumber(u8),
    /// A member's name in JSON held in a string.
    NestedKey(u8),
}

impl Finding {
    /// Whether it can be replaced without changing what the JSON around it means.
    pub fn is_redactable(&self) -> bool {
        !matches!(self.site, Site::Key | Site::Number | Site::NestedKey(_))
    }
}

/// The packs that ship with the gateway.
pub fn embedded_packs() -> Vec<(String, Vec<u8>)> {
    PACKS.iter().map(|(name, text)| (format!("packs/{name}.toml"), text.as_bytes().to_vec())).collect()
}

macro_rules! packs {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_str!(concat!("../../policies/packs/", $name, ".toml")))),+]
    };
}

const PACKS: &[(&str, &str)] =
    packs!("contact", "finance", "health", "hidden", "national", "network", "payment", "secrets");

impl Scanner {
    /// Reads and compiles the packs; all faults at once.
    pub fn build(source: &Source) -> Result<Self, Vec<ScanConfigError>> {
        let catalogue = pack::read(source)?;
        let engine = build::build(&catalogue)?;
        let custom =
            Class::new("custom").map_err(|message| vec![ScanConfigError::at(pack::BUNDLE_FILE, 1, message)])?;
        let digest = digest(source, &catalogue.packs);
        let named = |d: pack::Placed| (d.class, Arc::from(d.spec.id.into_inner()));
        let names = catalogue.detectors.into_iter().map(named).collect();
        Ok(Scanner { engine, names, unnamed: (custom, Arc::from("unnamed")), digest })
    }

    /// Digest of the packs in use, the bundle's `detectors.toml` and this engine (`detectors` in record heads).
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Scans plain text.
    pub fn text(&self, text: &str) -> Scan {
        if !norm::is_plain_text(text) {
            let (found, is_partial) = self.run(text, Form::Text);
            return self.report(text.len(), is_partial, found.iter().map(|f| self.finding(f, Site::Text)));
        }
        let (hits, is_partial) = self.sweep_plain(text.as_bytes());
        let located = hits.iter().map(|&hit| Located { hit, start: hit.start, end: hit.end, bare_level: None });
        self.report(text.len(), is_partial, located.map(|f| self.finding(&f, Site::Text)))
    }

    /// Sweeps a text that reads the same folded, window by window; a window in which nothing is decided grows.
    fn sweep_plain(&self, norm: &[u8]) -> (Vec<Hit>, bool) {
        let (mut all, mut is_partial) = (Vec::new(), false);
        let (mut from, mut window) = (0, PIECE_BYTES);
        while from < norm.len() && all.len() <= FINDINGS_MAX {
            let end = norm.len().min(from.saturating_add(window));
            let is_final = end == norm.len();
            let mut work = Work::for_bytes(end - from);
            let mut hits = Vec::new();
            let seen = norm.get(..end).unwrap_or_default();
            let cut = self.engine.sweep(View { norm: seen, from, is_final }, &mut work, &mut hits);
            let release = resolve::settle(&mut hits, cut, is_final);
            is_partial |= work.is_partial;
            all.append(&mut hits);
            if is_final {
                break;
            }
            window = if release > from { PIECE_BYTES } else { window.saturating_mul(2) };
            from = release.max(from);
        }
        (all, is_partial)
    }

    /// Whether a text was scanned whole and shows nothing.
    pub fn is_clean(&self, text: &str) -> bool {
        let scan = self.text(text);
        scan.findings.is_empty() && scan.coverage == Coverage::Full
    }

    /// Pushes a whole text through a channel, piece by piece.
    fn run(&self, text: &str, form: Form) -> (Vec<Located>, bool) {
        let mut channel = Channel::new(form);
        let mut found = Vec::new();
        let mut at = 0;
        while at < text.len() && found.len() <= FINDINGS_MAX {
            let end = (at + PIECE_BYTES..text.len()).find(|&i| text.is_char_boundary(i)).unwrap_or(text.len());
            channel.push(&self.engine, text.get(at..end).unwrap_or_default(), &mut found);
            at = end;
        }
        channel.end(&self.engine, &mut found);
        (found, channel.is_partial)
    }

    fn finding(&self, located: &Located, site: Site) -> Finding {
        let (class, detector) = self.name(located.hit.detector);
        let Located { hit, start, end, .. } = *located;
        let (likelihood, validated) = (hit.likelihood, hit.validated);
        Finding { class, detector, likelihood, validated, start, end, pointer: String::new(), site }
    }

    fn name(&self, detector: u16) -> (Class, Arc<str>) {
        self.names.get(usize::from(detector)).unwrap_or(&self.unnamed).clone()
    }

    fn report(&self, bytes: usize, is_partial: bool, findings: impl Iterator<Item = Finding>) -> Scan {
        let mut findings: Vec<Finding> = findings.take(FINDINGS_MAX + 1).collect();
        let is_cut = findings.len() > FINDINGS_MAX;
        findings.truncate(FINDINGS_MAX);
        let coverage = if is_partial || is_cut { Coverage::Partial } else { Coverage::Full };
        Scan { findings, coverage, bytes: bytes as u64 }
    }
}

/// Findings told of one body; with more the coverage is partial. 10,000 of at most 1 KiB of pointer each: 10 MiB.
const FINDINGS_MAX: usize = 10_000;

impl fmt::Debug for Scanner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scanner").field("detectors", &self.names.len()).field("digest", &self.digest).finish()
    }
}

/// DESIGN section 5: the listing of the files in use, then the engine's version.
fn digest(source: &Source, in_use: &[String]) -> Digest {
    let mut lines: Vec<(&str, Digest)> = source
        .packs
        .iter()
        .filter(|(name, _)| in_use.contains(name))
        .map(|(name, bytes)| (name.as_str(), Digest::of(bytes)))
        .collect();
    lines.push((pack::BUNDLE_FILE, Digest::of(&source.bundle)));
    lines.sort();
    let mut listing: String = lines.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
    listing.push_str(concat!("engine ", env!("CARGO_PKG_VERSION"), "\n"));
    Digest::of(listing.as_bytes())
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod shared_tests;

#[cfg(test)]
mod mend_tests;
