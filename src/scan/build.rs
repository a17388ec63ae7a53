//! Compiles a catalogue into an engine; every fault says which detector in which file and line.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use regex_automata::dfa::{StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;

use super::ScanConfigError;
use super::check::Checks;
use super::context::Context;
use super::engine::{AnchorDetector, Compiled, Engine};
use super::fold::TAG;
use super::norm::{Form, Norm};
use super::pack::{Border, Catalogue, Kind, Placed};
use super::validate::Validator;

/// Memory that one detector's automaton may take, and all run detectors' together.
const DETECTOR_BYTES_MAX: usize = 4 << 20;
const RUNS_BYTES_MAX: usize = 64 << 20;

/// Shorthands in patterns: a quote or its marker, a separator of digit groups, a tag character.
const SHORTHANDS: &[(&str, &str)] =
    &[("<Q>", r#"["'`\x01-\x08\x0e\x0f]"#), ("<S>", r"[ \t\r\n.|/_*\x10-]"), ("<TAG>", r"\x10")];

/// Builds the engine.
pub(super) fn build(catalogue: &Catalogue) -> Result<Engine, Vec<ScanConfigError>> {
    let mut faults = Vec::new();
    let mut engine = Engine {
        anchors: None,
        by_anchor: Vec::new(),
        sorted: Vec::new(),
        has_email: catalogue.detectors.iter().any(|d| d.spec.kind == Kind::Email),
        runs: None,
        by_run: Vec::new(),
        compiled: Vec::new(),
    };
    let mut literals: Vec<Vec<u8>> = Vec::new();
    let mut run_patterns = Vec::new();
    for (id, placed) in (0u16..).zip(&catalogue.detectors) {
        match compile(placed, catalogue.threshold) {
            Err(fault) => faults.push(fault),
            Ok(compiled) => {
                if let Compiled::Run(_) = compiled {
                    engine.by_run.push(id);
                    run_patterns.push(spelled_out(&placed.spec.pattern));
                }
                engine.compiled.push(compiled);
                add_anchors(placed, id, &mut literals, &mut engine);
            }
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    engine.sorted.sort();
    engine.anchors = automaton(&literals)?;
    engine.runs = runs(&run_patterns)?;
    Ok(engine)
}

fn add_anchors(placed: &Placed, id: u16, literals: &mut Vec<Vec<u8>>, engine: &mut Engine) {
    let inside_words = placed.spec.left == Border::None || placed.spec.kind == Kind::Email;
    for anchor in &placed.spec.anchors {
        let lower = anchor.to_ascii_lowercase().into_bytes();
        let slot = literals.iter().position(|l| *l == lower).unwrap_or_else(|| {
            literals.push(lower.clone());
            engine.by_anchor.push(Vec::new());
            literals.len() - 1
        });
        if let Some(detectors) = engine.by_anchor.get_mut(slot) {
            detectors.push(id);
        }
        match engine.sorted.iter_mut().find(|(l, _)| *l == lower) {
            Some(entry) => entry.1 |= inside_words,
            None => engine.sorted.push((lower, inside_words)),
        }
    }
}

fn automaton(literals: &[Vec<u8>]) -> Result<Option<AhoCorasick>, Vec<ScanConfigError>> {
    if literals.is_empty() {
        return Ok(None);
    }
    AhoCorasick::builder()
        .ascii_case_insensitive(true)
        .match_kind(MatchKind::Standard)
        .kind(Some(AhoCorasickKind::DFA))
        .prefilter(false)
        .build(literals)
        .map(Some)
        .map_err(|e| vec![ScanConfigError::at("packs", 1, format!("the anchors make no automaton: {e}"))])
}

fn runs(patterns: &[String]) -> Result<Option<dense::DFA<Vec<u32>>>, Vec<ScanConfigError>> {
    if patterns.is_empty() {
        return Ok(None);
    }
    dfa(patterns, regex_automata::MatchKind::All, RUNS_BYTES_MAX)
        .map(Some)
        .map_err(|e| vec![ScanConfigError::at("packs", 1, format!("the run detectors make no automaton: {e}"))])
}

fn compile(placed: &Placed, threshold: u8) -> Result<Compiled, ScanConfigError> {
    let spec = &placed.spec;
    let validator = match &spec.validator {
        None => None,
        Some(name) => match Validator::named(name) {
            Some(validator) => Some(validator),
            None => return Err(placed.fault(format!("no validator is called `{}`", name.escape_debug()))),
        },
    };
    let checks = Checks {
        left: spec.left,
        right: spec.right,
        validator,
        entropy_min: spec.entropy_min.unwrap_or(0.0),
        likelihood: spec.likelihood,
        with_context: spec.with_context.unwrap_or(spec.likelihood),
        context: Context { words: context_words(&spec.context), within: spec.context_within.map(usize::from) },
        threshold,
    };
    let one = |pattern: &str| {
        dfa(&[spelled_out(pattern)], regex_automata::MatchKind::All, DETECTOR_BYTES_MAX)
            .map_err(|e| placed.fault(format!("pattern: {e}")))
    };
    let pattern = if spec.pattern.is_empty() { None } else { Some(one(&spec.pattern)?) };
    if spec.anchors.is_empty() {
        return Ok(Compiled::Run(checks));
    }
    let lead = spec.lead.as_deref().map(one).transpose()?;
    let is_secret = placed.class.as_str().starts_with("secret.");
    Ok(Compiled::Anchor(Box::new(AnchorDetector { kind: spec.kind, is_secret, lead, pattern, checks })))
}

/// Context words as they read folded, in lower and upper case (scripts beyond ASCII keep their case when folded).
fn context_words(words: &[String]) -> Vec<String> {
    let mut folded: Vec<String> = Vec::new();
    for word in words.iter().flat_map(|w| [w.to_lowercase(), w.to_uppercase()]) {
        let mut norm = Norm::new(Form::Text);
        norm.push(&word);
        let text = String::from_utf8_lossy(norm.bytes()).to_ascii_lowercase();
        if !folded.contains(&text) {
            folded.push(text);
        }
    }
    folded
}

fn spelled_out(pattern: &str) -> String {
    debug_assert_eq!(TAG, 0x10, "the shorthands spell the tag byte");
    SHORTHANDS.iter().fold(pattern.to_owned(), |text, (short, long)| text.replace(short, long))
}

/// An anchored automaton over bytes that ends after a bounded number of them.
fn dfa(patterns: &[String], kind: regex_automata::MatchKind, limit: usize) -> Result<dense::DFA<Vec<u32>>, String> {
    let built = dense::Builder::new()
        .configure(
            dense::Config::new()
                .start_kind(StartKind::Anchored)
                .match_kind(kind)
                .dfa_size_limit(Some(limit))
                .determinize_size_limit(Some(limit * 4)),
        )
        .syntax(syntax::Config::new().unicode(false).utf8(false))
        .thompson(thompson::Config::new().utf8(false).shrink(false))
        .build_many(patterns);
    let bounded = patterns.iter().all(|p| is_bounded(p));
    match built {
        Ok(_) if !bounded => Err("must be bounded: no `*`, `+` or `{n,}`".to_owned()),
        Ok(dfa) => Ok(dfa),
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                text = inner.to_string();
                cause = inner.source();
            }
            Err(text.replace('\n', " "))
        }
    }
}

/// Whether a pattern's matches have a longest length.
fn is_bounded(pattern: &str) -> bool {
    let parsed = regex_automata::util::syntax::parse_with(pattern, &syntax::Config::new().unicode(false).utf8(false));
    parsed.is_ok_and(|hir| hir.properties().maximum_len().is_some_and(|len| len <= PATTERN_BYTES_MAX))
}

/// Longest match of a pattern, in bytes; what a stream may have to hold back.
const PATTERN_BYTES_MAX: usize = 4096;
