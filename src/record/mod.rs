//! The record format, version 1 (DESIGN section 4): what is written, byte for byte, and how it is checked.
//!
//! What the reader may rely on: everything here is a pure function of its arguments (salts and keys come in
//! from outside or from `env`). What is written is canonical (RFC 8785) and carries no text a caller or a
//! vendor chose; what is read is refused unless writing it again gives the same bytes. Signatures are Ed25519
//! (RFC 8032), made by aws-lc-rs and checked strictly by ed25519-dalek; the tree is RFC 6962's; checkpoints
//! are C2SP tlog-checkpoints in C2SP signed notes; sections are AES-256-GCM under HKDF-SHA256 keys.
//!
//! Not here: files, durability, order of commits (`ledger`), where data keys live (`store`), queries (`index`).

mod canonical;
mod codec;
pub mod commitments;
mod draft;
pub mod event;
mod head;
mod hex;
mod key;
mod line;
pub mod note;
mod pseudonym;
pub mod section;
pub mod tree;
pub mod verify;

pub use canonical::{CanonicalError, check_canonical};
pub use codec::{Head, HeadError};
pub use draft::Draft;
pub use head::{
    Bytes, CompletionHead, DecisionHead, EventHead, Kind, Micros, Retention, SectionRef, SectionRefs, Usage,
};
pub use key::{KeyError, KeyId, PublicKey, Signer, VerifierKey, vkey};
pub use line::{
    LINE_RECORD_MAX, LINE_SECTIONS_MAX, Line, LineError, RecordLine, SectionsLine, checkpoint_line, handover_input,
    leaf_hash, record_line, sections_line, signing_input,
};
pub use note::{Checkpoint, SignedNote};
pub use pseudonym::pseudonym;
pub use section::{CommitmentsSection, ContentSection, DataKey, Finding, IdentitySection, Sealed};

/// Version of the record format, `v` in every head.
pub const VERSION: u8 = 1;
