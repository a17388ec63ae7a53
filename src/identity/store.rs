//! The tokens in force: the table on disk, and the map every request looks into.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::sqlite::Table;
use super::token::{NewToken, TokenError, TokenInfo, fresh, hash};
use crate::env::{Clock, Stopwatch};
use crate::types::{AuthMethod, Digest, Principal, Sensitive, Timestamp};

/// Client tokens, by hash. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct TokenStore {
    shared: Arc<Shared>,
}

struct Shared {
    /// Owned by whoever writes, and by the check for others' changes.
    disk: Mutex<Disk>,
    /// What requests read. Replaced whole, under the lock of `disk`.
    tokens: RwLock<Arc<HashMap<Digest, Entry>>>,
    clock: Clock,
    started: Stopwatch,
    /// Milliseconds since `started` at which the disk was last looked at.
    looked: AtomicU64,
}

struct Disk {
    table: Table,
    /// The version of the table that `tokens` shows.
    version: i64,
}

/// A token in force or once in force, ready for use.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) principal: Principal,
    pub(super) expires: Option<Timestamp>,
    pub(super) revoked: bool,
}

impl TokenStore {
    /// Opens the store, making it where there is none (mode 0600).
    ///
    /// # Errors
    /// When the file cannot be used.
    pub fn open(path: &Path, clock: Clock) -> Result<Self, TokenError> {
        let table = Table::open(path)?;
        let disk = Disk { version: table.version()?, table };
        let tokens = entries(&disk.table)?;
        Ok(TokenStore {
            shared: Arc::new(Shared {
                disk: Mutex::new(disk),
                tokens: RwLock::new(Arc::new(tokens)),
                clock,
                started: Stopwatch::start(),
                looked: AtomicU64::new(0),
            }),
        })
    }

    /// Makes a token. It is durable and in force when this returns; the token itself is given here and never again.
    ///
    /// # Errors
    /// When the fields are not acceptable or the disk fails.
    pub fn create(&self, new: NewToken) -> Result<(Sensitive<String>, TokenInfo), TokenError> {
        let token = fresh();
        let info = self.insert(&token, new)?;
        Ok((token, info))
    }

    /// Puts a token that exists already into force (one made elsewhere, or the dev token of an earlier start).
    ///
    /// # Errors
    /// As [`TokenStore::create`]; also when it is in the store already.
    pub fn insert(&self, token: &Sensitive<String>, new: NewToken) -> Result<TokenInfo, TokenError> {
        let info = TokenInfo::of(new.checked()?, self.shared.clock.now());
        let disk = self.disk();
        disk.table.insert(&hash(token.expose()), &info)?;
        self.reload(disk)?;
        Ok(info)
    }

    /// Ends a token. It is refused from the next request on.
    ///
    /// # Errors
    /// When no token has this id, or the disk fails.
    pub fn revoke(&self, id: &str) -> Result<TokenInfo, TokenError> {
        let disk = self.disk();
        let (_, info) = disk.table.revoke(id, self.shared.clock.now())?;
        self.reload(disk)?;
        Ok(info)
    }

    /// Every token, the ended ones too, oldest first.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn list(&self) -> Result<Vec<TokenInfo>, TokenError> {
        Ok(self.disk().table.all()?.into_iter().map(|(_, info)| info).collect())
    }

    /// The public id of this token, if it is in force or once was.
    pub fn id_of(&self, token: &Sensitive<String>) -> Option<String> {
        self.map().get(&hash(token.expose())).map(|entry| entry.principal.credential_id.to_string())
    }

    /// Looks a token up, having noticed what other processes changed until a second ago.
    ///
    /// # Errors
    /// When the disk cannot say whether anything changed: a revocation might be missed.
    pub(super) fn find(&self, token: &str) -> Result<Option<Entry>, TokenError> {
        self.notice_changes()?;
        Ok(self.map().get(&hash(token)).cloned())
    }

    fn notice_changes(&self) -> Result<(), TokenError> {
        let now = u64::try_from(self.shared.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let looked = self.shared.looked.load(Ordering::Acquire);
        if now.saturating_sub(looked) < LOOK_EVERY_MILLIS {
            return Ok(());
        }
        // Held by a writer of this process: what it writes shows when it is done, the rest at the next look.
        let Ok(disk) = self.shared.disk.try_lock() else { return Ok(()) };
        if disk.table.version()? != disk.version {
            self.reload(disk)?;
        }
        // Only after success: while the disk fails, every request asks again and is refused.
        self.shared.looked.store(now, Ordering::Release);
        Ok(())
    }

    /// Shows requests what the table holds now.
    fn reload(&self, mut disk: MutexGuard<'_, Disk>) -> Result<(), TokenError> {
        // Version first: a change between the two reads is then noticed by the next look.
        disk.version = disk.table.version()?;
        let fresh = Arc::new(entries(&disk.table)?);
        *self.shared.tokens.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.shared.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn map(&self) -> Arc<HashMap<Digest, Entry>> {
        Arc::clone(&self.shared.tokens.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for TokenStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenStore").field("tokens", &self.map().len()).finish_non_exhaustive()
    }
}

fn entries(table: &Table) -> Result<HashMap<Digest, Entry>, TokenError> {
    Ok(table.all()?.into_iter().map(|(hash, info)| (hash, entry(info))).collect())
}

fn entry(info: TokenInfo) -> Entry {
    let principal = Principal {
        tenant: info.tenant.into(),
        kind: info.kind,
        auth: AuthMethod::Token,
        issuer: ISSUER.into(),
        subject: Sensitive::new(info.user.into()),
        display: Some(Sensitive::new(info.name.into())),
        credential_id: info.id.into(),
        roles: info.roles.into_iter().map(Arc::from).collect(),
    };
    Entry { principal, expires: info.expires, revoked: info.revoked.is_some() }
}

/// Who vouches for tokens (DESIGN section 4, "Subject").
/// Who vouches for tokens: the first part of their users' pseudonyms.
pub const ISSUER: &str = "sealgate";

/// A change by another process is in force after this long.
const LOOK_EVERY_MILLIS: u64 = 1000;
