//! The file seam: every call that changes a file the log depends on, so that a test can make each one fail.
//!
//! What the caller may rely on: when [`DiskFile::sync`] returns `Ok`, every byte appended so far survives a power
//! cut; when [`Disk::sync_folder`] returns `Ok`, so does every name made, replaced or removed in that folder. The
//! nastiest truth (Rebello et al., "Can Applications Recover from fsync Failures?", USENIX ATC 2020): after a
//! **failed** sync the kernel may mark the pages clean, so reading them back shows what the disk does not hold and
//! a second sync that succeeds proves nothing. Callers stop at the first failure.
//!
//! System calls of a good run: `open(O_APPEND)`, `fallocate(KEEP_SIZE)`, `write`, `fdatasync`; for a replaced
//! file `open(O_CREAT|O_EXCL)`, `write`, `fdatasync`, `rename`, `fsync` of the folder.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags, fallocate, statvfs};
use rustix::io::retry_on_intr;

/// Changes names in folders. Two real implementations: [`RealDisk`] and [`super::FaultyDisk`].
///
/// Contract: no call retries; a call that fails may or may not have had its effect.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes one folder (mode 0700) if it is not there. Its name is durable after the parent's `sync_folder`.
    fn create_folder(&self, path: &Path) -> io::Result<()>;
    /// Makes a file that must not exist yet (mode 0600).
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens an existing file to append to it.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Gives `from` the name `to`, replacing what had it.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file's name.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the folder's names durable.
    fn sync_folder(&self, path: &Path) -> io::Result<()>;
    /// Bytes this process may still write on the disk that holds `path`.
    fn free_bytes(&self, path: &Path) -> io::Result<u64>;
}

/// A file open for appending.
pub trait DiskFile: Send + fmt::Debug {
    /// Appends all of `bytes`, or fails with any part of them written.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Makes everything appended durable (`fdatasync`).
    fn sync(&mut self) -> io::Result<()>;
    /// Sets room aside from the file's start to `end` without changing its length.
    ///
    /// `ErrorKind::Unsupported` where the file system cannot.
    fn reserve(&mut self, end: u64) -> io::Result<()>;
    /// Gives back room set aside beyond the file's length; best effort.
    fn release(&mut self);
    /// The file's length.
    fn length(&self) -> u64;
}

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_folder(&self, path: &Path) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            other => other,
        }
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
        Ok(Box::new(RealFile { file, length: 0 }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().append(true).open(path)?;
        let length = file.metadata()?.len();
        Ok(Box::new(RealFile { file, length }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_folder(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn free_bytes(&self, path: &Path) -> io::Result<u64> {
        let stat = statvfs(path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

#[derive(Debug)]
struct RealFile {
    file: File,
    length: u64,
}

impl DiskFile for RealFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length = self.length.saturating_add(bytes.len() as u64);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn reserve(&mut self, end: u64) -> io::Result<()> {
        Ok(retry_on_intr(|| fallocate(&self.file, FallocateFlags::KEEP_SIZE, 0, end))?)
    }

    fn release(&mut self) {
        // Truncating to the same length frees blocks beyond it (ext4, XFS). Refused on an append-only file
        // (`chattr +a`), where the room stays with the segment: nothing to do about it, and nothing lost.
        if let Err(error) = self.file.set_len(self.length) {
            tracing::debug!(%error, "room beyond a closed segment was not given back");
        }
    }

    fn length(&self) -> u64 {
        self.length
    }
}
