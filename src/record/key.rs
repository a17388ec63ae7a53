//! Ed25519 keys: aws-lc-rs signs, ed25519-dalek verifies (strict, one at a time), ids and verifier key strings.
//!
//! A key id is the first 32 hex digits of SHA-256 of the raw public key. A verifier key string is C2SP
//! signed-note's: `<name>+<8 hex digits>+<base64 of 0x01 and the raw key>`.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::VerifyingKey;

use crate::types::Digest;

use super::hex;

/// Signature type byte of Ed25519 in C2SP signed-note.
const NOTE_ED25519: u8 = 1;
const PEM_BEGIN: &str = "-----BEGIN PRIVATE KEY-----";
const PEM_END: &str = "-----END PRIVATE KEY-----";

/// What is wrong with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The signing library refused.
    #[error("the key could not be made")]
    Unavailable,
    /// Not a PEM file with one PKCS#8 Ed25519 private key.
    #[error("not a PKCS#8 PEM file with one Ed25519 private key")]
    Private,
    /// Not 32 bytes that are a point of the curve.
    #[error("not an Ed25519 public key")]
    Public,
    /// Not a verifier key string.
    #[error("not a verifier key: expected `<name>+<8 hex digits>+<base64>`, as `sealgate key show` prints it")]
    Vkey,
    /// The signature is not this key's over these bytes.
    #[error("the signature does not verify")]
    Signature,
}

/// A private key. Debug shows only its id.
pub struct Signer {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl Signer {
    /// A new random key.
    pub fn generate() -> Result<Self, KeyError> {
        Self::from_pair(Ed25519KeyPair::generate().map_err(|_| KeyError::Unavailable)?)
    }

    /// The key of a 32-byte seed (RFC 8032 section 5.1.5); for tests and published vectors.
    pub fn from_seed(seed: &[u8; 32]) -> Result<Self, KeyError> {
        Self::from_pair(Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| KeyError::Private)?)
    }

    /// Reads PKCS#8 (RFC 5208, RFC 8410) from PEM.
    pub fn from_pem(pem: &str) -> Result<Self, KeyError> {
        let body = pem.trim().strip_prefix(PEM_BEGIN).and_then(|rest| rest.strip_suffix(PEM_END));
        let body: String = body.ok_or(KeyError::Private)?.chars().filter(|c| !c.is_ascii_whitespace()).collect();
        let der = STANDARD.decode(body).map_err(|_| KeyError::Private)?;
        Self::from_pair(Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).map_err(|_| KeyError::Private)?)
    }

    /// Writes PKCS#8 version 1 as PEM, as `openssl pkey` reads it.
    pub fn to_pem(&self) -> Result<String, KeyError> {
        let der = self.pair.to_pkcs8v1().map_err(|_| KeyError::Unavailable)?;
        let body = STANDARD.encode(der.as_ref());
        let mut pem = format!("{PEM_BEGIN}\n");
        for (at, letter) in body.chars().enumerate() {
            if at > 0 && at % 64 == 0 {
                pem.push('\n');
            }
            pem.push(letter);
        }
        Ok(format!("{pem}\n{PEM_END}\n"))
    }

    fn from_pair(pair: Ed25519KeyPair) -> Result<Self, KeyError> {
        let raw: [u8; 32] = pair.public_key().as_ref().try_into().map_err(|_| KeyError::Public)?;
        Ok(Signer { public: PublicKey::from_raw(&raw)?, pair })
    }

    /// Signs `message`.
    pub fn sign(&self, message: &[u8]) -> [u8; 64] {
        let mut out = [0u8; 64];
        let signature = self.pair.sign(message);
        for (slot, byte) in out.iter_mut().zip(signature.as_ref()) {
            *slot = *byte;
        }
        out
    }

    /// The public half.
    pub fn public(&self) -> &PublicKey {
        &self.public
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public.id())
    }
}

/// A public key, already decompressed.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    key: VerifyingKey,
    id: KeyId,
}

impl PublicKey {
    /// From the raw 32 bytes.
    pub fn from_raw(raw: &[u8; 32]) -> Result<Self, KeyError> {
        let key = VerifyingKey::from_bytes(raw).map_err(|_| KeyError::Public)?;
        Ok(PublicKey { key, id: KeyId::of(raw) })
    }

    /// From base64 of the raw bytes, as in `key.certified`.
    pub fn from_base64(text: &str) -> Result<Self, KeyError> {
        let raw = STANDARD.decode(text).map_err(|_| KeyError::Public)?;
        Self::from_raw(&raw.try_into().map_err(|_| KeyError::Public)?)
    }

    /// The raw 32 bytes.
    pub fn raw(&self) -> &[u8; 32] {
        self.key.as_bytes()
    }

    /// Base64 of the raw bytes.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.raw())
    }

    /// The key's id.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Checks a signature strictly: no small-order keys, no second spelling of a signature.
    pub fn verify(&self, message: &[u8], signature: &[u8; 64]) -> Result<(), KeyError> {
        let signature = ed25519_dalek::Signature::from_bytes(signature);
        self.key.verify_strict(message, &signature).map_err(|_| KeyError::Signature)
    }

    /// The first four bytes of SHA-256(name, newline, 0x01, key): how a note names this key under `name`.
    pub fn note_hash(&self, name: &str) -> [u8; 4] {
        let digest = Digest::of_parts(&[name.as_bytes(), b"\n", &[NOTE_ED25519], self.raw()]).0;
        let [a, b, c, d, ..] = digest;
        [a, b, c, d]
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id)
    }
}

/// The first 16 bytes of SHA-256 of a raw public key, spelled as 32 hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; 16]);

impl KeyId {
    /// The id of a raw public key.
    pub fn of(raw: &[u8; 32]) -> Self {
        let mut id = [0u8; 16];
        for (slot, byte) in id.iter_mut().zip(Digest::of(raw).0) {
            *slot = byte;
        }
        KeyId(id)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for KeyId {
    type Err = &'static str;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        hex::decode(text).map(KeyId).ok_or("a key id is 32 lower-case hex digits")
    }
}

/// The verifier key string of `key` under `name` (a checkpoint's origin).
pub fn vkey(name: &str, key: &PublicKey) -> String {
    let mut typed = vec![NOTE_ED25519];
    typed.extend_from_slice(key.raw());
    format!("{name}+{}+{}", hex::encode(&key.note_hash(name)), STANDARD.encode(typed))
}

/// A verifier key string, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    /// The name it vouches under.
    pub name: String,
    /// The key.
    pub key: PublicKey,
}

impl FromStr for VerifierKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        // Base64 may hold `+`, a name may not: split from the left.
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(_), Some(typed)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(KeyError::Vkey);
        };
        let typed = STANDARD.decode(typed).map_err(|_| KeyError::Vkey)?;
        let Some((&NOTE_ED25519, raw)) = typed.split_first() else { return Err(KeyError::Vkey) };
        let key = PublicKey::from_raw(raw.try_into().map_err(|_| KeyError::Vkey)?).map_err(|_| KeyError::Vkey)?;
        if vkey(name, &key) == text.trim() {
            Ok(VerifierKey { name: name.to_owned(), key })
        } else {
            Err(KeyError::Vkey)
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&vkey(&self.name, &self.key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_8032_test_1() {
        let seed = hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60").expect("hex");
        let signer = Signer::from_seed(&seed).expect("seed");
        let public = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
        assert_eq!(hex::encode(signer.public().raw()), public);
        let signature = signer.sign(b"");
        assert!(hex::encode(&signature).starts_with("e5564300c360ac729086e2cc806e828a"));
        assert_eq!(signer.public().verify(b"", &signature), Ok(()));
        assert_eq!(signer.public().verify(b"x", &signature), Err(KeyError::Signature));
    }

    #[test]
    fn pem_and_vkey_read_back() {
        let signer = Signer::generate().expect("key");
        let again = Signer::from_pem(&signer.to_pem().expect("pem")).expect("reads");
        assert_eq!(again.public(), signer.public());
        let text = vkey("gate/1", signer.public());
        let read: VerifierKey = text.parse().expect("vkey");
        assert_eq!((read.name.as_str(), &read.key), ("gate/1", signer.public()));
        assert!(text.replace("gate/1", "gate/2").parse::<VerifierKey>().is_err());
        assert_eq!(format!("{signer:?}"), format!("Signer({})", signer.public().id()));
    }

    #[test]
    fn the_published_vkey_of_the_go_sumdb_reads() {
        let text = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8";
        let read: VerifierKey = text.parse().expect("a C2SP verifier key");
        assert_eq!(read.to_string(), text);
    }
}
