//! Streamed answers: the loop that reads from the vendor and delivers to the caller.
//!
//! Back-pressure is end to end: at most [`DELIVERY_PIECES`] pieces wait for the caller, and nothing more is read from
//! the vendor until they are gone. The terminal event (or the end of the body) is left for `close` to deliver.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, Response};
use http_body_util::BodyExt;
use hyper::body::{Body, Frame};
use tokio::sync::mpsc;
use tokio::task::JoinError;

use crate::env::Stopwatch;
use crate::types::{AnswerOutcome, AnswerVerdict, Reason, Status};
use crate::upstream::Answer;
use crate::vendor::headers;

use super::answer::{self, Reply, ResponseBody};
use super::codec::{self, Pieces};
use super::events::Events;
use super::forward::Exchange;
use super::inspect::{Ending, Inspected, Looked, StreamEnd, Tail, ask, vendor_request};
use super::whole;
use crate::types::Coverage;

/// The way to the caller of a stream.
pub(super) struct Delivery {
    sender: mpsc::Sender<Part>,
    patience: Duration,
}

/// What is handed to the caller's connection.
enum Part {
    Data(Bytes),
    /// The body is over, in order. Without it the body breaks off, whatever became of the sender.
    End,
}

impl Delivery {
    /// Hands one piece over; false when the caller is gone or has not read for too long.
    pub(super) async fn send(&mut self, piece: Bytes) -> bool {
        self.hand_over(Part::Data(piece)).await
    }

    /// Ends the body in order. Dropped without this, the delivery breaks the body off.
    pub(super) async fn end(mut self) {
        self.hand_over(Part::End).await;
    }

    /// Breaks the body off once the caller's connection has taken what was handed over: data behind which an error
    /// stands would be thrown away unsent.
    pub(super) async fn break_off(self) {
        let taken = async {
            while self.sender.capacity() < DELIVERY_PIECES && !self.sender.is_closed() {
                tokio::time::sleep(FLUSH_STEP).await;
            }
            tokio::time::sleep(FLUSH_STEP).await;
        };
        let _ = tokio::time::timeout(self.patience, taken).await;
    }

    async fn hand_over(&mut self, part: Part) -> bool {
        matches!(tokio::time::timeout(self.patience, self.sender.send(part)).await, Ok(Ok(())))
    }
}

struct DeliveryBody {
    receiver: mpsc::Receiver<Part>,
    ended: bool,
}

impl Body for DeliveryBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if self.ended {
            return Poll::Ready(None);
        }
        self.receiver.poll_recv(cx).map(|part| match part {
            Some(Part::Data(bytes)) => Some(Ok(Frame::data(bytes))),
            Some(Part::End) => {
                self.ended = true;
                None
            }
            None => Some(Err(io::Error::other("the answer broke off"))),
        })
    }
}

/// A body in memory whose length is not announced, as the vendor did not announce it.
pub(super) fn unsized_body(bytes: Bytes) -> ResponseBody {
    let (sender, receiver) = mpsc::channel(2);
    let _ = sender.try_send(Part::Data(bytes));
    let _ = sender.try_send(Part::End);
    DeliveryBody { receiver, ended: false }.boxed_unsync()
}

/// Why the loop ended.
enum Stopped {
    /// The vendor ended its body, or the terminal event came.
    End,
    /// The vendor's body broke off.
    Broken(Reason),
    /// The caller is gone.
    Gone,
    /// Policy stopped it.
    Cut,
}

/// Delivers a stream up to its end.
pub(super) async fn inspect(mut exchange: Exchange, mut answer: Answer, reply: Reply) -> Result<Inspected, JoinError> {
    let codings = codec::codings(&answer.headers);
    let Some(mut pieces) = codings.ok().and_then(|codings| Pieces::new(&codings)) else {
        return whole::inspect(exchange, answer, reply).await;
    };
    let nothing_yet = Looked::new(&exchange, &crate::vendor::AnswerView::default(), Vec::new(), Coverage::Full, true);
    let first = ask(&exchange, &nothing_yet, true, false);
    if first.act == AnswerVerdict::Withhold {
        let mut ending = Ending::without_answer(Status::CutByPolicy, 403, first.reason);
        ending.ruled(&first);
        ending.outcome = AnswerOutcome::Withheld;
        let refusal = exchange.case.refusal_of(first.reason, "policy releases no answer here");
        let response = answer::refused(&exchange.case, &refusal, exchange.ruling.outcome, Some(&exchange.decision));
        return Ok(Inspected { exchange, ending, tail: Tail::Whole(reply, Box::new(response)) });
    }
    let (sender, receiver) = mpsc::channel(DELIVERY_PIECES);
    let patience = Duration::from_secs(exchange.case.gate.parts.limits.delivery_seconds);
    let mut delivery = Delivery { sender, patience };
    let decoded = !matches!(pieces, Pieces::Plain);
    let mut events = Events::new(&exchange, first);
    let stopped = if reply.send(head(&exchange, &answer, decoded, DeliveryBody { receiver, ended: false })) {
        pump(&mut exchange, &mut answer, &mut pieces, &mut events, &mut delivery).await
    } else {
        Stopped::Gone
    };
    Ok(finish(exchange, &answer, events, delivery, stopped).await)
}

fn head(exchange: &Exchange, answer: &Answer, decoded: bool, body: DeliveryBody) -> Response<ResponseBody> {
    let mut response = Response::new(body.boxed_unsync());
    *response.status_mut() = answer.status;
    let mut headers: HeaderMap = answer.headers.clone();
    headers::to_caller(&mut headers);
    headers.remove(CONTENT_LENGTH);
    if decoded {
        headers.remove(CONTENT_ENCODING);
    }
    let policy = exchange.case.pinned.policy.reference();
    let outcome = exchange.ruling.outcome.as_str();
    answer::label(&mut headers, exchange.case.id, outcome, policy, Some(&exchange.decision));
    *response.headers_mut() = headers;
    response
}

async fn pump(
    exchange: &mut Exchange,
    answer: &mut Answer,
    pieces: &mut Pieces,
    events: &mut Events,
    delivery: &mut Delivery,
) -> Stopped {
    let mut ended: Option<Stopwatch> = None;
    loop {
        let watch = Stopwatch::start();
        if events.has_ended() {
            ended.get_or_insert_with(Stopwatch::start);
        }
        let first_word = events.first_word_waits();
        let patience = match ended {
            Some(ended) => AFTER_TERMINAL.saturating_sub(ended.elapsed()),
            None if first_word => FIRST_WORD,
            None => FOREVER,
        };
        if patience.is_zero() || events.is_overrun() {
            return Stopped::End;
        }
        let next = tokio::select! {
            next = tokio::time::timeout(patience, answer.body.next()) => next,
            () = delivery.sender.closed() => return Stopped::Gone,
        };
        exchange.case.micros.upstream += watch.micros();
        let received = match next {
            Ok(Some(Ok(received))) => received,
            // What the vendor had to say is said: a connection that breaks after that takes nothing away.
            Ok(Some(Err(_))) if events.has_ended() || events.has_error() => return Stopped::End,
            Ok(Some(Err(error))) => return Stopped::Broken(error.reason()),
            Ok(None) if !pieces.is_complete() => return Stopped::Broken(Reason::UpstreamError),
            Err(_) if first_word && ended.is_none() => {
                events.release_first_word();
                let ready = events.ready(exchange);
                if !deliver(events, delivery, ready).await {
                    return Stopped::Gone;
                }
                continue;
            }
            Ok(None) | Err(_) => return Stopped::End,
        };
        let watch = Stopwatch::start();
        events.received(&received);
        let taken = pieces.push(received).ok().and_then(|plain| events.push(exchange, &plain).ok());
        if taken.is_none() {
            return Stopped::Broken(Reason::UpstreamError);
        }
        let ready = events.ready(exchange);
        exchange.case.micros.scan += watch.micros();
        if !deliver(events, delivery, ready).await {
            return Stopped::Gone;
        }
        if events.is_cut() {
            return Stopped::Cut;
        }
    }
}

async fn deliver(events: &mut Events, delivery: &mut Delivery, ready: VecDeque<Bytes>) -> bool {
    for piece in ready {
        if !delivery.send(piece.clone()).await {
            return false;
        }
        events.delivered(&piece);
    }
    true
}

async fn finish(
    exchange: Exchange,
    answer: &Answer,
    mut events: Events,
    mut delivery: Delivery,
    stopped: Stopped,
) -> Inspected {
    let mut gone = matches!(stopped, Stopped::Gone);
    if !gone && !events.is_cut() {
        let ready = events.finish(&exchange, matches!(stopped, Stopped::Broken(_)));
        gone = !deliver(&mut events, &mut delivery, ready).await;
    }
    let (mut status, mut reason) = match stopped {
        _ if gone => (Status::ClientAborted, Some(Reason::ClientAborted)),
        Stopped::Gone => (Status::ClientAborted, Some(Reason::ClientAborted)),
        Stopped::Broken(reason) => (Status::UpstreamError, Some(reason)),
        Stopped::End | Stopped::Cut if events.has_error() => (Status::StreamError, Some(Reason::UpstreamStreamError)),
        Stopped::End | Stopped::Cut => (Status::Completed, None),
    };
    if events.is_cut() && !gone {
        (status, reason) = (Status::CutByPolicy, None);
    }
    let mut ending = Ending::without_answer(status, answer.status.as_u16(), Reason::Ok);
    ending.vendor_request = vendor_request(&exchange, &answer.headers);
    let media = answer.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let tail = events.conclude(&exchange, &mut ending, media, gone);
    if ending.outcome == AnswerOutcome::Cut && !gone {
        ending.status = Status::CutByPolicy;
    }
    ending.reason = reason.unwrap_or(ending.reason);
    let end = if status == Status::UpstreamError { StreamEnd::BrokenOff } else { StreamEnd::InOrder };
    let tail = Tail::Stream(delivery, tail, if gone { StreamEnd::BrokenOff } else { end });
    Inspected { exchange, ending, tail }
}

/// Pieces that may wait for a slow caller; a piece is what one read from the vendor released, 16 KiB as a rule.
const DELIVERY_PIECES: usize = 16;

/// How soon it is looked again whether the caller's connection has taken everything.
const FLUSH_STEP: Duration = Duration::from_millis(5);

/// How long an answer's first word is held to see what follows it. Later words wait for the next piece; the first one is
/// what a person watches for.
const FIRST_WORD: Duration = Duration::from_millis(20);

/// How long the vendor may take to end its body after the dialect's terminal event. Usually both come together; a
/// caller should not wait for a vendor that keeps its connection open, and nothing after the terminal event is read.
const AFTER_TERMINAL: Duration = Duration::from_millis(15);

/// The vendor's own time limits (`upstream`) end a silent stream; this only has to be longer.
const FOREVER: Duration = Duration::from_secs(86_400);
