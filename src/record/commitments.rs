//! Commitments: proofs of what a body was, for whoever is shown the section, and nobody else.
//!
//! Under a random key of the record: HMAC-SHA256 of `"sealgate/body/v1\n"` and the body as it travelled (after
//! transfer decoding, before content decoding); and per text part, in document order, the first 16 bytes of HMAC of
//! `"sealgate/part/v1\n" pointer "\n" byte length "\n" text`. At most [`PARTS_MAX`] parts a body, the rest counted.

use aws_lc_rs::hmac::{self, Context, HMAC_SHA256, Key};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::env::random_array;

use super::hex;
use super::section::{BodyCommitment, CommitmentsSection, new_salt};

/// Parts committed to in one body: 512 × 16 bytes, 11 KiB in base64, so two bodies fit a sections line.
pub const PARTS_MAX: usize = 512;
/// Bytes kept of a part's HMAC.
const PART_TAG: usize = 16;

/// Which of the four bodies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// The request the caller sent.
    Received,
    /// The request the vendor got, where it differs.
    Forwarded,
    /// The answer the vendor gave, where it differs from the delivered one.
    Answered,
    /// The answer the caller got.
    Delivered,
}

/// Builds the commitments section of one record.
pub struct Commitments {
    key: Key,
    section: CommitmentsSection,
}

impl Default for Commitments {
    fn default() -> Self {
        Self::new()
    }
}

impl Commitments {
    /// With a fresh key and salt.
    pub fn new() -> Self {
        Self::with_key(&random_array(), new_salt())
    }

    /// With a given key and salt, for vectors and for proving.
    pub fn with_key(key: &[u8; 32], salt: String) -> Self {
        let section = CommitmentsSection {
            answered: None,
            delivered: None,
            forwarded: None,
            key: hex::encode(key),
            received: None,
            salt,
        };
        Commitments { key: Key::new(HMAC_SHA256, key), section }
    }

    /// Starts on a body; feed it as it streams.
    pub fn body(&self) -> BodyCommitter {
        let mut whole = Context::with_key(&self.key);
        whole.update(b"sealgate/body/v1\n");
        BodyCommitter { whole, key: self.key.clone(), tags: Vec::new(), more: 0 }
    }

    /// Puts a finished body in its place.
    pub fn set(&mut self, which: Body, done: BodyCommitment) {
        let place = match which {
            Body::Received => &mut self.section.received,
            Body::Forwarded => &mut self.section.forwarded,
            Body::Answered => &mut self.section.answered,
            Body::Delivered => &mut self.section.delivered,
        };
        *place = Some(done);
    }

    /// The section.
    pub fn finish(self) -> CommitmentsSection {
        self.section
    }
}

/// Commits to one body, fed in pieces.
pub struct BodyCommitter {
    whole: Context,
    key: Key,
    tags: Vec<u8>,
    more: u64,
}

impl BodyCommitter {
    /// The next bytes of the body.
    pub fn update(&mut self, bytes: &[u8]) {
        self.whole.update(bytes);
    }

    /// The next text part, in document order: decoded UTF-8 text at an RFC 6901 pointer.
    pub fn part(&mut self, pointer: &str, text: &str) {
        if self.tags.len() >= PARTS_MAX * PART_TAG {
            self.more += 1;
            return;
        }
        let tag = part_tag(&self.key, pointer, text);
        self.tags.extend(tag.as_ref().iter().take(PART_TAG));
    }

    /// The commitment.
    pub fn finish(self) -> BodyCommitment {
        let whole = self.whole.sign();
        BodyCommitment { body: hex::encode(whole.as_ref()), more: self.more, parts: STANDARD.encode(self.tags) }
    }
}

fn part_tag(key: &Key, pointer: &str, text: &str) -> hmac::Tag {
    let mut context = Context::with_key(key);
    context.update(b"sealgate/part/v1\n");
    context.update(pointer.as_bytes());
    context.update(format!("\n{}\n", text.len()).as_bytes());
    context.update(text.as_bytes());
    context.sign()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_can_be_proven_and_the_rest_is_counted() {
        let commitments = Commitments::with_key(&[1; 32], "00".repeat(16));
        let mut body = commitments.body();
        body.update(b"he");
        body.update(b"llo");
        (0..PARTS_MAX + 3).for_each(|n| body.part("/a", &n.to_string()));
        let done = body.finish();
        let whole = hmac::sign(&commitments.key, b"sealgate/body/v1\nhello");
        assert_eq!(done.body, hex::encode(whole.as_ref()));
        assert_eq!(done.more, 3);
        let first = hmac::sign(&commitments.key, b"sealgate/part/v1\n/a\n1\n0");
        let tags = STANDARD.decode(done.parts).expect("base64");
        assert_eq!(tags[..16], first.as_ref()[..16]);
        assert_eq!(tags.len(), PARTS_MAX * 16);
    }
}
