//! From a request to an answer: which vendor is meant, what was asked, what to say.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::Value;

use crate::env::random_hex;
use crate::vendor::{DialectId, Operation, dialect};

use super::body::Pieces;
use super::fault::{Fault, asked};
use super::{DemoConfig, anthropic, openai};

/// Largest request body in bytes: twice the gateway's default limit.
const BODY_BYTES_MAX: usize = 64 << 20;
/// Longest pause a request may ask for between two events, in milliseconds.
const DELAY_MS_MAX: u64 = 10_000;

/// An answer before it has headers.
pub(super) enum Answer {
    /// One JSON body.
    Whole(Value),
    /// Server-sent events.
    Events(Vec<Bytes>),
}

/// An error in the vendor's words.
pub(super) struct Fail {
    /// HTTP status.
    pub(super) status: u16,
    /// The vendor's word for this kind of error.
    pub(super) kind: &'static str,
    /// What is wrong.
    pub(super) message: String,
    /// OpenAI's `param`: the member that is wrong.
    pub(super) param: Option<&'static str>,
    /// OpenAI's `code`.
    pub(super) code: Option<&'static str>,
}

impl Fail {
    /// A request that the vendor cannot read.
    pub(super) fn invalid(message: impl Into<String>, param: Option<&'static str>) -> Self {
        Fail { status: 400, kind: "invalid_request_error", message: message.into(), param, code: None }
    }

    /// An error of that status, as asked for by a test.
    fn of_status(status: u16) -> Self {
        let kind = match status {
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        };
        Fail { status, kind, message: format!("the demo vendor was asked for {status}"), param: None, code: None }
    }
}

/// Answers one request; never fails.
pub(super) async fn answer(request: Request<Incoming>, config: DemoConfig) -> Response<Pieces> {
    let (head, body) = request.into_parts();
    let shape = shape(head.uri.path(), &head.headers);
    let id = format!("req_{}", random_hex::<12>());
    let fault = asked(&head.headers);
    let config = steered(&head.headers, config);
    let result = match (fault, Limited::new(body, BODY_BYTES_MAX).collect().await) {
        (Some(Fault::Status(status)), _) => Err(Fail::of_status(status)),
        (_, Ok(body)) => reply(shape, &head.method, head.uri.path(), &body.to_bytes(), config),
        (_, Err(_)) => {
            let message = "the request body is too large or broke off".to_owned();
            Err(Fail { status: 413, kind: "request_too_large", message, param: None, code: None })
        }
    };
    let mut response = match result {
        Ok(answer) => succeed(shape, answer, fault, config.delay, &id),
        Err(fail) => refuse(shape, fail, &id),
    };
    let name = if shape == DialectId::Anthropic { "request-id" } else { "x-request-id" };
    if let Ok(value) = HeaderValue::from_str(&id) {
        response.headers_mut().insert(name, value);
    }
    response
}

/// Which vendor is meant: by path, and for what both have by the header every Anthropic SDK sends.
fn shape(path: &str, headers: &HeaderMap) -> DialectId {
    let is_messages = path.ends_with("/messages");
    let says_so = headers.contains_key("anthropic-version") && !path.ends_with("/chat/completions");
    if is_messages || says_so { DialectId::Anthropic } else { DialectId::OpenAi }
}

fn reply(shape: DialectId, method: &Method, path: &str, body: &[u8], config: DemoConfig) -> Result<Answer, Fail> {
    let operation = dialect(shape).operation(method, path).unwrap_or(Operation::UNKNOWN);
    let model = dialect(shape).path_model(&operation, path);
    match (shape, operation) {
        (DialectId::OpenAi, Operation::CHAT) => openai::chat(body, config),
        (DialectId::Anthropic, Operation::MESSAGES) => anthropic::messages(body, config),
        (DialectId::OpenAi, Operation::MODELS_LIST | Operation::MODELS_GET) => Ok(openai::models(model)),
        (DialectId::Anthropic, Operation::MODELS_LIST | Operation::MODELS_GET) => Ok(anthropic::models(model)),
        _ => Err(Fail {
            status: 404,
            kind: if shape == DialectId::OpenAi { "invalid_request_error" } else { "not_found_error" },
            message: "the demo vendor has no such endpoint".to_owned(),
            param: None,
            code: Some("unknown_url"),
        }),
    }
}

/// The manners this request asks for: `demo-delay-ms`, `demo-chunk-chars`.
fn steered(headers: &HeaderMap, config: DemoConfig) -> DemoConfig {
    let number = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let chars = number("demo-chunk-chars").and_then(|chars| usize::try_from(chars).ok());
    DemoConfig {
        chunk_chars: chars.unwrap_or(config.chunk_chars),
        delay: number("demo-delay-ms").map_or(config.delay, |ms| Duration::from_millis(ms.min(DELAY_MS_MAX))),
    }
}

fn succeed(shape: DialectId, answer: Answer, fault: Option<Fault>, pause: Duration, id: &str) -> Response<Pieces> {
    let (media, body) = match answer {
        _ if fault == Some(Fault::Garbage) => ("application/json", Pieces::whole(b"{\"oops\": <html>".to_vec())),
        Answer::Whole(value) => ("application/json", Pieces::whole(value.to_string().into_bytes())),
        Answer::Events(events) => ("text/event-stream; charset=utf-8", Pieces::events(events, pause)),
    };
    let body = match fault {
        Some(Fault::Break) => body.breaking(),
        Some(Fault::StreamError) if media.starts_with("text/event-stream") => body.ending_with(stream_error(shape, id)),
        _ => body,
    };
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media));
    if media.starts_with("text/event-stream") {
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    response
}

/// The error event of a vendor that fails after HTTP 200.
fn stream_error(shape: DialectId, id: &str) -> Bytes {
    let fail = Fail::of_status(529);
    Bytes::from(match shape {
        DialectId::OpenAi => format!("data: {}\n\n", openai::error(&fail)),
        DialectId::Anthropic => format!("event: error\ndata: {}\n\n", anthropic::error(&fail, id)),
    })
}

fn refuse(shape: DialectId, fail: Fail, id: &str) -> Response<Pieces> {
    let body = match shape {
        DialectId::OpenAi => openai::error(&fail),
        DialectId::Anthropic => anthropic::error(&fail, id),
    };
    let mut response = Response::new(Pieces::whole(body.to_string().into_bytes()));
    *response.status_mut() = StatusCode::from_u16(fail.status).unwrap_or(StatusCode::BAD_REQUEST);
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if fail.status == 429 {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
