//! Step 8: the answer is looked into, whole or event by event, and policy is asked about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use http::response::Response;
use tokio::task::JoinError;

use crate::policy::AnswerFacts;
use crate::types::{AnswerOutcome, AnswerVerdict, Class, Coverage, Fact, Label, Mode, NONE, Reason, Status, UNLISTED};
use crate::vendor::AnswerView;

use super::answer::{self, Reply, ResponseBody};
use super::decide::{listed, never_observed};
use super::forward::{Answered, Exchange, NoAnswer};
use super::sections::{AnswerParts, FindingNote};
use super::stream::Delivery;
use super::{stream, whole};

/// An exchange whose answer is known; what remains is to record it and let its end go.
pub(super) struct Inspected {
    pub(super) exchange: Exchange,
    pub(super) ending: Ending,
    pub(super) tail: Tail,
}

/// What the completion says.
pub(super) struct Ending {
    pub(super) status: Status,
    pub(super) http_status: u16,
    pub(super) reason: Reason,
    pub(super) verdict: AnswerVerdict,
    pub(super) outcome: AnswerOutcome,
    pub(super) rules: Vec<Arc<str>>,
    pub(super) facts: BTreeMap<String, Fact>,
    pub(super) label: Label,
    pub(super) classes: Vec<Class>,
    pub(super) coverage: Coverage,
    pub(super) findings: Vec<FindingNote>,
    pub(super) view: AnswerView,
    pub(super) parts: AnswerParts,
    pub(super) answered_bytes: u64,
    pub(super) delivered_bytes: u64,
    pub(super) vendor_request: Option<String>,
}

impl Ending {
    /// An exchange without an answer.
    pub(super) fn without_answer(status: Status, http_status: u16, reason: Reason) -> Self {
        Ending {
            status,
            http_status,
            reason,
            verdict: AnswerVerdict::None,
            outcome: AnswerOutcome::None,
            rules: Vec::new(),
            facts: BTreeMap::new(),
            label: Label::Unclassified,
            classes: Vec::new(),
            coverage: Coverage::None,
            findings: Vec::new(),
            view: AnswerView::default(),
            parts: AnswerParts::default(),
            answered_bytes: 0,
            delivered_bytes: 0,
            vendor_request: None,
        }
    }

    /// Takes over what policy said.
    pub(super) fn ruled(&mut self, ruling: &AnswerRuling) {
        self.verdict = ruling.verdict;
        self.reason = ruling.reason;
        self.rules = ruling.rules.clone();
        self.facts = ruling.facts.clone();
    }
}

/// What must wait for the completion to be durable.
pub(super) enum Tail {
    /// Nobody is there to be answered.
    Nobody,
    /// The whole response.
    Whole(Reply, Box<Response<ResponseBody>>),
    /// The end of a stream: these bytes, then its end, in order or broken off.
    Stream(Delivery, Vec<Bytes>, StreamEnd),
}

/// How the caller sees a stream end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StreamEnd {
    InOrder,
    BrokenOff,
}

/// What policy said about an answer, with observe mode applied.
pub(super) struct AnswerRuling {
    /// What policy concluded.
    pub(super) verdict: AnswerVerdict,
    /// What is done about it.
    pub(super) act: AnswerVerdict,
    pub(super) reason: Reason,
    pub(super) rules: Vec<Arc<str>>,
    pub(super) facts: BTreeMap<String, Fact>,
}

impl Answered {
    /// Inspects what came back. For a stream this runs until its end, delivering all but the end.
    pub(super) async fn inspect(self, reply: Reply) -> Result<Inspected, JoinError> {
        let Answered { exchange, answer } = self;
        match answer {
            Ok(answer) if is_stream(&answer.headers) => Box::pin(stream::inspect(exchange, answer, reply)).await,
            Ok(answer) => whole::inspect(exchange, answer, reply).await,
            Err(NoAnswer::ClientGone) => {
                let ending = Ending::without_answer(Status::ClientAborted, 0, Reason::ClientAborted);
                Ok(Inspected { exchange, ending, tail: Tail::Nobody })
            }
            Err(NoAnswer::Upstream(reason)) => Ok(failed(exchange, reply, reason, 0)),
        }
    }
}

/// The vendor gave no usable answer.
pub(super) fn failed(exchange: Exchange, reply: Reply, reason: Reason, answered: u64) -> Inspected {
    let refusal = exchange.case.refusal_of(reason, upstream_message(reason));
    let status = if reason == Reason::AnswerTooLarge { Status::CutByPolicy } else { Status::UpstreamError };
    let mut ending = Ending::without_answer(status, refusal.status, reason);
    ending.answered_bytes = answered;
    let response = answer::refused(&exchange.case, &refusal, exchange.ruling.outcome, Some(&exchange.decision));
    Inspected { exchange, ending, tail: Tail::Whole(reply, Box::new(response)) }
}

fn upstream_message(reason: Reason) -> &'static str {
    match reason {
        Reason::UpstreamRefused => "the vendor cannot be reached: connection refused, or its name does not resolve",
        Reason::UpstreamTls => "no trusted TLS connection to the vendor",
        Reason::UpstreamTimeout => "the vendor did not answer in time",
        Reason::AnswerTooLarge => "the vendor's answer is over the limit (`limits.answer_bytes_max`) and was withheld",
        _ => "the vendor broke off or did not answer with HTTP",
    }
}

/// Asks policy about an answer in which these classes were found.
pub(super) fn ask(exchange: &Exchange, seen: &Looked, in_stream: bool, sent: bool) -> AnswerRuling {
    let case = &exchange.case;
    let Some(route) = &case.route else {
        return AnswerRuling {
            verdict: AnswerVerdict::Withhold,
            act: AnswerVerdict::Withhold,
            reason: Reason::RouteUnknown,
            rules: Vec::new(),
            facts: BTreeMap::new(),
        };
    };
    let principal = exchange.principal.as_ref();
    let decision = case.pinned.policy.answer(&AnswerFacts {
        subject: exchange.subject.clone(),
        kind: principal.map_or(crate::types::PrincipalKind::Unauthenticated, |principal| principal.kind),
        roles: principal.map(|principal| principal.roles.to_vec()).unwrap_or_default(),
        tenant: route.tenant.clone(),
        route: route.name.clone(),
        mode: route.mode,
        vendor: route.vendor.clone(),
        model: exchange.ruling.model.clone(),
        model_served: seen.model_served.clone(),
        operation: case.operation.name.into(),
        operation_known: case.operation.known,
        tools: seen.tools.clone(),
        label: seen.label,
        floor: route.label,
        classes: seen.classes.clone(),
        coverage: seen.coverage,
        redactable: seen.redactable,
        time: case.time,
        risk: route.risk.clone(),
        on_behalf_of: false,
        in_stream,
        sent,
    });
    let observes = route.mode == Mode::Observe && case.pinned.policy.permits_observe();
    let observed = observes && !never_observed(decision.reason);
    let act = if observed { AnswerVerdict::Release } else { decision.verdict };
    AnswerRuling {
        verdict: decision.verdict,
        act,
        reason: decision.reason,
        rules: decision.rules,
        facts: decision.facts,
    }
}

/// What was seen in an answer, as far as policy reads it.
pub(super) struct Looked {
    pub(super) model_served: Arc<str>,
    pub(super) tools: Vec<Arc<str>>,
    pub(super) label: Label,
    pub(super) classes: Vec<Class>,
    pub(super) coverage: Coverage,
    pub(super) redactable: bool,
}

impl Looked {
    /// Puts together what the dialect read and the scanner found.
    pub(super) fn new(
        exchange: &Exchange,
        view: &AnswerView,
        classes: Vec<Class>,
        coverage: Coverage,
        redactable: bool,
    ) -> Self {
        let case = &exchange.case;
        let floor = case.route.as_ref().map_or(Label::Internal, |route| route.label);
        let policy = &case.pinned.policy;
        let tool = |tool: &String| {
            let fit = policy.registers_tool(tool) && case.pinned.scanner.is_clean(tool);
            if fit { Arc::from(tool.as_str()) } else { Arc::from(UNLISTED) }
        };
        Looked {
            model_served: served(exchange, view),
            tools: view.tools.iter().map(tool).collect(),
            label: policy.label(&classes, floor, coverage),
            classes,
            coverage,
            redactable,
        }
    }
}

/// The served model as it may stand in a head.
pub(super) fn served(exchange: &Exchange, view: &AnswerView) -> Arc<str> {
    match &view.model {
        Some(model) => listed(&exchange.case, model).unwrap_or_else(|| UNLISTED.into()),
        None => NONE.into(),
    }
}

fn is_stream(headers: &HeaderMap) -> bool {
    let stated = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    stated.trim_start().to_ascii_lowercase().starts_with("text/event-stream")
}

/// The vendor's own id of the exchange, for the content section.
pub(super) fn vendor_request(exchange: &Exchange, headers: &HeaderMap) -> Option<String> {
    headers.get(exchange.case.dialect.request_id_header())?.to_str().ok().map(str::to_owned)
}
