//! Finding a person's pseudonym by name, without the index holding a name.
//!
//! For each name an identity section gives (the issuer's name for the caller, the display name), the index
//! keeps HMAC-SHA256 under the store's index key, beside the pseudonym's number. Who has the file alone learns
//! no name and cannot test a guess; who has the keys asks one question at a time. Rows go with the erasure of
//! the person, and a rebuild cannot bring them back: the section's data key is gone by then.

use std::collections::HashSet;
use std::fmt;

use aws_lc_rs::hmac;
use rusqlite::{Connection, params};

use super::log::Entry;
use super::slim::Slim;
use crate::types::Sensitive;

/// The names in one identity section.
pub type SectionNames = Vec<Sensitive<String>>;

/// Opens the identity section of a record line: `(generation, record line, sections line) -> names`, `None`
/// where its key is not to be had.
pub type OpenIdentity = Box<dyn Fn(u32, &[u8], &[u8]) -> Option<SectionNames> + Send>;

/// What it takes to learn and to look up names.
pub struct Names {
    key: hmac::Key,
    open: OpenIdentity,
    /// Rows known to be there, to save writes; cleared at [`KNOWN_MAX`].
    known: HashSet<([u8; 16], i64)>,
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Names([hidden])")
    }
}

impl Names {
    /// Digests under `index_key`; sections are opened by `open`.
    pub fn new(index_key: &[u8; 32], open: OpenIdentity) -> Self {
        Names { key: hmac::Key::new(hmac::HMAC_SHA256, index_key), open, known: HashSet::new() }
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

    /// Stores the digests of a decision's names.
    pub(super) fn learn(
        &mut self,
        conn: &Connection,
        entry: &Entry,
        head: &Slim<'_>,
        subject: i64,
    ) -> rusqlite::Result<()> {
        let (Some(_), Some(sections)) = (&head.sections.identity, &entry.sections) else { return Ok(()) };
        for name in (self.open)(entry.place.generation, &entry.line, sections).unwrap_or_default() {
            let digest = self.digest(name.expose());
            if self.known.len() >= KNOWN_MAX {
                self.known.clear();
            }
            if self.known.insert((digest, subject)) {
                conn.prepare_cached("INSERT OR IGNORE INTO names(digest, subject) VALUES (?1, ?2)")?
                    .execute(params![digest, subject])?;
            }
        }
        Ok(())
    }

    /// Forgets what is known to be stored, after rows were deleted.
    pub(super) fn forget(&mut self) {
        self.known.clear();
    }

    /// The pseudonyms that go by this name in a database.
    pub(super) fn find(&self, conn: &Connection, name: &str) -> rusqlite::Result<Vec<String>> {
        let sql = "SELECT t.value FROM names n JOIN terms t ON t.id = n.subject WHERE n.digest = ?1";
        conn.prepare_cached(sql)?.query_map([self.digest(name)], |row| row.get(0))?.collect()
    }
}

/// Rows remembered, 24 bytes each.
const KNOWN_MAX: usize = 200_000;
