//! What can go wrong while the ledger runs, and while it starts.

use std::path::PathBuf;
use std::sync::Arc;

use crate::record::KeyError;
use crate::store::StoreError;

/// Why a record was not made durable. Whoever waits for one refuses its request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// A write or sync failed: this process writes nothing any more.
    #[error("the ledger is unavailable: {0}; fix the disk and restart the gateway")]
    Unavailable(Arc<str>),
    /// The disk is full; completions still fit into the room set aside for them.
    #[error("the ledger is full: free space on the disk that holds `{0}`")]
    Full(Arc<str>),
    /// The disk took longer than the limit.
    #[error("the ledger was too slow: the record was not durable within {0} s")]
    Slow(u64),
    /// The gateway is shutting down.
    #[error("the ledger is closed: the gateway is shutting down")]
    Closed,
    /// The gateway asked for something that makes no sense: a defect.
    #[error("the gateway misused the ledger: {0}")]
    Misuse(&'static str),
}

/// Why the ledger does not start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Files.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configured name is not a name.
    #[error("`{0}` cannot be a gateway name: use lower-case letters, digits, `.` and `-` in `[gateway] name`")]
    NameForm(String),
    /// The configured name is not the log's.
    #[error(
        "this log belongs to the gateway `{recorded}` and the configuration says `{configured}`: set `[gateway] name = \"{recorded}\"`, or give another data directory"
    )]
    NameChanged {
        /// The name in `keys/origin`.
        recorded: String,
        /// The name in the configuration.
        configured: String,
    },
    /// A key file.
    #[error("`{path}`: {why}: put back the original from your backup")]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The log is damaged beyond what a crash can do.
    #[error(
        "the log is damaged and is left as it is: {0}; keep the data directory as it is, see what `sealgate records verify` says, and restore the segment from a backup; without one, ask the maintainers before anything is changed"
    )]
    Damaged(Box<Damage>),
    /// The first records could not be written.
    #[error("cannot write the first records: {0}")]
    Write(StoreError),
    /// Keys could not be made.
    #[error("cannot make a key: {0}")]
    Crypto(#[from] KeyError),
    /// Threads could not be started.
    #[error("cannot start a ledger thread: {0}")]
    Thread(std::io::Error),
}

impl OpenError {
    /// The exit code of DESIGN section 6: 64 bad configuration, 74 input and output.
    pub fn exit_code(&self) -> u8 {
        match self {
            OpenError::NameForm(_) | OpenError::NameChanged { .. } => 64,
            _ => 74,
        }
    }
}

/// Where a log stops being what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The segment's file name.
    pub segment: String,
    /// The line in it, from 1; 0 when it is the file as a whole.
    pub line: u64,
    /// The index of the record there, or of the next one.
    pub index: u64,
    /// The record's id where it could be read.
    pub record: Option<String>,
    /// What is wrong.
    pub why: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, line {}, record {}", self.segment, self.line, self.index)?;
        if let Some(record) = &self.record {
            write!(f, " ({record})")?;
        }
        write!(f, ": {}", self.why)
    }
}
