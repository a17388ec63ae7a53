//! Durable segments and the key store on disk; knows no record fields.
//!
//! What the reader may rely on: one process writes a data directory at a time ([`Lock`]); a file that is replaced
//! is replaced whole ([`files::replace`]: synced copy, rename, synced folder); a data key exists on disk before
//! anybody gets it ([`KeyStore::data_key`]). Readers need no lock ([`read`]).
//!
//! Not here: what the lines of a segment mean (`record`), what a crash leaves and who repairs it (`ledger`).

mod error;
pub mod files;
mod keystore;
mod lock;
mod paths;
pub mod read;
mod schema;
mod segments;
mod wrap;

pub use error::StoreError;
pub use keystore::{DataKeyName, KeyStore};
pub use lock::Lock;
pub use paths::Paths;
pub use segments::{SegmentFile, Segments, SetAside};

#[cfg(test)]
mod tests;
