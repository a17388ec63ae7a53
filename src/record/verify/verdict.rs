//! What the verifier says.

use std::fmt;
use std::sync::Arc;

use crate::record::key::KeyId;
use crate::types::{Digest, RecordId};

/// The verdict word, first on the first line of what a person sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Everything holds; nothing outside this disk was asked.
    OkUnanchored,
    /// What is there holds, but it cannot be told whether it is all.
    Incomplete,
    /// Something does not hold.
    Invalid,
}

impl Word {
    /// The spelling.
    pub const fn as_str(self) -> &'static str {
        match self {
            Word::OkUnanchored => "OK-UNANCHORED",
            Word::Incomplete => "INCOMPLETE",
            Word::Invalid => "INVALID",
        }
    }

    /// Whether the exit code is 0.
    pub const fn is_ok(self) -> bool {
        matches!(self, Word::OkUnanchored)
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A line of a segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// File name of the segment; empty for the log as a whole.
    pub segment: Arc<str>,
    /// Line in it, from 1; 0 for the file as a whole.
    pub line: u64,
}

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The line.
    pub place: Place,
    /// The record it belongs to (for a checkpoint the last record it covers).
    pub index: Option<u64>,
    /// That record's id, where its head could be read.
    pub record: Option<RecordId>,
    /// What is wrong.
    pub why: String,
}

impl Fault {
    /// A fault of the published checkpoint.
    pub(super) fn at_checkpoint(index: Option<u64>, why: String) -> Self {
        Fault { place: Place { segment: Arc::from("checkpoint"), line: 0 }, index, record: None, why }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(index) = self.index {
            write!(f, "record {index}")?;
            if let Some(id) = self.record {
                write!(f, " ({id})")?;
            }
            f.write_str(", ")?;
        }
        match (&*self.place.segment, self.place.line) {
            ("", _) => f.write_str("end of the log")?,
            (segment, 0) => f.write_str(segment)?,
            (segment, line) => write!(f, "{segment} line {line}")?,
        }
        write!(f, ": {}", self.why)
    }
}

/// What was counted, up to the last checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Decisions.
    pub decisions: u64,
    /// Completions.
    pub completions: u64,
    /// Completions with status `orphan`.
    pub orphans: u64,
    /// Boots. Each but the first breaks the chain of epoch keys.
    pub boots: u64,
    /// Live key rotations, handed over by the outgoing key.
    pub rotations: u64,
    /// Runs that ended with `shutdown`.
    pub shutdowns: u64,
    /// `recovered` records.
    pub recoveries: u64,
    /// `erasure` and `retention.pruned` records.
    pub erasures: u64,
    /// Sections that are absent.
    pub absent: u64,
}

impl Counts {
    /// Decisions without a completion yet.
    pub const fn open(&self) -> u64 {
        self.decisions.saturating_sub(self.completions)
    }

    /// Breaks in the chain of epoch keys: boots but the first.
    pub const fn key_breaks(&self) -> u64 {
        self.boots.saturating_sub(1)
    }
}

/// The verifier's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The word.
    pub word: Word,
    /// What is wrong, when the word is `INVALID`.
    pub fault: Option<Fault>,
    /// Why the word is `INCOMPLETE`.
    pub notes: Vec<&'static str>,
    /// The log's origin, where one is known.
    pub origin: Option<String>,
    /// Whether the log key was given from outside and everything verified under it; else `origin: NOT PROVEN`.
    pub origin_proven: bool,
    /// The log key's id as the `key.certified` records name it.
    pub log_key: Option<KeyId>,
    /// Whether there was a log key to check `key.certified` and the published checkpoint with.
    pub log_key_checked: bool,
    /// Committed records.
    pub size: u64,
    /// Root over them.
    pub root: Digest,
    /// Whole records after the last checkpoint.
    pub uncommitted: u64,
    /// Bytes of an unterminated last line.
    pub torn_bytes: u64,
    /// Counts over the committed records.
    pub counts: Counts,
}
