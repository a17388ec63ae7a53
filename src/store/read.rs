//! Reading segments without the lock: lines with their offsets, and nothing about what they mean.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::{Paths, SegmentFile, StoreError, segments};

/// A line of a segment, without its newline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawLine {
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Whether a newline follows; only the last line of a file may lack one.
    pub terminated: bool,
}

impl RawLine {
    /// The offset behind this line and its newline.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes.len() as u64).saturating_add(u64::from(self.terminated))
    }
}

/// Reads a segment line by line.
#[derive(Debug)]
pub struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    offset: u64,
}

impl Lines {
    /// From `offset` of the file at `path`.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path, offset: u64) -> Result<Lines, StoreError> {
        let mut file = File::open(path).map_err(StoreError::io("open", path))?;
        file.seek(SeekFrom::Start(offset)).map_err(StoreError::io("read", path))?;
        Ok(Lines { path: path.to_owned(), reader: BufReader::with_capacity(READ_BYTES, file), offset })
    }

    /// The next line; a longer one than [`LINE_BYTES_MAX`] comes cut and unterminated.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_line(&mut self) -> Result<Option<RawLine>, StoreError> {
        let mut bytes = Vec::new();
        let mut limited = (&mut self.reader).take(LINE_BYTES_MAX);
        limited.read_until(b'\n', &mut bytes).map_err(StoreError::io("read", &self.path))?;
        if bytes.is_empty() {
            return Ok(None);
        }
        let terminated = bytes.last() == Some(&b'\n');
        if terminated {
            bytes.pop();
        }
        let line = RawLine { offset: self.offset, bytes, terminated };
        self.offset = line.end();
        Ok(Some(line))
    }
}

/// The segments of a generation, in order.
///
/// # Errors
/// When the folder cannot be listed.
pub fn segments(paths: &Paths, generation: u32) -> Result<Vec<SegmentFile>, StoreError> {
    segments::list(&paths.log(generation))
}

/// The published checkpoint of a generation, where there is one. Bytes that are not UTF-8 read as U+FFFD, which stands
/// in no valid note: whoever parses it finds it damaged.
///
/// # Errors
/// When it is there and cannot be read.
pub fn published(paths: &Paths, generation: u32) -> Result<Option<String>, StoreError> {
    let path = paths.checkpoint(generation);
    Ok(super::files::read_if_there(&path)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// No line of a log is longer: sections lines are at most 64 KiB, a rest is left to tell "too long".
pub const LINE_BYTES_MAX: u64 = 128 * 1024;

const READ_BYTES: usize = 128 * 1024;
