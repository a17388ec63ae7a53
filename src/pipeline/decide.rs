//! Step 5: policy decides, on recorded facts only.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;

use crate::env::Stopwatch;
use crate::policy::RequestFacts;
use crate::scan;
use crate::types::{Fact, Mode, NONE, Principal, Reason, RequestOutcome, RequestVerdict, UNLISTED};
use crate::vendor::Refusal;

use super::admit::Case;
use super::classify::{Classified, Seen};
use super::read::RequestBody;

/// A request with its decision.
pub(super) struct Decided {
    pub(super) case: Case,
    pub(super) parts: Parts,
    pub(super) rest: String,
    pub(super) principal: Option<Principal>,
    pub(super) subject: Arc<str>,
    pub(super) body: RequestBody,
    pub(super) seen: Seen,
    pub(super) ruling: Ruling,
}

/// What was concluded and what is done.
pub(super) struct Ruling {
    pub(super) verdict: RequestVerdict,
    pub(super) outcome: RequestOutcome,
    pub(super) mode: Mode,
    pub(super) reason: Reason,
    pub(super) rules: Vec<Arc<str>>,
    pub(super) facts: BTreeMap<String, Fact>,
    /// Model as it may stand in the head.
    pub(super) model: Arc<str>,
    /// The redacted body, where the outcome is `redacted`.
    pub(super) redacted: Option<Bytes>,
}

impl Classified {
    /// Asks policy, unless something refused the request before.
    pub(super) fn decide(self) -> Decided {
        let Classified { mut case, parts, rest, principal, body, seen } = self;
        let watch = Stopwatch::start();
        let subject = subject(&mut case, principal.as_ref());
        let model = listed_model(&case, &seen);
        let mut ruling = match (&case.refusal, &principal) {
            (Some(refusal), _) => refused(&case, refusal, model),
            (None, Some(principal)) => ruled(&case, principal, &subject, &seen, model),
            (None, None) => unreachable_identity(&case, model),
        };
        if let Some(refusal) = carry_out(&case, &mut ruling, &seen, &body) {
            case.refusal.get_or_insert(refusal);
        }
        case.micros.decide += watch.micros();
        Decided { case, parts, rest, principal, subject, body, seen, ruling }
    }
}

/// The pseudonym of the caller, or `none`; a key store that cannot give a key refuses the request.
fn subject(case: &mut Case, principal: Option<&Principal>) -> Arc<str> {
    let Some(principal) = principal else { return NONE.into() };
    match case.gate.parts.keys.pseudonym_key(&principal.tenant) {
        Ok((version, key)) => {
            crate::record::pseudonym(&key, version, &principal.issuer, principal.subject.expose()).into()
        }
        Err(_) => {
            case.refuse(Reason::LedgerUnavailable, "the key store cannot be read; the operator's log says why");
            NONE.into()
        }
    }
}

/// The model's name where the bundle registers it and the scanner finds nothing in it.
fn listed_model(case: &Case, seen: &Seen) -> Arc<str> {
    let Some(model) = &seen.view.model else { return NONE.into() };
    listed(case, model).unwrap_or_else(|| UNLISTED.into())
}

/// A model name that may stand in a head (DESIGN section 4), or `None`.
pub(super) fn listed(case: &Case, model: &str) -> Option<Arc<str>> {
    let registered = case.pinned.policy.registers_model(&case.vendor_name(), model);
    (registered && case.pinned.scanner.is_clean(model)).then(|| model.into())
}

fn refused(case: &Case, refusal: &Refusal, model: Arc<str>) -> Ruling {
    Ruling {
        verdict: RequestVerdict::Deny,
        outcome: RequestOutcome::Denied,
        mode: case.route.as_ref().map_or(Mode::Enforce, |route| route.mode),
        reason: refusal.reason,
        rules: Vec::new(),
        facts: BTreeMap::new(),
        model,
        redacted: None,
    }
}

/// No principal and no refusal cannot happen; if it does, it is refused.
fn unreachable_identity(case: &Case, model: Arc<str>) -> Ruling {
    refused(case, &case.refusal_of(Reason::IdentityMissing, "no credential"), model)
}

fn ruled(case: &Case, principal: &Principal, subject: &str, seen: &Seen, model: Arc<str>) -> Ruling {
    let Some(route) = &case.route else {
        return refused(case, &case.refusal_of(Reason::RouteUnknown, "no route"), model);
    };
    let policy = &case.pinned.policy;
    let tools = seen.view.tools.iter().map(|tool| {
        let fit = policy.registers_tool(tool) && case.pinned.scanner.is_clean(tool);
        if fit { Arc::from(tool.as_str()) } else { Arc::from(UNLISTED) }
    });
    let decision = policy.request(&RequestFacts {
        subject: subject.into(),
        kind: principal.kind,
        roles: principal.roles.to_vec(),
        tenant: route.tenant.clone(),
        route: route.name.clone(),
        mode: route.mode,
        vendor: route.vendor.clone(),
        suspended: false,
        model_registered: *model != *UNLISTED,
        model: model.clone(),
        operation: case.operation.name.into(),
        operation_known: case.operation.known,
        tools: tools.collect(),
        label: seen.label,
        floor: route.label,
        classes: seen.classes.clone(),
        coverage: seen.coverage,
        attachments: seen.view.attachments.iter().map(|attachment| attachment.kind.into()).collect(),
        redactable: redactable(case, seen),
        tokenizable: false,
        time: case.time,
        on_behalf_of: false,
        risk: route.risk.clone(),
        streamed: seen.view.stream,
    });
    let outcome = match decision.verdict {
        RequestVerdict::Send => RequestOutcome::Allowed,
        RequestVerdict::SendRedacted => RequestOutcome::Redacted,
        RequestVerdict::SendTokenized | RequestVerdict::Deny => RequestOutcome::Denied,
    };
    let RuledBy { reason, rules, facts } =
        RuledBy { reason: decision.reason, rules: decision.rules, facts: decision.facts };
    Ruling { verdict: decision.verdict, outcome, mode: route.mode, reason, rules, facts, model, redacted: None }
}

/// The parts of a decision that go into the record as they are.
struct RuledBy {
    reason: Reason,
    rules: Vec<Arc<str>>,
    facts: BTreeMap<String, Fact>,
}

/// Whether everything that policy would have replaced can be replaced.
fn redactable(case: &Case, seen: &Seen) -> bool {
    let vendor = case.vendor_name();
    let above = |class: &crate::types::Class| case.pinned.policy.redacts(class, &vendor);
    seen.path_findings.iter().all(|finding| !above(&finding.class))
        && seen.findings.iter().filter(|finding| above(&finding.class)).all(|finding| finding.is_redactable())
}

/// Turns the verdict into what is done: observe mode, the vendor's credential, the redaction itself.
fn carry_out(case: &Case, ruling: &mut Ruling, seen: &Seen, body: &RequestBody) -> Option<Refusal> {
    if case.refusal.is_some() {
        return None;
    }
    if ruling.outcome == RequestOutcome::Denied || ruling.outcome == RequestOutcome::Redacted {
        let observes = ruling.mode == Mode::Observe && case.pinned.policy.permits_observe();
        if observes && !never_observed(ruling.reason) {
            ruling.outcome = RequestOutcome::Allowed;
        }
    }
    let keyless = case.route.as_ref().is_some_and(|route| !case.gate.parts.upstreams.has_credential(&route.vendor));
    if ruling.outcome != RequestOutcome::Denied && keyless {
        ruling.outcome = RequestOutcome::Denied;
        ruling.reason = Reason::VendorNoCredential;
        let message =
            "the gateway holds no credential for this vendor; its operator sets it (`credential` of the vendor)";
        return Some(case.refusal_of(Reason::VendorNoCredential, message));
    }
    match ruling.outcome {
        RequestOutcome::Denied => Some(case.refusal_of(ruling.reason, denial(ruling, seen))),
        RequestOutcome::Redacted => {
            let vendor = case.vendor_name();
            let chosen: Vec<&scan::Finding> =
                seen.findings.iter().filter(|finding| case.pinned.policy.redacts(&finding.class, &vendor)).collect();
            ruling.redacted = Some(scan::redact(&body.plain, &chosen).into());
            None
        }
        _ => None,
    }
}

/// Observe mode never covers a failure of identity, ledger, policy or scanner (DESIGN section 5).
pub(super) fn never_observed(reason: Reason) -> bool {
    let failure = matches!(
        reason,
        Reason::PolicyError
            | Reason::PolicySuspended
            | Reason::PolicyExpired
            | Reason::PolicyNotYetValid
            | Reason::RequestUnscannable
            | Reason::AnswerUnscannable
            | Reason::ScanError
            | Reason::LedgerUnavailable
            | Reason::RouteUnknown
    );
    failure || reason.as_str().starts_with("identity.") || reason == Reason::AuthzTenant
}

/// One line for the developer: what policy said, by which rules, what to do.
fn denial(ruling: &Ruling, seen: &Seen) -> String {
    let opaque = seen.view.attachments.iter().find(|attachment| !attachment.scannable);
    let rules = if ruling.rules.is_empty() {
        "no rule permits it".to_owned()
    } else {
        format!("rules: {}", ruling.rules.join(", "))
    };
    let advice = match ruling.reason {
        Reason::DlpSecret => "the request holds a secret; remove it, and rotate it if it is real",
        Reason::DlpPan => "the request holds a payment card number where it cannot be redacted; remove it",
        Reason::DlpPii => "the request holds personal data where it cannot be redacted; remove it",
        Reason::OperationUnknown => "this operation is not one the gateway knows how to read",
        Reason::ModelNotApproved => "this model is not registered for the vendor",
        Reason::VendorNotApproved => "this vendor is not approved",
        Reason::RequestUnscannable => match opaque.map(|attachment| attachment.kind) {
            Some("image") => "it holds an image, which cannot be scanned; the policy owner can permit that",
            Some("audio") => "it holds audio, which cannot be scanned; the policy owner can permit that",
            Some("document" | "file") => "it holds a file that cannot be scanned; the policy owner can permit that",
            Some(_) => "it holds an attachment that cannot be scanned; the policy owner can permit that",
            None => "part of the request cannot be scanned",
        },
        Reason::ClassOverCeiling => "the request's label is above what this vendor may see",
        _ => "policy refuses this request",
    };
    format!("{advice} ({rules})")
}
