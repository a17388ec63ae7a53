//! A client token: what it stands for, and what of it may be shown.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::env::{random_array, random_hex};
use crate::types::{Digest, PrincipalKind, Sensitive, Timestamp};

/// What a new token is to stand for. Also the body of the control socket's request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// A name for people: what the token is for.
    pub name: String,
    /// Whom it speaks for: the principal's subject.
    pub user: String,
    /// Roles it carries.
    pub roles: Vec<String>,
    /// The tenant it belongs to.
    pub tenant: String,
    /// Human, service or agent.
    pub kind: PrincipalKind,
    /// When it ends, if ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
}

impl NewToken {
    /// Refuses what could not be told apart, shown or recorded; sorts the roles.
    ///
    /// # Errors
    /// When a field is not acceptable.
    pub fn checked(mut self) -> Result<Self, TokenError> {
        for (field, value) in [("name", &self.name), ("user", &self.user)] {
            let fits = (1..=TEXT_BYTES_MAX).contains(&value.trim().len()) && !value.chars().any(char::is_control);
            if !fits {
                return Err(TokenError::Text { field });
            }
        }
        if !is_word(&self.tenant) {
            return Err(TokenError::Word { field: "tenant" });
        }
        if self.roles.len() > ROLES_MAX || !self.roles.iter().all(|role| is_word(role)) {
            return Err(TokenError::Word { field: "role" });
        }
        if self.kind == PrincipalKind::Unauthenticated {
            return Err(TokenError::Kind);
        }
        self.roles.sort();
        self.roles.dedup();
        Ok(self)
    }
}

/// Roles and tenants stand in record heads and in policy.
fn is_word(text: &str) -> bool {
    (1..=WORD_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

/// What may be shown of a token: neither the token nor its hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenInfo {
    /// Public id.
    pub id: String,
    /// What it is for.
    pub name: String,
    /// Whom it speaks for.
    pub user: String,
    /// Roles, sorted.
    pub roles: Vec<String>,
    /// The tenant.
    pub tenant: String,
    /// Human, service or agent.
    pub kind: PrincipalKind,
    /// When it was made.
    pub created: Timestamp,
    /// When it ends, if ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// When it was revoked, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked: Option<Timestamp>,
}

impl TokenInfo {
    pub(super) fn of(new: NewToken, created: Timestamp) -> Self {
        TokenInfo {
            id: format!("tok_{}", random_hex::<8>()),
            name: new.name,
            user: new.user,
            roles: new.roles,
            tenant: new.tenant,
            kind: new.kind,
            created,
            expires: new.expires,
            revoked: None,
        }
    }
}

/// `sg_` and 32 random bytes in base64url (RFC 4648 section 5), unpadded: 256 bits, 46 characters.
pub(super) fn fresh() -> Sensitive<String> {
    Sensitive::new(format!("sg_{}", URL_SAFE_NO_PAD.encode(random_array::<32>())))
}

/// What is kept of a token.
pub(super) fn hash(token: &str) -> Digest {
    Digest::of(token.as_bytes())
}

/// Why a token could not be made, listed or revoked.
#[derive(Debug, Error)]
pub enum TokenError {
    /// A free text is empty, too long or holds control characters.
    #[error("the token's {field} has to be 1 to 128 bytes of text without control characters")]
    Text {
        /// Which.
        field: &'static str,
    },
    /// A tenant or role is not a plain word, or there are too many.
    #[error("a {field} is 1 to 64 letters, digits, `.`, `_` or `-`; a token carries at most 32 roles")]
    Word {
        /// Which.
        field: &'static str,
    },
    /// The kind is none a token can have.
    #[error("a token's kind is `human`, `service` or `agent`")]
    Kind,
    /// No token has this id.
    #[error("no token has the id `{0}`: `sealgate token list` shows them")]
    Unknown(String),
    /// The token store on disk failed.
    #[error("the token store `{path}` cannot be used: {why}")]
    Store {
        /// The file.
        path: String,
        /// The cause.
        why: String,
    },
}

/// Bytes in a name or user.
const TEXT_BYTES_MAX: usize = 128;
/// Bytes in a tenant or role.
const WORD_BYTES_MAX: usize = 64;
/// Roles of one token: they stand in every head.
const ROLES_MAX: usize = 32;
