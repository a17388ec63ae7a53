//! Step 7: the request goes to the vendor. The only caller of `upstream::send`.

use std::sync::Arc;

use bytes::Bytes;
use http::header;
use http::request::Parts;

use crate::env::Stopwatch;
use crate::identity::strip_credentials;
use crate::ledger::{self, Open, Receipt};
use crate::types::{Principal, Reason, RequestOutcome};
use crate::upstream::{self, Answer, HeaderShape, OutBody, Outbound, Pool};
use crate::vendor::headers;

use super::admit::Case;
use super::answer::Reply;
use super::decide::Ruling;
use super::read::RequestBody;

/// A request whose decision is durable, with the right to send it once and to complete it once.
pub(super) struct Sealed {
    pub(super) exchange: Exchange,
    pub(super) parts: Parts,
    pub(super) rest: String,
    pub(super) body: RequestBody,
    pub(super) redacted: Option<Bytes>,
    pub(super) receipt: Receipt,
}

/// What goes on from the decision to the completion.
pub(super) struct Exchange {
    pub(super) case: Case,
    pub(super) principal: Option<Principal>,
    pub(super) subject: Arc<str>,
    pub(super) ruling: Ruling,
    pub(super) open: Open,
    pub(super) decision: ledger::Sealed,
    pub(super) streamed: bool,
    pub(super) received_bytes: u64,
    pub(super) forwarded_bytes: u64,
}

/// What came of sending.
pub(super) struct Answered {
    pub(super) exchange: Exchange,
    pub(super) answer: Result<Answer, NoAnswer>,
}

/// Why there is no answer.
pub(super) enum NoAnswer {
    /// The vendor's side failed.
    Upstream(Reason),
    /// The caller went away while waiting.
    ClientGone,
}

impl Sealed {
    /// Sends the request and waits for the head of the answer, or for the caller to go away.
    pub(super) async fn forward(self, pool: &Pool, reply: &mut Reply) -> Answered {
        let Sealed { mut exchange, parts, rest, body, redacted, receipt } = self;
        let watch = Stopwatch::start();
        if reply.is_closed() {
            return Answered { exchange, answer: Err(NoAnswer::ClientGone) };
        }
        let outbound = outbound(&exchange, parts, &rest, body, redacted);
        // A request without a body leaves all the same: 0 would say that nothing did.
        exchange.forwarded_bytes = match outbound.body.len() {
            0 => outbound.path_and_query.len().max(1) as u64,
            bytes => bytes as u64,
        };
        let sent = tokio::select! {
            sent = upstream::send(pool, receipt, outbound) => sent,
            () = reply.closed() => return Answered { exchange, answer: Err(NoAnswer::ClientGone) },
        };
        let answer = sent.map_err(|error| {
            if !error.may_have_left() {
                exchange.forwarded_bytes = 0;
            }
            NoAnswer::Upstream(error.reason())
        });
        exchange.case.micros.upstream += watch.micros();
        Answered { exchange, answer }
    }
}

fn outbound(exchange: &Exchange, parts: Parts, rest: &str, body: RequestBody, redacted: Option<Bytes>) -> Outbound {
    let case = &exchange.case;
    let mut headers = parts.headers;
    let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path_and_query = strip_credentials(&mut headers, &format!("{rest}{query}"), case.place());
    headers::to_vendor(&mut headers, exchange.streamed);
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::EXPECT);
    let sized = body.sized || redacted.is_some();
    let bytes = if exchange.ruling.outcome == RequestOutcome::Redacted {
        headers.remove(header::CONTENT_ENCODING);
        redacted.unwrap_or_default()
    } else {
        body.received
    };
    let body = if sized { OutBody::sized(bytes) } else { OutBody::chunked(bytes) };
    Outbound {
        request: case.id,
        vendor: case.vendor_name(),
        method: parts.method,
        path_and_query: path_and_query.into(),
        headers,
        body,
        shape: HeaderShape::of_dialect(case.dialect.name()),
    }
}
