//! Pseudonyms: how a person or program appears in heads.

use aws_lc_rs::hmac;

use super::hex;

/// `hmac-sha256:<version>:<hex>` over JCS `["sealgate/subject/v1", issuer, subject]` under the tenant's key.
pub fn pseudonym(key: &[u8; 32], version: u32, issuer: &str, subject: &str) -> String {
    // An array of strings written compactly is its canonical form: serde_json escapes as RFC 8785 does.
    let message = serde_json::to_vec(&("sealgate/subject/v1", issuer, subject)).unwrap_or_default();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &message);
    format!("hmac-sha256:{version}:{}", hex::encode(tag.as_ref()))
}
