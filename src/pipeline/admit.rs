//! Step 1: a parsed HTTP head becomes a case: an id, a clock reading, a pinned snapshot, a route.

use std::sync::Arc;

use http::request::Parts;
use http::{Method, Request, header};
use hyper::body::Incoming;

use crate::env::{Stopwatch, random_array};
use crate::identity::Place;
use crate::record::Micros;
use crate::types::{Reason, RequestId, Timestamp};
use crate::vendor::{Dialect, DialectId, Operation, Refusal, dialect};

use super::gate::{Gate, Snapshot};
use super::route::Route;

/// What every step of one request carries.
pub(super) struct Case {
    pub(super) gate: Arc<Gate>,
    pub(super) pinned: Arc<Snapshot>,
    pub(super) id: RequestId,
    pub(super) time: Timestamp,
    pub(super) watch: Stopwatch,
    pub(super) micros: Micros,
    pub(super) route: Option<Arc<Route>>,
    pub(super) dialect: &'static dyn Dialect,
    pub(super) operation: Operation,
    pub(super) refusal: Option<Refusal>,
}

impl Case {
    /// Refuses the request unless something refused it before; `message` holds no text of the request.
    pub(super) fn refuse(&mut self, reason: Reason, message: impl Into<String>) {
        if self.refusal.is_none() {
            self.refusal = Some(self.refusal_of(reason, message));
        }
    }

    /// A refusal of this request.
    pub(super) fn refusal_of(&self, reason: Reason, message: impl Into<String>) -> Refusal {
        Refusal::of(reason, self.id).saying(message)
    }

    /// Where the caller's Sealgate credential stands.
    pub(super) fn place(&self) -> Place {
        let own = self.route.as_ref().is_some_and(|route| route.caller_credential);
        if own { Place::SealgateHeader } else { Place::Usual }
    }

    /// The route's name, or `none`.
    pub(super) fn route_name(&self) -> Arc<str> {
        self.route.as_ref().map_or_else(|| crate::types::NONE.into(), |route| route.name.clone())
    }

    /// The route's vendor, or `none`.
    pub(super) fn vendor_name(&self) -> Arc<str> {
        self.route.as_ref().map_or_else(|| crate::types::NONE.into(), |route| route.vendor.clone())
    }
}

/// A request with its case.
pub(super) struct Admitted {
    pub(super) case: Case,
    pub(super) parts: Parts,
    pub(super) body: Incoming,
    /// Path below the route.
    pub(super) rest: String,
}

/// Takes a request in. Never fails: what is wrong with it becomes its refusal.
pub(super) fn admit(gate: Arc<Gate>, request: Request<Incoming>) -> Admitted {
    let watch = Stopwatch::start();
    let time = gate.parts.clock.now();
    let (parts, body) = request.into_parts();
    let found = gate.parts.routes.find(parts.uri.path());
    let (route, rest) = found.map_or((None, String::new()), |(route, rest)| (Some(route), rest.to_owned()));
    let (dialect, operation) = match &route {
        Some(route) => route.operation(&parts.method, &rest),
        None => (dialect(guessed(parts.uri.path())), Operation::UNKNOWN),
    };
    let mut case = Case {
        id: RequestId::new(time.unix_millis(), random_array()),
        pinned: gate.snapshot(),
        gate,
        time,
        watch,
        micros: Micros::default(),
        route,
        dialect,
        operation,
        refusal: None,
    };
    if case.gate.is_draining() {
        case.refuse(Reason::GatewayDraining, "the gateway is shutting down; try again");
    }
    if case.route.is_none() {
        case.refuse(
            Reason::RouteUnknown,
            "no route has this path; the gateway's routes are listed in its configuration",
        );
    }
    if asks_to_upgrade(&parts) {
        case.refuse(
            Reason::RequestUpgrade,
            "upgrades such as WebSocket cannot be scanned and are refused; use plain HTTP",
        );
    }
    Admitted { case, parts, body, rest }
}

/// Whether another protocol is asked for. `h2c` is only an offer that RFC 9110 section 7.8 lets a server pass over.
fn asks_to_upgrade(parts: &Parts) -> bool {
    let asked =
        parts.headers.get_all(header::UPGRADE).iter().any(|value| !value.as_bytes().eq_ignore_ascii_case(b"h2c"));
    asked || parts.method == Method::CONNECT
}

/// Whose error shape a caller on an unknown path most likely reads.
fn guessed(path: &str) -> DialectId {
    if path.ends_with("/messages") { DialectId::Anthropic } else { DialectId::OpenAi }
}
