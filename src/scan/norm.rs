//! Turns source text into the folded bytes that detectors read, and remembers where each byte came from.
//!
//! Incremental: pushing a text in pieces gives the same bytes and the same way back as pushing it whole. With
//! [`Form::Json`] the text is read as JSON by a lenient lexer: escapes in strings are resolved, quotes become
//! marker bytes (so that no detector reaches across them), and a string whose content begins with `{` or `[` is
//! read as JSON again, to [`LEVELS`] levels. Broken JSON loses nothing: what is not a string passes as it stands.

use super::fold::{Fold, TAG, fold, is_plain};

/// How the text of a channel is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Plain text.
    Text,
    /// JSON text, such as the arguments of a tool call.
    Json,
}

/// JSON levels seen through: the text itself and four levels of JSON in strings.
pub(super) const LEVELS: usize = 5;

/// Marker bytes for an opening and a closing quote of each level; no folded text holds them otherwise.
const QUOTES: [(u8, u8); LEVELS] = [(1, 2), (3, 4), (5, 6), (7, 8), (0x0e, 0x0f)];

/// What a marker byte says: the level, and whether a string begins there.
pub(super) fn marker(byte: u8) -> Option<(usize, bool)> {
    match byte {
        1..=8 => Some((usize::from(byte - 1) / 2, byte % 2 == 1)),
        0x0e => Some((4, true)),
        0x0f => Some((4, false)),
        _ => None,
    }
}

/// A stretch of folded bytes and where it came from.
#[derive(Clone, Copy, Debug)]
struct Segment {
    norm: usize,
    source: usize,
    /// 0: each byte stands for one source byte, in order; else every byte stands for all these source bytes.
    width: usize,
}

/// Folded text and the way back.
#[derive(Debug)]
pub(super) struct Norm {
    bytes: Vec<u8>,
    segments: Vec<Segment>,
    form: Form,
    levels: [Level; LEVELS],
    /// The innermost level in use.
    depth: usize,
    /// Source bytes pushed.
    consumed: usize,
}

/// Where one level of JSON stands.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    in_string: bool,
    content: Content,
    escape: Escape,
    /// A high surrogate that waits for its partner, and where its escape began.
    high: Option<(u32, usize)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Content {
    #[default]
    Undecided,
    Plain,
    Nested,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Escape {
    #[default]
    None,
    Slash(usize),
    Unicode {
        start: usize,
        value: u32,
        digits: u8,
    },
}

/// A character and the source bytes it stands for.
#[derive(Clone, Copy)]
struct Unit {
    c: char,
    start: usize,
    end: usize,
}

/// What a level makes of a character.
enum Step {
    /// Nothing yet.
    Wait,
    /// A quote of this level: opening or closing.
    Quote(bool),
    /// A character outside strings.
    Bare,
    /// A character of a string.
    Inside(Unit),
}

impl Norm {
    pub(super) fn new(form: Form) -> Self {
        let (bytes, segments) = (Vec::new(), Vec::new());
        Norm { bytes, segments, form, levels: [Level::default(); LEVELS], depth: 0, consumed: 0 }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn consumed(&self) -> usize {
        self.consumed
    }

    /// Appends a piece of source text.
    pub(super) fn push(&mut self, text: &str) {
        let mut at = 0;
        while let Some(rest) = text.get(at..)
            && let Some(first) = rest.chars().next()
        {
            let run = self.run_len(rest.as_bytes());
            if run > 0 {
                self.mark(self.consumed, 0);
                self.bytes.extend_from_slice(rest.as_bytes().get(..run).unwrap_or_default());
                self.consumed += run;
                at += run;
                continue;
            }
            let len = first.len_utf8();
            let unit = Unit { c: first, start: self.consumed, end: self.consumed + len };
            self.consumed += len;
            at += len;
            match self.form {
                Form::Text => self.emit(unit),
                Form::Json => self.feed(unit),
            }
        }
    }

    /// How many bytes at the start of `rest` pass as they stand.
    fn run_len(&self, rest: &[u8]) -> usize {
        if self.form == Form::Text {
            return rest.iter().take_while(|&&b| is_plain(b)).count();
        }
        let settled = self.levels.iter().take(self.depth + 1).all(|l| l.escape == Escape::None && l.high.is_none());
        let here = self.level(self.depth);
        if !settled || (here.in_string && here.content == Content::Undecided) {
            return 0;
        }
        rest.iter().take_while(|&&b| is_plain(b) && b != b'"' && b != b'\\').count()
    }

    fn level(&self, depth: usize) -> Level {
        self.levels.get(depth).copied().unwrap_or_default()
    }

    /// Passes a character down the levels.
    fn feed(&mut self, mut unit: Unit) {
        let mut depth = 0;
        while let Some(level) = self.levels.get_mut(depth) {
            match level.step(unit) {
                Step::Wait => return,
                Step::Bare => return self.emit(unit),
                Step::Quote(opens) => {
                    self.depth = depth;
                    let (open, close) = QUOTES.get(depth).copied().unwrap_or((1, 2));
                    self.raw(if opens { open } else { close }, unit);
                    return;
                }
                Step::Inside(inner) => {
                    unit = inner;
                    if level.content == Content::Undecided && !inner.c.is_ascii_whitespace() {
                        let nested = matches!(inner.c, '{' | '[') && depth + 1 < LEVELS;
                        level.content = if nested { Content::Nested } else { Content::Plain };
                        if nested {
                            self.depth = depth + 1;
                            if let Some(next) = self.levels.get_mut(depth + 1) {
                                *next = Level::default();
                            }
                        }
                    }
                    if self.level(depth).content != Content::Nested {
                        return self.emit(unit);
                    }
                }
            }
            depth += 1;
        }
    }

    /// Appends a character after folding it.
    fn emit(&mut self, unit: Unit) {
        match fold(unit.c) {
            Fold::Drop => {}
            Fold::Ascii(bytes, len) => bytes.iter().take(len.into()).for_each(|&b| self.raw(b, unit)),
            Fold::Keep if unit.c.is_ascii() => self.raw(unit.c as u8, unit),
            Fold::Keep => {
                let mut buffer = [0; 4];
                let encoded = unit.c.encode_utf8(&mut buffer);
                self.mark(unit.start, if unit.end - unit.start == encoded.len() { 0 } else { unit.end - unit.start });
                self.bytes.extend_from_slice(encoded.as_bytes());
            }
        }
    }

    fn raw(&mut self, byte: u8, unit: Unit) {
        self.mark(unit.start, if unit.end - unit.start == 1 { 0 } else { unit.end - unit.start });
        self.bytes.push(byte);
    }

    /// The next folded byte comes from `source`.
    fn mark(&mut self, source: usize, width: usize) {
        let norm = self.bytes.len();
        if width == 0
            && let Some(last) = self.segments.last()
            && last.width == 0
            && last.source + (norm - last.norm) == source
        {
            return;
        }
        self.segments.push(Segment { norm, source, width });
    }

    /// The text ends here: an unfinished escape stands for nothing.
    pub(super) fn flush(&mut self) {
        for level in &mut self.levels {
            (level.escape, level.high) = (Escape::None, None);
        }
    }

    /// The source bytes that a folded byte stands for.
    pub(super) fn source(&self, norm: usize) -> (usize, usize) {
        let found = self.segments.partition_point(|s| s.norm <= norm);
        match found.checked_sub(1).and_then(|i| self.segments.get(i)) {
            None => (norm, norm + 1),
            Some(s) if s.width > 0 => (s.source, s.source + s.width),
            Some(s) => (s.source + (norm - s.norm), s.source + (norm - s.norm) + 1),
        }
    }

    /// The source offset before which nothing can change any more, if everything before folded byte `norm` is decided.
    pub(super) fn settled(&self, norm: usize) -> usize {
        if norm < self.bytes.len() {
            return self.source(norm).0;
        }
        let waiting = self.levels.iter().take(self.depth + 1).filter_map(Level::waiting_since).min();
        waiting.unwrap_or(self.consumed)
    }

    /// Forgets the folded bytes before `norm`.
    pub(super) fn trim(&mut self, norm: usize) {
        let cut = norm.min(self.bytes.len());
        if cut == 0 {
            return;
        }
        let keep = self.segments.partition_point(|s| s.norm <= cut).saturating_sub(1);
        self.segments.drain(..keep);
        for segment in &mut self.segments {
            if segment.norm < cut {
                segment.source += if segment.width == 0 { cut - segment.norm } else { 0 };
            }
            segment.norm = segment.norm.saturating_sub(cut);
        }
        self.bytes.drain(..cut);
    }
}

impl Level {
    fn step(&mut self, unit: Unit) -> Step {
        if !self.in_string {
            if unit.c != '"' {
                return Step::Bare;
            }
            *self = Level { in_string: true, ..Level::default() };
            return Step::Quote(true);
        }
        match self.escape {
            Escape::None => match unit.c {
                '"' => {
                    *self = Level::default();
                    Step::Quote(false)
                }
                '\\' => {
                    self.escape = Escape::Slash(unit.start);
                    Step::Wait
                }
                _ => self.inside(unit),
            },
            Escape::Slash(start) if unit.c == 'u' => {
                self.escape = Escape::Unicode { start, value: 0, digits: 0 };
                Step::Wait
            }
            Escape::Slash(start) => {
                self.escape = Escape::None;
                let c = match unit.c {
                    'n' => '\n',
                    't' => '\t',
                    'r' => '\r',
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    other => other,
                };
                self.inside(Unit { c, start, end: unit.end })
            }
            Escape::Unicode { start, value, digits } => self.hex(unit, start, value, digits),
        }
    }

    fn hex(&mut self, unit: Unit, start: usize, value: u32, digits: u8) -> Step {
        let Some(nibble) = unit.c.to_digit(16) else {
            self.escape = Escape::None;
            return self.inside(Unit { c: unit.c, start, end: unit.end });
        };
        let value = value << 4 | nibble;
        if digits < 3 {
            self.escape = Escape::Unicode { start, value, digits: digits + 1 };
            return Step::Wait;
        }
        self.escape = Escape::None;
        match (value, self.high) {
            (0xd800..=0xdbff, _) => {
                self.high = Some((value, start));
                Step::Wait
            }
            (0xdc00..=0xdfff, Some((high, from))) => {
                let code = 0x10000 + ((high - 0xd800) << 10) + (value - 0xdc00);
                self.inside(Unit {
                    c: char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER),
                    start: from,
                    end: unit.end,
                })
            }
            _ => self.inside(Unit {
                c: char::from_u32(value).unwrap_or(char::REPLACEMENT_CHARACTER),
                start,
                end: unit.end,
            }),
        }
    }

    fn inside(&mut self, unit: Unit) -> Step {
        self.high = None;
        Step::Inside(unit)
    }

    /// Where an unfinished escape began.
    fn waiting_since(&self) -> Option<usize> {
        let escape = match self.escape {
            Escape::None => None,
            Escape::Slash(start) | Escape::Unicode { start, .. } => Some(start),
        };
        self.high.map(|(_, start)| start).or(escape)
    }
}

/// Whether a text reads the same folded.
pub(super) fn is_plain_text(text: &str) -> bool {
    text.as_bytes().chunks(64).all(|chunk| chunk.iter().fold(true, |plain, &b| plain & is_plain(b)))
}

const _: () = assert!(TAG > 0x0f, "the tag byte is no quote marker");
