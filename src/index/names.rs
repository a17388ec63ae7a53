//! Finding a person's pseudonym by name, without the index holding a name.
//!
//! For each name an identity section gives (the issuer's name for the caller and for the one acted for, the
//! display name), the index keeps HMAC-SHA256 under the store's index key, beside the pseudonym's number. Who has
//! the file alone learns no name and cannot test a guess; who has the keys asks one question at a time. Rows go
//! with the erasure of the person, and a rebuild cannot bring them back: the section's data key is gone by then.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use rusqlite::{Connection, params};

use super::log::Entry;
use super::slim::Slim;
use crate::record::{DataKey, IdentitySection, Line, SectionRef, section};
use crate::store::{KeyStore, Paths, StoreError, files};
use crate::types::{Digest, RecordId};

/// What it takes to learn and to look up names.
pub struct Names {
    key: hmac::Key,
    keys: Arc<KeyStore>,
    /// Gateway name, the first part of every generation's origin.
    gateway: String,
    /// Data keys asked for, `None` = destroyed; forgotten at an erasure and at [`KNOWN_MAX`].
    data_keys: HashMap<String, Option<DataKey>>,
    /// Rows known to be there, to save writes; forgotten likewise.
    known: HashSet<([u8; 16], i64)>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names([hidden])")
    }
}

impl Names {
    /// Names of the log of `data`, whose keys are `keys`.
    ///
    /// # Errors
    /// When the index key or `keys/origin` cannot be read.
    pub fn new(paths: &Paths, keys: Arc<KeyStore>) -> Result<Names, StoreError> {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &keys.index_key()?);
        let gateway = gateway_name(paths)?;
        Ok(Names { key, keys, gateway, data_keys: HashMap::new(), known: HashSet::new() })
    }

    /// The digest of a name: leading and trailing spaces and case do not matter.
    pub(super) fn digest(&self, name: &str) -> [u8; 16] {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(b"sealgate/index-name/v1\n");
        context.update(name.trim().to_lowercase().as_bytes());
        let mut out = [0u8; 16];
        out.iter_mut().zip(context.sign().as_ref()).for_each(|(slot, byte)| *slot = *byte);
        out
    }

    /// The digest of a query, for the record of it: keyed, because a filter may name a person.
    pub fn filter_digest(&self, filter: &[u8]) -> Digest {
        let mut context = hmac::Context::with_key(&self.key);
        context.update(b"sealgate/filter/v1\n");
        context.update(filter);
        let mut out = [0u8; 32];
        out.iter_mut().zip(context.sign().as_ref()).for_each(|(slot, byte)| *slot = *byte);
        Digest(out)
    }

    /// Stores the digests of a decision's names: the caller's beside `subject`, the other's beside `actor`.
    pub(super) fn learn(
        &mut self,
        conn: &Connection,
        entry: &Entry,
        head: &Slim<'_>,
        (subject, actor): (i64, i64),
    ) -> rusqlite::Result<()> {
        let Some(identity) = self.open(entry, head) else { return Ok(()) };
        let mut names = vec![(identity.subject, subject)];
        names.extend(identity.display.map(|display| (display, subject)));
        names.extend(identity.actor.map(|info| (info.subject, actor)));
        for (name, pseudonym) in names {
            let digest = self.digest(&name);
            if self.known.insert((digest, pseudonym)) {
                conn.prepare_cached("INSERT OR IGNORE INTO names(digest, subject) VALUES (?1, ?2)")?
                    .execute(params![digest, pseudonym])?;
            }
        }
        if self.known.len() + self.data_keys.len() >= KNOWN_MAX {
            self.forget();
        }
        Ok(())
    }

    /// Forgets keys, and what is known to be stored, after rows were deleted or a transaction was undone.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.data_keys.clear();
    }

    /// The pseudonyms that go by this name in a database.
    pub(super) fn find(&self, conn: &Connection, name: &str) -> rusqlite::Result<Vec<String>> {
        let sql = "SELECT t.value FROM names n JOIN terms t ON t.id = n.subject WHERE n.digest = ?1";
        conn.prepare_cached(sql)?.query_map([self.digest(name)], |row| row.get(0))?.collect()
    }

    /// The identity section of a decision, where it is there and its key too.
    fn open(&mut self, entry: &Entry, head: &Slim<'_>) -> Option<IdentitySection> {
        let reference = head.sections.identity.as_ref()?;
        let Ok(Line::Sections(sections)) = Line::parse(entry.sections.as_ref()?) else { return None };
        let sealed = sections.sections.get(section::IDENTITY)?;
        let record: RecordId = head.id.parse().ok()?;
        let origin = format!("{}/{}", self.gateway, entry.place.generation);
        let key = self.data_key(reference)?;
        let fact = section::open(&origin, record, section::IDENTITY, reference, sealed, &key).ok()?;
        serde_json::from_slice(&serde_json::to_vec(&fact).ok()?).ok()
    }

    fn data_key(&mut self, reference: &SectionRef) -> Option<DataKey> {
        if let Some(known) = self.data_keys.get(&reference.key) {
            return known.clone();
        }
        let id = key_id(&reference.key)?;
        let key = self.keys.by_id(&id).ok()?;
        self.data_keys.insert(reference.key.clone(), key.clone());
        key
    }
}

/// The first part of the origin: `keys/origin` holds `<gateway name>/<generation>`.
fn gateway_name(paths: &Paths) -> Result<String, StoreError> {
    let text = files::read_if_there(&paths.origin())?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    Ok(text.trim().rsplit_once('/').map_or("", |(name, _)| name).to_owned())
}

/// The bytes of a data key id, 32 hex digits.
fn key_id(hex: &str) -> Option<[u8; 16]> {
    let number = u128::from_str_radix(hex, 16).ok()?;
    (hex.len() == 32).then(|| number.to_be_bytes())
}

/// Entries remembered, about 100 bytes each.
const KNOWN_MAX: usize = 100_000;
