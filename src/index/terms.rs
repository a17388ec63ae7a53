//! Text values as numbers, and how many requests carry each: the planner's only statistic.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params};

/// The dictionary of one database, cached.
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// Field, then value, to number.
    known: HashMap<i64, HashMap<String, i64>>,
    cached: usize,
    /// Requests marked since the last flush, by term.
    counts: HashMap<i64, i64>,
}

impl Terms {
    /// The number of a value, made where it is new.
    pub(super) fn id(&mut self, conn: &Connection, field: i64, value: &str) -> rusqlite::Result<i64> {
        if let Some(id) = self.known.get(&field).and_then(|values| values.get(value)) {
            return Ok(*id);
        }
        let id = match find(conn, field, value)? {
            Some(id) => id,
            None => {
                conn.prepare_cached("INSERT INTO terms(field, value, n) VALUES (?1, ?2, 0)")?
                    .execute(params![field, value])?;
                conn.last_insert_rowid()
            }
        };
        if self.cached >= CACHED_MAX {
            self.known.clear();
            self.cached = 0;
        }
        self.known.entry(field).or_default().insert(value.to_owned(), id);
        self.cached += 1;
        Ok(id)
    }

    /// One more request carries this term.
    pub(super) fn count(&mut self, term: i64) {
        *self.counts.entry(term).or_default() += 1;
    }

    /// Writes the counts.
    pub(super) fn flush(&mut self, conn: &Connection) -> rusqlite::Result<()> {
        let mut add = conn.prepare_cached("UPDATE terms SET n = n + ?2 WHERE id = ?1")?;
        for (term, n) in self.counts.drain() {
            add.execute([term, n])?;
        }
        Ok(())
    }

    /// Forgets everything after a transaction was rolled back: its numbers were never stored.
    pub(super) fn forget(&mut self) {
        *self = Terms::default();
    }
}

/// The number of a value that is there.
pub(super) fn find(conn: &Connection, field: i64, value: &str) -> rusqlite::Result<Option<i64>> {
    let mut select = conn.prepare_cached("SELECT id FROM terms WHERE field = ?1 AND value = ?2")?;
    select.query_row(params![field, value], |row| row.get(0)).optional()
}

/// A value that is there: number, value, requests.
pub(super) fn exactly(conn: &Connection, field: i64, value: &str) -> rusqlite::Result<Vec<(i64, String, i64)>> {
    let mut select = conn.prepare_cached("SELECT id, value, n FROM terms WHERE field = ?1 AND value = ?2")?;
    select.query_map(params![field, value], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// Every value of a field: number, value, requests.
pub(super) fn all(conn: &Connection, field: i64) -> rusqlite::Result<Vec<(i64, String, i64)>> {
    let mut select = conn.prepare_cached("SELECT id, value, n FROM terms WHERE field = ?1 ORDER BY n DESC, value")?;
    select.query_map([field], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// Values of a field that begin with `prefix`: number, value, requests; at most `limit`.
pub(super) fn beginning(
    conn: &Connection,
    field: i64,
    prefix: &str,
    limit: usize,
) -> rusqlite::Result<Vec<(i64, String, i64)>> {
    let sql = "SELECT id, value, n FROM terms WHERE field = ?1 AND value >= ?2 AND value < ?2 || char(1114111) \
               ORDER BY value LIMIT ?3";
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut select = conn.prepare_cached(sql)?;
    select.query_map(params![field, prefix, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?.collect()
}

/// Values kept in memory, about 100 bytes each.
const CACHED_MAX: usize = 100_000;
