//! Who signed a record, and whether the signature holds.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::index::{Entry, Log, View};
use crate::record::{EventHead, Head, Kind, Line, PublicKey, RecordLine, SignedNote, leaf_hash, signing_input};
use crate::types::Fact;

use super::{DataPaths, Failure};

/// What is known about a record's signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Signature {
    /// It holds under the epoch key certified in the record of this index.
    Epoch(u64),
    /// `key.certified`: it names the log key, which `verify` checks.
    LogKey,
    /// It does not hold.
    Bad,
    /// No `key.certified` before it names its key.
    NoKey,
}

impl Signature {
    /// Whether something is wrong.
    pub(super) fn is_bad(&self) -> bool {
        matches!(self, Signature::Bad | Signature::NoKey)
    }

    /// In words.
    pub(super) fn text(&self) -> String {
        match self {
            Signature::Epoch(index) => format!("valid, epoch key certified in #{index}"),
            Signature::LogKey => "by the log key (checked by `records verify`)".to_owned(),
            Signature::Bad => "INVALID".to_owned(),
            Signature::NoKey => "INVALID: its key was never certified before it".to_owned(),
        }
    }
}

/// Checks a record's signature under the key certified for its range.
pub(super) fn check(
    log: &Log,
    _paths: &DataPaths,
    origin: &str,
    entry: &Entry,
    record: &RecordLine,
) -> Result<Signature, Failure> {
    if record.head.kind() == Kind::KeyCertified {
        return Ok(Signature::LogKey);
    }
    let Some((index, key)) = epoch_key(log, entry)? else { return Ok(Signature::NoKey) };
    if key.id() != record.key {
        return Ok(Signature::Bad);
    }
    let head = entry.line.get(record.head_bytes.clone()).unwrap_or_default();
    let holds = key.verify(&signing_input(origin, entry.index, head), &record.sig).is_ok();
    Ok(if holds { Signature::Epoch(index) } else { Signature::Bad })
}

/// The last `key.certified` before a record, searched segment by segment towards the log's beginning.
fn epoch_key(log: &Log, entry: &Entry) -> Result<Option<(u64, PublicKey)>, Failure> {
    let generation = entry.place.generation;
    let earlier = log.segments(generation)?.into_iter().rev().filter(|first| *first <= entry.place.segment);
    for segment in earlier {
        let mut last = None;
        log.each(generation, segment, |candidate| {
            if candidate.index < entry.index && memchr::memmem::find(&candidate.line, KEY_CERTIFIED).is_some() {
                last = certified(&candidate.line).map(|key| (candidate.index, key)).or(last.take());
            }
            candidate.index < entry.index
        })?;
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}

fn certified(line: &[u8]) -> Option<PublicKey> {
    let Ok(Line::Record(record)) = Line::parse(line) else { return None };
    let Head::Event(EventHead { kind: Kind::KeyCertified, fields, .. }) = record.head else { return None };
    match fields.get("public") {
        Some(Fact::Text(text)) => PublicKey::from_base64(text).ok(),
        _ => None,
    }
}

/// The origin of a generation: the newest checkpoint's name with that generation.
pub(super) fn origin(view: &View, generation: u32) -> String {
    let newest = SignedNote::parse(&view.as_of().note).map(|note| note.checkpoint.origin).unwrap_or_default();
    let name = newest.rsplit_once('/').map_or(newest.as_str(), |(name, _)| name);
    format!("{name}/{generation}")
}

/// The leaf hash as it stands in `sealgate-record`.
pub(super) fn leaf_base64(line: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(leaf_hash(line).0)
}

const KEY_CERTIFIED: &[u8] = b"\"kind\":\"key.certified\"";
