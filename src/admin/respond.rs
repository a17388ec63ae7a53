//! Which path answers what.

use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;

use super::{Admin, control};

/// Answers of the admin side.
pub(super) type Answer = Response<Full<Bytes>>;

/// Serves one request that came over TCP: reading only.
pub(super) async fn public(admin: Arc<Admin>, request: Request<Incoming>) -> Answer {
    if request.method() != Method::GET {
        return text(StatusCode::METHOD_NOT_ALLOWED, "only GET here; commands use the control socket\n");
    }
    match request.uri().path() {
        "/healthz" => text(StatusCode::OK, "ok\n"),
        "/readyz" => ready(&admin),
        "/metrics" => metrics(&admin),
        "/" => text(StatusCode::OK, WELCOME),
        _ => text(StatusCode::NOT_FOUND, "here are /healthz, /readyz and /metrics\n"),
    }
}

/// Serves one request that came over the control socket.
pub(super) async fn private(admin: Arc<Admin>, request: Request<Incoming>) -> Answer {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, BODY_BYTES_MAX).collect().await else {
        return text(StatusCode::BAD_REQUEST, "the body is too long or broke off\n");
    };
    let body = body.to_bytes();
    match (&parts.method, parts.uri.path()) {
        (&Method::POST, "/access") => control::access(&admin, &body).await,
        (&Method::POST, "/tokens") => control::create(&admin, &body).await,
        (&Method::POST, "/tokens/revoke") => control::revoke(&admin, &body).await,
        (&Method::POST, "/policy/reload") => control::reload(admin).await,
        (&Method::GET, "/readyz") => ready(&admin),
        (&Method::GET, "/metrics") => metrics(&admin),
        _ => text(StatusCode::NOT_FOUND, "the control socket has no such command\n"),
    }
}

fn ready(admin: &Admin) -> Answer {
    let obstacles = admin.obstacles();
    if obstacles.is_empty() {
        return text(StatusCode::OK, "ready\n");
    }
    text(StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}\n", obstacles.join("; ")))
}

fn metrics(admin: &Admin) -> Answer {
    let mut answer = text(StatusCode::OK, admin.metrics.render());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"));
    answer
}

/// A plain-text answer.
pub(super) fn text(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    answer
}

/// A JSON answer.
pub(super) fn json(status: StatusCode, value: &impl serde::Serialize) -> Answer {
    let mut answer = text(status, serde_json::to_vec(value).unwrap_or_default());
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// Largest command, bytes.
const BODY_BYTES_MAX: usize = 64 * 1024;

const WELCOME: &str = "Sealgate admin: /healthz (the process lives), /readyz (ledger, policy and listeners work), \
/metrics (Prometheus). Records are read with `sealgate records list`.\n";
