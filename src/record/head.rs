//! Heads: the signed, clear part of a record. Fields are declared in canonical (bytewise) order, so that writing
//! a struct compactly gives its RFC 8785 bytes; a test holds that order against a canonicaliser.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::types::{
    AnswerOutcome, AnswerVerdict, AuthMethod, Class, Coverage, Digest, Fact, Label, Mode, PolicyRef, PrincipalKind,
    Reason, RecordId, RequestId, RequestOutcome, RequestVerdict, Status, Timestamp, spelled,
};

spelled! {
    /// What a record tells of.
    Kind {
        /// What was decided about a request, before anything was sent.
        Decision = "decision",
        /// How the request ended.
        Completion = "completion",
        /// A process began to write.
        Boot = "boot",
        /// A process ended in order.
        Shutdown = "shutdown",
        /// Every 60 s: the lowest open decision, the clock.
        Heartbeat = "heartbeat",
        /// What recovery set aside.
        Recovered = "recovered",
        /// The log key vouches for an epoch key.
        KeyCertified = "key.certified",
        /// A key's use is over.
        KeyRetired = "key.retired",
        /// A client token was made.
        TokenCreated = "token.created",
        /// A client token was revoked.
        TokenRevoked = "token.revoked",
        /// A policy bundle took effect.
        PolicyActivated = "policy.activated",
        /// A policy bundle was refused.
        PolicyRejected = "policy.rejected",
        /// The configuration differs from the last boot's.
        ConfigChanged = "config.changed",
        /// A vendor was used for the first time in this log.
        VendorFirstSeen = "vendor.first_seen",
        /// A registered model was used for the first time in this log.
        ModelFirstSeen = "model.first_seen",
        /// A route, vendor or model was stopped.
        SuspendOn = "suspend.on",
        /// It was let go again.
        SuspendOff = "suspend.off",
        /// Something unusual began.
        AnomalyRaised = "anomaly.raised",
        /// It ended.
        AnomalyResolved = "anomaly.resolved",
        /// An alert went out.
        AlertSent = "alert.sent",
        /// Somebody read records.
        AccessQuery = "access.query",
        /// Somebody exported records.
        AccessExport = "access.export",
        /// A population was fixed for sampling.
        PopulationFrozen = "population.frozen",
        /// A sample was drawn.
        SampleDrawn = "sample.drawn",
        /// Data keys expired and were destroyed.
        RetentionPruned = "retention.pruned",
        /// Data keys of a person were destroyed.
        Erasure = "erasure",
        /// The clock jumped.
        ClockStepped = "clock.stepped",
        /// The disk was full.
        LogFull = "log.full",
        /// Refusals recorded as counts.
        Refusals = "refusals",
    }
}

/// Where a section's key and bytes are to be found and what they must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SectionRef {
    /// Data key id, 32 hex digits.
    pub key: String,
    /// SHA-256 of `"sealgate/section/v1\n"` and the section's canonical bytes.
    pub plain: Digest,
    /// SHA-256 of ciphertext and tag.
    pub sealed: Digest,
}

/// Sections by name (`commitments`, `content`, `identity`).
pub type SectionRefs = BTreeMap<String, SectionRef>;

/// How long a record is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Preset name (AUDIT 5.7).
    pub class: Arc<str>,
    /// The first instant at which it may go.
    pub until: Timestamp,
}

/// Head of a `decision`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionHead {
    /// Pseudonym of the one acted for, or `none`.
    pub actor: Arc<str>,
    /// How the caller proved itself.
    pub auth: AuthMethod,
    /// Classes found in the request, sorted.
    pub classes: Vec<Class>,
    /// How much of the request was scanned.
    pub coverage: Coverage,
    /// Digest of the detectors in use.
    pub detectors: Digest,
    /// `sync` or `none`.
    pub durability: Arc<str>,
    /// Every non-personal variable policy read.
    pub facts: BTreeMap<String, Fact>,
    /// This record's id.
    pub id: RecordId,
    /// `decision`.
    pub kind: Kind,
    /// Label of the request.
    pub label: Label,
    /// Enforce or observe.
    pub mode: Mode,
    /// Model asked for, `unlisted` or `none`.
    pub model: Arc<str>,
    /// From the dialect's closed list, or `unknown`.
    pub operation: Arc<str>,
    /// What was done.
    pub outcome: RequestOutcome,
    /// The bundle that decided.
    pub policy: PolicyRef,
    /// Human, service, agent or unauthenticated.
    pub principal: PrincipalKind,
    /// The primary reason.
    pub reason: Reason,
    /// The request's id.
    pub request: RequestId,
    /// How long this is kept.
    pub retention: Retention,
    /// Roles in effect, sorted.
    pub roles: Vec<Arc<str>>,
    /// Route name, or `none`.
    pub route: Arc<str>,
    /// Ids of the deciding rules, sorted.
    pub rules: Vec<Arc<str>>,
    /// Its sealed sections.
    pub sections: SectionRefs,
    /// Pseudonym of the caller, or `none`.
    pub subject: Arc<str>,
    /// Made by the gateway's own self-test.
    pub synthetic: bool,
    /// Tenant, or `none`.
    pub tenant: Arc<str>,
    /// The one clock reading this decision used.
    pub time: Timestamp,
    /// W3C trace id, where one was given that the scanner finds nothing in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
    /// How many values were cut or left out to fit.
    pub truncated: u64,
    /// Format version, 1.
    pub v: u8,
    /// Vendor id, or `none`.
    pub vendor: Arc<str>,
    /// What policy concluded.
    pub verdict: RequestVerdict,
}

/// Tokens counted by the vendor; absent where it did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Usage {
    /// Tokens of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input: Option<u64>,
    /// Tokens of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
}

/// Body sizes in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bytes {
    /// Answer body received from the vendor.
    pub answered: u64,
    /// Answer body delivered to the caller.
    pub delivered: u64,
    /// Request body sent to the vendor; 0 = nothing left.
    pub forwarded: u64,
    /// Request body received from the caller.
    pub received: u64,
}

/// Durations in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Micros {
    /// Policy, both directions.
    pub decide: u64,
    /// Identity.
    pub identify: u64,
    /// Reading the request body.
    pub read: u64,
    /// Waiting for the ledger (the decision; the completion's own wait cannot be in itself).
    pub record: u64,
    /// Scanning, both directions.
    pub scan: u64,
    /// From admission to the making of this head.
    pub total: u64,
    /// Waiting for the vendor.
    pub upstream: u64,
}

/// Head of a `completion`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompletionHead {
    /// Body sizes.
    pub bytes: Bytes,
    /// Classes found in the answer, sorted.
    pub classes: Vec<Class>,
    /// How much of the answer was scanned.
    pub coverage: Coverage,
    /// Index of the decision, same generation.
    pub decision: u64,
    /// Digest of the detectors in use.
    pub detectors: Digest,
    /// Every non-personal variable policy read about the answer.
    pub facts: BTreeMap<String, Fact>,
    /// HTTP status given to the caller; 0 = none.
    pub http_status: u16,
    /// This record's id.
    pub id: RecordId,
    /// `completion`.
    pub kind: Kind,
    /// Label of the answer.
    pub label: Label,
    /// Durations.
    pub micros: Micros,
    /// Enforce or observe.
    pub mode: Mode,
    /// Model the vendor says it served, `unlisted` or `none`.
    pub model_served: Arc<str>,
    /// What was done with the answer.
    pub outcome: AnswerOutcome,
    /// The bundle that decided.
    pub policy: PolicyRef,
    /// The primary reason.
    pub reason: Reason,
    /// The request's id.
    pub request: RequestId,
    /// Ids of the deciding rules, sorted.
    pub rules: Vec<Arc<str>>,
    /// Its sealed sections.
    pub sections: SectionRefs,
    /// How the request ended.
    pub status: Status,
    /// The clock reading this record used.
    pub time: Timestamp,
    /// How many values were cut or left out to fit.
    pub truncated: u64,
    /// Tokens the vendor counted.
    pub usage: Usage,
    /// Format version, 1.
    pub v: u8,
    /// What policy concluded about the answer.
    pub verdict: AnswerVerdict,
}

/// Head of every other kind: `id, kind, time, v, sections` and the kind's own fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventHead {
    /// This record's id.
    pub id: RecordId,
    /// Any kind but `decision` and `completion`.
    pub kind: Kind,
    /// When.
    pub time: Timestamp,
    /// Its sealed sections.
    pub sections: SectionRefs,
    /// The kind's own fields, listed in `ARCHITECTURE.md`.
    pub fields: BTreeMap<String, Fact>,
}

impl EventHead {
    /// An event with no fields yet.
    pub fn new(kind: Kind, id: RecordId, time: Timestamp) -> Self {
        EventHead { id, kind, time, sections: SectionRefs::new(), fields: BTreeMap::new() }
    }

    /// Adds one field.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Fact>) -> Self {
        self.fields.insert(name.to_owned(), value.into());
        self
    }
}
