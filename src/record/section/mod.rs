//! Sections: the encrypted part of a record, one key per section, bound to the log, the record and the name.
//!
//! What the reader may rely on: `plain` and `sealed` stand in the signed head, so a changed, swapped or missing
//! section is found without any key; destroying the data key destroys the section and nothing else. Each
//! derived key seals exactly one plaintext (a record is sealed once; remade, it takes a new id), which is why
//! the nonce may be zero (NIST SP 800-38D section 8.2.1 asks for uniqueness per key, and there is one message).
//! Sources: DESIGN section 4; HKDF RFC 5869; AES-256-GCM as aws-lc-rs gives it.

mod fields;

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA256, Salt};
use serde::Serialize;

use crate::types::{Digest, Fact, RecordId};

use super::canonical::check_canonical;
use super::{SectionRef, hex};

pub use fields::{
    ACTOR_NONE, ActorInfo, Attachment, BodyCommitment, CommitmentsSection, ContentSection, FREE_TEXT_MAX, Finding,
    IdentitySection, cut, new_salt,
};

/// Section name of [`IdentitySection`].
pub const IDENTITY: &str = "identity";
/// Section name of [`ContentSection`].
pub const CONTENT: &str = "content";
/// Section name of [`CommitmentsSection`].
pub const COMMITMENTS: &str = "commitments";

const PLAIN_LABEL: &[u8] = b"sealgate/section/v1\n";
const KEY_LABEL: &[u8] = b"sealgate/section-key/v1";

/// A data key: seals one section of the records of one (tenant, retention class, subject, month).
#[derive(Clone, PartialEq, Eq)]
pub struct DataKey {
    /// Public id, in heads as 32 hex digits.
    pub id: [u8; 16],
    /// The secret.
    pub key: [u8; 32],
}

impl DataKey {
    /// The id as it stands in heads.
    pub fn id_hex(&self) -> String {
        hex::encode(&self.id)
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({})", self.id_hex())
    }
}

/// A sealed section: what the head says of it, and the bytes for the sections line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// For the head.
    pub reference: SectionRef,
    /// Ciphertext and tag.
    pub bytes: Vec<u8>,
}

/// Why a section cannot be sealed or opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SectionError {
    /// The plaintext does not serialise to canonical JSON: a defect of the gateway.
    #[error("the section is not canonical JSON")]
    Canonical,
    /// A length does not fit, or the library refused.
    #[error("the section could not be encrypted")]
    Seal,
    /// The bytes are not those the head names.
    #[error("the section's bytes are not those the record was signed with")]
    Sealed,
    /// The key does not open it: another data key, record, log or section name.
    #[error("the data key does not open this section")]
    Key,
    /// It opens, but its content is not what the head names.
    #[error("the section's content is not what the record was signed with")]
    Plain,
}

/// Seals `plain` (its canonical bytes: declare fields in canonical order) for one record.
pub fn seal(
    origin: &str,
    record: RecordId,
    name: &str,
    plain: &impl Serialize,
    key: &DataKey,
) -> Result<Sealed, SectionError> {
    let mut bytes = serde_json::to_vec(plain).map_err(|_| SectionError::Canonical)?;
    check_canonical(&bytes).map_err(|_| SectionError::Canonical)?;
    let digest = plain_digest(&bytes);
    let section_key = section_key(origin, record, name, key).ok_or(SectionError::Seal)?;
    section_key.seal_in_place_append_tag(zero_nonce(), Aad::empty(), &mut bytes).map_err(|_| SectionError::Seal)?;
    let reference = SectionRef { key: key.id_hex(), plain: digest, sealed: Digest::of(&bytes) };
    Ok(Sealed { reference, bytes })
}

/// Opens a section and checks it against the head.
pub fn open(
    origin: &str,
    record: RecordId,
    name: &str,
    reference: &SectionRef,
    sealed: &[u8],
    key: &DataKey,
) -> Result<Fact, SectionError> {
    if Digest::of(sealed) != reference.sealed {
        return Err(SectionError::Sealed);
    }
    if key.id_hex() != reference.key {
        return Err(SectionError::Key);
    }
    let section_key = section_key(origin, record, name, key).ok_or(SectionError::Key)?;
    let mut bytes = sealed.to_vec();
    let plain = section_key.open_in_place(zero_nonce(), Aad::empty(), &mut bytes).map_err(|_| SectionError::Key)?;
    if plain_digest(plain) != reference.plain || check_canonical(plain).is_err() {
        return Err(SectionError::Plain);
    }
    serde_json::from_slice(plain).map_err(|_| SectionError::Plain)
}

/// `plain` of a section: SHA-256 of the label and its canonical bytes.
pub fn plain_digest(canonical: &[u8]) -> Digest {
    Digest::of_parts(&[PLAIN_LABEL, canonical])
}

fn zero_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; 12])
}

/// HKDF-SHA256 (RFC 5869), empty salt; info = label, origin, record id, name, each after its u16 length.
fn section_key(origin: &str, record: RecordId, name: &str, key: &DataKey) -> Option<LessSafeKey> {
    let record = record.to_string();
    let mut info = Vec::with_capacity(128);
    for part in [KEY_LABEL, origin.as_bytes(), record.as_bytes(), name.as_bytes()] {
        info.extend_from_slice(&u16::try_from(part.len()).ok()?.to_be_bytes());
        info.extend_from_slice(part);
    }
    let parts = [info.as_slice()];
    let extracted = Salt::new(HKDF_SHA256, &[]).extract(&key.key);
    let mut raw = [0u8; 32];
    extracted.expand(&parts, &AES_256_GCM).ok()?.fill(&mut raw).ok()?;
    Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &raw).ok()?))
}

#[cfg(test)]
mod tests;
