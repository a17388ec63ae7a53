//! Step 4: the body is read by its dialect and scanned: what it asks for, what it holds.

use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::request::Parts;

use crate::env::Stopwatch;
use crate::identity::{Place, strip_credentials};
use crate::json::Document;
use crate::scan::{Finding, Scan};
use crate::types::{Class, Coverage, Label, Principal, Reason};
use crate::vendor::RequestView;

use super::admit::Case;
use super::read::{Read, RequestBody};

/// A request that was looked into.
pub(super) struct Classified {
    pub(super) case: Case,
    pub(super) parts: Parts,
    pub(super) rest: String,
    pub(super) principal: Option<Principal>,
    pub(super) body: RequestBody,
    pub(super) seen: Seen,
}

/// What was seen in a request.
pub(super) struct Seen {
    /// What the dialect read; empty for unknown operations.
    pub(super) view: RequestView,
    /// Findings in the body.
    pub(super) findings: Vec<Finding>,
    /// Findings in path and query: they cannot be redacted.
    pub(super) path_findings: Vec<Finding>,
    /// Classes of all findings, sorted.
    pub(super) classes: Vec<Class>,
    pub(super) coverage: Coverage,
    pub(super) label: Label,
}

impl Seen {
    /// Nothing was looked at.
    fn nothing() -> Self {
        Seen {
            view: RequestView::default(),
            findings: Vec::new(),
            path_findings: Vec::new(),
            classes: Vec::new(),
            coverage: Coverage::None,
            label: Label::Unclassified,
        }
    }
}

impl Read {
    /// Scans path, query and body. A request refused before is not looked into: its label is `unclassified`.
    pub(super) fn classify(self) -> Classified {
        let Read { mut case, parts, rest, principal, body } = self;
        if case.refusal.is_some() {
            return Classified { case, parts, rest, principal, body, seen: Seen::nothing() };
        }
        let watch = Stopwatch::start();
        let mut seen = look(&mut case, &parts, &rest, &body);
        seen.classes = classes(seen.findings.iter().chain(&seen.path_findings));
        let floor = case.route.as_ref().map_or(Label::Internal, |route| route.label);
        seen.label = case.pinned.policy.label(&seen.classes, floor, seen.coverage);
        case.micros.scan += watch.micros();
        Classified { case, parts, rest, principal, body, seen }
    }
}

fn look(case: &mut Case, parts: &Parts, rest: &str, body: &RequestBody) -> Seen {
    let pinned = case.pinned.clone();
    let scanner = &pinned.scanner;
    let mut seen = Seen::nothing();
    let below = unescaped(rest);
    let query = format!("?{}", parts.uri.query().unwrap_or_default());
    let query = strip_credentials(&mut HeaderMap::new(), &query, Place::Usual);
    let path_scan = scanner.text(&format!("{below} {}", unescaped(&query.replace('+', " "))));
    seen.path_findings = path_scan.findings;
    let path_model = case.dialect.path_model(&case.operation, rest);
    let plain = &body.plain;
    if plain.is_empty() && !(case.operation.known && case.operation.reads_body) {
        seen.coverage = path_scan.coverage;
        seen.view = case.dialect.request(&case.operation, None);
        seen.view.model = path_model;
        return seen;
    }
    let scan = match Document::parse(plain) {
        Ok(document) => {
            seen.view = case.dialect.request(&case.operation, Some(&document));
            scanner.document(&document)
        }
        Err(fault) if (case.operation.known && case.operation.reads_body) || is_json(parts, plain) => {
            case.refuse(Reason::RequestMalformed, format!("the body is not acceptable JSON: {fault}"));
            return seen;
        }
        Err(_) => scan_other(scanner, plain),
    };
    seen.view.model = seen.view.model.take().or(path_model);
    seen.findings = scan.findings;
    seen.coverage = scan.coverage.max(path_scan.coverage);
    let opaque = seen.view.attachments.iter().any(|attachment| !attachment.scannable);
    if opaque && seen.coverage == Coverage::Full {
        seen.coverage = Coverage::Partial;
    }
    seen
}

/// A body that is not JSON. Text is scanned as text, but nobody knows how the vendor reads it: that is partial
/// coverage at best. Anything else counts as not scanned.
fn scan_other(scanner: &crate::scan::Scanner, body: &[u8]) -> Scan {
    match std::str::from_utf8(body) {
        Ok(text) => {
            let scan = scanner.text(text);
            Scan { coverage: scan.coverage.max(Coverage::Partial), ..scan }
        }
        Err(_) => Scan { findings: Vec::new(), coverage: Coverage::None, bytes: 0 },
    }
}

fn is_json(parts: &Parts, body: &[u8]) -> bool {
    let stated = parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    stated.contains("json") || looks_like_json(body)
}

/// Whether a laxer parser than ours could take this for JSON.
pub(super) fn looks_like_json(body: &[u8]) -> bool {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    matches!(body.iter().find(|byte| !byte.is_ascii_whitespace()), Some(b'{' | b'[' | b'"'))
}

/// The distinct classes of findings, sorted.
pub(super) fn classes<'f>(findings: impl Iterator<Item = &'f Finding>) -> Vec<Class> {
    let mut classes: Vec<Class> = findings.map(|finding| finding.class.clone()).collect();
    classes.sort_unstable();
    classes.dedup();
    classes
}

/// Percent-decoding (RFC 3986 section 2.1), for the scanner's eyes only.
fn unescaped(text: &str) -> String {
    let bytes = text.as_bytes();
    let hex = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push((high << 4 | low) as u8);
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn percent_escapes_are_seen_through() {
        assert_eq!(super::unescaped("/a%20b%2Fc%zz+d%4"), "/a b/c%zz+d%4");
    }
}
