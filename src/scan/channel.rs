//! One text that arrives in pieces: folded, swept, and forgotten up to where it is decided.

use super::engine::{Engine, Hit, LEFT_BYTES, View, Work};
use super::norm::{Form, Norm, marker};
use super::resolve::settle;

/// Most folded bytes that an undecided text may hold; over it the text is decided as if it ended here, and the
/// coverage is partial. No candidate is longer, so that only chains of overlapping ones reach it.
pub(super) const HOLD_BYTES_MAX: usize = 8 * 1024;

/// A text on its way through.
#[derive(Debug)]
pub(super) struct Channel {
    norm: Norm,
    form: Form,
    /// Folded bytes before this are decided; the few kept before it are context.
    from: usize,
    /// The last quote marker among the forgotten bytes.
    quote: Option<(usize, bool)>,
    pub(super) is_partial: bool,
}

/// A finding with its place in the source.
#[derive(Clone, Copy, Debug)]
pub(super) struct Located {
    pub(super) hit: Hit,
    pub(super) start: usize,
    pub(super) end: usize,
    /// The level of quotes a replacement needs around itself: `None` inside a string or in plain text.
    pub(super) bare_level: Option<usize>,
}

impl Channel {
    pub(super) fn new(form: Form) -> Self {
        Channel { norm: Norm::new(form), form, from: 0, quote: None, is_partial: false }
    }

    /// Source bytes pushed so far.
    pub(super) fn consumed(&self) -> usize {
        self.norm.consumed()
    }

    /// Source bytes that are decided.
    pub(super) fn released(&self) -> usize {
        self.norm.settled(self.from)
    }

    /// Takes a piece of text and tells what is decided by it.
    pub(super) fn push(&mut self, engine: &Engine, text: &str, out: &mut Vec<Located>) {
        self.norm.push(text);
        self.advance(engine, false, out);
        if self.norm.bytes().len() - self.from > HOLD_BYTES_MAX {
            self.is_partial = true;
            self.advance(engine, true, out);
        }
    }

    /// Decides what is left: nothing comes any more.
    pub(super) fn end(&mut self, engine: &Engine, out: &mut Vec<Located>) {
        self.norm.flush();
        self.advance(engine, true, out);
    }

    fn advance(&mut self, engine: &Engine, is_final: bool, out: &mut Vec<Located>) {
        let norm = self.norm.bytes();
        let mut work = Work::for_bytes(norm.len() - self.from);
        let mut hits = Vec::new();
        let cut = engine.sweep(View { norm, from: self.from, is_final }, &mut work, &mut hits);
        let mut release = settle(&mut hits, cut, is_final);
        let may_be_sign = release > self.from
            && norm.get(release - 1) == Some(&b'-')
            && norm.get(release).is_none_or(u8::is_ascii_digit)
            && hits.last().is_none_or(|hit| hit.end < release);
        if self.form == Form::Json && !is_final && may_be_sign {
            release -= 1;
        }
        out.extend(hits.iter().map(|hit| self.locate(hit)));
        self.is_partial |= work.is_partial;
        self.forget(release);
    }

    fn locate(&self, hit: &Hit) -> Located {
        let norm = self.norm.bytes();
        let mut end = hit.end;
        while norm.get(end).is_some_and(|b| b & 0xc0 == 0x80) {
            end += 1;
        }
        let bare_level = self.bare_level(hit.start);
        let is_signed = bare_level.is_some()
            && norm.get(hit.start).is_some_and(u8::is_ascii_digit)
            && hit.start > self.from
            && norm.get(hit.start - 1) == Some(&b'-');
        let first = if is_signed { hit.start - 1 } else { hit.start };
        let (start, end) = (self.norm.source(first).0, self.norm.source(end.max(1) - 1).1);
        Located { hit: *hit, start, end, bare_level }
    }

    /// The level at which a place stands outside of every string, where a value can stand.
    fn bare_level(&self, at: usize) -> Option<usize> {
        if self.form == Form::Text {
            return None;
        }
        let before = self.norm.bytes().get(..at).unwrap_or_default();
        let last = before.iter().rev().find_map(|&b| marker(b)).or(self.quote);
        let quote_level = match last {
            None => return Some(0),
            Some((level, false)) => return Some(level),
            Some((level, true)) => level,
        };
        let mut solid = before.iter().rev().take_while(|b| marker(**b).is_none()).filter(|b| !b.is_ascii_whitespace());
        let is_value = solid.clone().next().is_some_and(|b| matches!(b, b'[' | b',' | b':' | b'-'));
        let opens = solid.by_ref().last().is_some_and(|b| matches!(b, b'[' | b'{'));
        (opens && is_value).then_some(quote_level + 1)
    }

    fn forget(&mut self, release: usize) {
        let keep_from = release.saturating_sub(LEFT_BYTES);
        let forgotten = self.norm.bytes().get(..keep_from).unwrap_or_default();
        self.quote = forgotten.iter().rev().find_map(|&b| marker(b)).or(self.quote);
        self.norm.trim(keep_from);
        self.from = release - keep_from;
    }
}
