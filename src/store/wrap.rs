//! Keys wrapped by the key-encryption key: AES-256-GCM (NIST SP 800-38D), random 96-bit nonce in front, and what
//! the key is for as associated data, so that a wrapped key moved to another row does not open.
//!
//! Random nonces under one key are good for 2^32 wraps (SP 800-38D section 8.3); one key a person, section and month
//! stays far below.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

use crate::env::random_array;

/// The key-encryption key.
pub(super) struct Wrapper {
    key: LessSafeKey,
}

impl std::fmt::Debug for Wrapper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wrapper([hidden])")
    }
}

impl Wrapper {
    /// From the 32 bytes of `keys/kek`; `None` if they are not 32.
    pub(super) fn new(kek: &[u8]) -> Option<Wrapper> {
        let key = UnboundKey::new(&AES_256_GCM, kek).ok()?;
        Some(Wrapper { key: LessSafeKey::new(key) })
    }

    /// Wraps 32 bytes for `purpose`.
    pub(super) fn wrap(&self, purpose: &[u8], plain: &[u8; 32]) -> Option<Vec<u8>> {
        let nonce = random_array::<NONCE_LEN>();
        let mut sealed = plain.to_vec();
        let aad = Aad::from(purpose);
        self.key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), aad, &mut sealed).ok()?;
        let mut out = nonce.to_vec();
        out.append(&mut sealed);
        Some(out)
    }

    /// Unwraps what [`Wrapper::wrap`] made for the same purpose under the same key.
    pub(super) fn unwrap(&self, purpose: &[u8], wrapped: &[u8]) -> Option<[u8; 32]> {
        let (nonce, sealed) = wrapped.split_at_checked(NONCE_LEN)?;
        let mut buffer = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let plain = self.key.open_in_place(nonce, Aad::from(purpose), &mut buffer).ok()?;
        <[u8; 32]>::try_from(&*plain).ok()
    }
}
