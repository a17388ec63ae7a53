//! The segment files of one generation: listed, made, appended to, and in recovery set aside or replaced.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::env::{Disk, DiskFile};
use crate::types::Digest;

use super::{Paths, StoreError, files};

/// One segment file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentFile {
    /// The index of its first record, which is its name.
    pub first: u64,
    /// Where it is.
    pub path: PathBuf,
}

/// What was moved out of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Where it is now.
    pub path: PathBuf,
    /// How many bytes.
    pub bytes: u64,
    /// How many lines, a last unterminated one included.
    pub lines: u64,
    /// Their SHA-256.
    pub digest: Digest,
}

impl SetAside {
    fn of(path: PathBuf, bytes: &[u8]) -> SetAside {
        let lines = bytes.split_inclusive(|b| *b == b'\n').count() as u64;
        SetAside { path, bytes: bytes.len() as u64, lines, digest: Digest::of(bytes) }
    }
}

/// The segments of one generation, for the one writer.
#[derive(Clone, Debug)]
pub struct Segments {
    disk: Arc<dyn Disk>,
    paths: Paths,
    generation: u32,
}

impl Segments {
    /// Opens the generation's folder, making it if it is new, and removes `.tmp` files that a crash left.
    ///
    /// # Errors
    /// When the folder cannot be made, listed or cleaned.
    pub fn open(disk: Arc<dyn Disk>, paths: Paths, generation: u32) -> Result<Segments, StoreError> {
        let folder = paths.log(generation);
        files::make_folder(disk.as_ref(), &folder)?;
        for entry in fs::read_dir(&folder).map_err(StoreError::io("list", &folder))? {
            let path = entry.map_err(StoreError::io("list", &folder))?.path();
            if path.extension().is_some_and(|e| e == "tmp") {
                disk.remove(&path).map_err(StoreError::io("remove the leftover", &path))?;
            }
        }
        Ok(Segments { disk, paths, generation })
    }

    /// The segments, in order.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn list(&self) -> Result<Vec<SegmentFile>, StoreError> {
        list(&self.folder())
    }

    /// The folder they are in.
    pub fn folder(&self) -> PathBuf {
        self.paths.log(self.generation)
    }

    /// Makes a new segment. Its name is durable after [`Segments::sync_folder`].
    ///
    /// # Errors
    /// When it exists or cannot be made.
    pub fn create(&self, first: u64) -> Result<Box<dyn DiskFile>, StoreError> {
        let path = segment_path(&self.folder(), first);
        self.disk.create(&path).map_err(StoreError::io("make the segment", &path))
    }

    /// Opens an existing segment to append.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn append(&self, segment: &SegmentFile) -> Result<Box<dyn DiskFile>, StoreError> {
        self.disk.open(&segment.path).map_err(StoreError::io("open", &segment.path))
    }

    /// Makes the names of new segments durable.
    ///
    /// # Errors
    /// When the sync fails.
    pub fn sync_folder(&self) -> Result<(), StoreError> {
        let folder = self.folder();
        self.disk.sync_folder(&folder).map_err(StoreError::io("sync the folder", &folder))
    }

    /// Puts the published checkpoint in place (synced rename).
    ///
    /// # Errors
    /// On the first failed call.
    pub fn publish(&self, note: &str) -> Result<(), StoreError> {
        files::replace(self.disk.as_ref(), &self.paths.checkpoint(self.generation), note.as_bytes())
    }

    /// Bytes still free on this disk.
    ///
    /// # Errors
    /// When the system does not tell.
    pub fn free_bytes(&self) -> Result<u64, StoreError> {
        let folder = self.folder();
        self.disk.free_bytes(&folder).map_err(StoreError::io("ask for the free space of", &folder))
    }

    /// Copies what follows the first `keep` bytes of a segment into `quarantine/`, durably.
    ///
    /// The name holds the digest, so a repeated recovery finds its own copy.
    ///
    /// # Errors
    /// On the first failed call; the segment itself is untouched.
    pub fn set_aside(&self, segment: &SegmentFile, keep: u64) -> Result<SetAside, StoreError> {
        let mut bytes = Vec::new();
        let mut source = files::part(&segment.path, keep, None)?;
        source.read_to_end(&mut bytes).map_err(StoreError::io("read", &segment.path))?;
        let digest = Digest::of(&bytes);
        let folder = self.paths.quarantine();
        files::make_folder(self.disk.as_ref(), &folder)?;
        let short: String = digest.to_string().chars().take(16).collect();
        let path = folder.join(format!("{}-{:012}-{keep}-{short}", self.generation, segment.first));
        files::replace(self.disk.as_ref(), &path, &bytes)?;
        Ok(SetAside::of(path, &bytes))
    }

    /// What [`Segments::set_aside`] ever took from this place, by name.
    ///
    /// # Errors
    /// When the folder cannot be listed or the file not read.
    pub fn asides_at(&self, first: u64, keep: u64) -> Result<Vec<SetAside>, StoreError> {
        let folder = self.paths.quarantine();
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let prefix = format!("{}-{first:012}-{keep}-", self.generation);
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).map_err(StoreError::io("list", &folder))? {
            let path = entry.map_err(StoreError::io("list", &folder))?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            if name.starts_with(&prefix) && !name.ends_with(".tmp") {
                let bytes = fs::read(&path).map_err(StoreError::io("read", &path))?;
                found.push(SetAside::of(path, &bytes));
            }
        }
        found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }

    /// Replaces a segment by its own first `keep` bytes (none: removes it), durably, whatever was or was not on disk.
    ///
    /// # Errors
    /// On the first failed call.
    pub fn keep_only(&self, segment: &SegmentFile, keep: u64) -> Result<(), StoreError> {
        if keep == 0 {
            self.disk.remove(&segment.path).map_err(StoreError::io("remove the empty segment", &segment.path))?;
            return self.sync_folder();
        }
        let mut kept = files::part(&segment.path, 0, Some(keep))?;
        files::replace_from(self.disk.as_ref(), &segment.path, &mut kept)
    }
}

/// The segments in a folder, in order; names that are not segments are passed over.
///
/// # Errors
/// When the folder cannot be listed.
pub(super) fn list(folder: &Path) -> Result<Vec<SegmentFile>, StoreError> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(StoreError::io("list", folder))? {
        let path = entry.map_err(StoreError::io("list", folder))?.path();
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        let digits = name.strip_suffix(".jsonl").filter(|d| d.len() == 12 && d.bytes().all(|b| b.is_ascii_digit()));
        if let Some(first) = digits.and_then(|d| d.parse().ok()) {
            found.push(SegmentFile { first, path });
        }
    }
    found.sort();
    Ok(found)
}

/// The path of the segment whose first record has index `first`.
pub(super) fn segment_path(folder: &Path, first: u64) -> PathBuf {
    folder.join(format!("{first:012}.jsonl"))
}
