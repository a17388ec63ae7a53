//! Step 2: the caller's credential becomes a principal, or the reason why not.

use http::request::Parts;
use hyper::body::Incoming;

use crate::env::Stopwatch;
use crate::types::{Principal, Reason};

use super::admit::{Admitted, Case};

/// A request whose caller is known, or known to be unproven.
pub(super) struct Identified {
    pub(super) case: Case,
    pub(super) parts: Parts,
    pub(super) body: Incoming,
    pub(super) rest: String,
    pub(super) principal: Option<Principal>,
}

impl Admitted {
    /// Authenticates the caller. On an unknown route any tenant's credential is taken, for the record's sake.
    pub(super) fn identify(self) -> Identified {
        let Admitted { mut case, parts, body, rest } = self;
        let watch = Stopwatch::start();
        let identity = &case.gate.parts.identity;
        let proven = identity.identify(&parts.headers, parts.uri.query(), case.place(), case.time);
        let principal = match proven {
            Ok(principal) => Some(principal),
            Err(reason) => {
                case.refuse(reason, explanation(reason));
                None
            }
        };
        let foreign =
            case.route.as_ref().zip(principal.as_ref()).is_some_and(|(route, who)| route.tenant != who.tenant);
        if foreign {
            case.refuse(Reason::AuthzTenant, explanation(Reason::AuthzTenant));
        }
        case.micros.identify = watch.micros();
        Identified { case, parts, body, rest, principal }
    }
}

/// What to do about each way of not being somebody.
fn explanation(reason: Reason) -> &'static str {
    match reason {
        Reason::IdentityMissing => "no credential: put your Sealgate token where the SDK puts its API key",
        Reason::IdentityExpired => "this token has expired: ask for a new one (`sealgate token new`)",
        Reason::IdentityConflict => "two different credentials were presented: send exactly one",
        Reason::AuthzTenant => "this token belongs to another tenant than this route",
        _ => "this credential was not issued by this gateway, or was revoked",
    }
}
