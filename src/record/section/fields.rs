//! What stands in each section, field by field, in canonical order. Part of version 1.

use serde::{Deserialize, Serialize};

use crate::env::random_hex;
use crate::types::Class;

/// Free text in a section is cut to this many bytes, at a character's end.
pub const FREE_TEXT_MAX: usize = 128;

/// `actor` of a head when nobody acted for somebody else.
pub const ACTOR_NONE: &str = crate::types::NONE;

/// A fresh section salt: 32 hex digits, so that `plain` of a guessable section cannot be guessed.
pub fn new_salt() -> String {
    random_hex::<16>()
}

/// `text` cut to [`FREE_TEXT_MAX`] bytes.
pub fn cut(text: &str) -> String {
    let end = (0..=FREE_TEXT_MAX.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    text.get(..end).unwrap_or_default().to_owned()
}

/// Section `identity`: who a pseudonym is. In decisions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentitySection {
    /// Who was acted for, when the head's `actor` is not `none`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<ActorInfo>,
    /// Client address, cut to its /24 or /48.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Public id of the credential (a token's id, a certificate's digest); never the credential.
    pub credential: String,
    /// Display name, where the issuer gives one (tokens: the token's name).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub display: Option<String>,
    /// Groups the issuer claims, sorted.
    pub groups: Vec<String>,
    /// Who vouches: `sealgate` for tokens, `iss` of a JWT, CA digest for mTLS.
    pub issuer: String,
    /// Roles in effect, sorted.
    pub roles: Vec<String>,
    /// 32 random hex digits.
    pub salt: String,
    /// The issuer's name for the caller (tokens: the user).
    pub subject: String,
}

/// Who was acted for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActorInfo {
    /// Who vouches.
    pub issuer: String,
    /// The issuer's name for the one acted for.
    pub subject: String,
}

/// Findings of one detector at one place, counted; never the matched text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// What was done: `none`, `redacted`, `tokenized`, `denied`, `withheld`, `cut`.
    pub action: String,
    /// Class found.
    pub class: Class,
    /// How many at this place.
    pub count: u64,
    /// Detector id.
    pub detector: String,
    /// 1 (very unlikely) to 5 (very likely).
    pub likelihood: u8,
    /// RFC 6901 pointer of the value, `""` for plain text, cut at 128 bytes.
    pub pointer: String,
    /// Whether a checksum or the like held.
    pub validated: bool,
}

/// A part that is not text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Size in bytes as it stood in the body.
    pub bytes: u64,
    /// Kind, from the dialect's closed list.
    pub kind: String,
    /// Whether it was scanned.
    pub scanned: bool,
}

/// Section `content`: what was found in a request (in its decision) or an answer (in its completion).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContentSection {
    /// Parts that are not text.
    pub attachments: Vec<Attachment>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Finish reason as the vendor spelled it; completions only, cut at 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finish: Option<String>,
    /// Media type of the body, cut at 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<String>,
    /// The model as it was named, when the head says `unlisted`; scanned, cut at 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_raw: Option<String>,
    /// Number of text parts.
    pub parts: u64,
    /// 32 random hex digits.
    pub salt: String,
    /// Whether the answer was asked for, or came, as a stream.
    pub stream: bool,
    /// Names of tools offered or called that the bundle does not register; scanned, each cut at 128 bytes.
    pub tools_raw: Vec<String>,
    /// Entries left out of the lists above to keep the line in its limit.
    pub truncated: u64,
    /// The vendor's request id; completions only, cut at 128 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor_request_id: Option<String>,
}

/// Commitment to one body and its text parts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BodyCommitment {
    /// HMAC-SHA256 of `"sealgate/body/v1\n"` and the body, 64 hex digits.
    pub body: String,
    /// Text parts beyond those committed to.
    pub more: u64,
    /// Base64 of the 16-byte tags of the text parts, in document order, concatenated.
    pub parts: String,
}

/// Section `commitments`: decisions hold `received` (and `forwarded` where it differs), completions `delivered`
/// (and `answered` where it differs).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitmentsSection {
    /// The answer the vendor gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answered: Option<BodyCommitment>,
    /// The answer the caller got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered: Option<BodyCommitment>,
    /// The request the vendor got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<BodyCommitment>,
    /// The record's own HMAC key, 64 hex digits.
    pub key: String,
    /// The request the caller sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<BodyCommitment>,
    /// 32 random hex digits.
    pub salt: String,
}
