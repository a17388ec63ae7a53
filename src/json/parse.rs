//! The parser: one pass, no recursion, an explicit stack of open containers.

use std::borrow::Cow;
use std::collections::HashSet;

use super::{DEPTH_MAX, Document, Fault, JsonError, Kind, Node, decode};

/// Objects with more keys than this look duplicates up in a hash set instead of comparing one by one.
const KEYS_COMPARED_MAX: usize = 16;

/// An open container.
struct Frame<'a> {
    node: u32,
    /// Members or elements so far.
    count: u32,
    /// Where this object's keys begin in `Parser::keys`.
    keys_start: usize,
    /// The keys of a large object.
    seen: Option<HashSet<Cow<'a, str>>>,
}

struct Parser<'a> {
    source: &'a str,
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    stack: Vec<Frame<'a>>,
    /// Node indexes of the keys of all open objects.
    keys: Vec<u32>,
}

pub(super) fn parse(source: &[u8]) -> Result<Document<'_>, JsonError> {
    if u32::try_from(source.len()).is_err() {
        return Err(JsonError { fault: Fault::TooLong, offset: 0 });
    }
    let text =
        std::str::from_utf8(source).map_err(|e| JsonError { fault: Fault::InvalidUtf8, offset: e.valid_up_to() })?;
    let mut parser = Parser {
        source: text,
        bytes: source,
        at: 0,
        nodes: Vec::with_capacity(16 + source.len() / 24),
        stack: Vec::new(),
        keys: Vec::new(),
    };
    parser.run()?;
    Ok(Document { source: text, nodes: parser.nodes })
}

impl<'a> Parser<'a> {
    fn run(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        self.value(0)?;
        while !self.stack.is_empty() {
            self.member()?;
        }
        self.skip_space();
        if self.at < self.bytes.len() { Err(self.fault(Fault::Trailing)) } else { Ok(()) }
    }

    /// Reads the next member or element of the innermost container, or its end.
    fn member(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        let Some(frame) = self.stack.last_mut() else { return Ok(()) };
        let (object, position) = (self.nodes[frame.node as usize].kind == Kind::Object, frame.count);
        let close = if object { b'}' } else { b']' };
        match self.bytes.get(self.at) {
            Some(&byte) if byte == close => {
                self.at += 1;
                self.close();
                return Ok(());
            }
            Some(b',') if position > 0 => self.at += 1,
            Some(_) if position == 0 => {}
            _ => return Err(self.unexpected()),
        }
        frame.count += 1;
        self.skip_space();
        if object {
            self.key(position)?;
        }
        self.value(position)
    }

    fn key(&mut self, position: u32) -> Result<(), JsonError> {
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(self.unexpected());
        }
        let offset = self.at;
        self.string(Kind::Key, position)?;
        if self.is_duplicate() {
            return Err(JsonError { fault: Fault::DuplicateKey, offset });
        }
        self.skip_space();
        if self.bytes.get(self.at) != Some(&b':') {
            return Err(self.unexpected());
        }
        self.at += 1;
        self.skip_space();
        Ok(())
    }

    /// Whether the key just read stands in its object already; notes it otherwise.
    fn is_duplicate(&mut self) -> bool {
        let index = self.nodes.len() - 1;
        let (source, nodes) = (self.source, &self.nodes);
        let text = |i: usize| {
            let node = nodes[i];
            let raw = &source[node.start as usize..node.end as usize];
            if node.escaped { decode(raw).text } else { Cow::Borrowed(raw) }
        };
        let Some(frame) = self.stack.last_mut() else { return false };
        let own = &self.keys[frame.keys_start..];
        if frame.seen.is_none() && own.len() > KEYS_COMPARED_MAX {
            frame.seen = Some(own.iter().map(|&i| text(i as usize)).collect());
        }
        let duplicate = match &mut frame.seen {
            Some(seen) => !seen.insert(text(index)),
            None => own.iter().any(|&i| text(i as usize) == text(index)),
        };
        self.keys.push(index as u32);
        duplicate
    }

    fn value(&mut self, position: u32) -> Result<(), JsonError> {
        match self.bytes.get(self.at) {
            Some(b'{') => self.open(Kind::Object, position),
            Some(b'[') => self.open(Kind::Array, position),
            Some(b'"') => self.string(Kind::String, position),
            Some(b't') => self.literal(b"true", Kind::True, position),
            Some(b'f') => self.literal(b"false", Kind::False, position),
            Some(b'n') => self.literal(b"null", Kind::Null, position),
            Some(b'-' | b'0'..=b'9') => self.number(position),
            _ => Err(self.unexpected()),
        }
    }

    fn open(&mut self, kind: Kind, position: u32) -> Result<(), JsonError> {
        if self.stack.len() >= DEPTH_MAX {
            return Err(self.fault(Fault::TooDeep));
        }
        let (node, start) = (self.nodes.len() as u32, self.at);
        self.push(kind, start, start, position, false);
        self.stack.push(Frame { node, count: 0, keys_start: self.keys.len(), seen: None });
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) {
        if let Some(frame) = self.stack.pop() {
            self.keys.truncate(frame.keys_start);
            let next = self.nodes.len() as u32;
            let node = &mut self.nodes[frame.node as usize];
            node.end = self.at as u32;
            node.next = next;
        }
    }

    fn string(&mut self, kind: Kind, position: u32) -> Result<(), JsonError> {
        let start = self.at + 1;
        let (mut at, mut escaped) = (start, false);
        loop {
            match self.bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at += self.escape_len(at)?;
                }
                Some(0..=0x1f) => return Err(JsonError { fault: Fault::Unexpected, offset: at }),
                Some(_) => at += 1,
                None => return Err(JsonError { fault: Fault::Truncated, offset: at }),
            }
        }
        self.push(kind, start, at, position, escaped);
        self.at = at + 1;
        Ok(())
    }

    /// Length in bytes of the escape that begins at `at`.
    fn escape_len(&self, at: usize) -> Result<usize, JsonError> {
        match self.bytes.get(at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(2),
            Some(b'u') => match self.bytes.get(at + 2..at + 6) {
                Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(6),
                Some(_) => Err(JsonError { fault: Fault::Unexpected, offset: at }),
                None => Err(JsonError { fault: Fault::Truncated, offset: at }),
            },
            Some(_) => Err(JsonError { fault: Fault::Unexpected, offset: at }),
            None => Err(JsonError { fault: Fault::Truncated, offset: at }),
        }
    }

    fn literal(&mut self, word: &[u8], kind: Kind, position: u32) -> Result<(), JsonError> {
        let rest = &self.bytes[self.at..];
        if rest.starts_with(word) {
            self.push(kind, self.at, self.at + word.len(), position, false);
            self.at += word.len();
            return Ok(());
        }
        Err(self.fault(if word.starts_with(rest) { Fault::Truncated } else { Fault::Unexpected }))
    }

    fn number(&mut self, position: u32) -> Result<(), JsonError> {
        let start = self.at;
        self.skip_if(b'-');
        if !self.skip_if(b'0') {
            self.digits()?;
        }
        if self.skip_if(b'.') {
            self.digits()?;
        }
        if self.skip_if(b'e') || self.skip_if(b'E') {
            let _ = self.skip_if(b'+') || self.skip_if(b'-');
            self.digits()?;
        }
        self.push(Kind::Number, start, self.at, position, false);
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { Err(self.unexpected()) } else { Ok(()) }
    }

    fn skip_if(&mut self, byte: u8) -> bool {
        let found = self.bytes.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn skip_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize, position: u32, escaped: bool) {
        let parent = self.stack.last().map_or(0, |frame| frame.node);
        let next = self.nodes.len() as u32 + 1;
        self.nodes.push(Node { kind, start: start as u32, end: end as u32, parent, next, position, escaped });
    }

    fn unexpected(&self) -> JsonError {
        self.fault(if self.at >= self.bytes.len() { Fault::Truncated } else { Fault::Unexpected })
    }

    fn fault(&self, fault: Fault) -> JsonError {
        JsonError { fault, offset: self.at }
    }
}
