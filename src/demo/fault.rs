//! Faults on request, so that clients and the gateway can be tried against a vendor that misbehaves.

use hyper::HeaderMap;

/// What the `demo-fault` request header asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// `429`, `500`, `503`, `529` and so on: an error of that status; 429 comes with `retry-after: 1`.
    Status(u16),
    /// `stream-error`: after half of the events, the vendor's error event, and nothing more.
    StreamError,
    /// `break`: the connection closes after half of the answer.
    Break,
    /// `garbage`: HTTP 200 with a body that is no JSON.
    Garbage,
}

/// Reads the header; an unknown word is no fault.
pub(super) fn asked(headers: &HeaderMap) -> Option<Fault> {
    match headers.get("demo-fault")?.to_str().ok()? {
        "stream-error" => Some(Fault::StreamError),
        "break" => Some(Fault::Break),
        "garbage" => Some(Fault::Garbage),
        code => code.parse().ok().filter(|code| (400..600).contains(code)).map(Fault::Status),
    }
}
