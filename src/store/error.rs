//! What can go wrong on disk: always with the path, and what to do.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process writes this directory.
    #[error("`{data}` is in use by process {pid}: stop it, or give this one another `--data`")]
    Locked {
        /// The data directory.
        data: PathBuf,
        /// The other process, as it wrote itself down; `unknown` if it did not.
        pid: String,
    },
    /// The operating system refused.
    #[error("cannot {doing} `{path}`: {source}: {}", advice(source))]
    Io {
        /// What was tried.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The key database refused.
    #[error("cannot {doing} in `{path}`: {source}")]
    Database {
        /// What was tried.
        doing: &'static str,
        /// On which path.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A file is there and is not what it must be, or is missing beside files that need it.
    #[error("`{path}` {why}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong and what to do.
        why: String,
    },
}

impl StoreError {
    /// Wraps an I/O error with what was tried on which path.
    pub fn io(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        move |source| StoreError::Io { doing, path, source }
    }

    pub(crate) fn database(doing: &'static str, path: &Path) -> impl FnOnce(rusqlite::Error) -> StoreError {
        let path = path.to_owned();
        move |source| StoreError::Database { doing, path, source }
    }

    pub(crate) fn unusable(path: &Path, why: impl Into<String>) -> StoreError {
        StoreError::Unusable { path: path.to_owned(), why: why.into() }
    }

    /// Whether the disk is full.
    pub fn is_full(&self) -> bool {
        matches!(self, StoreError::Io { source, .. } if is_full(source))
    }
}

/// What to do about an I/O error.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        _ if is_full(error) => "free space on this disk",
        io::ErrorKind::PermissionDenied => "check its owner and mode",
        io::ErrorKind::ReadOnlyFilesystem => "mount it writable",
        io::ErrorKind::NotFound => "check that it is there",
        _ => "check the disk and the system's log",
    }
}

/// Whether an I/O error says that the disk (or a quota) is full.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
