//! One consistent look at everything committed: the index file as far as it goes, and the rest of the log.
//!
//! What the caller may rely on: every request whose decision was committed when the view was opened is in it,
//! with its completion if that was committed too, whether or not the index had come that far, was missing, or
//! was of another log. Rows are only pointers; [`View::fetch`] reads the two lines again and says when they are
//! no longer what was indexed. Nothing is written but a private temporary database.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rusqlite::Connection;
use thiserror::Error;

use super::field::{Field, policy_parts};
use super::log::{Cursor, Entry, Group, Log, LogError, Place, Reader};
use super::names::Names;
use super::query::{self, Page, Query, Row, TALLIED};
use super::schema::{self, Progress, pos};
use super::slim::slim;
use super::write::{Writer, decision_place, leaf_mark};
use super::{FILE_NAME, terms};
use crate::types::{RequestId, Timestamp};

/// Why a view could not answer.
#[derive(Debug, Error)]
pub enum ViewError {
    /// The log could not be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The index or the temporary database failed.
    #[error("the index cannot be read: {0}")]
    Sql(#[from] rusqlite::Error),
}

/// The state a view covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AsOf {
    /// Committed records in the newest generation.
    pub size: u64,
    /// The newest checkpoint's signed note, unchecked; empty while there is none.
    pub note: String,
    /// Time of the newest record, where there is one.
    pub time: Option<Timestamp>,
}

/// A request's two lines, read again.
#[derive(Clone, Debug)]
pub struct Fetched {
    /// The decision's record line.
    pub decision: Vec<u8>,
    /// The sections line after it.
    pub sections: Option<Vec<u8>>,
    /// The completion's record line and the sections line after it.
    pub completion: Option<(Vec<u8>, Option<Vec<u8>>)>,
    /// Whether both are byte for byte what was indexed.
    pub unchanged: bool,
}

/// Requests by value, field by field, most frequent first.
pub type Tally = BTreeMap<&'static str, Vec<(String, u64)>>;

/// See the module.
#[derive(Debug)]
pub struct View {
    log: Log,
    /// The index file, inside one read transaction.
    disk: Option<Connection>,
    /// What the file lacks.
    tail: Connection,
    /// Positions on disk that `tail` knows better.
    skip: Vec<i64>,
    as_of: AsOf,
    indexed: u64,
    /// Why the file is not used, if it is not.
    unusable: Option<String>,
    reader: Option<Reader>,
}

impl View {
    /// Looks at the data directory `data` as it is now. `names` learns names in the part not indexed.
    pub fn open(data: &Path, names: Option<Names>) -> Result<View, ViewError> {
        let log = Log::new(data);
        let (disk, unusable) = match usable(&log, &data.join(FILE_NAME)) {
            Ok(found) => (Some(found), None),
            Err(why) => (None, Some(why)),
        };
        let (disk, progress) = disk.map_or((None, None), |(conn, progress)| (Some(conn), Some(progress)));
        let indexed = progress.as_ref().map_or(0, |p| p.cursor.next);
        let start = match &progress {
            Some(progress) => Some(progress.cursor),
            None => log.start()?,
        };
        let as_of = progress.map_or(AsOf { size: 0, note: String::new(), time: None }, |p| as_of(&p));
        let tail = schema::create(None)?;
        let mut view = View { log, disk, tail, skip: Vec::new(), as_of, indexed, unusable, reader: None };
        if let Some(cursor) = start {
            view.read_tail(cursor, names)?;
        }
        Ok(view)
    }

    /// The state covered.
    pub fn as_of(&self) -> &AsOf {
        &self.as_of
    }

    /// Records of the newest generation that came from the index file, and why it was not used if it was not.
    pub fn index_state(&self) -> (u64, Option<&str>) {
        (self.indexed, self.unusable.as_deref())
    }

    /// The log behind the view.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Matching requests.
    pub fn list(&self, query: &Query, page: Page) -> Result<Vec<Row>, ViewError> {
        let mut rows = query::list(&self.tail, query, page, &[])?;
        if let Some(disk) = &self.disk {
            rows.extend(query::list(disk, query, page, &self.skip)?);
        }
        rows.sort_unstable_by_key(Row::pos);
        if !page.oldest_first {
            rows.reverse();
        }
        rows.truncate(page.limit);
        Ok(rows)
    }

    /// How many requests match.
    pub fn count(&self, query: &Query) -> Result<u64, ViewError> {
        let mut n = query::count(&self.tail, query, &[])?;
        if let Some(disk) = &self.disk {
            n += query::count(disk, query, &self.skip)?;
        }
        Ok(n)
    }

    /// Counts by field and value; requests without a completion have the status `open`.
    pub fn stats(&self, query: &Query) -> Result<(u64, Tally), ViewError> {
        let mut found: HashMap<(&'static str, String), u64> = HashMap::new();
        let mut requests = 0;
        let parts = [(Some(&self.tail), &[][..]), (self.disk.as_ref(), &self.skip[..])];
        for (conn, skip) in parts.into_iter().filter_map(|(conn, skip)| Some((conn?, skip))) {
            let mut here: HashMap<(&'static str, Option<i64>), u64> = HashMap::new();
            query::tally(conn, query, skip, |_, terms| {
                requests += 1;
                for ((name, _), term) in TALLIED.iter().zip(terms) {
                    *here.entry((name, term)).or_default() += 1;
                }
            })?;
            for (term, n) in query::tally_classes(conn, query, skip)? {
                *here.entry(("class", Some(term))).or_default() += n;
            }
            for ((name, term), n) in here {
                if let Some(value) = spelled(conn, name, term)? {
                    *found.entry((name, value)).or_default() += n;
                }
            }
        }
        Ok((requests, sorted(found)))
    }

    /// Values a field has in this log: most frequent first.
    pub fn values(&self, field: Field) -> Result<Vec<String>, ViewError> {
        let mut found: BTreeMap<String, i64> = BTreeMap::new();
        for conn in [Some(&self.tail), self.disk.as_ref()].into_iter().flatten() {
            for (_, value, n) in terms::all(conn, field as i64)? {
                *found.entry(value).or_default() += n;
            }
        }
        let mut values: Vec<_> = found.into_iter().collect();
        values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        Ok(values.into_iter().map(|(value, _)| value).collect())
    }

    /// Pseudonyms in this log that begin with `prefix`, at most `limit`.
    pub fn pseudonyms(&self, prefix: &str, limit: usize) -> Result<Vec<String>, ViewError> {
        let mut found = Vec::new();
        for conn in [Some(&self.tail), self.disk.as_ref()].into_iter().flatten() {
            let values = terms::beginning(conn, Field::Identity as i64, prefix, limit)?;
            found.extend(values.into_iter().map(|(_, value, _)| value));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Pseudonyms that go by a name.
    pub fn named(&self, names: &Names, name: &str) -> Result<Vec<String>, ViewError> {
        let mut found = Vec::new();
        for conn in [Some(&self.tail), self.disk.as_ref()].into_iter().flatten() {
            found.extend(names.find(conn, name)?);
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// The request with this id.
    pub fn request(&self, id: RequestId) -> Result<Option<Row>, ViewError> {
        if let Some(row) = query::by_request(&self.tail, id)?.pop() {
            return Ok(Some(row));
        }
        match &self.disk {
            Some(disk) => Ok(query::by_request(disk, id)?.pop()),
            None => Ok(None),
        }
    }

    /// The request whose decision has this index.
    pub fn decision(&self, generation: u32, index: u64) -> Result<Option<Row>, ViewError> {
        let at = pos(generation, index);
        if let Some(row) = query::at(&self.tail, at)? {
            return Ok(Some(row));
        }
        self.disk.as_ref().map_or(Ok(None), |disk| Ok(query::at(disk, at)?))
    }

    /// Reads a request's two records again.
    pub fn fetch(&self, row: &Row) -> Result<Fetched, ViewError> {
        let (decision, sections) = self.log.read(row.place)?;
        let mut unchanged = leaf_mark(&decision) == row.leaf;
        let completion = match row.completion {
            Some((_, place, leaf)) => {
                let lines = self.log.read(place)?;
                unchanged &= leaf_mark(&lines.0) == leaf;
                Some(lines)
            }
            None => None,
        };
        Ok(Fetched { decision, sections, completion, unchanged })
    }

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

    fn read_tail(&mut self, cursor: Cursor, names: Option<Names>) -> Result<Vec<i64>, ViewError> {
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

/// The index file, in a read transaction, when it is of this log; or why not.
fn usable(log: &Log, path: &Path) -> Result<(Connection, Progress), String> {
    if !path.exists() {
        return Err("there is no index yet".to_owned());
    }
    let text = |error: rusqlite::Error| format!("the index cannot be read ({error})");
    let conn = schema::open_read_only(path).map_err(text)?.ok_or("the index is of another version")?;
    conn.execute_batch("BEGIN").map_err(text)?;
    let progress = schema::progress(&conn).map_err(text)?.ok_or("the index is empty")?;
    if is_of(log, &progress) { Ok((conn, progress)) } else { Err("the index is of another log".to_owned()) }
}

/// Whether the log still holds the oldest and the newest record this progress knows, byte for byte.
pub(super) fn is_of(log: &Log, progress: &Progress) -> bool {
    let same = |mark: &(Place, i64)| log.read(mark.0).is_ok_and(|(line, _)| leaf_mark(&line) == mark.1);
    [progress.first, progress.last].iter().flatten().all(same)
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

fn as_of(progress: &Progress) -> AsOf {
    AsOf {
        size: progress.cursor.next,
        note: note(&progress.checkpoint),
        time: Some(Timestamp::from_micros(progress.time)),
    }
}

/// The signed note in a checkpoint line.
fn note(line: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Line {
        checkpoint: String,
    }
    serde_json::from_slice::<Line>(line).map(|line| line.checkpoint).unwrap_or_default()
}

fn spelled(conn: &Connection, name: &str, term: Option<i64>) -> Result<Option<String>, ViewError> {
    let Some(term) = term else {
        return Ok((name == "status").then(|| query::OPEN.to_owned()));
    };
    let mut select = conn.prepare_cached("SELECT value FROM terms WHERE id = ?1")?;
    let value: String = select.query_row([term], |row| row.get(0))?;
    if name == "policy" {
        let (digest, policy, version) = policy_parts(&value);
        let short = digest.get(..12).unwrap_or(digest);
        return Ok(Some(format!("{policy}@{version} {short}")));
    }
    Ok(Some(value))
}

fn sorted(found: HashMap<(&'static str, String), u64>) -> Tally {
    let mut tally = Tally::new();
    for ((name, value), n) in found {
        tally.entry(name).or_default().push((value, n));
    }
    for values in tally.values_mut() {
        values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    }
    tally
}

/// Records taken in one transaction: about 40 MiB of lines at 2 KiB each.
const BATCH_RECORDS: usize = 20_000;
