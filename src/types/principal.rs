//! Who is asking.

use std::sync::Arc;

use super::{Sensitive, spelled};

spelled! {
    /// What kind of caller this is.
    PrincipalKind {
        /// A person.
        Human = "human",
        /// A program acting for itself.
        Service = "service",
        /// A program acting on a model's behalf.
        Agent = "agent",
        /// Nobody proved anything.
        Unauthenticated = "unauthenticated",
    }
}

spelled! {
    /// How the caller proved who it is.
    AuthMethod {
        /// A Sealgate client token.
        Token = "token",
        /// A signed JSON Web Token of a configured issuer.
        Jwt = "jwt",
        /// A client certificate.
        Mtls = "mtls",
        /// Not at all.
        None = "none",
    }
}

/// A proven caller. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Principal {
    /// The tenant whose keys seal this caller's sections.
    pub tenant: Arc<str>,
    /// Human, service or agent.
    pub kind: PrincipalKind,
    /// How it was proven.
    pub auth: AuthMethod,
    /// Who vouches: `sealgate` for tokens, the `iss` of a JWT, the CA digest for mTLS.
    pub issuer: Arc<str>,
    /// The issuer's name for the caller: personal data, only in the identity section and the pseudonym.
    pub subject: Sensitive<Arc<str>>,
    /// A display name where one is known (for tokens: the token's name).
    pub display: Option<Sensitive<Arc<str>>>,
    /// The credential's public id (never the credential), e.g. the token's id.
    pub credential_id: Arc<str>,
    /// Roles in effect, sorted.
    pub roles: Arc<[Arc<str>]>,
}
