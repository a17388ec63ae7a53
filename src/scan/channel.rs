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
    /// Where the forgotten bytes end.
    place: Place,
    pub(super) is_partial: bool,
}

/// Where in JSON a byte stands, carried forward byte by byte.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// The last quote marker before it.
    quote: Option<(usize, bool)>,
    /// The first and the last byte since then that is no space.
    first: Option<u8>,
    last: Option<u8>,
}

impl Place {
    fn pass(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if let Some(quote) = marker(byte) {
                *self = Place { quote: Some(quote), first: None, last: None };
            } else if !byte.is_ascii_whitespace() {
                self.first = self.first.or(Some(byte));
                self.last = Some(byte);
            }
        }
    }

    /// The level at which it stands outside of every string, where a value can stand.
    fn bare_level(&self) -> Option<usize> {
        match self.quote {
            None => Some(0),
            Some((level, false)) => Some(level),
            Some((level, true)) => {
                let is_value = matches!(self.last, Some(b'[' | b',' | b':' | b'-'));
                let opens = matches!(self.first, Some(b'[' | b'{'));
                (opens && is_value).then_some(level + 1)
            }
        }
    }
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
        Channel { norm: Norm::new(form), form, from: 0, place: Place::default(), is_partial: false }
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
        self.locate_all(&hits, out);
        self.is_partial |= work.is_partial;
        self.forget(release);
    }

    /// Gives each hit its place in the source, in one pass over the folded bytes.
    fn locate_all(&self, hits: &[Hit], out: &mut Vec<Located>) {
        let (mut place, mut passed) = (self.place, 0);
        for hit in hits {
            if self.form == Form::Json {
                place.pass(self.norm.bytes().get(passed..hit.start).unwrap_or_default());
                passed = passed.max(hit.start);
            }
            let bare_level = if self.form == Form::Json { place.bare_level() } else { None };
            out.push(self.locate(hit, bare_level));
        }
    }

    fn locate(&self, hit: &Hit, bare_level: Option<usize>) -> Located {
        let norm = self.norm.bytes();
        let mut end = hit.end;
        while norm.get(end).is_some_and(|b| b & 0xc0 == 0x80) {
            end += 1;
        }
        let is_signed = bare_level.is_some()
            && norm.get(hit.start).is_some_and(u8::is_ascii_digit)
            && hit.start > self.from
            && norm.get(hit.start - 1) == Some(&b'-');
        let first = if is_signed { hit.start - 1 } else { hit.start };
        let (start, end) = (self.norm.source(first).0, self.norm.source(end.max(1) - 1).1);
        Located { hit: *hit, start, end, bare_level }
    }

    fn forget(&mut self, release: usize) {
        let keep_from = release.saturating_sub(LEFT_BYTES);
        let forgotten = self.norm.bytes().get(..keep_from).unwrap_or_default();
        if self.form == Form::Json {
            self.place.pass(forgotten);
        }
        self.norm.trim(keep_from);
        self.from = release - keep_from;
    }
}
