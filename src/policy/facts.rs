//! What a caller of this room must know about a request, an answer or an admin's wish.

use std::sync::Arc;

use crate::types::{Class, Coverage, Label, Mode, PrincipalKind, Timestamp};

/// Distinct tool names in one request; a request with more is denied before the rules are asked.
pub const TOOLS_MAX: usize = 512;

/// The roles the default bundle's admin rules speak of, and `user`: what the first start's token is given.
pub const ADMIN_ROLES: &[&str] = &["analyst", "auditor", "dpo", "operator", "user"];

/// What is known of a request when it is decided.
#[derive(Clone, Debug)]
pub struct RequestFacts {
    /// The caller's pseudonym: names the Cedar entity, never recorded as a fact.
    pub subject: Arc<str>,
    /// Human, service, agent or unauthenticated.
    pub kind: PrincipalKind,
    /// Roles in effect.
    pub roles: Vec<Arc<str>>,
    /// The caller's tenant.
    pub tenant: Arc<str>,
    /// The route's name.
    pub route: Arc<str>,
    /// Enforce or observe.
    pub mode: Mode,
    /// The route's risk word from the configuration.
    pub risk: Arc<str>,
    /// The vendor's id in the configuration.
    pub vendor: Arc<str>,
    /// Whether the route, vendor or model is suspended.
    pub suspended: bool,
    /// The model as asked for; `none` where the operation names none, `unlisted` where it may not be shown.
    pub model: Arc<str>,
    /// Whether that name may be shown: registered, and the scanner finds nothing in it.
    pub model_registered: bool,
    /// The operation, from the dialect's closed list.
    pub operation: Arc<str>,
    /// Whether the dialect knows it.
    pub operation_known: bool,
    /// Names of the tools offered; those the scanner found something in come as `unlisted`.
    pub tools: Vec<Arc<str>>,
    /// The request's label, as [`PolicySet::label`](super::PolicySet::label) gives it.
    pub label: Label,
    /// The route's floor.
    pub floor: Label,
    /// Classes found.
    pub classes: Vec<Class>,
    /// How much was scanned.
    pub coverage: Coverage,
    /// Kind of each attachment, from the dialect's closed list.
    pub attachments: Vec<Arc<str>>,
    /// Whether every finding that would have to be replaced can be.
    pub redactable: bool,
    /// Whether placeholders could be used.
    pub tokenizable: bool,
    /// The one clock reading of this record.
    pub time: Timestamp,
    /// Whether the caller acts for somebody else.
    pub on_behalf_of: bool,
    /// Whether a stream was asked for.
    pub streamed: bool,
}

/// What is known of an answer (so far, in a stream) when it is decided.
#[derive(Clone, Debug)]
pub struct AnswerFacts {
    /// The caller's pseudonym: names the Cedar entity, never recorded as a fact.
    pub subject: Arc<str>,
    /// Human, service, agent or unauthenticated.
    pub kind: PrincipalKind,
    /// Roles in effect.
    pub roles: Vec<Arc<str>>,
    /// The caller's tenant.
    pub tenant: Arc<str>,
    /// The route's name.
    pub route: Arc<str>,
    /// Enforce or observe.
    pub mode: Mode,
    /// The route's risk word from the configuration.
    pub risk: Arc<str>,
    /// The vendor's id in the configuration.
    pub vendor: Arc<str>,
    /// The model as asked for; `none` where the operation names none, `unlisted` where it may not be shown.
    pub model: Arc<str>,
    /// The model the vendor says it used; `none` or `unlisted` likewise.
    pub model_served: Arc<str>,
    /// The operation, from the dialect's closed list.
    pub operation: Arc<str>,
    /// Whether the dialect knows it.
    pub operation_known: bool,
    /// Names of the tools called; those the scanner found something in come as `unlisted`.
    pub tools: Vec<Arc<str>>,
    /// The answer's label.
    pub label: Label,
    /// The route's floor.
    pub floor: Label,
    /// Classes found.
    pub classes: Vec<Class>,
    /// How much was scanned.
    pub coverage: Coverage,
    /// Whether every finding that would have to be replaced can be.
    pub redactable: bool,
    /// The one clock reading of this record.
    pub time: Timestamp,
    /// Whether the caller acts for somebody else.
    pub on_behalf_of: bool,
    /// Whether it is asked while the stream runs.
    pub in_stream: bool,
    /// Whether bytes have gone out already.
    pub sent: bool,
}

/// Who wants to do something with the records or the policy.
#[derive(Clone, Debug)]
pub struct AdminFacts {
    /// The caller's pseudonym.
    pub subject: Arc<str>,
    /// Human, service, agent or unauthenticated.
    pub kind: PrincipalKind,
    /// Roles in effect.
    pub roles: Vec<Arc<str>>,
    /// The caller's tenant.
    pub tenant: Arc<str>,
    /// Whose records.
    pub of_tenant: Arc<str>,
    /// The clock reading.
    pub time: Timestamp,
}
