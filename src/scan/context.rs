//! Context words: what stands before a finding and makes it likelier.
//!
//! Words count only where they speak of the finding: in plain text the stretch before it; in JSON the text of its
//! own string, and the name of the very member whose value it is. The text of other leaves and the names of other
//! members never count. Only bytes that a stream keeps are looked at, so streams and whole texts agree.

use std::ops::Range;

use super::check::Span;
use super::norm::marker;

/// Folded bytes before a finding in which context words count.
pub(super) const CONTEXT_BYTES: usize = 64;

const _: () = assert!(CONTEXT_BYTES <= super::engine::LEFT_BYTES, "a stream keeps the context");

/// The context words of a detector.
#[derive(Debug)]
pub(super) struct Context {
    /// Lower case.
    pub(super) words: Vec<String>,
    /// Most bytes between the word and the finding, which then stand in one line and clause too.
    pub(super) within: Option<usize>,
}

impl Context {
    /// Whether a context word stands before the finding, as a word of its own.
    pub(super) fn is_there(&self, span: &Span<'_>) -> bool {
        let from = span.start.saturating_sub(CONTEXT_BYTES);
        let mut window = [0u8; CONTEXT_BYTES];
        let before = span.norm.get(from..span.start).unwrap_or_default();
        let window = window.get_mut(..before.len()).unwrap_or_default();
        window.copy_from_slice(before);
        window.make_ascii_lowercase();
        let window: &[u8] = window;
        let scopes = scopes(window);
        self.words.iter().any(|word| scopes.iter().any(|scope| self.stands_in(window, scope, word.as_bytes())))
    }

    /// Whether `word` stands in `scope` with no letter or digit on either side, and near enough.
    fn stands_in(&self, window: &[u8], scope: &Range<usize>, word: &[u8]) -> bool {
        let text = window.get(scope.clone()).unwrap_or_default();
        memchr::memmem::find_iter(text, word).any(|at| {
            let before = at.checked_sub(1).and_then(|i| text.get(i));
            let after = text.get(at + word.len());
            let gap = window.get(scope.start + at + word.len()..).unwrap_or_default();
            !before.is_some_and(u8::is_ascii_alphanumeric)
                && !after.is_some_and(u8::is_ascii_alphanumeric)
                && self.within.is_none_or(|most| gap.len() <= most && !gap.iter().any(|&b| ends_clause(b)))
        })
    }
}

const fn ends_clause(byte: u8) -> bool {
    matches!(byte, b'\n' | b';' | b'{' | b'}')
}

/// Where in the bytes before a finding its context may stand: its own leaf, and the key of that leaf.
fn scopes(before: &[u8]) -> [Range<usize>; 2] {
    let last = before.iter().enumerate().rev().find_map(|(at, &b)| Some((at, marker(b)?)));
    let Some((at, (level, opens))) = last else { return [0..before.len(), 0..0] };
    let key = if opens {
        closed_key(before.get(..at).unwrap_or_default(), level)
    } else {
        let gap = before.get(at + 1..).unwrap_or_default().trim_ascii();
        let sign = gap.strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        matches!(sign, Some(b"" | b"-")).then_some(at)
    };
    [at + 1..before.len(), key.map_or(0..0, |end| key_start(before, end)..end)]
}

/// Where the text of a key ends, when `before` ends with that key and a colon.
fn closed_key(before: &[u8], level: usize) -> Option<usize> {
    let name = before.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
    let (&close, text) = name.split_last()?;
    (marker(close) == Some((level, false))).then_some(text.len())
}

fn key_start(before: &[u8], end: usize) -> usize {
    let text = before.get(..end).unwrap_or_default();
    text.iter().rposition(|&b| marker(b).is_some()).map_or(0, |at| at + 1)
}
