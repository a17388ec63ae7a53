//! What goes back to the caller: response bodies, refusals, the gateway's own headers.

use std::io;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, DATE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use tokio::sync::oneshot;

use crate::ledger::Sealed;
use crate::types::{PolicyRef, RequestId, RequestOutcome};
use crate::vendor::Refusal;

use super::admit::Case;

/// The body of every response; an `Err` breaks the connection off.
pub type ResponseBody = UnsyncBoxBody<Bytes, io::Error>;

/// The way back to one caller.
pub(super) struct Reply {
    sender: oneshot::Sender<Response<ResponseBody>>,
}

impl Reply {
    /// A reply and its waiting end.
    pub(super) fn pair() -> (Self, oneshot::Receiver<Response<ResponseBody>>) {
        let (sender, receiver) = oneshot::channel();
        (Reply { sender }, receiver)
    }

    /// Answers; whether the caller was still there.
    pub(super) fn send(self, response: Response<ResponseBody>) -> bool {
        self.sender.send(response).is_ok()
    }

    /// Whether the caller has gone away.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// Ends when the caller has gone away.
    pub(super) async fn closed(&mut self) {
        self.sender.closed().await;
    }
}

/// A body of known length.
pub(super) fn full(bytes: impl Into<Bytes>) -> ResponseBody {
    Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// A refusal in the vendor's own error shape. `sealed` is the decision, where there is one.
pub(super) fn refused(
    case: &Case,
    refusal: &Refusal,
    outcome: RequestOutcome,
    sealed: Option<&Sealed>,
) -> Response<ResponseBody> {
    let mut response = Response::new(full(case.dialect.refusal(refusal)));
    *response.status_mut() = StatusCode::from_u16(refusal.status).unwrap_or(StatusCode::FORBIDDEN);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    dated(headers);
    let outcome = sealed.map_or(UNRECORDED, |_| outcome.as_str());
    label(headers, case.id, outcome, case.pinned.policy.reference(), sealed);
    response
}

/// Adds the gateway's headers (DESIGN section 6).
pub(super) fn label(
    headers: &mut HeaderMap,
    request: RequestId,
    outcome: &'static str,
    policy: &PolicyRef,
    sealed: Option<&Sealed>,
) {
    let mut put = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    put("sealgate-request", request.to_string());
    put("sealgate-outcome", outcome.to_owned());
    put("sealgate-policy", format!("{}@{} {}", policy.name, policy.version, policy.digest));
    if let Some(sealed) = sealed {
        put("sealgate-record", sealed.header_value());
    }
}

/// `GET /`: one paragraph for whoever looks.
pub(super) fn greeting() -> Response<ResponseBody> {
    let mut response = Response::new(full(GREETING));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    dated(response.headers_mut());
    response
}

/// The task of a request died: a fault of the gateway, and the record stays open until recovery closes it.
pub(super) fn broken() -> Response<ResponseBody> {
    let mut response = Response::new(full("the gateway failed on this request\n"));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

#[expect(clippy::disallowed_methods, reason = "the Date header is not evidence; records take their time from the case")]
fn dated(headers: &mut HeaderMap) {
    let date = httpdate::fmt_http_date(std::time::SystemTime::now());
    if let Ok(value) = HeaderValue::from_str(&date) {
        headers.insert(DATE, value);
    }
}

/// `sealgate-outcome` where the ledger could not write.
const UNRECORDED: &str = "unrecorded";

const GREETING: &str = "This is a Sealgate gateway: an audit proxy for AI traffic. Point your SDK's base URL at a route \
below this address (for example /demo/v1, /openai/v1 or /anthropic) and use your Sealgate token as the API key. Every \
request is identified, classified, decided by policy and recorded before anything is sent to a vendor; a refusal says \
why and carries a request id. Ask whoever runs this gateway for a token, or, on your own machine, use the one in \
data/dev-token.\n";
