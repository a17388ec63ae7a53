//! Step 9: the completion becomes durable, exactly once, and only then does the caller see the end of its answer.

use crate::env::{Stopwatch, random_array};
use crate::record::{self, CompletionHead, ContentSection, Draft, Head, Kind, Usage, section};
use crate::types::{AnswerOutcome, Direction, FACT_LIMIT, NONE, Reason, RecordId, RequestOutcome, UNLISTED};

use super::answer;
use super::forward::Exchange;
use super::inspect::{Ending, Inspected, StreamEnd, Tail, served};
use super::sections::{self, Owner, Plain};

impl Inspected {
    /// Records how the request ended, then lets the end of the answer go. Where the record cannot be written the
    /// caller never sees a whole answer: recovery closes the request as an orphan.
    pub(super) async fn close(self) {
        let Inspected { exchange, ending, tail } = self;
        let watch = Stopwatch::start();
        observe(&exchange, &ending);
        let draft = completion(&exchange, &ending).await;
        let Exchange { case, open, ruling, decision, .. } = exchange;
        let ledger = case.gate.parts.ledger.clone();
        let recorded = ledger.complete(open, draft).await;
        case.gate.parts.metrics.phase.with_label_values(&["close"]).observe(watch.elapsed().as_secs_f64());
        match (tail, recorded) {
            (Tail::Nobody, _) => {}
            (Tail::Whole(reply, mut response), Ok(_)) => {
                let policy = case.pinned.policy.reference();
                answer::label(response.headers_mut(), case.id, ruling.outcome.as_str(), policy, Some(&decision));
                reply.send(*response);
            }
            (Tail::Whole(reply, _), Err(error)) => {
                tracing::error!(request = %case.id, %error, "answer withheld: its completion cannot be recorded");
                case.gate.parts.metrics.unrecorded_refusals.inc();
                let refusal = case.refusal_of(
                    Reason::LedgerUnavailable,
                    "the end of this request cannot be recorded, so its answer is withheld; tell the operator",
                );
                reply.send(answer::refused(&case, &refusal, RequestOutcome::Denied, Some(&decision)));
            }
            (Tail::Stream(mut delivery, pieces, end), Ok(_)) => {
                for piece in pieces {
                    if !delivery.send(piece).await {
                        return;
                    }
                }
                match end {
                    StreamEnd::InOrder => delivery.end().await,
                    StreamEnd::BrokenOff => delivery.break_off().await,
                }
            }
            (Tail::Stream(..), Err(error)) => {
                tracing::error!(request = %case.id, %error, "stream broken off: its completion cannot be recorded");
                case.gate.parts.metrics.unrecorded_refusals.inc();
            }
        }
    }
}

async fn completion(exchange: &Exchange, ending: &Ending) -> Draft {
    let case = &exchange.case;
    let time = case.gate.parts.clock.now();
    let id = RecordId::new(time.unix_millis(), random_array());
    let (sealed, missing) = sections::seal(case, &owner(exchange), id, time, plain_sections(exchange, ending)).await;
    let mut micros = case.micros;
    micros.total = case.watch.micros();
    let head = CompletionHead {
        bytes: record::Bytes {
            answered: ending.answered_bytes,
            delivered: ending.delivered_bytes,
            forwarded: exchange.forwarded_bytes,
            received: exchange.received_bytes,
        },
        classes: ending.classes.clone(),
        coverage: ending.coverage,
        decision: exchange.decision.index,
        detectors: case.pinned.scanner.digest(),
        facts: ending.facts.clone(),
        http_status: ending.http_status,
        id,
        kind: Kind::Completion,
        label: ending.label,
        micros,
        mode: exchange.ruling.mode,
        model_served: served(exchange, &ending.view),
        outcome: ending.outcome,
        policy: case.pinned.policy.reference().clone(),
        reason: ending.reason,
        request: case.id,
        rules: ending.rules.clone(),
        sections: record::SectionRefs::new(),
        status: ending.status,
        time,
        truncated: missing,
        usage: usage(&ending.view.usage),
        v: 1,
        verdict: ending.verdict,
    };
    Draft::new(Head::Completion(head), sealed)
}

/// What the vendor counted, where a record can hold the number.
fn usage(counted: &Usage) -> Usage {
    let fits = |count: &u64| *count < FACT_LIMIT as u64;
    Usage { input: counted.input.filter(fits), output: counted.output.filter(fits) }
}

fn owner(exchange: &Exchange) -> Owner {
    let route = exchange.case.route.as_ref();
    Owner {
        tenant: route.map_or_else(|| NONE.into(), |route| route.tenant.clone()),
        retention: route.map_or_else(|| NONE.into(), |route| route.retention.clone()),
        subject: exchange.subject.clone(),
    }
}

fn plain_sections(exchange: &Exchange, ending: &Ending) -> Vec<Plain> {
    let case = &exchange.case;
    let (findings, cut) = sections::findings(&ending.findings);
    let view = &ending.view;
    let raw_model = view.model.as_ref().filter(|_| *served(exchange, view) == *UNLISTED);
    let (tools_raw, tools_cut) = sections::tools(case, &view.tools);
    let content = ContentSection {
        attachments: Vec::new(),
        findings,
        finish: view.finish.as_ref().map(|finish| sections::free_text(case, finish)),
        media: ending.parts.media.as_ref().map(|media| sections::free_text(case, media)),
        model_raw: raw_model.map(|model| sections::free_text(case, model)),
        parts: ending.parts.count,
        salt: section::new_salt(),
        stream: ending.parts.stream,
        tools_raw,
        truncated: cut + tools_cut,
        vendor_request_id: ending.vendor_request.as_ref().map(|id| sections::free_text(case, id)),
    };
    let commitments = ending.parts.section.clone().map(|section| Plain::Commitments(Box::new(section)));
    [Plain::Content(Box::new(sections::fit(content)))].into_iter().chain(commitments).collect()
}

/// Metrics of one ended exchange.
fn observe(exchange: &Exchange, ending: &Ending) {
    let metrics = &exchange.case.gate.parts.metrics;
    let micros = &exchange.case.micros;
    let seconds = |micros: u64| micros as f64 / 1e6;
    for (phase, spent) in [
        ("identify", micros.identify),
        ("read", micros.read),
        ("scan", micros.scan),
        ("decide", micros.decide),
        ("record", micros.record),
        ("upstream", micros.upstream),
    ] {
        metrics.phase.with_label_values(&[phase]).observe(seconds(spent));
    }
    let own = exchange.case.watch.micros().saturating_sub(micros.upstream).saturating_sub(micros.read);
    metrics.overhead.observe(seconds(own));
    for note in &ending.findings {
        let action = if ending.outcome == AnswerOutcome::Withheld { "withheld" } else { note.action };
        let labels = [note.class.as_str(), Direction::Answer.as_str(), action];
        metrics.findings.with_label_values(&labels).inc();
    }
}
