//! Replacing spans of bytes, leaving everything around them as it was.

use std::ops::Range;

/// One replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) span: Range<usize>,
    pub(super) text: String,
}

/// Edits in order and apart: of overlapping ones the later-starting ones lose what they share, and their text with it.
pub(super) fn ordered(mut edits: Vec<Edit>) -> Vec<(Range<usize>, String)> {
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let mut apart = Vec::with_capacity(edits.len());
    let mut at = 0;
    for Edit { span, text } in edits {
        if span.end <= at && !apart.is_empty() {
            continue;
        }
        let text = if span.start >= at { text } else { String::new() };
        apart.push((span.start.max(at)..span.end, text));
        at = span.end;
    }
    apart
}

/// `source` with every span replaced.
pub(super) fn splice(source: &[u8], edits: Vec<Edit>) -> Vec<u8> {
    let mut out = Vec::with_capacity(source.len() + 32 * edits.len());
    let mut at = 0;
    for (span, text) in ordered(edits) {
        out.extend_from_slice(source.get(at..span.start).unwrap_or_default());
        out.extend_from_slice(text.as_bytes());
        at = span.end.min(source.len());
    }
    out.extend_from_slice(source.get(at..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(span: Range<usize>, text: &str) -> Edit {
        Edit { span, text: text.to_owned() }
    }

    #[test]
    fn only_the_spans_change() {
        assert_eq!(splice(b"abcdef", vec![edit(4..5, "X"), edit(1..3, "")]), b"adXf");
        assert_eq!(splice(b"abcdef", vec![edit(1..4, "X"), edit(2..5, "Y")]), b"aXf");
        assert_eq!(splice(b"abc", vec![]), b"abc");
    }
}
