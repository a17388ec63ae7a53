//! Scanning a JSON document: one pass over its source, then each finding gets the leaf it stands in.

use crate::json::{Document, Kind, Value, decode};

use super::FINDINGS_MAX;
use super::norm::{Form, LEVELS};
use super::{Finding, Scan, Scanner, Site};

/// A leaf's range in the outermost source, and what it is.
struct Leaf<'d, 'a> {
    start: usize,
    end: usize,
    value: Value<'d, 'a>,
}

impl Scanner {
    /// Scans every key, string and number of a document, JSON held in strings included.
    pub fn document(&self, document: &Document<'_>) -> Scan {
        let source = document.source();
        let (found, is_partial) = self.run(source, Form::Json);
        let mut findings: Vec<Finding> =
            found.iter().take(FINDINGS_MAX + 1).map(|f| self.finding(f, Site::String)).collect();
        if !findings.is_empty() {
            let leaves: Vec<Leaf<'_, '_>> = document
                .leaves()
                .map(|value| Leaf { start: value.range().start, end: value.range().end, value })
                .collect();
            place(&mut findings, &leaves);
        }
        self.report(source.len(), is_partial, findings.into_iter())
    }

    /// Scans JSON text that may be cut short or broken, as a stream of tool arguments may be.
    pub fn json_text(&self, text: &str) -> Scan {
        let (found, is_partial) = self.run(text, Form::Json);
        self.report(text.len(), is_partial, found.iter().map(|f| self.finding(f, Site::Text)))
    }
}

/// Longest pointer told of a finding, bytes.
const POINTER_BYTES_MAX: usize = 1024;

/// Gives each finding its pointer and site.
fn place(findings: &mut [Finding], leaves: &[Leaf<'_, '_>]) {
    let mut rest = findings;
    while let Some(first) = rest.first() {
        let at = leaves.partition_point(|leaf| leaf.end <= first.start);
        let Some(leaf) = leaves.get(at) else { return };
        let count = rest.iter().take_while(|f| f.start < leaf.end).count().max(1);
        let (own, others) = rest.split_at_mut(count);
        let pointer = leaf.value.pointer_within(POINTER_BYTES_MAX);
        own.iter_mut().for_each(|f| f.pointer.clone_from(&pointer));
        match leaf.value.kind() {
            Kind::Key => own.iter_mut().for_each(|f| f.site = Site::Key),
            Kind::Number => own.iter_mut().for_each(|f| widen(f, Site::Number, leaf.start, leaf.end)),
            _ => nested(own, leaf.value.raw(), &|offset| leaf.start + offset, 1),
        }
        rest = others;
    }
}

fn widen(finding: &mut Finding, site: Site, start: usize, end: usize) {
    (finding.site, finding.start, finding.end) = (site, start, end);
}

/// Looks into a string that holds JSON: which inner leaf each finding stands in. `outer` leads from an offset in `raw`
/// to the outermost source.
fn nested(findings: &mut [Finding], raw: &str, outer: &dyn Fn(usize) -> usize, depth: u8) {
    let decoded = decode(raw);
    let text = decoded.text.trim_start();
    if usize::from(depth) >= LEVELS || !text.starts_with(['{', '[']) {
        return;
    }
    let Ok(inner) = Document::parse(decoded.text.as_bytes()) else { return };
    let back = |offset: usize| outer(decoded.map.source(offset));
    for leaf in inner.leaves() {
        let range = leaf.range();
        let (start, end) = (back(range.start), back(range.end));
        let first = findings.partition_point(|f| f.start < start);
        let last = findings.partition_point(|f| f.start < end);
        let Some(own) = findings.get_mut(first..last) else { continue };
        match leaf.kind() {
            _ if own.is_empty() => {}
            Kind::Key => own.iter_mut().for_each(|f| f.site = Site::NestedKey(depth)),
            Kind::Number => own.iter_mut().for_each(|f| widen(f, Site::NestedNumber(depth), start, end)),
            _ => {
                own.iter_mut().for_each(|f| f.site = Site::NestedString(depth));
                nested(own, leaf.raw(), &|offset| back(range.start + offset), depth + 1);
            }
        }
    }
}
