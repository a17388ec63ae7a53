//! Whole small files: written once, or replaced so that a crash leaves the old or the new, never a part.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::env::Disk;

use super::StoreError;

/// Makes a folder and its name durable.
///
/// # Errors
/// When the folder cannot be made or its parent not synced.
pub fn make_folder(disk: &dyn Disk, path: &Path) -> Result<(), StoreError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty() && !p.exists()) {
        make_folder(disk, parent)?;
    }
    disk.create_folder(path).map_err(StoreError::io("make the folder", path))?;
    sync_parent(disk, path)
}

/// Puts `bytes` under `path` (mode 0600), durably, replacing what was there.
///
/// # Errors
/// On the first failed call; the old content is then still there, or the new one is.
pub fn replace(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    replace_from(disk, path, &mut io::Cursor::new(bytes))
}

/// As [`replace`], from a reader.
///
/// # Errors
/// On the first failed call.
pub fn replace_from(disk: &dyn Disk, path: &Path, source: &mut dyn Read) -> Result<(), StoreError> {
    let temporary = temporary(path);
    if temporary.exists() {
        disk.remove(&temporary).map_err(StoreError::io("remove the leftover", &temporary))?;
    }
    let mut file = disk.create(&temporary).map_err(StoreError::io("make", &temporary))?;
    let mut buffer = vec![0u8; COPY_BYTES];
    loop {
        let count = source.read(&mut buffer).map_err(StoreError::io("read for the replacement of", path))?;
        let Some(chunk) = buffer.get(..count).filter(|c| !c.is_empty()) else { break };
        file.append(chunk).map_err(StoreError::io("write", &temporary))?;
    }
    // A crash up to here leaves a `.tmp` file that nobody reads; the next replacement removes it.
    file.sync().map_err(StoreError::io("sync", &temporary))?;
    drop(file);
    disk.rename(&temporary, path).map_err(StoreError::io("rename the new content to", path))?;
    // A crash here leaves the old or the new content, whole either way.
    sync_parent(disk, path)
}

/// Makes an empty file (mode 0600) for a database to be opened there; one that is there already, and what SQLite keeps
/// beside it, gets that mode. SQLite gives the files it makes beside a database the database's mode.
///
/// # Errors
/// When the file cannot be made or its mode not set.
pub fn private_database(path: &Path) -> io::Result<()> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match fs::set_permissions(&name, fs::Permissions::from_mode(0o600)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            done => done?,
        }
    }
    Ok(())
}

/// Reads a part of a file: from `start` to `end`, or to its end.
///
/// # Errors
/// When it cannot be opened or read.
pub fn part(path: &Path, start: u64, end: Option<u64>) -> Result<io::Take<File>, StoreError> {
    let mut file = File::open(path).map_err(StoreError::io("open", path))?;
    file.seek(SeekFrom::Start(start)).map_err(StoreError::io("read", path))?;
    Ok(file.take(end.map_or(u64::MAX, |end| end.saturating_sub(start))))
}

/// Reads a small file that may be missing.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io("read", path)(error)),
    }
}

/// Syncs the folder that holds `path`.
///
/// # Errors
/// When the sync fails.
pub fn sync_parent(disk: &dyn Disk, path: &Path) -> Result<(), StoreError> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    disk.sync_folder(parent).map_err(StoreError::io("sync the folder", parent))
}

fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".tmp");
    path.with_file_name(name)
}

/// How much is copied at a time.
const COPY_BYTES: usize = 256 * 1024;
