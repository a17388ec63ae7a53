//! Heads to canonical bytes and back, strictly.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::types::{Fact, RecordId, RequestId, Timestamp};

use super::VERSION;
use super::canonical::{CanonicalError, check_canonical};
use super::head::{CompletionHead, DecisionHead, EventHead, Kind, SectionRefs};

/// The head of any record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Head {
    /// What was decided about a request.
    Decision(DecisionHead),
    /// How a request ended.
    Completion(CompletionHead),
    /// Everything else.
    Event(EventHead),
}

/// Why bytes are not a head of version 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HeadError {
    /// Not canonical.
    #[error("head: {0}")]
    Canonical(#[from] CanonicalError),
    /// Canonical, but not a head: a field is missing, unknown or of another type.
    #[error("head: {0}")]
    Shape(String),
    /// A value is spelled otherwise than the gateway writes it.
    #[error("head: a value is not in its one spelling")]
    Spelling,
}

impl Head {
    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(2048);
        let written = match self {
            Head::Decision(head) => serde_json::to_writer(&mut bytes, head),
            Head::Completion(head) => serde_json::to_writer(&mut bytes, head),
            Head::Event(head) => serde_json::to_writer(&mut bytes, &event_map(head)),
        };
        debug_assert!(written.is_ok(), "writing to memory cannot fail: keys are strings");
        bytes
    }

    /// Reads a head; refuses whatever [`Head::encode`] would not write back byte for byte.
    pub fn decode(bytes: &[u8]) -> Result<Head, HeadError> {
        check_canonical(bytes)?;
        let head = match bytes {
            // Only a decision begins with `actor` and goes on with `auth`, only a completion with `bytes`.
            [b'{', b'"', b'a', b'c', b't', b'o', b'r', ..] => match parse::<DecisionHead>(bytes) {
                Ok(head) => Head::Decision(head),
                Err(error) => decode_event(bytes, error)?,
            },
            [b'{', b'"', b'b', b'y', b't', b'e', b's', ..] => match parse::<CompletionHead>(bytes) {
                Ok(head) => Head::Completion(head),
                Err(error) => decode_event(bytes, error)?,
            },
            _ => decode_event(bytes, HeadError::Shape("a field is missing".to_owned()))?,
        };
        head.check_kind()?;
        if head.encode() == bytes { Ok(head) } else { Err(HeadError::Spelling) }
    }

    fn check_kind(&self) -> Result<(), HeadError> {
        let (version, fits) = match self {
            Head::Decision(head) => (head.v, head.kind == Kind::Decision),
            Head::Completion(head) => (head.v, head.kind == Kind::Completion),
            Head::Event(head) => (VERSION, !matches!(head.kind, Kind::Decision | Kind::Completion)),
        };
        match (version, fits) {
            (VERSION, true) => Ok(()),
            (VERSION, false) => Err(HeadError::Shape("fields do not fit the kind".to_owned())),
            _ => Err(HeadError::Shape("`v` is not 1".to_owned())),
        }
    }

    /// The record's id.
    pub fn id(&self) -> RecordId {
        match self {
            Head::Decision(head) => head.id,
            Head::Completion(head) => head.id,
            Head::Event(head) => head.id,
        }
    }

    /// The record's kind.
    pub fn kind(&self) -> Kind {
        match self {
            Head::Decision(head) => head.kind,
            Head::Completion(head) => head.kind,
            Head::Event(head) => head.kind,
        }
    }

    /// The record's time.
    pub fn time(&self) -> Timestamp {
        match self {
            Head::Decision(head) => head.time,
            Head::Completion(head) => head.time,
            Head::Event(head) => head.time,
        }
    }

    /// The request this record belongs to; `None` for events.
    pub fn request(&self) -> Option<RequestId> {
        match self {
            Head::Decision(head) => Some(head.request),
            Head::Completion(head) => Some(head.request),
            Head::Event(_) => None,
        }
    }

    /// The sealed sections.
    pub fn sections(&self) -> &SectionRefs {
        match self {
            Head::Decision(head) => &head.sections,
            Head::Completion(head) => &head.sections,
            Head::Event(head) => &head.sections,
        }
    }

    /// The sealed sections, to be filled before the record is written.
    pub fn sections_mut(&mut self) -> &mut SectionRefs {
        match self {
            Head::Decision(head) => &mut head.sections,
            Head::Completion(head) => &mut head.sections,
            Head::Event(head) => &mut head.sections,
        }
    }

    /// Writes the decision's index into a completion (the ledger does, once it has given it); nothing for others.
    pub fn set_decision(&mut self, index: u64) {
        if let Head::Completion(head) = self {
            head.decision = index;
        }
    }

    /// Writes into an event how many checkpoint lines this generation has before it (the ledger does, with the
    /// index), so that a checkpoint line cannot be taken out between two groups; nothing for other kinds.
    pub fn set_groups(&mut self, groups: u64) {
        if let Head::Event(head) = self
            && head.kind != Kind::KeyCertified
        {
            head.fields.insert("groups".to_owned(), Fact::from(groups));
        }
    }
}

fn parse<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, HeadError> {
    serde_json::from_slice(bytes).map_err(|error| HeadError::Shape(error_text(&error)))
}

/// A serde message without the values it may quote.
fn error_text(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let kind = ["missing field", "unknown field", "duplicate field", "invalid type"];
    let kind = kind.iter().find(|kind| text.starts_with(**kind)).unwrap_or(&"invalid value");
    format!("{kind} at byte {}", error.column())
}

/// The flat members of an event: its own fields merged with `id, kind, sections, time, v`.
fn event_map(head: &EventHead) -> BTreeMap<&str, Fact> {
    let mut map: BTreeMap<&str, Fact> = head.fields.iter().map(|(key, value)| (key.as_str(), value.clone())).collect();
    let sections = head.sections.iter().map(|(name, section)| {
        let section = BTreeMap::from([
            ("key".to_owned(), Fact::from(section.key.as_str())),
            ("plain".to_owned(), Fact::from(section.plain.to_string())),
            ("sealed".to_owned(), Fact::from(section.sealed.to_string())),
        ]);
        (name.clone(), Fact::Map(section))
    });
    map.insert("id", Fact::from(head.id.to_string()));
    map.insert("kind", Fact::from(head.kind.as_str()));
    map.insert("sections", Fact::Map(sections.collect()));
    map.insert("time", Fact::from(head.time.to_string()));
    map.insert("v", Fact::Number(i64::from(VERSION)));
    map
}

/// Reads an event; `otherwise` is what to say when it turns out to be a decision or completion.
fn decode_event(bytes: &[u8], otherwise: HeadError) -> Result<Head, HeadError> {
    let mut fields: BTreeMap<String, Fact> = parse(bytes)?;
    let kind: Kind = take(&mut fields, "kind")?;
    if matches!(kind, Kind::Decision | Kind::Completion) {
        return Err(otherwise);
    }
    let id = take(&mut fields, "id")?;
    let time = take(&mut fields, "time")?;
    if fields.remove("v") != Some(Fact::Number(i64::from(VERSION))) {
        return Err(HeadError::Shape("`v` is not 1".to_owned()));
    }
    let Some(sections) = fields.remove("sections") else {
        return Err(HeadError::Shape("`sections` is missing".to_owned()));
    };
    let sections = serde_json::to_value(&sections).and_then(serde_json::from_value::<SectionRefs>);
    let sections = sections.map_err(|error| HeadError::Shape(error_text(&error)))?;
    Ok(Head::Event(EventHead { id, kind, time, sections, fields }))
}

fn take<T: std::str::FromStr>(fields: &mut BTreeMap<String, Fact>, name: &str) -> Result<T, HeadError> {
    let text = match fields.remove(name) {
        Some(Fact::Text(text)) => text,
        _ => return Err(HeadError::Shape(format!("`{name}` is missing"))),
    };
    text.parse().map_err(|_| HeadError::Shape(format!("`{name}` is not valid")))
}
