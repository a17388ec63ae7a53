//! The tables, and when a file of them may be used at all.
//!
//! `requests` holds one row a request: its decision and, once there is one, its completion, as pointers into the
//! log and small numbers. Every text value stands once, in `terms`. `marks` is the inverted list: which
//! requests carry a term, in the order of the log; a term is one field's value, or caller, vendor and policy
//! taken together, which makes that question a single range scan. `zones` holds the earliest and latest time of
//! every 1,024 positions, so that a time range becomes a range of positions although clocks may step.
//! `names` maps keyed digests of names to pseudonyms; it holds no name.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension, ffi, params};

use super::log::{Cursor, Place};
use crate::store::files;

/// Number of this layout; a file with another is rebuilt.
const SCHEMA_VERSION: i64 = 1;

const TABLES: &str = "
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE terms(id INTEGER PRIMARY KEY, field INTEGER NOT NULL, value TEXT NOT NULL, n INTEGER NOT NULL,
    UNIQUE(field, value));
CREATE TABLE requests(pos INTEGER PRIMARY KEY, time INTEGER NOT NULL, request BLOB NOT NULL,
    segment INTEGER NOT NULL, offset INTEGER NOT NULL, leaf INTEGER NOT NULL,
    subject INTEGER, actor INTEGER, vendor INTEGER, policy INTEGER, model INTEGER, outcome INTEGER, label INTEGER,
    route INTEGER, tenant INTEGER, reason INTEGER,
    c_pos INTEGER, c_segment INTEGER, c_offset INTEGER, c_leaf INTEGER,
    status INTEGER, c_outcome INTEGER, c_label INTEGER, c_reason INTEGER, c_model INTEGER);
CREATE INDEX requests_request ON requests(request);
CREATE INDEX requests_open ON requests(pos) WHERE status IS NULL;
CREATE TABLE marks(term INTEGER NOT NULL, pos INTEGER NOT NULL, PRIMARY KEY(term, pos)) WITHOUT ROWID;
CREATE TABLE zones(zone INTEGER PRIMARY KEY, earliest INTEGER NOT NULL, latest INTEGER NOT NULL);
CREATE TABLE names(digest BLOB NOT NULL, subject INTEGER NOT NULL, PRIMARY KEY(digest, subject)) WITHOUT ROWID;
";

/// A generation's index and a record's index in one number: order of the log.
pub(super) fn pos(generation: u32, index: u64) -> i64 {
    (i64::from(generation) << INDEX_BITS) | i64::try_from(index).unwrap_or(i64::MAX).min(INDEX_LIMIT - 1)
}

/// Both halves of a [`pos`].
pub(super) fn split(pos: i64) -> (u32, u64) {
    (u32::try_from(pos >> INDEX_BITS).unwrap_or(0), u64::try_from(pos & (INDEX_LIMIT - 1)).unwrap_or(0))
}

/// The zone a position lies in.
pub(super) const fn zone(pos: i64) -> i64 {
    pos >> ZONE_BITS
}

/// The first position of a zone.
pub(super) const fn zone_start(zone: i64) -> i64 {
    zone << ZONE_BITS
}

/// A fresh database; `None` makes a private temporary one that vanishes when closed.
pub(super) fn create(path: Option<&Path>) -> rusqlite::Result<Connection> {
    let conn = match path {
        Some(path) => {
            private(path)?;
            Connection::open(path)?
        }
        None => Connection::open("")?,
    };
    tune(&conn)?;
    conn.execute_batch(&format!("BEGIN; {TABLES} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;"))?;
    Ok(conn)
}

/// The index tells who asked whom and when: it is the gateway's user's alone, from its first byte.
fn private(path: &Path) -> rusqlite::Result<()> {
    files::private_database(path)
        .map_err(|error| rusqlite::Error::SqliteFailure(ffi::Error::new(ffi::SQLITE_CANTOPEN), Some(error.to_string())))
}

/// An existing file, to write on; `None` where it is not of this layout.
pub(super) fn open(path: &Path) -> rusqlite::Result<Option<Connection>> {
    private(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    if version(&conn)? != SCHEMA_VERSION {
        return Ok(None);
    }
    tune(&conn)?;
    let check: String = conn.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    Ok((check == "ok").then_some(conn))
}

/// An existing file, to read only; `None` where it is not of this layout.
pub(super) fn open_read_only(path: &Path) -> rusqlite::Result<Option<Connection>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(path, flags)?;
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "cache_size", CACHE_KIB)?;
    Ok((version(&conn)? == SCHEMA_VERSION).then_some(conn))
}

fn version(conn: &Connection) -> rusqlite::Result<i64> {
    conn.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// WAL, so that readers never wait; no sync per transaction, because a lost tail is simply read again.
fn tune(conn: &Connection) -> rusqlite::Result<()> {
    conn.busy_timeout(BUSY)?;
    conn.pragma_update(None, "journal_mode", "WAL")?;
    conn.pragma_update(None, "synchronous", "NORMAL")?;
    conn.pragma_update(None, "secure_delete", "ON")?;
    conn.pragma_update(None, "temp_store", "MEMORY")?;
    conn.pragma_update(None, "cache_size", CACHE_KIB)
}

/// How far a file has come, and the two leaves by which its log is known again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Progress {
    /// Where the next group begins.
    pub(super) cursor: Cursor,
    /// The oldest record seen and its leaf.
    pub(super) first: Option<(Place, i64)>,
    /// The newest record seen and its leaf.
    pub(super) last: Option<(Place, i64)>,
    /// The newest checkpoint line.
    pub(super) checkpoint: Vec<u8>,
    /// Time of the newest record, microseconds.
    pub(super) time: i64,
}

/// Reads the progress; `None` in a file that holds nothing yet.
pub(super) fn progress(conn: &Connection) -> rusqlite::Result<Option<Progress>> {
    let text = |key: &str| {
        conn.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get::<_, String>(0)).optional()
    };
    let Some(at) = text("at")? else { return Ok(None) };
    let numbers: Vec<i64> = at.split(' ').filter_map(|n| n.parse().ok()).collect();
    let [generation, segment, offset, next, time, rest @ ..] = numbers.as_slice() else { return Ok(None) };
    let leaf = |four: &[i64]| match four {
        [generation, segment, offset, leaf] => Some((place(*generation, *segment, *offset), *leaf)),
        _ => None,
    };
    Ok(Some(Progress {
        cursor: Cursor { place: place(*generation, *segment, *offset), next: unsigned(*next) },
        first: rest.get(..4).and_then(leaf),
        last: rest.get(4..8).and_then(leaf),
        checkpoint: text("checkpoint")?.unwrap_or_default().into_bytes(),
        time: *time,
    }))
}

/// Writes the progress; part of the transaction that brought it about.
pub(super) fn set_progress(conn: &Connection, progress: &Progress) -> rusqlite::Result<()> {
    let Cursor { place: at, next } = progress.cursor;
    let mut text = format!("{} {} {} {next} {}", at.generation, at.segment, at.offset, progress.time);
    for (place, leaf) in [progress.first, progress.last].into_iter().flatten() {
        text.push_str(&format!(" {} {} {} {leaf}", place.generation, place.segment, place.offset));
    }
    let mut set = conn.prepare_cached("INSERT OR REPLACE INTO meta(key, value) VALUES (?1, ?2)")?;
    set.execute(params!["at", text])?;
    set.execute(params!["checkpoint", String::from_utf8_lossy(&progress.checkpoint)])?;
    Ok(())
}

fn place(generation: i64, segment: i64, offset: i64) -> Place {
    Place { generation: u32::try_from(generation).unwrap_or(0), segment: unsigned(segment), offset: unsigned(offset) }
}

fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Bits of a [`pos`] that hold the index: 2^40 records a generation.
const INDEX_BITS: u32 = 40;
const INDEX_LIMIT: i64 = 1 << INDEX_BITS;
/// 1,024 positions a zone: 2,000 zones in a log of a million requests, read in well under a millisecond.
const ZONE_BITS: u32 = 10;
/// How long a reader waits for a writer's checkpointing.
const BUSY: std::time::Duration = std::time::Duration::from_secs(5);
/// 32 MiB of page cache (negative: KiB).
const CACHE_KIB: i64 = -32 * 1024;
