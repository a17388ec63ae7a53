//! The three kinds of line of a segment, written and strictly read.
//!
//! ```text
//! {"head":{…},"key":"<key id>","sig":"<base64>"}
//! {"sections":{"content":"<base64>",…,"index":7}}
//! {"checkpoint":"<signed note>"}
//! ```
//!
//! Reading re-encodes: a line that is not byte-equal to its own writing is refused, so base64 respelled, keys
//! out of order or twice, spaces and needless escapes are all found without knowing any key.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::types::Digest;

use super::codec::{Head, HeadError};
use super::key::KeyId;
use super::note::{NoteError, SignedNote};

/// Longest record line in bytes, without its newline.
pub const LINE_RECORD_MAX: usize = 60 * 1024;
/// Longest sections line (and checkpoint line) in bytes, without its newline.
pub const LINE_SECTIONS_MAX: usize = 64 * 1024;
/// `{"head":` before the head.
const HEAD_PREFIX: &[u8] = b"{\"head\":";
/// `,"key":"` 8, key id 32, `","sig":"` 9, 64 bytes in base64 88, `"}` 2.
const TAIL_LEN: usize = 8 + 32 + 9 + 88 + 2;
/// What a record line adds to its head.
pub(crate) const RECORD_LINE_OVERHEAD: usize = HEAD_PREFIX.len() + TAIL_LEN;

/// Why a line is not one of the three kinds.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Longer than its kind may be.
    #[error("the line is too long")]
    TooLong,
    /// Neither of the three kinds.
    #[error("neither a record, a sections line nor a checkpoint")]
    Kind,
    /// The frame around a head is not as written.
    #[error("the record's `key` or `sig` is not in its one spelling")]
    Frame,
    /// The head is not a head.
    #[error(transparent)]
    Head(#[from] HeadError),
    /// A sections line not in its one spelling.
    #[error("the sections line is not in its one spelling")]
    Sections,
    /// The note in a checkpoint line.
    #[error(transparent)]
    Note(#[from] NoteError),
}

/// A line of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "every second line is a record; a box would cost an allocation each")]
pub enum Line {
    /// A record.
    Record(RecordLine),
    /// The encrypted sections of the record before it.
    Sections(SectionsLine),
    /// The end of a group.
    Checkpoint(SignedNote),
}

/// A record line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordLine {
    /// Its head.
    pub head: Head,
    /// Where the head's canonical bytes stand in the line.
    pub head_bytes: Range<usize>,
    /// The key that is said to have signed.
    pub key: KeyId,
    /// The signature.
    pub sig: [u8; 64],
}

/// A sections line, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SectionsLine {
    /// Index of the record it belongs to.
    pub index: u64,
    /// Ciphertext and tag by section name.
    pub sections: BTreeMap<String, Vec<u8>>,
}

impl Line {
    /// Reads one line, without its newline.
    pub fn parse(line: &[u8]) -> Result<Line, LineError> {
        if line.starts_with(HEAD_PREFIX) {
            return Ok(Line::Record(parse_record(line)?));
        }
        if line.len() > LINE_SECTIONS_MAX {
            return Err(LineError::TooLong);
        }
        if line.starts_with(b"{\"sections\":{") {
            return Ok(Line::Sections(parse_sections(line)?));
        }
        if line.starts_with(b"{\"checkpoint\":\"") {
            return Ok(Line::Checkpoint(parse_checkpoint(line)?));
        }
        Err(LineError::Kind)
    }
}

fn parse_record(line: &[u8]) -> Result<RecordLine, LineError> {
    if line.len() > LINE_RECORD_MAX {
        return Err(LineError::TooLong);
    }
    let head_end = line.len().checked_sub(TAIL_LEN).filter(|end| *end > HEAD_PREFIX.len()).ok_or(LineError::Frame)?;
    let (before, tail) = line.split_at_checked(head_end).ok_or(LineError::Frame)?;
    let (_, head_bytes) = before.split_at_checked(HEAD_PREFIX.len()).ok_or(LineError::Frame)?;
    let tail = std::str::from_utf8(tail).map_err(|_| LineError::Frame)?;
    let (key, sig) = tail
        .strip_prefix(",\"key\":\"")
        .and_then(|rest| rest.strip_suffix("\"}"))
        .and_then(|rest| rest.split_once("\",\"sig\":\""))
        .ok_or(LineError::Frame)?;
    let key: KeyId = key.parse().map_err(|_| LineError::Frame)?;
    let decoded = STANDARD.decode(sig).map_err(|_| LineError::Frame)?;
    if STANDARD.encode(&decoded) != sig {
        return Err(LineError::Frame);
    }
    let sig: [u8; 64] = decoded.try_into().map_err(|_| LineError::Frame)?;
    let head = Head::decode(head_bytes)?;
    Ok(RecordLine { head, head_bytes: HEAD_PREFIX.len()..head_end, key, sig })
}

fn parse_sections(line: &[u8]) -> Result<SectionsLine, LineError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        sections: SectionsLine,
    }
    let outer: Outer = serde_json::from_slice(line).map_err(|_| LineError::Sections)?;
    let again = sections_line(outer.sections.index, &outer.sections.sections);
    if again == line { Ok(outer.sections) } else { Err(LineError::Sections) }
}

fn parse_checkpoint(line: &[u8]) -> Result<SignedNote, LineError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Outer {
        checkpoint: String,
    }
    let outer: Outer = serde_json::from_slice(line).map_err(|_| NoteError::Form)?;
    if checkpoint_line(&outer.checkpoint) != line {
        return Err(NoteError::Form.into());
    }
    Ok(SignedNote::parse(&outer.checkpoint)?)
}

impl<'de> Deserialize<'de> for SectionsLine {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SectionsVisitor)
    }
}

struct SectionsVisitor;

impl<'de> Visitor<'de> for SectionsVisitor {
    type Value = SectionsLine;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("sections and their index")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SectionsLine, A::Error> {
        let (mut index, mut sections) = (None, BTreeMap::new());
        while let Some(name) = map.next_key::<String>()? {
            if name == "index" {
                index = Some(map.next_value::<u64>()?);
                continue;
            }
            if !is_section_name(&name) {
                return Err(A::Error::custom("not a section name"));
            }
            let bytes = STANDARD.decode(map.next_value::<String>()?).map_err(A::Error::custom)?;
            sections.insert(name, bytes);
        }
        let index = index.filter(|index| *index < 1 << 53).ok_or_else(|| A::Error::custom("no index"))?;
        if sections.is_empty() {
            return Err(A::Error::custom("no section"));
        }
        Ok(SectionsLine { index, sections })
    }
}

/// Section names are lower-case words; `index` is taken.
pub(crate) fn is_section_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 32 && name != "index" && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
}

/// What a record's signature covers: the format, the log, the place in it, and the head.
pub fn signing_input(origin: &str, index: u64, head_bytes: &[u8]) -> Vec<u8> {
    let mut input = Vec::with_capacity(head_bytes.len() + origin.len() + 48);
    input.extend_from_slice(b"sealgate/record/v1\n");
    input.extend_from_slice(origin.as_bytes());
    input.push(b'\n');
    input.extend_from_slice(index.to_string().as_bytes());
    input.push(b'\n');
    input.extend_from_slice(head_bytes);
    input
}

/// What the outgoing key signs in a live rotation.
pub fn handover_input(origin: &str, index: u64, new_key: &[u8; 32]) -> Vec<u8> {
    let mut input = format!("sealgate/handover/v1\n{origin}\n{index}\n").into_bytes();
    input.extend_from_slice(new_key);
    input
}

/// A record line, without newline.
pub fn record_line(head_bytes: &[u8], key: &KeyId, sig: &[u8; 64]) -> Vec<u8> {
    let mut line = Vec::with_capacity(head_bytes.len() + RECORD_LINE_OVERHEAD + 1);
    line.extend_from_slice(HEAD_PREFIX);
    line.extend_from_slice(head_bytes);
    line.extend_from_slice(format!(",\"key\":\"{key}\",\"sig\":\"{}\"}}", STANDARD.encode(sig)).as_bytes());
    line
}

/// A sections line, without newline.
pub fn sections_line(index: u64, sections: &BTreeMap<String, Vec<u8>>) -> Vec<u8> {
    let mut members: BTreeMap<&str, String> =
        sections.iter().map(|(name, bytes)| (name.as_str(), format!("\"{}\"", STANDARD.encode(bytes)))).collect();
    members.insert("index", index.to_string());
    let mut line = b"{\"sections\":{".to_vec();
    for (at, (name, value)) in members.iter().enumerate() {
        if at > 0 {
            line.push(b',');
        }
        line.extend_from_slice(format!("\"{name}\":{value}").as_bytes());
    }
    line.extend_from_slice(b"}}");
    line
}

/// A checkpoint line, without newline.
pub fn checkpoint_line(note: &str) -> Vec<u8> {
    let mut line = b"{\"checkpoint\":".to_vec();
    let written = serde_json::to_writer(&mut line, note);
    debug_assert!(written.is_ok(), "a string can be written to memory");
    line.push(b'}');
    line
}

/// RFC 6962 leaf hash of a record line (without newline).
pub fn leaf_hash(line: &[u8]) -> Digest {
    Digest::of_parts(&[&[0], line])
}
