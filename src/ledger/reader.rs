//! Reads committed records without the lock: for the index, for commands, for proofs.
//!
//! A record is given only once the checkpoint line of its group is in the file; nothing here verifies it. A reader
//! beside the running ledger bounds itself by [`super::Ledger::size`]: the file may be ahead of the disk.

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::record::{Line, LineError};
use crate::store::read::{Lines, RawLine};
use crate::store::{Paths, SegmentFile, StoreError, read};

/// Why a record cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Files.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A line that is none.
    #[error("`{path}`, byte {offset}: {why}; run `sealgate records verify`")]
    Line {
        /// The segment.
        path: PathBuf,
        /// The line's offset in it.
        offset: u64,
        /// What is wrong.
        why: LineError,
    },
    /// The record is not there.
    #[error("there is no record {0} in this log")]
    Missing(u64),
}

/// One committed record, as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordAt {
    /// Its index.
    pub index: u64,
    /// The first index of its segment, which names the file.
    pub segment: u64,
    /// The offset of its line in that file.
    pub offset: u64,
    /// Its line, without newline.
    pub line: Vec<u8>,
    /// Its sections line, where it has one.
    pub sections: Option<Vec<u8>>,
}

impl RecordAt {
    /// The line, read.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(&self) -> Result<Line, LineError> {
        Line::parse(&self.line)
    }
}

/// Reads one generation of a data directory.
#[derive(Clone, Debug)]
pub struct Reader {
    paths: Paths,
    generation: u32,
}

impl Reader {
    /// Of this generation.
    pub fn new(paths: Paths, generation: u32) -> Reader {
        Reader { paths, generation }
    }

    /// Of the newest generation; `None` if there is no log.
    ///
    /// # Errors
    /// When the directory cannot be listed.
    pub fn newest(paths: Paths) -> Result<Option<Reader>, StoreError> {
        let newest = paths.generations()?.pop();
        Ok(newest.map(|generation| Reader { paths, generation }))
    }

    /// The generation it reads.
    pub fn generation(&self) -> u32 {
        self.generation
    }

    /// The published checkpoint.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn published(&self) -> Result<Option<String>, StoreError> {
        read::published(&self.paths, self.generation)
    }

    /// The committed records from `index` on.
    ///
    /// # Errors
    /// When the segments cannot be listed.
    pub fn from(&self, index: u64) -> Result<Records, StoreError> {
        let mut segments: VecDeque<_> = read::segments(&self.paths, self.generation)?.into();
        while segments.get(1).is_some_and(|next| next.first <= index) {
            segments.pop_front();
        }
        Ok(Records { segments, current: None, group: Vec::new(), ready: VecDeque::new(), skip_to: index })
    }

    /// The committed records behind a known one: from the line at `offset` of `segment`, whose index is `index`.
    ///
    /// # Errors
    /// When the segments cannot be listed or opened.
    pub fn from_offset(&self, segment: u64, offset: u64, index: u64) -> Result<Records, StoreError> {
        let mut records = self.from(index)?;
        let here = records.segments.front().is_some_and(|first| first.first == segment);
        if let Some(file) = here.then(|| records.segments.pop_front()).flatten() {
            let lines = Lines::open(&file.path, offset)?;
            records.current = Some(Current { file, lines, next: index });
        }
        Ok(records)
    }

    /// One committed record.
    ///
    /// # Errors
    /// When it is not there or cannot be read.
    pub fn get(&self, index: u64) -> Result<RecordAt, ReadError> {
        self.from(index)?.next().unwrap_or(Err(ReadError::Missing(index)))
    }

    /// The record whose line stands at `offset` of `segment`, read from there; the caller knows it is committed.
    ///
    /// # Errors
    /// When there is no record line at that place.
    pub fn at(&self, segment: u64, offset: u64, index: u64) -> Result<RecordAt, ReadError> {
        let files = read::segments(&self.paths, self.generation)?;
        let file = files.into_iter().find(|file| file.first == segment).ok_or(ReadError::Missing(index))?;
        let mut lines = Lines::open(&file.path, offset)?;
        let line = lines.next_line()?.filter(|line| line.terminated && is_record(line));
        let line = line.ok_or(ReadError::Missing(index))?;
        let sections = lines.next_line()?.filter(|line| line.terminated && is_sections(line)).map(|line| line.bytes);
        Ok(RecordAt { index, segment, offset, line: line.bytes, sections })
    }
}

/// Committed records in order; ends at the last checkpoint line there is.
#[derive(Debug)]
pub struct Records {
    segments: VecDeque<SegmentFile>,
    current: Option<Current>,
    /// Read, and not yet closed by a checkpoint line.
    group: Vec<RecordAt>,
    ready: VecDeque<RecordAt>,
    skip_to: u64,
}

#[derive(Debug)]
struct Current {
    file: SegmentFile,
    lines: Lines,
    next: u64,
}

impl Records {
    /// Reads until a group is closed; false at the end.
    fn fill(&mut self) -> Result<bool, ReadError> {
        while self.ready.is_empty() {
            let Some(current) = self.current.as_mut() else {
                let Some(file) = self.segments.pop_front() else { return Ok(false) };
                let lines = Lines::open(&file.path, 0)?;
                self.current = Some(Current { next: file.first, file, lines });
                continue;
            };
            match current.lines.next_line()?.filter(|line| line.terminated) {
                None => {
                    self.group.clear();
                    self.current = None;
                }
                Some(line) => take(current, &mut self.group, &mut self.ready, line)?,
            }
        }
        Ok(true)
    }
}

fn take(
    current: &mut Current,
    group: &mut Vec<RecordAt>,
    ready: &mut VecDeque<RecordAt>,
    line: RawLine,
) -> Result<(), ReadError> {
    if is_record(&line) {
        let index = current.next;
        current.next = index.saturating_add(1);
        let segment = current.file.first;
        group.push(RecordAt { index, segment, offset: line.offset, line: line.bytes, sections: None });
    } else if is_sections(&line) {
        if let Some(record) = group.last_mut() {
            record.sections = Some(line.bytes);
        }
    } else if line.bytes.starts_with(b"{\"checkpoint\":") {
        ready.extend(group.drain(..));
    } else {
        let path = current.file.path.clone();
        return Err(ReadError::Line { path, offset: line.offset, why: LineError::Kind });
    }
    Ok(())
}

impl Iterator for Records {
    type Item = Result<RecordAt, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.fill() {
                Ok(false) => return None,
                Ok(true) => {}
                Err(error) => {
                    self.segments.clear();
                    self.current = None;
                    return Some(Err(error));
                }
            }
            let record = self.ready.pop_front()?;
            if record.index >= self.skip_to {
                return Some(Ok(record));
            }
        }
    }
}

fn is_record(line: &RawLine) -> bool {
    line.bytes.starts_with(b"{\"head\":")
}

fn is_sections(line: &RawLine) -> bool {
    line.bytes.starts_with(b"{\"sections\":")
}
