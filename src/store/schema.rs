//! The key database: opened, made, and how durable it is.

use rusqlite::{Connection, OpenFlags};

use super::{Paths, StoreError};

/// Opens for the one writer: WAL, every commit synced, deleted bytes overwritten.
pub(super) fn open_to_write(paths: &Paths) -> Result<Connection, StoreError> {
    let path = paths.key_database();
    let fail = |source| StoreError::database("open the keys", &path)(source);
    let connection = Connection::open(&path).map_err(fail)?;
    expect_version(&connection, paths, &[0, VERSION])?;
    let result = connection
        .pragma_update(None, "journal_mode", "WAL")
        .and_then(|()| connection.pragma_update(None, "synchronous", "FULL"))
        .and_then(|()| connection.pragma_update(None, "secure_delete", "ON"))
        .and_then(|()| connection.execute_batch(SCHEMA));
    result.map_err(fail)?;
    Ok(connection)
}

/// Opens for a reader beside a running gateway.
pub(super) fn open_to_read(paths: &Paths) -> Result<Connection, StoreError> {
    let path = paths.key_database();
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let fail = |source| StoreError::database("open the keys", &path)(source);
    let connection = Connection::open_with_flags(&path, flags).map_err(fail)?;
    connection.busy_timeout(BUSY).map_err(fail)?;
    expect_version(&connection, paths, &[VERSION])?;
    Ok(connection)
}

fn expect_version(connection: &Connection, paths: &Paths, accepted: &[i64]) -> Result<(), StoreError> {
    let path = paths.key_database();
    let version: i64 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .map_err(StoreError::database("read the format version", &path))?;
    if accepted.contains(&version) {
        return Ok(());
    }
    Err(StoreError::unusable(
        &path,
        format!("has format {version}, this program reads {VERSION}: use the newer program"),
    ))
}

const VERSION: i64 = 1;

const BUSY: std::time::Duration = std::time::Duration::from_secs(5);

/// One row a key; `wrapped` opens only under `keys/kek` and for its own row.
const SCHEMA: &str = "
BEGIN;
CREATE TABLE IF NOT EXISTS data_key (
  id BLOB PRIMARY KEY, tenant TEXT NOT NULL, retention TEXT NOT NULL, section TEXT NOT NULL,
  subject TEXT NOT NULL, month TEXT NOT NULL, wrapped BLOB NOT NULL,
  UNIQUE (tenant, retention, section, subject, month)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pseudonym_key (
  tenant TEXT NOT NULL, version INTEGER NOT NULL, wrapped BLOB NOT NULL, PRIMARY KEY (tenant, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS single_key (name TEXT PRIMARY KEY, wrapped BLOB NOT NULL) STRICT, WITHOUT ROWID;
PRAGMA user_version = 1;
COMMIT;";
