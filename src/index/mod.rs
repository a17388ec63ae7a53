//! The query index: a rebuildable SQLite file beside the log, one row a request, never evidence.
//!
//! What the caller may rely on: [`View`] answers from the log's whole committed content, whatever state the file
//! is in; [`follow`] keeps the file behind the log on a thread of its own; no text of any prompt, answer or
//! name is in the file, only head fields and keyed digests. What is shown to anyone is read again from the log.
//!
//! Not here: checking signatures, roots or sections (`record`'s verifier), populations and samples.

mod field;
mod follow;
mod log;
mod names;
mod query;
mod schema;
mod slim;
mod tail;
mod terms;
mod view;
mod write;

pub use field::Field;
pub use follow::{Follower, follow};
pub use log::{Cursor, Entry, Group, Log, LogError, Place, Reader};
pub use names::Names;
pub use query::{OPEN, Page, Query, Row};
pub use view::{AsOf, Fetched, Tally, View, ViewError};

/// Name of the file in the data directory.
pub const FILE_NAME: &str = "index.sqlite";

#[cfg(test)]
pub(crate) mod testlog;
#[cfg(test)]
mod tests;
