//! From a request's credential to its principal.

use http::HeaderMap;

use super::place::{Place, credential};
use super::store::TokenStore;
use crate::types::{Principal, Reason, Timestamp};

/// Proves callers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Authenticator {
    tokens: TokenStore,
}

impl Authenticator {
    /// Proves callers by client tokens.
    pub fn new(tokens: TokenStore) -> Self {
        Authenticator { tokens }
    }

    /// Who presents these headers and this query at `now`, of whatever tenant: the caller compares that with the
    /// route's, so that a refusal's record can name who was refused.
    ///
    /// # Errors
    /// The reason to refuse: `identity.*`, or `gateway.error` where the token store cannot be asked.
    pub fn identify(
        &self,
        headers: &HeaderMap,
        query: Option<&str>,
        place: Place,
        now: Timestamp,
    ) -> Result<Principal, Reason> {
        let token = credential(headers, query, place)?;
        let found = self.tokens.find(&token).map_err(|error| {
            tracing::error!(%error, "callers are refused: the token store cannot be asked");
            Reason::GatewayError
        })?;
        let entry = found.ok_or(Reason::IdentityInvalid)?;
        if entry.revoked {
            return Err(Reason::IdentityInvalid);
        }
        if entry.expires.is_some_and(|end| end <= now) {
            return Err(Reason::IdentityExpired);
        }
        Ok(entry.principal)
    }
}
