//! Data keys, pseudonym keys and the index key, wrapped by `keys/kek` in `keys/data.sqlite`.
//!
//! Guarantee: a key that anybody was given is on disk (SQLite, `synchronous=FULL`), so what it sealed can be opened
//! after a crash. A destroyed key is never made again: its row is gone, and the tuple's next record gets a new key
//! under a new id. Nothing here can tell a key from its row without `keys/kek`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use rusqlite::{Connection, OptionalExtension, params};

use crate::env::{Disk, RealDisk, random_array};
use crate::record::DataKey;

use super::wrap::Wrapper;
use super::{Paths, StoreError, files, schema};

/// What one data key is for (DESIGN section 4: one key a tuple).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DataKeyName {
    /// The tenant.
    pub tenant: String,
    /// The retention class.
    pub retention: String,
    /// The section's name.
    pub section: String,
    /// The subject's pseudonym, or `none`.
    pub subject: String,
    /// The UTC month of the record's time, `YYYY-MM`.
    pub month: String,
}

impl DataKeyName {
    fn purpose(&self, id: &[u8; 16]) -> Vec<u8> {
        purpose(
            b"data",
            &[
                id,
                self.tenant.as_bytes(),
                self.retention.as_bytes(),
                self.section.as_bytes(),
                self.subject.as_bytes(),
                self.month.as_bytes(),
            ],
        )
    }
}

/// The key store of one data directory.
#[derive(Debug)]
pub struct KeyStore {
    paths: Paths,
    wrapper: Wrapper,
    /// Guards the one connection; held over disk waits.
    connection: Mutex<Connection>,
    /// Keys given out before, so that the hot path waits for no disk; never held over a disk wait.
    data_keys: RwLock<HashMap<DataKeyName, DataKey>>,
    /// Per tenant, the newest version.
    pseudonym_keys: RwLock<HashMap<String, (u32, [u8; 32])>>,
}

impl KeyStore {
    /// Opens the keys of the data directory, making `keys/kek` and the database if neither is there yet.
    ///
    /// # Errors
    /// When one of the two is there without the other, is not readable, or is of a newer format.
    pub fn open(data: &Path) -> Result<KeyStore, StoreError> {
        let paths = Paths::new(data);
        files::make_folder(&RealDisk, &paths.keys())?;
        let kek = match files::read_if_there(&paths.kek())? {
            Some(kek) => kek,
            None if paths.key_database().exists() => return Err(missing_kek(&paths)),
            None => new_kek(&paths)?,
        };
        let wrapper = wrapper(&paths, &kek)?;
        let database = paths.key_database();
        files::private_database(&database).map_err(StoreError::io("protect", &database))?;
        let connection = schema::open_to_write(&paths)?;
        files::sync_parent(&RealDisk, &paths.key_database())?;
        Ok(KeyStore::with(paths, wrapper, connection))
    }

    /// Opens the keys for a reader beside a running gateway; nothing is made or changed.
    ///
    /// # Errors
    /// When `keys/kek` or the database is missing or unreadable.
    pub fn open_read_only(data: &Path) -> Result<KeyStore, StoreError> {
        let paths = Paths::new(data);
        let kek = files::read_if_there(&paths.kek())?.ok_or_else(|| missing_kek(&paths))?;
        let wrapper = wrapper(&paths, &kek)?;
        let connection = schema::open_to_read(&paths)?;
        Ok(KeyStore::with(paths, wrapper, connection))
    }

    fn with(paths: Paths, wrapper: Wrapper, connection: Connection) -> KeyStore {
        KeyStore {
            paths,
            wrapper,
            connection: Mutex::new(connection),
            data_keys: RwLock::default(),
            pseudonym_keys: RwLock::default(),
        }
    }

    /// The key for `name`, made and durable if there was none. Waits for the disk the first time.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub fn data_key(&self, name: &DataKeyName) -> Result<DataKey, StoreError> {
        let mut keys = self.data_keys(std::slice::from_ref(name))?;
        keys.pop().ok_or_else(|| self.broken("gave no key"))
    }

    /// The keys for `names`, in their order; those that are missing are made in one transaction.
    ///
    /// # Errors
    /// When the database cannot be read or written; then no key was made.
    pub fn data_keys(&self, names: &[DataKeyName]) -> Result<Vec<DataKey>, StoreError> {
        let cached: Vec<_> = names.iter().map_while(|name| self.cached(name)).collect();
        if cached.len() == names.len() {
            return Ok(cached);
        }
        let mut connection = self.lock();
        let path = self.paths.key_database();
        let fail = |source| StoreError::database("make a data key", &path)(source);
        let transaction = connection.transaction().map_err(fail)?;
        let mut keys = Vec::with_capacity(names.len());
        for name in names {
            let key = match find(&transaction, name).map_err(fail)? {
                Some((id, wrapped)) => self.unwrap_data_key(name, &id, &wrapped)?,
                None => {
                    let key = DataKey { id: random_array(), key: random_array() };
                    let wrapped = self.wrapper.wrap(&name.purpose(&key.id), &key.key);
                    let wrapped = wrapped.ok_or_else(|| self.broken("could not wrap a new key"))?;
                    insert(&transaction, name, &key.id, &wrapped).map_err(fail)?;
                    key
                }
            };
            keys.push(key);
        }
        // A crash before this line leaves no row and no key; behind it the rows are synced. Only now anybody sees them.
        transaction.commit().map_err(fail)?;
        drop(connection);
        self.remember(names, &keys);
        Ok(keys)
    }

    /// The key for `name` if it was given out before; never waits for the disk.
    pub fn cached(&self, name: &DataKeyName) -> Option<DataKey> {
        self.data_keys.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// The key with this id; `None` if it never was or has been destroyed.
    ///
    /// # Errors
    /// When the database cannot be read or the row does not open under `keys/kek`.
    pub fn by_id(&self, id: &[u8; 16]) -> Result<Option<DataKey>, StoreError> {
        let path = self.paths.key_database();
        let row = self
            .lock()
            .query_row(
                "SELECT tenant, retention, section, subject, month, wrapped FROM data_key WHERE id = ?1",
                params![id],
                |row| {
                    let name = DataKeyName {
                        tenant: row.get(0)?,
                        retention: row.get(1)?,
                        section: row.get(2)?,
                        subject: row.get(3)?,
                        month: row.get(4)?,
                    };
                    Ok((name, row.get::<_, Vec<u8>>(5)?))
                },
            )
            .optional()
            .map_err(StoreError::database("read a data key", &path))?;
        row.map(|(name, wrapped)| self.unwrap_data_key(&name, id, &wrapped)).transpose()
    }

    /// The tenant's newest pseudonym key and its version, made and durable if there was none.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub fn pseudonym_key(&self, tenant: &str) -> Result<(u32, [u8; 32]), StoreError> {
        let cached = self.pseudonym_keys.read().unwrap_or_else(PoisonError::into_inner).get(tenant).copied();
        if let Some(found) = cached {
            return Ok(found);
        }
        let newest = match self.pseudonym_keys(tenant)?.pop() {
            Some(newest) => newest,
            None => self.first_pseudonym_key(tenant)?,
        };
        self.pseudonym_keys.write().unwrap_or_else(PoisonError::into_inner).insert(tenant.to_owned(), newest);
        Ok(newest)
    }

    /// Every version of the tenant's pseudonym key, oldest first: queries ask for each.
    ///
    /// # Errors
    /// When the database cannot be read or a row does not open.
    pub fn pseudonym_keys(&self, tenant: &str) -> Result<Vec<(u32, [u8; 32])>, StoreError> {
        let path = self.paths.key_database();
        let fail = |source| StoreError::database("read the pseudonym keys", &path)(source);
        let connection = self.lock();
        let mut statement = connection
            .prepare_cached("SELECT version, wrapped FROM pseudonym_key WHERE tenant = ?1 ORDER BY version")
            .map_err(fail)?;
        let rows = statement
            .query_map([tenant], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, Vec<u8>>(1)?)))
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(fail)?;
        rows.into_iter()
            .map(|(version, wrapped)| {
                let purpose = purpose(b"pseudonym", &[tenant.as_bytes(), &version.to_be_bytes()]);
                let key = self.wrapper.unwrap(&purpose, &wrapped);
                key.map(|key| (version, key)).ok_or_else(|| self.foreign())
            })
            .collect()
    }

    /// The key of the index's digests of names and addresses, made and durable if there was none.
    ///
    /// # Errors
    /// When the database cannot be read or written.
    pub fn index_key(&self) -> Result<[u8; 32], StoreError> {
        let path = self.paths.key_database();
        let fail = |source| StoreError::database("read the index key", &path)(source);
        let purpose = purpose(b"index", &[]);
        let connection = self.lock();
        let find = "SELECT wrapped FROM single_key WHERE name = 'index'";
        let found: Option<Vec<u8>> = connection.query_row(find, [], |row| row.get(0)).optional().map_err(fail)?;
        if let Some(wrapped) = found {
            return self.wrapper.unwrap(&purpose, &wrapped).ok_or_else(|| self.foreign());
        }
        let key = random_array();
        let wrapped = self.wrapper.wrap(&purpose, &key).ok_or_else(|| self.broken("could not wrap a new key"))?;
        connection.execute("INSERT INTO single_key VALUES ('index', ?1)", params![wrapped]).map_err(fail)?;
        Ok(key)
    }

    fn first_pseudonym_key(&self, tenant: &str) -> Result<(u32, [u8; 32]), StoreError> {
        let path = self.paths.key_database();
        let (version, key) = (1u32, random_array());
        let purpose = purpose(b"pseudonym", &[tenant.as_bytes(), &version.to_be_bytes()]);
        let wrapped = self.wrapper.wrap(&purpose, &key).ok_or_else(|| self.broken("could not wrap a new key"))?;
        let made = self
            .lock()
            .execute("INSERT OR IGNORE INTO pseudonym_key VALUES (?1, ?2, ?3)", params![tenant, version, wrapped])
            .map_err(StoreError::database("make a pseudonym key", &path))?;
        if made == 1 {
            return Ok((version, key));
        }
        // Another thread was first: its key is the tenant's.
        self.pseudonym_keys(tenant)?.pop().ok_or_else(|| self.broken("lost a pseudonym key"))
    }

    fn unwrap_data_key(&self, name: &DataKeyName, id: &[u8; 16], wrapped: &[u8]) -> Result<DataKey, StoreError> {
        let key = self.wrapper.unwrap(&name.purpose(id), wrapped).ok_or_else(|| self.foreign())?;
        Ok(DataKey { id: *id, key })
    }

    fn remember(&self, names: &[DataKeyName], keys: &[DataKey]) {
        let mut cache = self.data_keys.write().unwrap_or_else(PoisonError::into_inner);
        if cache.len().saturating_add(names.len()) > DATA_KEYS_CACHED_MAX {
            cache.clear();
        }
        cache.extend(names.iter().cloned().zip(keys.iter().cloned()));
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broken(&self, why: &str) -> StoreError {
        StoreError::unusable(&self.paths.key_database(), why)
    }

    fn foreign(&self) -> StoreError {
        let why = "holds a key that `keys/kek` does not open: put back the `kek` it was made with";
        StoreError::unusable(&self.paths.key_database(), why)
    }
}

fn find(connection: &Connection, name: &DataKeyName) -> rusqlite::Result<Option<([u8; 16], Vec<u8>)>> {
    connection
        .prepare_cached(
            "SELECT id, wrapped FROM data_key
             WHERE tenant = ?1 AND retention = ?2 AND section = ?3 AND subject = ?4 AND month = ?5",
        )?
        .query_row(params![name.tenant, name.retention, name.section, name.subject, name.month], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()
}

fn insert(connection: &Connection, name: &DataKeyName, id: &[u8; 16], wrapped: &[u8]) -> rusqlite::Result<usize> {
    connection.prepare_cached("INSERT INTO data_key VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(params![
        id,
        name.tenant,
        name.retention,
        name.section,
        name.subject,
        name.month,
        wrapped
    ])
}

/// What a key is for, as associated data: each part behind its length, so that no two purposes spell the same.
fn purpose(kind: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut out = b"sealgate/wrapped-key/v1\n".to_vec();
    for part in std::iter::once(&kind).chain(parts) {
        out.extend_from_slice(&(part.len() as u64).to_be_bytes());
        out.extend_from_slice(part);
    }
    out
}

fn wrapper(paths: &Paths, kek: &[u8]) -> Result<Wrapper, StoreError> {
    Wrapper::new(kek)
        .ok_or_else(|| StoreError::unusable(&paths.kek(), "must hold exactly 32 bytes: put back the original"))
}

fn new_kek(paths: &Paths) -> Result<Vec<u8>, StoreError> {
    let kek = random_array::<32>().to_vec();
    let disk: &dyn Disk = &RealDisk;
    files::replace(disk, &paths.kek(), &kek)?;
    Ok(kek)
}

fn missing_kek(paths: &Paths) -> StoreError {
    let why = "is missing, and keys were made under it: put it back from your backup";
    StoreError::unusable(&paths.kek(), why)
}

/// Data keys held in memory: 65,536 x about 350 bytes = 22 MiB; when it is full it starts anew.
const DATA_KEYS_CACHED_MAX: usize = 65_536;
