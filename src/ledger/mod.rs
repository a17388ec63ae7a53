//! The single writer: order, group commit, tree, checkpoints, recovery. It alone makes a [`Receipt`].
//!
//! Four invariants, each a test in `tests/`:
//! 1. A [`Receipt`] or [`Sealed`] exists only after the `fdatasync` of its record's group returned `Ok`.
//! 2. After the first failed write or sync nothing is acknowledged any more, and nothing is tried again.
//! 3. Every decision has exactly one completion: from its [`Open`], or from the ledger itself where that was lost.
//! 4. What recovery keeps verifies, is on disk whatever the page cache said, and never ends below the published
//!    checkpoint; what it sets aside is one unfinished group, kept in `quarantine/` and told in the log.
//!
//! Two long-lived threads: `seal` numbers, signs and closes the next group while `write` has the one before under
//! `fdatasync`. Formats: DESIGN section 4; the reasons for poisoning: `env::disk`.
//!
//! Not here: what records say (`record`), queries (`index`), proofs (`evidence`).

mod boot;
mod committer;
mod config;
mod error;
mod events;
mod group;
mod handle;
mod keys;
mod open;
pub mod reader;
mod receipt;
mod recovery;
mod replay;
mod room;
mod sealer;
mod shared;
mod threads;
mod writer;

pub use config::{BootFacts, Durability, LedgerConfig};
pub use error::{Damage, LedgerError, OpenError};
pub use handle::Ledger;
pub use open::{Opened, open, open_on};
pub use receipt::{Open, Receipt, Sealed};
pub use recovery::RecoverySummary;
pub use threads::{Farewell, ShutdownSummary, Threads};

#[cfg(test)]
mod tests;
