//! The part of the log that the index file lacks, taken into a view's private database.

use rusqlite::Connection;

use super::log::{Cursor, Entry, Group, LogError, Place, Reader};
use super::names::Names;
use super::query::{self, Row};
use super::schema::pos;
use super::slim::slim;
use super::view::{View, ViewError, note};
use super::write::{Writer, decision_place};
use crate::types::Timestamp;

impl View {
    /// Takes in what was committed since; gives the requests completed by it, oldest first.
    pub fn advance(&mut self) -> Result<Vec<Row>, ViewError> {
        let cursor = match self.reader.as_ref().map(Reader::cursor) {
            Some(cursor) => cursor,
            None => match self.log.start()? {
                Some(cursor) => cursor,
                None => return Ok(Vec::new()),
            },
        };
        let completed = self.read_tail(cursor, None)?;
        let mut rows = Vec::new();
        for at in completed {
            rows.extend(query::at(&self.tail, at)?);
        }
        Ok(rows)
    }

    /// For a view that is only advanced from now on: lets go of the index file's state, which would keep its WAL from
    /// being reset, and of the requests that are completed. Lists and counts miss them afterwards.
    pub fn forget_completed(&mut self) -> Result<(), ViewError> {
        if let Some(disk) = self.disk.as_ref().filter(|disk| !disk.is_autocommit()) {
            disk.execute_batch("COMMIT")?;
        }
        if self.tail.execute("DELETE FROM requests WHERE status IS NOT NULL", [])? > 0 {
            self.tail.execute("DELETE FROM marks WHERE pos NOT IN (SELECT pos FROM requests)", [])?;
        }
        Ok(())
    }

    pub(super) fn read_tail(&mut self, cursor: Cursor, names: Option<Names>) -> Result<Vec<i64>, ViewError> {
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => Reader::at(self.log.clone(), cursor),
        };
        let tail = std::mem::replace(&mut self.tail, Connection::open_in_memory()?);
        let mut writer = Writer::new(tail, names)?;
        let mut completed = Vec::new();
        loop {
            let groups = batch(&mut reader)?;
            let Some(last) = groups.last() else { break };
            let earlier = self.earlier(&groups, writer.conn(), &mut completed)?;
            self.skip.extend(earlier.entries.iter().map(|e| pos(e.place.generation, e.index)));
            if !earlier.entries.is_empty() {
                writer.apply(&[earlier])?;
            }
            self.as_of.size = last.end.next;
            self.as_of.note = note(&last.checkpoint);
            writer.apply(&groups)?;
            self.as_of.time = writer.progress().map(|p| Timestamp::from_micros(p.time)).or(self.as_of.time);
        }
        self.tail = writer.into_conn();
        self.reader = Some(reader);
        Ok(completed)
    }

    /// Decisions that the index file holds and these groups complete, read again so that `tail` has whole rows.
    fn earlier(&self, groups: &[Group], tail: &Connection, completed: &mut Vec<i64>) -> Result<Group, ViewError> {
        let mut entries = Vec::new();
        for entry in groups.iter().flat_map(|group| &group.entries) {
            let Some(index) = slim(&entry.line).filter(|h| h.kind == "completion").and_then(|h| h.decision) else {
                continue;
            };
            let generation = entry.place.generation;
            let at = pos(generation, index);
            completed.push(at);
            let Some(disk) = &self.disk else { continue };
            if decision_place(tail, at)?.is_some() {
                continue;
            }
            if let Some((segment, offset)) = decision_place(disk, at)? {
                let place = Place { generation, segment, offset };
                let (line, sections) = self.log.read(place)?;
                entries.push(Entry { index, place, line, sections });
            }
        }
        let place = Place { generation: 0, segment: 0, offset: 0 };
        Ok(Group { entries, checkpoint: Vec::new(), end: Cursor { place, next: 0 } })
    }
}

/// Groups up to about [`BATCH_RECORDS`] records.
pub(super) fn batch(reader: &mut Reader) -> Result<Vec<Group>, LogError> {
    let (mut groups, mut records) = (Vec::new(), 0);
    while records < BATCH_RECORDS {
        let Some(group) = reader.group()? else { break };
        records += group.entries.len();
        groups.push(group);
    }
    Ok(groups)
}

/// Records taken in one transaction: about 40 MiB of lines at 2 KiB each.
const BATCH_RECORDS: usize = 20_000;
