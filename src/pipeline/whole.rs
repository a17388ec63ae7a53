//! Answers read whole: everything that is not an event stream.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderName, RETRY_AFTER};
use http::{HeaderMap, Response, StatusCode};
use tokio::task::JoinError;

use crate::env::Stopwatch;
use crate::json::Document;
use crate::record::commitments::{Body, Commitments};
use crate::record::section::BodyCommitment;
use crate::scan::{self, Finding, Scan};
use crate::types::{AnswerOutcome, AnswerVerdict, Coverage, Direction, Reason, Status};
use crate::upstream::Answer;
use crate::vendor::{AnswerView, Refusal, headers};

use super::answer::{self, Reply};
use super::classify::{classes, looks_like_json};
use super::codec;
use super::forward::Exchange;
use super::inspect::{AnswerRuling, Ending, Inspected, Looked, Tail, ask, failed, vendor_request};
use super::sections::{self, AnswerParts, FindingNote};
use super::stream::unsized_body;
use super::{SCANNED_INLINE_BYTES_MAX, beside};

/// An answer body and what was seen in it.
struct Seen {
    plain: Bytes,
    scan: Scan,
    view: AnswerView,
    /// The text stands in it a second time (log probabilities).
    repeats: bool,
}

/// Reads, scans and rules on a whole answer; its response waits for the completion.
pub(super) async fn inspect(
    mut exchange: Exchange,
    mut answer: Answer,
    mut reply: Reply,
) -> Result<Inspected, JoinError> {
    let watch = Stopwatch::start();
    let limit = exchange.case.gate.parts.limits.answer_bytes_max;
    let mut answered = 0;
    let collected = tokio::select! {
        collected = collect(&mut answer, limit, &mut answered) => collected,
        () = reply.closed() => {
            let mut ending = Ending::without_answer(Status::ClientAborted, 0, Reason::ClientAborted);
            ending.answered_bytes = answered;
            return Ok(Inspected { exchange, ending, tail: Tail::Nobody });
        }
    };
    exchange.case.micros.upstream += watch.micros();
    match collected {
        Ok(body) => {
            let (headers, status) = (std::mem::take(&mut answer.headers), answer.status);
            let large = body.len() > SCANNED_INLINE_BYTES_MAX;
            beside(large, move || ruled(exchange, &headers, status, body, reply)).await
        }
        Err(reason) => Ok(failed(exchange, reply, reason, answered)),
    }
}

/// Reads up to `limit` bytes; `answered` counts them, however this ends.
async fn collect(answer: &mut Answer, limit: usize, answered: &mut u64) -> Result<Bytes, Reason> {
    let mut all = BytesMut::new();
    while let Some(piece) = answer.body.next().await {
        let piece = piece.map_err(|error| error.reason())?;
        *answered += piece.len() as u64;
        all.extend_from_slice(&piece);
        if all.len() > limit {
            return Err(Reason::AnswerTooLarge);
        }
    }
    Ok(all.freeze())
}

fn ruled(mut exchange: Exchange, headers: &HeaderMap, status: StatusCode, body: Bytes, reply: Reply) -> Inspected {
    let watch = Stopwatch::start();
    let seen = look(&exchange, headers, &body);
    let found = classes(seen.scan.findings.iter());
    let redactable = redactable(&exchange, &seen.scan.findings, seen.repeats);
    let looked = Looked::new(&exchange, &seen.view, found, seen.scan.coverage, redactable);
    exchange.case.micros.scan += watch.micros();
    let watch = Stopwatch::start();
    let ruling = ask(&exchange, &looked, false, false);
    exchange.case.micros.decide += watch.micros();

    let (outcome, delivered) = carry_out(&exchange, &ruling, &seen, &body);
    let erred = status.as_u16() >= 400;
    let mut ending = Ending::without_answer(
        if erred { Status::UpstreamError } else { Status::Completed },
        status.as_u16(),
        ruling.reason,
    );
    ending.ruled(&ruling);
    if erred && ending.reason == Reason::Ok {
        ending.reason = Reason::UpstreamError;
    }
    ending.outcome = outcome;
    ending.label = looked.label;
    ending.classes = looked.classes;
    ending.coverage = looked.coverage;
    ending.findings = notes(&exchange, &seen.scan.findings, outcome);
    ending.answered_bytes = body.len() as u64;
    ending.vendor_request = vendor_request(&exchange, headers);
    let response = match delivered {
        Ok(delivered) => {
            ending.delivered_bytes = delivered.len() as u64;
            let redacted = outcome == AnswerOutcome::Redacted;
            let fate = if redacted { Fate::Redacted(&delivered) } else { Fate::AsItWas };
            ending.parts = parts(&exchange, headers, &body, &seen.plain, &fate);
            response(headers, status, delivered, outcome == AnswerOutcome::Redacted)
        }
        Err(mut refusal) => {
            // An error of the vendor's stays one, whatever its body held: SDKs decide by the status what to do.
            if erred {
                refusal.status = status.as_u16();
            } else {
                ending.status = Status::CutByPolicy;
            }
            ending.http_status = refusal.status;
            ending.parts = parts(&exchange, headers, &body, &seen.plain, &Fate::Withheld);
            let mut refused =
                answer::refused(&exchange.case, &refusal, exchange.ruling.outcome, Some(&exchange.decision));
            if let Some(wait) = headers.get(RETRY_AFTER).filter(|_| erred) {
                refused.headers_mut().insert(RETRY_AFTER, wait.clone());
            }
            refused
        }
    };
    ending.view = seen.view;
    Inspected { exchange, ending, tail: Tail::Whole(reply, Box::new(response)) }
}

/// Decodes and scans. What cannot be decoded, or is no text, counts as not scanned.
fn look(exchange: &Exchange, headers: &HeaderMap, body: &Bytes) -> Seen {
    let case = &exchange.case;
    let seen = |plain: &Bytes, scan| Seen { plain: plain.clone(), scan, view: AnswerView::default(), repeats: false };
    let unscanned = || seen(body, Scan { findings: Vec::new(), coverage: Coverage::None, bytes: 0 });
    let limit = case.gate.parts.limits.answer_bytes_max;
    let plain: Bytes = match codec::codings(headers) {
        Ok(codings) if codings.is_empty() || body.is_empty() => body.clone(),
        Ok(codings) => match codec::decode(&codings, body, limit) {
            Ok(plain) => plain.into(),
            Err(_) => return unscanned(),
        },
        Err(_) => return unscanned(),
    };
    match (Document::parse(&plain), std::str::from_utf8(&plain)) {
        (Ok(document), _) => Seen {
            scan: case.pinned.scanner.document(&document),
            view: case.dialect.answer(&case.operation, &document),
            repeats: case.dialect.repeats_text(&document),
            plain: plain.clone(),
        },
        (Err(_), Ok(text)) => {
            let scan = case.pinned.scanner.text(text);
            let coverage = scan.coverage.max(text_coverage(text));
            seen(&plain, Scan { coverage, ..scan })
        }
        (Err(_), Err(_)) => unscanned(),
    }
}

/// How much a scan as plain text says of a text that is no JSON: all, unless a laxer reader than ours could take it for
/// JSON or for an event stream, and join what stands apart in it.
fn text_coverage(text: &str) -> Coverage {
    let is_stream = text.lines().any(|line| line.trim_start().starts_with("data:"));
    if is_stream || looks_like_json(text.as_bytes()) { Coverage::None } else { Coverage::Full }
}

/// Whether everything policy would have replaced in an answer can be replaced. An answer that `repeats` its text in log
/// probabilities would give it away again.
fn redactable(exchange: &Exchange, findings: &[Finding], repeats: bool) -> bool {
    let vendor = exchange.case.vendor_name();
    let above = |finding: &&Finding| exchange.case.pinned.policy.redacts(&finding.class, &vendor);
    findings.iter().filter(above).all(|finding| finding.is_redactable() && !repeats)
}

fn carry_out(
    exchange: &Exchange,
    ruling: &AnswerRuling,
    seen: &Seen,
    body: &Bytes,
) -> (AnswerOutcome, Result<Bytes, Refusal>) {
    match ruling.act {
        AnswerVerdict::Release => (AnswerOutcome::Released, Ok(body.clone())),
        AnswerVerdict::ReleaseRedacted => {
            let vendor = exchange.case.vendor_name();
            let policy = &exchange.case.pinned.policy;
            let chosen: Vec<&Finding> =
                seen.scan.findings.iter().filter(|finding| policy.redacts(&finding.class, &vendor)).collect();
            (AnswerOutcome::Redacted, Ok(scan::redact(&seen.plain, &chosen).into()))
        }
        AnswerVerdict::Withhold | AnswerVerdict::None => {
            let rules = ruling.rules.join(", ");
            let message = format!("the vendor's answer was withheld by policy (rules: {rules})");
            (AnswerOutcome::Withheld, Err(exchange.case.refusal_of(ruling.reason, message)))
        }
    }
}

fn notes(exchange: &Exchange, findings: &[Finding], outcome: AnswerOutcome) -> Vec<FindingNote> {
    let vendor = exchange.case.vendor_name();
    let action = |finding: &Finding| match outcome {
        AnswerOutcome::Withheld => "withheld",
        AnswerOutcome::Redacted if exchange.case.pinned.policy.redacts(&finding.class, &vendor) => "redacted",
        _ => "none",
    };
    findings.iter().map(|finding| FindingNote::of(finding, action(finding))).collect()
}

/// What became of an answer, for its commitments.
enum Fate<'a> {
    AsItWas,
    Redacted(&'a Bytes),
    Withheld,
}

fn parts(exchange: &Exchange, headers: &HeaderMap, answered: &Bytes, plain: &Bytes, fate: &Fate<'_>) -> AnswerParts {
    let mut commitments = Commitments::new();
    let (first, count) = committed(exchange, &commitments, answered, plain);
    let place = if matches!(fate, Fate::AsItWas) { Body::Delivered } else { Body::Answered };
    commitments.set(place, first);
    if let Fate::Redacted(delivered) = fate {
        let (second, _) = committed(exchange, &commitments, delivered, delivered);
        commitments.set(Body::Delivered, second);
    }
    let media = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    AnswerParts { section: Some(commitments.finish()), count, media, stream: false }
}

fn committed(exchange: &Exchange, commitments: &Commitments, body: &Bytes, plain: &Bytes) -> (BodyCommitment, u64) {
    let case = &exchange.case;
    let document = Document::parse(plain).ok();
    let values =
        document.as_ref().map(|document| case.dialect.text_parts(&case.operation, Direction::Answer, document));
    let values = values.unwrap_or_default();
    (sections::commit(commitments, body, &values), values.len() as u64)
}

/// The vendor's response with its body as it was, or with the redacted one.
fn response(vendor: &HeaderMap, status: StatusCode, body: Bytes, changed: bool) -> Response<answer::ResponseBody> {
    let mut headers = vendor.clone();
    headers::to_caller(&mut headers);
    let stated = headers.contains_key(CONTENT_LENGTH);
    if changed {
        for name in [CONTENT_LENGTH, CONTENT_ENCODING, ETAG].into_iter().chain(digests()) {
            headers.remove(name);
        }
    }
    let body = if stated || body.is_empty() { answer::full(body) } else { unsized_body(body) };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Headers that vouch for the bytes of a body that was changed.
fn digests() -> impl Iterator<Item = HeaderName> {
    ["content-md5", "digest", "content-digest", "repr-digest"].into_iter().map(HeaderName::from_static)
}
