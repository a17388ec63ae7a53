//! Step 6: the decision becomes a durable record; a refused request gets both its records in one commit.

use bytes::Bytes;
use http::Response;
use http::header::CONTENT_TYPE;

use crate::env::{Stopwatch, random_array};
use crate::json::Document;
use crate::record::commitments::{Body, Commitments};
use crate::record::{self, CompletionHead, ContentSection, DecisionHead, Draft, Head, Kind, Retention, Usage, section};
use crate::types::{
    AnswerOutcome, AnswerVerdict, AuthMethod, Coverage, Direction, Label, NONE, PrincipalKind, Reason, RecordId,
    RequestOutcome, Status, UNLISTED,
};

use super::admit::Case;
use super::answer::{self, ResponseBody};
use super::decide::Decided;
use super::forward::{Exchange, Sealed};
use super::sections::{self, FindingNote, Owner, Plain};

/// What came of recording.
pub(super) enum Recorded {
    /// The decision is durable: the request may go out.
    Sealed(Box<Sealed>),
    /// The request ends here, with this answer.
    Refused(Response<ResponseBody>),
}

impl Decided {
    /// Makes the decision durable. No record, no forwarding: a ledger that cannot write refuses the request.
    pub(super) async fn record(mut self) -> Recorded {
        let watch = Stopwatch::start();
        if let Some(response) = self.counted_instead() {
            return Recorded::Refused(response);
        }
        let notes = notes(&self);
        self.count_findings(&notes);
        let owner = owner(&self);
        let (mut draft, unsealed) = decision(&self, &owner, &notes).await;
        if unsealed > 0 && self.ruling.outcome != RequestOutcome::Denied {
            self.deny_unsealed();
            draft = decision(&self, &owner, &notes).await.0;
        }
        if self.ruling.outcome == RequestOutcome::Denied {
            return Recorded::Refused(self.refuse(draft, &owner).await);
        }
        let ledger = self.case.gate.parts.ledger.clone();
        match ledger.decide(draft).await {
            Ok((receipt, open)) => {
                self.case.micros.record = watch.micros();
                self.count(self.ruling.outcome.as_str());
                let redacted = self.ruling.redacted.take();
                let decision = receipt.sealed().clone();
                let exchange = Exchange {
                    case: self.case,
                    principal: self.principal,
                    subject: self.subject,
                    ruling: self.ruling,
                    open,
                    decision,
                    streamed: self.seen.view.stream,
                    received_bytes: self.body.received_bytes,
                    forwarded_bytes: 0,
                };
                let (parts, rest, body) = (self.parts, self.rest, self.body);
                Recorded::Sealed(Box::new(Sealed { exchange, parts, rest, body, redacted, receipt }))
            }
            Err(error) => Recorded::Refused(self.unrecorded(&error)),
        }
    }

    /// Above the stated rate an unauthenticated refusal is counted instead of recorded.
    fn counted_instead(&self) -> Option<Response<ResponseBody>> {
        let refusal = self.case.refusal.as_ref()?;
        let unauthenticated = self.principal.is_none();
        if !unauthenticated || self.case.gate.parts.flood.admits(self.case.time, refusal.reason) {
            return None;
        }
        self.case.gate.parts.metrics.refusals_counted.with_label_values(&[refusal.reason.as_str()]).inc();
        Some(answer::refused(&self.case, refusal, RequestOutcome::Denied, None))
    }

    async fn refuse(self, decision: Draft, owner: &Owner) -> Response<ResponseBody> {
        let completion = refusal_completion(&self, owner).await;
        let ledger = self.case.gate.parts.ledger.clone();
        match ledger.refuse(decision, completion).await {
            Ok(sealed) => {
                self.count(self.ruling.outcome.as_str());
                let refusal = self.refusal();
                answer::refused(&self.case, &refusal, self.ruling.outcome, Some(&sealed))
            }
            Err(error) => self.unrecorded(&error),
        }
    }

    fn unrecorded(&self, error: &dyn std::fmt::Display) -> Response<ResponseBody> {
        tracing::error!(request = %self.case.id, %error, "refused: the decision cannot be recorded");
        self.case.gate.parts.metrics.unrecorded_refusals.inc();
        self.count("unrecorded");
        let refusal = self.case.refusal_of(
            Reason::LedgerUnavailable,
            "decisions cannot be recorded at the moment, so nothing is sent; tell the operator",
        );
        answer::refused(&self.case, &refusal, RequestOutcome::Denied, None)
    }

    fn refusal(&self) -> crate::vendor::Refusal {
        let usual = || crate::vendor::Refusal::of(self.ruling.reason, self.case.id);
        self.case.refusal.clone().unwrap_or_else(usual)
    }

    fn count(&self, outcome: &str) {
        let labels = [&*self.case.route_name(), &*self.case.vendor_name(), outcome];
        self.case.gate.parts.metrics.requests.with_label_values(&labels).inc();
    }

    /// A decision whose sections cannot be sealed is not sent: nobody could say later who asked for what.
    fn deny_unsealed(&mut self) {
        let message = "the sections of this request's record cannot be sealed, so nothing is sent; tell the operator";
        self.case.refuse(Reason::LedgerUnavailable, message);
        self.ruling.outcome = RequestOutcome::Denied;
        self.ruling.reason = Reason::LedgerUnavailable;
        self.ruling.redacted = None;
    }

    fn count_findings(&self, notes: &[FindingNote]) {
        for note in notes {
            let labels = [note.class.as_str(), Direction::Request.as_str(), note.action];
            self.case.gate.parts.metrics.findings.with_label_values(&labels).inc();
        }
    }
}

/// Whose keys seal this request's sections.
fn owner(decided: &Decided) -> Owner {
    let route = decided.case.route.as_ref();
    let of_principal = decided.principal.as_ref().map(|principal| principal.tenant.clone());
    Owner {
        tenant: route.map(|route| route.tenant.clone()).or(of_principal).unwrap_or_else(|| NONE.into()),
        retention: route.map_or_else(|| RETENTION_UNROUTED.0.into(), |route| route.retention.clone()),
        subject: decided.subject.clone(),
    }
}

/// The decision, and how many of its sections could not be sealed.
async fn decision(decided: &Decided, owner: &Owner, notes: &[FindingNote]) -> (Draft, u64) {
    let case = &decided.case;
    let id = RecordId::new(case.time.unix_millis(), random_array());
    let (listed, cut) = sections::findings(notes);
    let mut plain = Vec::new();
    plain.extend(decided.principal.as_ref().map(sections::identity));
    let (commitments, parts) = commitments(decided);
    plain.push(Plain::Content(Box::new(sections::fit(content(decided, listed, cut, parts)))));
    if !decided.body.received.is_empty() {
        plain.push(Plain::Commitments(Box::new(commitments)));
    }
    let (sealed, missing) = sections::seal(case, owner, id, case.time, plain).await;
    let days = case.route.as_ref().map_or(RETENTION_UNROUTED.1, |route| route.retention_days);
    let principal = decided.principal.as_ref();
    let ruling = &decided.ruling;
    let head = DecisionHead {
        actor: NONE.into(),
        auth: principal.map_or(AuthMethod::None, |principal| principal.auth),
        classes: decided.seen.classes.clone(),
        coverage: decided.seen.coverage,
        detectors: case.pinned.scanner.digest(),
        durability: case.gate.parts.durability.clone(),
        facts: ruling.facts.clone(),
        id,
        kind: Kind::Decision,
        label: decided.seen.label,
        mode: ruling.mode,
        model: ruling.model.clone(),
        operation: case.operation.name.into(),
        outcome: ruling.outcome,
        policy: case.pinned.policy.reference().clone(),
        principal: principal.map_or(PrincipalKind::Unauthenticated, |principal| principal.kind),
        reason: ruling.reason,
        request: case.id,
        retention: Retention { class: owner.retention.clone(), until: case.time.plus_days(days) },
        roles: principal.map(|principal| principal.roles.to_vec()).unwrap_or_default(),
        route: case.route_name(),
        rules: ruling.rules.clone(),
        sections: record::SectionRefs::new(),
        subject: decided.subject.clone(),
        synthetic: false,
        tenant: owner.tenant.clone(),
        time: case.time,
        trace: trace(decided),
        truncated: missing,
        v: 1,
        vendor: case.vendor_name(),
        verdict: ruling.verdict,
    };
    (Draft::new(Head::Decision(head), sealed), missing)
}

/// What happened to each finding of the request.
fn notes(decided: &Decided) -> Vec<FindingNote> {
    let vendor = decided.case.vendor_name();
    let policy = &decided.case.pinned.policy;
    let action = |class| match decided.ruling.outcome {
        RequestOutcome::Denied => "denied",
        RequestOutcome::Redacted if policy.redacts(class, &vendor) => "redacted",
        _ => "none",
    };
    let all = decided.seen.findings.iter().chain(&decided.seen.path_findings);
    all.map(|finding| FindingNote::of(finding, action(&finding.class))).collect()
}

fn content(decided: &Decided, findings: Vec<section::Finding>, cut: u64, parts: u64) -> ContentSection {
    let case = &decided.case;
    let view = &decided.seen.view;
    let unlisted = |model: &String| (*decided.ruling.model == *UNLISTED).then(|| sections::free_text(case, model));
    let (tools_raw, tools_cut) = sections::tools(case, &view.tools);
    let attachments_cut = view.attachments.len().saturating_sub(sections::ATTACHMENTS_MAX) as u64;
    let media = decided.parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    ContentSection {
        attachments: sections::attachments(&view.attachments),
        findings,
        finish: None,
        media: media.map(|media| sections::free_text(case, media)),
        model_raw: view.model.as_ref().and_then(unlisted),
        parts,
        salt: section::new_salt(),
        stream: view.stream,
        tools_raw,
        truncated: cut + tools_cut + attachments_cut,
        vendor_request_id: None,
    }
}

/// Commitments to the request, and the number of its text parts.
fn commitments(decided: &Decided) -> (record::CommitmentsSection, u64) {
    let mut commitments = Commitments::new();
    let (received, parts) = committed(&commitments, &decided.case, &decided.body.received, &decided.body.plain);
    commitments.set(Body::Received, received);
    if let Some(redacted) = &decided.ruling.redacted {
        let (forwarded, _) = committed(&commitments, &decided.case, redacted, redacted);
        commitments.set(Body::Forwarded, forwarded);
    }
    (commitments.finish(), parts)
}

fn committed(commitments: &Commitments, case: &Case, body: &Bytes, plain: &Bytes) -> (section::BodyCommitment, u64) {
    let document = Document::parse(plain).ok();
    let values =
        document.as_ref().map(|document| case.dialect.text_parts(&case.operation, Direction::Request, document));
    let values = values.unwrap_or_default();
    (sections::commit(commitments, body, &values), values.len() as u64)
}

/// The W3C trace id (Trace Context section 3.2.2.3), where the scanner finds nothing in it.
fn trace(decided: &Decided) -> Option<String> {
    let header = decided.parts.headers.get("traceparent")?.to_str().ok()?;
    let id = header.split('-').nth(1)?;
    let hex = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    (hex && decided.case.pinned.scanner.is_clean(id)).then(|| id.to_owned())
}

async fn refusal_completion(decided: &Decided, owner: &Owner) -> Draft {
    let case = &decided.case;
    let time = case.gate.parts.clock.now();
    let id = RecordId::new(time.unix_millis(), random_array());
    let refusal = decided.refusal();
    let content = ContentSection { salt: section::new_salt(), ..ContentSection::default() };
    let (sealed, missing) = sections::seal(case, owner, id, time, vec![Plain::Content(Box::new(content))]).await;
    let mut micros = case.micros;
    micros.total = case.watch.micros();
    let gone = refusal.reason == Reason::ClientAborted;
    let head = CompletionHead {
        bytes: record::Bytes { received: decided.body.received_bytes, ..record::Bytes::default() },
        classes: Vec::new(),
        coverage: Coverage::None,
        decision: 0,
        detectors: case.pinned.scanner.digest(),
        facts: std::collections::BTreeMap::new(),
        http_status: if gone { 0 } else { refusal.status },
        id,
        kind: Kind::Completion,
        label: Label::Unclassified,
        micros,
        mode: decided.ruling.mode,
        model_served: NONE.into(),
        outcome: AnswerOutcome::None,
        policy: case.pinned.policy.reference().clone(),
        reason: refusal.reason,
        request: case.id,
        rules: Vec::new(),
        sections: record::SectionRefs::new(),
        status: if gone { Status::ClientAborted } else { Status::Denied },
        time,
        truncated: missing,
        usage: Usage::default(),
        v: 1,
        verdict: AnswerVerdict::None,
    };
    Draft::new(Head::Completion(head), sealed)
}

/// Retention of requests that found no route: the longest minimum that binds every route (see the presets).
const RETENTION_UNROUTED: (&str, u32) = ("aiact", 396);
