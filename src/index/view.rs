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
use super::log::{Entry, Log, LogError, Place, Reader};
use super::names::Names;
use super::query::{self, Page, Query, Row, TALLIED};
use super::schema::{self, Progress, pos};
use super::write::leaf_mark;
use super::{FILE_NAME, terms};
use crate::types::{RecordId, RequestId, Timestamp};

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
    pub(super) log: Log,
    /// The index file, inside one read transaction.
    pub(super) disk: Option<Connection>,
    /// What the file lacks.
    pub(super) tail: Connection,
    /// Positions on disk that `tail` knows better.
    pub(super) skip: Vec<i64>,
    pub(super) as_of: AsOf,
    pub(super) indexed: u64,
    /// Why the file is not used, if it is not.
    pub(super) unusable: Option<String>,
    pub(super) reader: Option<Reader>,
}

impl View {
    /// Looks at the data directory `data` as it is now. `names` learns names in the part not indexed.
    pub fn open(data: &Path, names: Option<Names>) -> Result<View, ViewError> {
        let log = Log::new(data);
        let found = usable(&log, &data.join(FILE_NAME));
        View::of(log, found, names)
    }

    /// As [`View::open`], from the log alone: for when the index file turned out to be damaged.
    pub fn without_index(data: &Path, names: Option<Names>) -> Result<View, ViewError> {
        View::of(Log::new(data), Err("the index is damaged".to_owned()), names)
    }

    fn of(log: Log, found: Result<(Connection, Progress), String>, names: Option<Names>) -> Result<View, ViewError> {
        let (disk, unusable) = match found {
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

    /// Whether a row matches.
    pub fn matches(&self, query: &Query, row: &Row) -> Result<bool, ViewError> {
        if query::at(&self.tail, row.pos())?.is_some() {
            return Ok(query::matches(&self.tail, query, row.pos())?);
        }
        self.disk.as_ref().map_or(Ok(false), |disk| Ok(query::matches(disk, query, row.pos())?))
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

    /// Where a record of any kind stands, by its id. The time in the id says where to look first.
    pub fn record(&self, id: RecordId) -> Result<Option<Entry>, ViewError> {
        let needle = format!("\"id\":\"{id}\"");
        let mut near = Vec::new();
        for conn in [Some(&self.tail), self.disk.as_ref()].into_iter().flatten() {
            if let Some((from, to)) = id_time(id) {
                near.extend(query::around(conn, from, to)?);
            }
        }
        for generation in self.log.generations()?.into_iter().rev() {
            let segments = self.log.segments(generation)?;
            let bounds = segments.iter().zip(segments.iter().skip(1).map(Some).chain([None]));
            let mut order: Vec<(bool, u64)> = bounds
                .map(|(first, next)| {
                    let (low, high) = (pos(generation, *first), next.map_or(i64::MAX, |next| pos(generation, *next)));
                    (!near.iter().any(|(from, to)| *from < high && *to >= low), *first)
                })
                .collect();
            order.sort_unstable();
            for (_, segment) in order {
                let found = self.log.find(generation, segment, |entry| memmem(&entry.line, needle.as_bytes()))?;
                if found.is_some() {
                    return Ok(found);
                }
            }
        }
        Ok(None)
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

/// An hour around the time a UUIDv7 was made.
fn id_time(id: RecordId) -> Option<(Timestamp, Timestamp)> {
    let hex: String = id.to_string().chars().filter(|c| *c != '-').take(12).collect();
    let micros = i64::from_str_radix(&hex, 16).ok()?.checked_mul(1000)?;
    Some((Timestamp::from_micros(micros - AROUND_MICROS), Timestamp::from_micros(micros + AROUND_MICROS)))
}

fn memmem(text: &[u8], needle: &[u8]) -> bool {
    memchr::memmem::find(text, needle).is_some()
}

fn as_of(progress: &Progress) -> AsOf {
    AsOf {
        size: progress.cursor.next,
        note: note(&progress.checkpoint),
        time: Some(Timestamp::from_micros(progress.time)),
    }
}

/// The signed note in a checkpoint line.
pub(super) fn note(line: &[u8]) -> String {
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

/// A record's time and its id's time come from one reading, or nearly: an hour is far more than enough.
const AROUND_MICROS: i64 = 3_600_000_000;
