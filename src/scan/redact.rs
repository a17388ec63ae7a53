//! Replacing findings in place: everything around them keeps its bytes.

use super::{Finding, Site};

/// Splices `[redacted:<class>]` over each finding. A number becomes a quoted string, its quotes escaped as deep as
/// it stands; findings that overlap an earlier one are covered by it.
pub fn redact(source: &[u8], findings: &[&Finding]) -> Vec<u8> {
    let mut ordered: Vec<&Finding> = findings.to_vec();
    ordered.sort_by_key(|f| (f.start, f.end));
    let mut out = Vec::with_capacity(source.len());
    let mut at = 0;
    for finding in ordered {
        let Some(kept) = source.get(at..finding.start) else { continue };
        out.extend_from_slice(kept);
        out.extend_from_slice(replacement(finding.class.as_str(), level(finding.site)).as_bytes());
        at = finding.end.min(source.len());
    }
    out.extend_from_slice(source.get(at..).unwrap_or_default());
    out
}

impl Finding {
    /// What [`redact`] puts in its place.
    pub fn replacement(&self) -> String {
        replacement(self.class.as_str(), level(self.site))
    }
}

/// How deep a number stands, which needs quotes; `None` for what stands in a string already.
fn level(site: Site) -> Option<usize> {
    match site {
        Site::Number => Some(0),
        Site::NestedNumber(depth) => Some(depth.into()),
        Site::Text | Site::Key | Site::String | Site::NestedString(_) | Site::NestedKey(_) => None,
    }
}

/// What stands in for a finding; `level` asks for quotes around it, escaped so many times.
pub(super) fn replacement(class: &str, level: Option<usize>) -> String {
    let Some(level) = level else { return format!("[redacted:{class}]") };
    let mut quote = String::from("\"");
    for _ in 0..level {
        quote = quote.replace('\\', "\\\\").replace('"', "\\\"");
    }
    format!("{quote}[redacted:{class}]{quote}")
}
