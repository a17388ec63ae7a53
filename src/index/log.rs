//! Reads committed records out of the segment files, without the store lock and without changing a byte.
//!
//! What the caller may rely on: only whole groups closed by a checkpoint line come out, in index order, each
//! record with its place (generation, segment, byte offset), so it can be read again later. Nothing is checked
//! cryptographically here: that is the verifier's work, and the index is never evidence (DESIGN section 4).
//! A file that a recovery replaced keeps the places of every committed record.

use std::path::Path;

use thiserror::Error;

use crate::store::read::{self, Lines};
use crate::store::{Paths, StoreError};

/// Where a record line begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// Generation of the log.
    pub generation: u32,
    /// First index of the segment, which is its name.
    pub segment: u64,
    /// Byte offset of the line in the segment.
    pub offset: u64,
}

/// How far a reader has come: always at the beginning of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// Where the next group begins.
    pub place: Place,
    /// Index of its first record.
    pub next: u64,
}

/// One committed record.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its index in its generation.
    pub index: u64,
    /// Where its line begins.
    pub place: Place,
    /// The record line without its newline: the tree's leaf.
    pub line: Vec<u8>,
    /// Its sections line without the newline, where it has one.
    pub sections: Option<Vec<u8>>,
}

/// Records committed together, and the checkpoint line that closes them.
#[derive(Clone, Debug)]
pub struct Group {
    /// The records.
    pub entries: Vec<Entry>,
    /// The checkpoint line without its newline.
    pub checkpoint: Vec<u8>,
    /// Where the next group begins.
    pub end: Cursor,
}

/// Why the log cannot be read on.
#[derive(Debug, Error)]
pub enum LogError {
    /// The operating system refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Bytes stand where no committed line can.
    #[error("segment `{segment}` is damaged at byte {offset}: {why}; run `sealgate records verify`")]
    Damaged {
        /// Path of the segment below the log folder.
        segment: String,
        /// Byte offset.
        offset: u64,
        /// What is wrong.
        why: &'static str,
    },
}

/// The folder `log/` of a data directory.
#[derive(Clone, Debug)]
pub struct Log {
    paths: Paths,
}

impl Log {
    /// The log of the data directory `data`; nothing is opened yet.
    pub fn new(data: &Path) -> Self {
        Log { paths: Paths::new(data) }
    }

    /// Generations present, ascending; none where there is no log.
    pub fn generations(&self) -> Result<Vec<u32>, LogError> {
        Ok(self.paths.generations()?)
    }

    /// First indexes of the segments of a generation, ascending.
    pub fn segments(&self, generation: u32) -> Result<Vec<u64>, LogError> {
        Ok(read::segments(&self.paths, generation)?.into_iter().map(|segment| segment.first).collect())
    }

    /// The first group of the oldest generation there is; `None` while the log holds no segment.
    pub fn start(&self) -> Result<Option<Cursor>, LogError> {
        for generation in self.generations()? {
            if let Some(&segment) = self.segments(generation)?.first() {
                return Ok(Some(Cursor { place: Place { generation, segment, offset: 0 }, next: segment }));
            }
        }
        Ok(None)
    }

    /// The record line that begins at `place`, and its sections line where one follows.
    pub fn read(&self, place: Place) -> Result<(Vec<u8>, Option<Vec<u8>>), LogError> {
        let mut reader = self.open_at(place)?;
        let line = whole_line(&mut reader, place)?.ok_or_else(|| damaged(place, "no whole line stands there"))?;
        let next = whole_line(&mut reader, place)?;
        Ok((line, next.filter(|line| line.starts_with(SECTIONS_START))))
    }

    /// The record with this index.
    pub fn locate(&self, generation: u32, index: u64) -> Result<Option<Entry>, LogError> {
        let Some(segment) = self.segments(generation)?.into_iter().rev().find(|first| *first <= index) else {
            return Ok(None);
        };
        self.find(generation, segment, |entry| entry.index == index)
    }

    /// The first committed record of a segment that `wanted` accepts.
    pub fn find(
        &self,
        generation: u32,
        segment: u64,
        wanted: impl Fn(&Entry) -> bool,
    ) -> Result<Option<Entry>, LogError> {
        let mut found = None;
        self.each(generation, segment, |entry| {
            if wanted(entry) {
                found = Some(entry.clone());
            }
            found.is_none()
        })?;
        Ok(found)
    }

    /// Gives the committed records of a segment one by one, until `go_on` says no.
    pub fn each(&self, generation: u32, segment: u64, mut go_on: impl FnMut(&Entry) -> bool) -> Result<(), LogError> {
        let start = Cursor { place: Place { generation, segment, offset: 0 }, next: segment };
        let mut reader = Reader::at(self.clone(), start);
        while let Some(group) = reader.group_here()? {
            if !group.entries.iter().all(&mut go_on) {
                break;
            }
        }
        Ok(())
    }

    fn open_at(&self, place: Place) -> Result<Lines, LogError> {
        let path = self.paths.log(place.generation).join(segment_name(place.segment));
        Ok(Lines::open(&path, place.offset)?)
    }
}

/// Reads group after group, and waits at the end for the log to grow.
#[derive(Debug)]
pub struct Reader {
    log: Log,
    cursor: Cursor,
    /// Open at `cursor`; dropped at the end of the file, so that what was appended since is seen.
    file: Option<Lines>,
}

impl Reader {
    /// A reader that goes on from `cursor`.
    pub fn at(log: Log, cursor: Cursor) -> Self {
        Reader { log, cursor, file: None }
    }

    /// Where the next group begins.
    pub fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// The next committed group, or `None` when there is none yet.
    pub fn group(&mut self) -> Result<Option<Group>, LogError> {
        loop {
            if let Some(group) = self.group_here()? {
                return Ok(Some(group));
            }
            let Some(next) = self.next_segment()? else { return Ok(None) };
            // The writer may have closed this segment between our reading its end and seeing the next one.
            if let Some(group) = self.group_here()? {
                return Ok(Some(group));
            }
            self.cursor = next;
            self.file = None;
        }
    }

    fn group_here(&mut self) -> Result<Option<Group>, LogError> {
        let mut file = match self.file.take() {
            Some(file) => file,
            None => self.log.open_at(self.cursor.place)?,
        };
        let mut place = self.cursor.place;
        let mut entries: Vec<Entry> = Vec::new();
        while let Some(line) = whole_line(&mut file, place)? {
            let here = place;
            place.offset += line.len() as u64 + 1;
            if line.starts_with(RECORD_START) {
                let index = self.cursor.next + entries.len() as u64;
                entries.push(Entry { index, place: here, line, sections: None });
            } else if line.starts_with(SECTIONS_START) {
                match entries.last_mut() {
                    Some(entry) if entry.sections.is_none() => entry.sections = Some(line),
                    _ => return Err(damaged(here, "a sections line without its record")),
                }
            } else if line.starts_with(CHECKPOINT_START) {
                self.cursor = Cursor { place, next: self.cursor.next + entries.len() as u64 };
                self.file = Some(file);
                return Ok(Some(Group { entries, checkpoint: line, end: self.cursor }));
            } else {
                return Err(damaged(here, "neither a record, nor sections, nor a checkpoint"));
            }
        }
        Ok(None)
    }

    fn next_segment(&self) -> Result<Option<Cursor>, LogError> {
        let here = self.cursor.place;
        let at = |generation, segment| Cursor { place: Place { generation, segment, offset: 0 }, next: segment };
        if let Some(&segment) = self.log.segments(here.generation)?.iter().find(|first| **first > here.segment) {
            if segment != self.cursor.next {
                return Err(damaged(here, "the segment ends before the next one begins"));
            }
            return Ok(Some(at(here.generation, segment)));
        }
        for generation in self.log.generations()?.into_iter().filter(|g| *g > here.generation) {
            if let Some(&segment) = self.log.segments(generation)?.first() {
                return Ok(Some(at(generation, segment)));
            }
        }
        Ok(None)
    }
}

/// A line without its newline, or `None` where the file ends first.
fn whole_line(file: &mut Lines, place: Place) -> Result<Option<Vec<u8>>, LogError> {
    match file.next_line()? {
        Some(line) if line.terminated => Ok(Some(line.bytes)),
        Some(line) if line.bytes.len() as u64 >= read::LINE_BYTES_MAX => Err(damaged(place, "a line is too long")),
        _ => Ok(None),
    }
}

fn damaged(place: Place, why: &'static str) -> LogError {
    let segment = format!("{}/{}", place.generation, segment_name(place.segment));
    LogError::Damaged { segment, offset: place.offset, why }
}

fn segment_name(segment: u64) -> String {
    format!("{segment:0SEGMENT_DIGITS$}.jsonl")
}

const RECORD_START: &[u8] = b"{\"head\":";
const SECTIONS_START: &[u8] = b"{\"sections\":";
const CHECKPOINT_START: &[u8] = b"{\"checkpoint\":";
/// Digits of a segment's name.
const SEGMENT_DIGITS: usize = 12;
