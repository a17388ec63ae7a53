//! A strict, borrowing reader of JSON text (RFC 8259) that knows where everything stands.
//!
//! What the reader may rely on: a [`Document`] exists only for valid UTF-8 holding exactly one JSON value, no
//! deeper than [`DEPTH_MAX`], in which no object names a key twice (compared after unescaping). So whatever a
//! scanner saw is what any other JSON parser sees. Every node keeps its byte range in the source, so a change
//! can be spliced in without touching anything around it. Lone surrogates in `\u` escapes read as U+FFFD.
//!
//! Not here: writing JSON, numbers as values beyond `u64`, records (they have their own canonical form).

mod decode;
mod parse;

use std::borrow::Cow;
use std::fmt;
use std::ops::Range;

pub use decode::{Decoded, OffsetMap, decode};

/// Deepest nesting accepted, in containers.
pub const DEPTH_MAX: usize = 128;

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// A member's name; its value is the next node.
    Key,
    /// A string value.
    String,
    /// A number.
    Number,
    /// `true`
    True,
    /// `false`
    False,
    /// `null`
    Null,
}

/// One node, in document order.
#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    /// Byte range in the source; strings and keys without their quotes.
    start: u32,
    end: u32,
    /// Index of the enclosing container (0 for the root itself).
    parent: u32,
    /// Index one past the last node of this subtree.
    next: u32,
    /// Position among its siblings (members of an object count once).
    position: u32,
    /// Whether a string holds a backslash.
    escaped: bool,
}

/// Why a text is not acceptable JSON; says where, never what stood there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// What is wrong.
    pub fault: Fault,
    /// Byte offset in the source.
    pub offset: usize,
}

/// The kinds of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Bytes that are not UTF-8.
    InvalidUtf8,
    /// The text ended inside a value.
    Truncated,
    /// A byte that cannot stand there.
    Unexpected,
    /// A key that its object already has.
    DuplicateKey,
    /// Nested deeper than [`DEPTH_MAX`].
    TooDeep,
    /// Something after the value.
    Trailing,
    /// Over 4 GiB.
    TooLong,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.fault {
            Fault::InvalidUtf8 => "invalid UTF-8",
            Fault::Truncated => "JSON ends too early",
            Fault::Unexpected => "unexpected character",
            Fault::DuplicateKey => "duplicate key",
            Fault::TooDeep => "nested too deep (limit 128)",
            Fault::Trailing => "text after the JSON value",
            Fault::TooLong => "JSON over 4 GiB",
        };
        write!(f, "{what} at byte {}", self.offset)
    }
}

impl std::error::Error for JsonError {}

/// A parsed text: a flat list of nodes over the borrowed source.
#[derive(Debug)]
pub struct Document<'a> {
    source: &'a str,
    nodes: Vec<Node>,
}

/// A handle on one node of a document.
#[derive(Clone, Copy)]
pub struct Value<'d, 'a> {
    document: &'d Document<'a>,
    index: usize,
}

impl<'a> Document<'a> {
    /// Parses `source`; linear in its length.
    pub fn parse(source: &'a [u8]) -> Result<Self, JsonError> {
        parse::parse(source)
    }

    /// The source text.
    pub fn source(&self) -> &'a str {
        self.source
    }

    /// The top-level value.
    pub fn root(&self) -> Value<'_, 'a> {
        Value { document: self, index: 0 }
    }

    /// The node with that number ([`Value::id`]).
    pub fn value(&self, id: usize) -> Option<Value<'_, 'a>> {
        (id < self.nodes.len()).then_some(Value { document: self, index: id })
    }

    /// Every key, string and number in document order.
    pub fn leaves(&self) -> impl Iterator<Item = Value<'_, 'a>> {
        self.nodes
            .iter()
            .enumerate()
            .filter(|(_, node)| matches!(node.kind, Kind::Key | Kind::String | Kind::Number))
            .map(|(index, _)| Value { document: self, index })
    }

    /// The value at an RFC 6901 pointer (`""` is the root).
    pub fn at(&self, pointer: &str) -> Option<Value<'_, 'a>> {
        let mut here = self.root();
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            here = match here.kind() {
                Kind::Object => here.get(&token)?,
                Kind::Array => here.items().nth(token.parse().ok()?)?,
                _ => return None,
            };
        }
        Some(here)
    }
}

impl<'d, 'a> Value<'d, 'a> {
    fn node(&self) -> &'d Node {
        &self.document.nodes[self.index]
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.node().kind
    }

    /// Its number in document order: equal for equal nodes of one document.
    pub fn id(&self) -> usize {
        self.index
    }

    /// Its byte range in the source; for strings and keys what stands between the quotes.
    pub fn range(&self) -> Range<usize> {
        self.node().start as usize..self.node().end as usize
    }

    /// The bytes of [`Value::range`], still escaped.
    pub fn raw(&self) -> &'a str {
        &self.document.source[self.range()]
    }

    /// Whether a string or key holds a backslash, so that its text differs from `raw`.
    pub fn is_escaped(&self) -> bool {
        self.node().escaped
    }

    /// The text of a string or key, unescaped; `None` for anything else.
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        match self.kind() {
            Kind::String | Kind::Key if !self.node().escaped => Some(Cow::Borrowed(self.raw())),
            Kind::String | Kind::Key => Some(decode(self.raw()).text),
            _ => None,
        }
    }

    /// A boolean's value.
    pub fn as_bool(&self) -> Option<bool> {
        match self.kind() {
            Kind::True => Some(true),
            Kind::False => Some(false),
            _ => None,
        }
    }

    /// A number's value where it is a plain non-negative integer.
    pub fn as_u64(&self) -> Option<u64> {
        match self.kind() {
            Kind::Number => self.raw().parse().ok(),
            _ => None,
        }
    }

    /// The member of this object with that name.
    pub fn get(&self, name: &str) -> Option<Value<'d, 'a>> {
        self.entries()
            .find(|(key, _)| if key.is_escaped() { key.as_str().as_deref() == Some(name) } else { key.raw() == name })
            .map(|(_, value)| value)
    }

    /// The members of this object, key and value; nothing for other kinds.
    pub fn entries(&self) -> impl Iterator<Item = (Value<'d, 'a>, Value<'d, 'a>)> + use<'d, 'a> {
        let document = self.document;
        let node = self.node();
        let end = if node.kind == Kind::Object { node.next as usize } else { 0 };
        let mut at = self.index + 1;
        std::iter::from_fn(move || {
            (at < end).then(|| {
                let (key, value) = (Value { document, index: at }, Value { document, index: at + 1 });
                at = document.nodes[at + 1].next as usize;
                (key, value)
            })
        })
    }

    /// The elements of this array; nothing for other kinds.
    pub fn items(&self) -> impl Iterator<Item = Value<'d, 'a>> + use<'d, 'a> {
        let document = self.document;
        let node = self.node();
        let end = if node.kind == Kind::Array { node.next as usize } else { 0 };
        let mut at = self.index + 1;
        std::iter::from_fn(move || {
            (at < end).then(|| {
                let value = Value { document, index: at };
                at = document.nodes[at].next as usize;
                value
            })
        })
    }

    /// The keys, strings and numbers of this value and everything below it.
    pub fn leaves(&self) -> impl Iterator<Item = Value<'d, 'a>> + use<'d, 'a> {
        let document = self.document;
        (self.index..self.node().next as usize)
            .filter(move |&index| matches!(document.nodes[index].kind, Kind::Key | Kind::String | Kind::Number))
            .map(move |index| Value { document, index })
    }

    /// The container this node stands in; `None` for the root.
    pub fn parent(&self) -> Option<Value<'d, 'a>> {
        (self.index > 0).then(|| Value { document: self.document, index: self.node().parent as usize })
    }

    /// The name under which this value (or this key itself) stands in its object; `None` in arrays and at the root.
    pub fn name(&self) -> Option<Cow<'a, str>> {
        if self.kind() == Kind::Key {
            return self.as_str();
        }
        let parent = self.parent()?;
        (parent.kind() == Kind::Object).then(|| Value { document: self.document, index: self.index - 1 }.as_str())?
    }

    /// RFC 6901 pointer of this value; a key has the pointer of its value.
    pub fn pointer(&self) -> String {
        self.pointer_within(usize::MAX)
    }

    /// The same where it is at most `bytes_max` long; else its end, after a `…` for what is left out. Long keys of a
    /// caller's choice are not copied.
    pub fn pointer_within(&self, bytes_max: usize) -> String {
        let mut tokens: Vec<String> = Vec::new();
        let (mut here, mut room) = (*self, bytes_max);
        while let Some(parent) = here.parent() {
            let token = match here.name() {
                Some(name) if name.len() >= room => None,
                Some(name) => Some(name.replace('~', "~0").replace('/', "~1")),
                None => Some(here.node().position.to_string()),
            };
            let Some(token) = token.filter(|token| token.len() < room) else {
                tokens.push("…".to_owned());
                break;
            };
            room -= token.len() + 1;
            tokens.push(token);
            here = parent;
        }
        tokens.iter().rev().fold(String::new(), |pointer, token| pointer + "/" + token)
    }
}

#[cfg(test)]
mod tests;
