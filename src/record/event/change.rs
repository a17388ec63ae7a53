//! Changes: tokens, policy, configuration, vendors and models seen, suspensions, anomalies and alerts.

use std::sync::Arc;

use crate::record::head::{EventHead, Kind};
use crate::types::{Digest, Fact, PolicyRef, PrincipalKind, RequestId, Timestamp};

use super::{By, Stamp, map, number, texts};

/// A client token as its event tells of it: no name, no user.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    /// The token's public id.
    pub id: &'a str,
    /// Pseudonym of its user.
    pub subject: &'a str,
    /// Its tenant.
    pub tenant: &'a str,
    /// What kind of caller it makes.
    pub principal: PrincipalKind,
    /// Roles it gives, sorted.
    pub roles: &'a [Arc<str>],
    /// When it ends.
    pub expires: Option<Timestamp>,
}

/// `token.created`: `token` (id), `subject`, `tenant`, `principal`, `roles[]`, `expires?`, `by`.
pub fn token_created(stamp: Stamp, token: &Token<'_>, by: By<'_>) -> EventHead {
    stamp
        .event(Kind::TokenCreated)
        .with("token", token.id)
        .with("subject", token.subject)
        .with("tenant", token.tenant)
        .with("principal", token.principal.as_str())
        .with("roles", texts(token.roles))
        .with_some("expires", token.expires.map(|time| time.to_string()))
        .with("by", by)
}

/// `token.revoked`: `token` (id), `subject`, `tenant`, `by`.
pub fn token_revoked(stamp: Stamp, token: &str, subject: &str, tenant: &str, by: By<'_>) -> EventHead {
    stamp.event(Kind::TokenRevoked).with("token", token).with("subject", subject).with("tenant", tenant).with("by", by)
}

fn policy(reference: &PolicyRef) -> Fact {
    map([
        ("digest", Fact::from(reference.digest.to_string())),
        ("name", Fact::from(&*reference.name)),
        ("version", Fact::from(&*reference.version)),
    ])
}

/// `policy.activated`: `policy` {`digest, name, version`}, `detectors`, `previous?` (same shape as `policy`), `by`.
pub fn policy_activated(
    stamp: Stamp,
    now: &PolicyRef,
    detectors: &Digest,
    previous: Option<&PolicyRef>,
    by: By<'_>,
) -> EventHead {
    stamp
        .event(Kind::PolicyActivated)
        .with("policy", policy(now))
        .with("detectors", detectors.to_string())
        .with_some("previous", previous.map(policy))
        .with("by", by)
}

/// Why a bundle was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyFault {
    /// It does not load.
    Malformed,
    /// One of its cases fails.
    Cases,
    /// Its signature is missing or wrong.
    Signature,
    /// It is outside its validity.
    Validity,
    /// Its detectors do not build.
    Detectors,
}

impl PolicyFault {
    const fn as_str(self) -> &'static str {
        match self {
            PolicyFault::Malformed => "malformed",
            PolicyFault::Cases => "cases",
            PolicyFault::Signature => "signature",
            PolicyFault::Validity => "validity",
            PolicyFault::Detectors => "detectors",
        }
    }
}

/// `policy.rejected`: `digest` (of the bundle refused), `why` (`malformed`, `cases`, `signature`, `validity`,
/// `detectors`), `faults` (count), `by`.
pub fn policy_rejected(stamp: Stamp, digest: &Digest, why: PolicyFault, faults: u64, by: By<'_>) -> EventHead {
    stamp
        .event(Kind::PolicyRejected)
        .with("digest", digest.to_string())
        .with("why", why.as_str())
        .with("faults", faults)
        .with("by", by)
}

/// `config.changed`: `config` (digest now), `previous` (digest before).
pub fn config_changed(stamp: Stamp, config: &Digest, previous: &Digest) -> EventHead {
    stamp.event(Kind::ConfigChanged).with("config", config.to_string()).with("previous", previous.to_string())
}

/// `vendor.first_seen`: `vendor`, `route`, `request` (the first one).
pub fn vendor_first_seen(stamp: Stamp, vendor: &str, route: &str, request: RequestId) -> EventHead {
    stamp.event(Kind::VendorFirstSeen).with("vendor", vendor).with("route", route).with("request", request.to_string())
}

/// `model.first_seen`: `vendor`, `model` (a registered name), `side` (`asked` or `served`), `request`.
pub fn model_first_seen(stamp: Stamp, vendor: &str, model: &str, side: &'static str, request: RequestId) -> EventHead {
    stamp
        .event(Kind::ModelFirstSeen)
        .with("vendor", vendor)
        .with("model", model)
        .with("side", side)
        .with("request", request.to_string())
}

/// What is suspended; its name comes from the configuration or the bundle.
#[derive(Clone, Copy, Debug)]
pub enum SuspendScope<'a> {
    /// Everything.
    All,
    /// A route.
    Route(&'a str),
    /// A vendor.
    Vendor(&'a str),
    /// A registered model.
    Model(&'a str),
    /// A tenant.
    Tenant(&'a str),
}

fn suspend(stamp: Stamp, kind: Kind, scope: SuspendScope<'_>, by: By<'_>) -> EventHead {
    let (word, name) = match scope {
        SuspendScope::All => ("all", crate::types::NONE),
        SuspendScope::Route(name) => ("route", name),
        SuspendScope::Vendor(name) => ("vendor", name),
        SuspendScope::Model(name) => ("model", name),
        SuspendScope::Tenant(name) => ("tenant", name),
    };
    stamp.event(kind).with("scope", word).with("name", name).with("by", by)
}

/// `suspend.on`: `scope` (`all`, `route`, `vendor`, `model`, `tenant`), `name`, `by`.
pub fn suspend_on(stamp: Stamp, scope: SuspendScope<'_>, by: By<'_>) -> EventHead {
    suspend(stamp, Kind::SuspendOn, scope, by)
}

/// `suspend.off`: as `suspend.on`.
pub fn suspend_off(stamp: Stamp, scope: SuspendScope<'_>, by: By<'_>) -> EventHead {
    suspend(stamp, Kind::SuspendOff, scope, by)
}

/// `anomaly.raised`: `anomaly` (its id: this record's), `rule` (from a closed list), `observed`, `baseline`,
/// `subject?`, `route?`.
pub fn anomaly_raised(
    stamp: Stamp,
    rule: &str,
    observed: i64,
    baseline: i64,
    subject: Option<&str>,
    route: Option<&str>,
) -> EventHead {
    stamp
        .event(Kind::AnomalyRaised)
        .with("anomaly", stamp.id.to_string())
        .with("rule", rule)
        .with("observed", number(observed))
        .with("baseline", number(baseline))
        .with_some("subject", subject)
        .with_some("route", route)
}

/// `anomaly.resolved`: `anomaly` (id), `how` (`ended`, `expected`, `handled`), `by`.
pub fn anomaly_resolved(stamp: Stamp, anomaly: &str, how: &'static str, by: By<'_>) -> EventHead {
    stamp.event(Kind::AnomalyResolved).with("anomaly", anomaly).with("how", how).with("by", by)
}

/// `alert.sent`: `channel` (configured name), `about` (id of the record it tells of), `delivered`, `attempts`.
pub fn alert_sent(stamp: Stamp, channel: &str, about: &str, delivered: bool, attempts: u64) -> EventHead {
    stamp
        .event(Kind::AlertSent)
        .with("channel", channel)
        .with("about", about)
        .with("delivered", delivered)
        .with("attempts", attempts)
}
