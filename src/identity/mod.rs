//! Who is asking: from a credential to a proven `Principal`.
//!
//! Guarantees:
//! - **One credential, one caller.** It is read wherever an SDK puts its key; an empty place counts as absent, two
//!   different credentials are refused, and so is a token of another tenant than the route's.
//! - **Nothing to steal.** A token is 32 random bytes; only its SHA-256 (FIPS 180-4) is kept, in memory and on disk,
//!   and neither is ever shown. Look-up is by that hash: its time tells nothing about any token.
//! - **At once.** A token created or revoked in this process counts from the next request on; one changed by another
//!   process within a second.
//! - **Nothing leaks on.** [`strip_credentials`] takes every place a Sealgate credential may have come in out of the
//!   request before it is forwarded, and every `sealgate-*` header.

mod authenticate;
mod dev;
mod place;
mod sqlite;
mod store;
mod token;

pub use authenticate::Authenticator;
pub use dev::{DevToken, dev_token};
pub use place::{Place, SEALGATE_AUTHORIZATION, strip_credentials};
pub use store::{ISSUER, TokenStore};
pub use token::{NewToken, TokenError, TokenInfo};

#[cfg(test)]
mod tests;
