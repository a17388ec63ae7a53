//! Replacing spans of bytes, leaving everything around them as it was.

use std::ops::Range;

/// One replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) span: Range<usize>,
    pub(super) text: String,
}

/// `source` with every span replaced; of overlapping spans the later-starting ones lose what they share.
pub(super) fn splice(source: &[u8], mut edits: Vec<Edit>) -> Vec<u8> {
    edits.sort_by_key(|edit| (edit.span.start, edit.span.end));
    let mut out = Vec::with_capacity(source.len() + 32 * edits.len());
    let mut at = 0;
    for Edit { span, text } in edits {
        let start = span.start.max(at).min(source.len());
        let end = span.end.min(source.len());
        if end <= at {
            continue;
        }
        out.extend_from_slice(&source[at..start]);
        if span.start >= at {
            out.extend_from_slice(text.as_bytes());
        }
        at = end;
    }
    out.extend_from_slice(&source[at..]);
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
