//! Server-sent events, framed without losing a byte (WHATWG HTML section 9.2).
//!
//! What the reader may rely on: the raw bytes of all frames, joined, are the bytes pushed. A frame ends with its blank
//! line, whatever mix of CR, LF and CRLF ends the lines. `data` is what a client's parser would hand on, with a map
//! back to the raw bytes; everything else a sender could put text into (comments, unknown fields, odd event names)
//! stands in `side`, so that it can be scanned too. Memory is bounded by [`FRAME_BYTES_MAX`] and the last push.
//!
//! Not here: reconnection (`id`, `retry` are passed on, and shown in `side`).

use std::ops::Range;

use bytes::{Bytes, BytesMut};

use crate::json::OffsetMap;

/// Longest frame in bytes: 8 MiB, far above the largest event seen (a whole image in one event is about 3 MiB).
pub const FRAME_BYTES_MAX: usize = 8 << 20;

/// A frame that is longer than [`FRAME_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the vendor's stream is over {FRAME_BYTES_MAX} bytes")]
pub struct FrameTooLong;

/// One event with everything before it since the last one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The bytes as they came, blank line included.
    pub raw: Bytes,
    /// The `event` field.
    pub event: Option<String>,
    /// The `data` lines joined by line feeds; empty where clients would see no event.
    pub data: String,
    /// Offsets in `data` to offsets in `raw`.
    pub map: OffsetMap,
    /// All text outside of `data`, plain event names apart, joined by line feeds; usually empty.
    pub side: String,
}

/// Cuts a byte stream into frames.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    /// Start of the unfinished line in `buffer`.
    line: usize,
    /// Up to where the unfinished line was searched for its end.
    searched: usize,
    /// How the line before ended, where it did.
    last_end: Option<LineEnd>,
    /// The last frame ended on a lone CR at the end of a push: an LF that follows belongs to that line end.
    skip_lf: bool,
    /// A frame was already given, so a byte order mark is no longer one.
    begun: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineEnd {
    Lf,
    Cr,
    CrLf,
}

impl Framer {
    /// A framer at the start of a stream.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they arrived.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame; `None` until more bytes come.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameTooLong> {
        while let Some((text_end, next_line)) = self.line_end() {
            let blank = text_end == self.line && !self.is_swallowed_lf();
            self.line = next_line;
            self.searched = next_line;
            if blank {
                let lone_cr = self.last_end == Some(LineEnd::Cr) && next_line == self.buffer.len();
                let frame = self.cut(next_line)?;
                self.skip_lf = lone_cr;
                return Ok(Some(frame));
            }
        }
        if self.buffer.len() > FRAME_BYTES_MAX { Err(FrameTooLong) } else { Ok(None) }
    }

    /// What is left when the stream has ended: bytes without a closing blank line.
    pub fn finish(&mut self) -> Option<Frame> {
        let len = self.buffer.len();
        (len > 0).then(|| self.cut(len).ok()).flatten()
    }

    /// Bytes held until a frame is whole.
    pub fn held(&self) -> usize {
        self.buffer.len()
    }

    /// Whether the line just ended is only the LF of a CRLF whose CR ended the last frame.
    fn is_swallowed_lf(&self) -> bool {
        self.skip_lf && self.line == 0 && self.last_end == Some(LineEnd::Lf)
    }

    /// The end of the current line's text and the start of the next line, once that is certain.
    fn line_end(&mut self) -> Option<(usize, usize)> {
        let unseen = self.buffer.get(self.searched..)?;
        let Some(found) = memchr::memchr2(b'\n', b'\r', unseen) else {
            self.searched = self.buffer.len();
            return None;
        };
        let at = self.searched + found;
        let (end, next) = match (self.buffer.get(at), self.buffer.get(at + 1)) {
            (Some(b'\n'), _) => (LineEnd::Lf, at + 1),
            (_, Some(b'\n')) => (LineEnd::CrLf, at + 2),
            (_, Some(_)) => (LineEnd::Cr, at + 1),
            // A CR is the last byte: in a stream of lone CRs the line is over, in any other an LF is awaited.
            (_, None) if self.last_end == Some(LineEnd::Cr) && at == self.line => (LineEnd::Cr, at + 1),
            (_, None) => {
                self.searched = at;
                return None;
            }
        };
        self.last_end = Some(end);
        Some((at, next))
    }

    /// Takes the first `len` bytes as a frame.
    fn cut(&mut self, len: usize) -> Result<Frame, FrameTooLong> {
        let raw = self.buffer.split_to(len.min(self.buffer.len())).freeze();
        self.line = 0;
        self.searched = 0;
        let mark = if self.begun { 0 } else { bom_len(&raw) };
        self.begun = true;
        self.skip_lf = false;
        if raw.len() > FRAME_BYTES_MAX { Err(FrameTooLong) } else { Ok(parse(raw, mark)) }
    }
}

/// Length of a byte order mark at the start of `bytes`.
fn bom_len(bytes: &[u8]) -> usize {
    if bytes.starts_with(b"\xef\xbb\xbf") { 3 } else { 0 }
}

/// Reads the fields of a frame whose lines begin at `start`.
fn parse(raw: Bytes, start: usize) -> Frame {
    let mut frame = Frame::default();
    let mut has_data = false;
    let mut at = start;
    while at < raw.len() {
        let rest = raw.get(at..).unwrap_or_default();
        let len = memchr::memchr2(b'\n', b'\r', rest).unwrap_or(rest.len());
        let line = rest.get(..len).unwrap_or_default();
        frame.line(line, at, &mut has_data);
        at += len + 1;
    }
    frame.raw = raw;
    frame
}

impl Frame {
    /// The raw bytes with ranges of `data` replaced; everything around them stays as it was. Edits are ascending and
    /// do not overlap, begin and end on character borders inside one line of data, and their texts hold no line end.
    pub fn splice(&self, edits: &[(Range<usize>, String)]) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.raw.len());
        let mut kept = 0;
        for (range, text) in edits {
            let (start, end) = (self.map.source(range.start), self.source_end(range));
            out.extend_from_slice(self.raw.get(kept..start).unwrap_or_default());
            out.extend_from_slice(text.as_bytes());
            kept = end.max(kept);
        }
        out.extend_from_slice(self.raw.get(kept..).unwrap_or_default());
        out
    }

    /// Where a range of `data` ends in `raw`: counted from its last character, so that the end of a line of data is
    /// not taken for the start of the next.
    fn source_end(&self, range: &Range<usize>) -> usize {
        let text = self.data.get(range.clone()).unwrap_or_default();
        match text.chars().next_back() {
            Some(char::REPLACEMENT_CHARACTER) | None => self.map.source(range.end),
            Some(last) => self.map.source(range.end - last.len_utf8()) + last.len_utf8(),
        }
    }

    fn line(&mut self, line: &[u8], at: usize, has_data: &mut bool) {
        let colon = memchr::memchr(b':', line);
        let (name, value) = match colon {
            Some(colon) => (line.get(..colon).unwrap_or_default(), line.get(colon + 1..).unwrap_or_default()),
            None => (line, &[][..]),
        };
        let (space, value) = match value.strip_prefix(b" ") {
            Some(after) => (1, after),
            None => (0, value),
        };
        match name {
            b"data" => {
                if std::mem::replace(has_data, true) {
                    self.data.push('\n');
                }
                // Without a colon the value is empty, and where it would stand does not matter.
                push_lossy(&mut self.data, Some(&mut self.map), value, at + name.len() + 1 + space);
            }
            b"event" => {
                let text = String::from_utf8_lossy(value);
                if !is_plain_name(&text) {
                    self.add_side(value);
                }
                self.event = Some(text.into_owned());
            }
            _ if line.is_empty() || line == b":" => {}
            _ => self.add_side(line),
        }
    }

    fn add_side(&mut self, bytes: &[u8]) {
        if !self.side.is_empty() {
            self.side.push('\n');
        }
        push_lossy(&mut self.side, None, bytes, 0);
    }
}

/// Appends bytes that stand at `at` in the raw frame; what is not UTF-8 becomes U+FFFD, as in clients.
fn push_lossy(text: &mut String, mut map: Option<&mut OffsetMap>, bytes: &[u8], at: usize) {
    let mut source = at;
    if let Some(map) = map.as_deref_mut() {
        map.mark(text.len(), source);
    }
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        source += chunk.valid().len();
        if !chunk.invalid().is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
            source += chunk.invalid().len();
            if let Some(map) = map.as_deref_mut() {
                map.mark(text.len(), source);
            }
        }
    }
}

/// Whether an event name is a plain word such as `content_block_delta`, in which nothing can hide.
fn is_plain_name(name: &str) -> bool {
    name.len() <= 40 && name.bytes().all(|b| b.is_ascii_alphabetic() || matches!(b, b'_' | b'-' | b'.'))
}
