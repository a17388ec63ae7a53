//! Step 3: the body is read whole, within its limits, and decoded for the scanner.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::request::Parts;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};

use crate::env::Stopwatch;
use crate::types::{Principal, Reason};

use super::admit::Case;
use super::answer::Reply;
use super::codec::{self, CodecError};
use super::identify::Identified;

/// A request whose body is here.
pub(super) struct Read {
    pub(super) case: Case,
    pub(super) parts: Parts,
    pub(super) rest: String,
    pub(super) principal: Option<Principal>,
    pub(super) body: RequestBody,
}

/// A request body as received and as the scanner sees it.
#[derive(Default)]
pub(super) struct RequestBody {
    /// After transfer decoding, before content decoding.
    pub(super) received: Bytes,
    /// After content decoding; the same bytes where there was none.
    pub(super) plain: Bytes,
    /// Whether the caller stated the length (kept toward the vendor).
    pub(super) sized: bool,
    /// Bytes received, also of a body that was thrown away.
    pub(super) received_bytes: u64,
}

/// How reading a body ended badly.
enum Fault {
    TooLarge,
    Slow,
    Gone,
}

impl Identified {
    /// Reads the body; a refused request's body is thrown away, so that the caller gets to read the refusal.
    pub(super) async fn read(self, reply: &mut Reply) -> Read {
        let Identified { mut case, parts, mut body, rest, principal } = self;
        let watch = Stopwatch::start();
        let sized = body.size_hint().exact().is_some();
        if case.refusal.is_some() {
            let received_bytes = discard(&mut body, DISCARDED_BYTES_MAX).await;
            let body = RequestBody { received_bytes, ..RequestBody::default() };
            return Read { case, parts, rest, principal, body };
        }
        let limit = case.gate.parts.limits.body_bytes_max;
        let time = Duration::from_secs(case.gate.parts.limits.body_seconds);
        let mut received_bytes = 0;
        let collected = tokio::select! {
            collected = tokio::time::timeout(time, collect(&mut body, limit, &mut received_bytes)) => collected.unwrap_or(Err(Fault::Slow)),
            () = reply.closed() => Err(Fault::Gone),
        };
        let mut read = RequestBody { sized, ..RequestBody::default() };
        match collected {
            Ok(received) => {
                read.received_bytes = received_bytes;
                read.received = received;
                read.plain = decoded(&mut case, &parts, &read.received);
            }
            Err(fault) => {
                refuse(&mut case, &fault, limit);
                let more = if matches!(fault, Fault::TooLarge) { discard(&mut body, limit * 2).await } else { 0 };
                read.received_bytes = received_bytes + more;
            }
        }
        case.micros.read = watch.micros();
        Read { case, parts, rest, principal, body: read }
    }
}

/// Reads up to `limit` bytes; `received` counts them, however this ends.
async fn collect(body: &mut Incoming, limit: usize, received: &mut u64) -> Result<Bytes, Fault> {
    if body.size_hint().lower() > limit as u64 {
        return Err(Fault::TooLarge);
    }
    let mut first: Option<Bytes> = None;
    let mut rest = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Fault::Gone)?.into_data() else { continue };
        *received += data.len() as u64;
        match (&first, rest.is_empty()) {
            (None, true) => first = Some(data),
            (Some(start), true) => {
                rest.extend_from_slice(start);
                rest.extend_from_slice(&data);
            }
            _ => rest.extend_from_slice(&data),
        }
        if rest.len().max(first.as_ref().map_or(0, Bytes::len)) > limit {
            return Err(Fault::TooLarge);
        }
    }
    Ok(if rest.is_empty() { first.unwrap_or_default() } else { rest.freeze() })
}

/// Throws away what still comes, up to `limit` bytes and [`DISCARD_SECONDS`]; gives the bytes thrown away.
async fn discard(body: &mut Incoming, limit: usize) -> u64 {
    let mut thrown = 0u64;
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            thrown += frame.data_ref().map_or(0, |data| data.len() as u64);
            if thrown > limit as u64 {
                break;
            }
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(DISCARD_SECONDS), all).await;
    thrown
}

fn refuse(case: &mut Case, fault: &Fault, limit: usize) {
    match fault {
        Fault::TooLarge => {
            case.refuse(
                Reason::RequestTooLarge,
                format!("the body is over the limit of {limit} bytes (`limits.body_bytes_max`)"),
            );
        }
        Fault::Slow => case.refuse(Reason::RequestTimeout, "the body took too long to arrive"),
        Fault::Gone => case.refuse(Reason::ClientAborted, "the caller went away while sending"),
    }
}

fn decoded(case: &mut Case, parts: &Parts, received: &Bytes) -> Bytes {
    let limit = case.gate.parts.limits.body_bytes_max;
    let plain = match codec::codings(&parts.headers) {
        Ok(codings) if codings.is_empty() || received.is_empty() => return received.clone(),
        Ok(codings) => codec::decode(&codings, received, limit),
        Err(fault) => Err(fault),
    };
    match plain {
        Ok(plain) => plain.into(),
        Err(fault @ CodecError::TooLarge) => {
            case.refuse(Reason::RequestTooLarge, fault.to_string());
            Bytes::new()
        }
        Err(fault) => {
            case.refuse(Reason::RequestUnscannable, fault.to_string());
            Bytes::new()
        }
    }
}

/// Most of a refused request's body that is read and thrown away, bytes.
const DISCARDED_BYTES_MAX: usize = 4 << 20;

/// Longest that throwing away may take, seconds.
const DISCARD_SECONDS: u64 = 5;
