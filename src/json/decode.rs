//! Unescaping of JSON strings, with the way back from decoded offsets to raw ones.

use std::borrow::Cow;

/// A string's text and the map from its byte offsets to offsets in the raw string.
#[derive(Debug)]
pub struct Decoded<'a> {
    /// The unescaped text; borrowed where there was no escape.
    pub text: Cow<'a, str>,
    /// Decoded offset to raw offset.
    pub map: OffsetMap,
}

/// Maps byte offsets of a derived text to byte offsets of its source: a list of points between which both advance alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OffsetMap {
    /// (derived offset, source offset), ascending.
    points: Vec<(u32, u32)>,
}

impl OffsetMap {
    /// From here on, derived offset `derived` stands for source offset `source`.
    pub fn mark(&mut self, derived: usize, source: usize) {
        let point = (derived as u32, source as u32);
        match self.points.last_mut() {
            Some(last) if last.0 == point.0 => *last = point,
            _ => self.points.push(point),
        }
    }

    /// The source offset of a derived offset that stands on a character border.
    pub fn source(&self, derived: usize) -> usize {
        match self.points.partition_point(|&(from, _)| from as usize <= derived) {
            0 => derived,
            n => {
                let (from, source) = self.points[n - 1];
                source as usize + (derived - from as usize)
            }
        }
    }

    /// Whether every offset stands for itself.
    pub fn is_identity(&self) -> bool {
        self.points.is_empty()
    }
}

/// Unescapes the inside of a JSON string that the parser accepted; lone surrogates become U+FFFD.
pub fn decode(raw: &str) -> Decoded<'_> {
    let Some(first) = memchr::memchr(b'\\', raw.as_bytes()) else {
        return Decoded { text: Cow::Borrowed(raw), map: OffsetMap::default() };
    };
    let mut text = String::with_capacity(raw.len());
    let mut map = OffsetMap::default();
    text.push_str(&raw[..first]);
    let mut at = first;
    while at < raw.len() {
        let (character, len) = escape(&raw.as_bytes()[at..]);
        map.mark(text.len(), at);
        text.push(character);
        at += len;
        map.mark(text.len(), at);
        let plain = memchr::memchr(b'\\', &raw.as_bytes()[at..]).map_or(raw.len(), |n| at + n);
        text.push_str(&raw[at..plain]);
        at = plain;
    }
    Decoded { text: Cow::Owned(text), map }
}

/// The character and the length in bytes of the escape at the start of `bytes`.
fn escape(bytes: &[u8]) -> (char, usize) {
    match bytes.get(1) {
        Some(b'n') => ('\n', 2),
        Some(b't') => ('\t', 2),
        Some(b'r') => ('\r', 2),
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'u') => unicode(bytes),
        Some(&other) => (char::from(other), 2),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

fn unicode(bytes: &[u8]) -> (char, usize) {
    let Some(high) = unit(bytes) else { return (char::REPLACEMENT_CHARACTER, bytes.len().min(6)) };
    if (0xd800..0xdc00).contains(&high)
        && let Some(low) = bytes.get(6..).and_then(unit)
        && (0xdc00..0xe000).contains(&low)
    {
        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        return (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12);
    }
    (char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER), 6)
}

/// The UTF-16 unit of a `\uXXXX` at the start of `bytes`.
fn unit(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
    digits.iter().try_fold(0, |value, &digit| Some(value << 4 | char::from(digit).to_digit(16)?))
}
