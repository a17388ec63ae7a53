//! Checkpoints: C2SP tlog-checkpoint as the text of a C2SP signed-note.
//!
//! The text is `<origin>\n<size>\n<base64 root>\n`; then an empty line; then one line a signature,
//! `— <name> <base64 of 4-byte key hash and signature>`. What is read here is refused unless writing it again
//! gives the same bytes; extension lines are not used by version 1 and refused.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::types::Digest;

use super::key::{KeyError, PublicKey, Signer};

/// Most signatures on one note: the log key, and room for witnesses.
const SIGNATURES_MAX: usize = 16;

/// What a checkpoint says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// `<gateway name>/<generation>`.
    pub origin: String,
    /// Number of records.
    pub size: u64,
    /// RFC 6962 root over them.
    pub root: Digest,
}

/// Why a text is not a signed checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not the form, or not the one spelling of it.
    #[error("not a signed checkpoint in its one spelling")]
    Form,
    /// No signature of the key asked for, or one that does not verify.
    #[error("the checkpoint is not signed by the key that should have signed it")]
    Signature,
}

impl From<KeyError> for NoteError {
    fn from(_: KeyError) -> Self {
        NoteError::Signature
    }
}

impl Checkpoint {
    /// The text that is signed.
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root.0))
    }

    /// Reads the text of a note; refuses another spelling.
    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.split_terminator('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let root = STANDARD.decode(root).ok()?.try_into().ok()?;
        let checkpoint = Checkpoint { origin: origin.to_owned(), size: size.parse().ok()?, root: Digest(root) };
        (is_name(origin) && checkpoint.text() == text).then_some(checkpoint)
    }
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// Key name; for the log's own keys the origin.
    pub name: String,
    /// First four bytes of the key's note hash.
    pub hash: [u8; 4],
    /// Signature bytes.
    pub signature: Vec<u8>,
}

/// A checkpoint with its signatures, read but not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedNote {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// Who signed, in order.
    pub signatures: Vec<NoteSignature>,
}

/// Signs a checkpoint with each key, under the origin as key name.
pub fn sign(checkpoint: &Checkpoint, signers: &[&Signer]) -> String {
    let text = checkpoint.text();
    let mut note = format!("{text}\n");
    for signer in signers {
        let mut bytes = signer.public().note_hash(&checkpoint.origin).to_vec();
        bytes.extend_from_slice(&signer.sign(text.as_bytes()));
        push_signature(&mut note, &checkpoint.origin, &bytes);
    }
    note
}

fn push_signature(note: &mut String, name: &str, bytes: &[u8]) {
    // Writing to a string cannot fail.
    let _ = writeln!(note, "\u{2014} {name} {}", STANDARD.encode(bytes));
}

impl SignedNote {
    /// Reads a note strictly.
    pub fn parse(note: &str) -> Result<Self, NoteError> {
        let (text, rest) = note.split_once("\n\n").ok_or(NoteError::Form)?;
        let checkpoint = Checkpoint::parse(&format!("{text}\n")).ok_or(NoteError::Form)?;
        let signatures: Option<Vec<_>> = rest.split_terminator('\n').map(parse_signature).collect();
        let signatures = signatures.ok_or(NoteError::Form)?;
        let read = SignedNote { checkpoint, signatures };
        let fits = (1..=SIGNATURES_MAX).contains(&read.signatures.len());
        if fits && read.to_text() == note { Ok(read) } else { Err(NoteError::Form) }
    }

    /// The note's text again.
    pub fn to_text(&self) -> String {
        let mut note = format!("{}\n", self.checkpoint.text());
        for line in &self.signatures {
            let bytes = [line.hash.as_slice(), line.signature.as_slice()].concat();
            push_signature(&mut note, &line.name, &bytes);
        }
        note
    }

    /// Checks that `key` signed under the origin. Signatures of other keys are not looked at.
    pub fn verify(&self, key: &PublicKey) -> Result<(), NoteError> {
        let origin = &self.checkpoint.origin;
        let hash = key.note_hash(origin);
        let line = self.signatures.iter().find(|line| line.name == *origin && line.hash == hash);
        let signature = line.and_then(|line| <&[u8; 64]>::try_from(line.signature.as_slice()).ok());
        Ok(key.verify(self.checkpoint.text().as_bytes(), signature.ok_or(NoteError::Signature)?)?)
    }

    /// Checks that `key` signed and nobody else did: what lies beside the log must be all checkable.
    pub fn verify_only(&self, key: &PublicKey) -> Result<(), NoteError> {
        if self.signatures.len() == 1 { self.verify(key) } else { Err(NoteError::Signature) }
    }
}

fn parse_signature(line: &str) -> Option<NoteSignature> {
    let (name, encoded) = line.strip_prefix("\u{2014} ")?.split_once(' ')?;
    let bytes = STANDARD.decode(encoded).ok()?;
    let (hash, signature) = bytes.split_at_checked(4)?;
    is_name(name).then_some(())?;
    Some(NoteSignature { name: name.to_owned(), hash: hash.try_into().ok()?, signature: signature.to_vec() })
}

/// A key name or origin: not empty, no spaces, no `+` (C2SP signed-note).
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c == '+' || c.is_whitespace() || c.is_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_only() {
        let (signer, other) = (Signer::from_seed(&[1; 32]).expect("key"), Signer::from_seed(&[2; 32]).expect("key"));
        let checkpoint = Checkpoint { origin: "gate/1".into(), size: 7, root: Digest::of(b"x") };
        let text = sign(&checkpoint, &[&signer]);
        let note = SignedNote::parse(&text).expect("reads");
        assert_eq!(note.checkpoint, checkpoint);
        assert_eq!(note.verify_only(signer.public()), Ok(()));
        assert_eq!(note.verify(other.public()), Err(NoteError::Signature));
        let two = SignedNote::parse(&sign(&checkpoint, &[&signer, &other])).expect("reads");
        assert_eq!((two.verify(other.public()), two.verify_only(signer.public())), (Ok(()), Err(NoteError::Signature)));
        let respelled = [
            text.replace("\n7\n", "\n07\n"),
            text.replace("\n7\n", "\n+7\n"),
            text.replace("gate/1\n7", "gate/1 \n7"),
            text.trim_end().to_owned(),
            format!("{text}\n"),
            text.replace("\n\n", "\nmore\n\n"),
            text.replace("\u{2014}", "-"),
        ];
        for respelled in respelled {
            assert!(SignedNote::parse(&respelled).is_err(), "{respelled}");
        }
    }
}
