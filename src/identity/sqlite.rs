//! The tokens on disk: one SQLite table, every change one durable transaction.
//!
//! `synchronous = FULL` in WAL mode syncs at each commit: a crash leaves a token wholly there or not at all. The file is made
//! with mode 0600 before SQLite opens it; SQLite gives its side files the same mode.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::token::{TokenError, TokenInfo};
use crate::types::{Digest, Timestamp};

pub(super) struct Table {
    db: Connection,
    path: PathBuf,
}

impl Table {
    pub(super) fn open(path: &Path) -> Result<Self, TokenError> {
        let fault = |why: String| TokenError::Store { path: path.display().to_string(), why };
        OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path)
            .map_err(|error| fault(error.to_string()))?;
        let db = Connection::open(path).map_err(|error| fault(error.to_string()))?;
        let table = Table { db, path: path.to_owned() };
        table.prepare().map_err(|error| table.fault(&error))?;
        Ok(table)
    }

    fn prepare(&self) -> rusqlite::Result<()> {
        self.db.busy_timeout(BUSY)?;
        self.db.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
        self.db.pragma_update(None, "synchronous", "FULL")?;
        self.db.execute_batch(
            "CREATE TABLE IF NOT EXISTS token (
                 id TEXT PRIMARY KEY, hash BLOB NOT NULL UNIQUE, name TEXT NOT NULL, user TEXT NOT NULL,
                 roles TEXT NOT NULL, tenant TEXT NOT NULL, kind TEXT NOT NULL,
                 created INTEGER NOT NULL, expires INTEGER, revoked INTEGER) STRICT;",
        )
    }

    fn fault(&self, error: &dyn std::fmt::Display) -> TokenError {
        TokenError::Store { path: self.path.display().to_string(), why: error.to_string() }
    }

    /// Durable when it returns.
    pub(super) fn insert(&self, hash: &Digest, info: &TokenInfo) -> Result<(), TokenError> {
        self.db
            .execute(
                "INSERT INTO token (id, hash, name, user, roles, tenant, kind, created, expires)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    info.id,
                    hash.0.as_slice(),
                    info.name,
                    info.user,
                    info.roles.join(" "),
                    info.tenant,
                    info.kind.as_str(),
                    info.created.micros(),
                    info.expires.map(Timestamp::micros),
                ],
            )
            .map(|_| ())
            .map_err(|error| self.fault(&error))
    }

    /// Durable when it returns; a second revocation keeps the first time.
    pub(super) fn revoke(&self, id: &str, now: Timestamp) -> Result<(Digest, TokenInfo), TokenError> {
        self.db
            .execute("UPDATE token SET revoked = ?2 WHERE id = ?1 AND revoked IS NULL", params![id, now.micros()])
            .map_err(|error| self.fault(&error))?;
        let sql = format!("{SELECT} WHERE id = ?1");
        let found = self.db.query_row(&sql, [id], read).optional().map_err(|error| self.fault(&error))?;
        found.ok_or_else(|| TokenError::Unknown(id.to_owned()))
    }

    /// Every token, oldest first.
    pub(super) fn all(&self) -> Result<Vec<(Digest, TokenInfo)>, TokenError> {
        let query = || -> rusqlite::Result<Vec<_>> {
            let mut statement = self.db.prepare_cached(&format!("{SELECT} ORDER BY created, id"))?;
            statement.query_map([], read)?.collect()
        };
        query().map_err(|error| self.fault(&error))
    }

    /// Changes when another process committed something.
    pub(super) fn version(&self) -> Result<i64, TokenError> {
        self.db.pragma_query_value(None, "data_version", |row| row.get(0)).map_err(|error| self.fault(&error))
    }
}

fn read(row: &Row<'_>) -> rusqlite::Result<(Digest, TokenInfo)> {
    let bad = |column: usize| rusqlite::Error::InvalidColumnType(column, String::new(), rusqlite::types::Type::Text);
    let roles: String = row.get("roles")?;
    let kind: String = row.get("kind")?;
    let info = TokenInfo {
        id: row.get("id")?,
        name: row.get("name")?,
        user: row.get("user")?,
        roles: roles.split_whitespace().map(str::to_owned).collect(),
        tenant: row.get("tenant")?,
        kind: kind.parse().map_err(|_| bad(6))?,
        created: Timestamp::from_micros(row.get("created")?),
        expires: row.get::<_, Option<i64>>("expires")?.map(Timestamp::from_micros),
        revoked: row.get::<_, Option<i64>>("revoked")?.map(Timestamp::from_micros),
    };
    Ok((Digest(row.get::<_, [u8; 32]>("hash")?), info))
}

const SELECT: &str = "SELECT id, hash, name, user, roles, tenant, kind, created, expires, revoked FROM token";

/// How long a writer waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(2);
