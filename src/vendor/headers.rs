//! Header rules both directions share: what ends at each hop, what we can decode, what a body is.
//!
//! Sources: RFC 9110 sections 7.6.1 (Connection), 12.5.3 (Accept-Encoding), RFC 6839 (`+json`).

use http::header::{ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};

/// Headers that concern one connection only.
const HOP_BY_HOP: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Content codings the gateway can decode.
pub const DECODABLE: &[&str] = &["gzip", "x-gzip", "deflate", "br", "zstd", "identity"];

/// Prefix of the headers that callers and gateway exchange and vendors never see.
pub const GATEWAY_PREFIX: &str = "sealgate-";

/// What a body is, by its `Content-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Media {
    /// `application/json` or `…+json`.
    Json,
    /// `text/event-stream`.
    EventStream,
    /// Anything else.
    Other,
    /// No `Content-Type`.
    Absent,
}

/// Whether a header of that name ends at this hop (those named by `Connection` apart).
pub fn is_hop_by_hop(name: &HeaderName) -> bool {
    HOP_BY_HOP.contains(&name.as_str())
}

/// Whether it is one of the gateway's own headers.
pub fn is_gateway(name: &HeaderName) -> bool {
    name.as_str().starts_with(GATEWAY_PREFIX)
}

/// Takes out what ends at this hop, headers named by `Connection` included.
pub fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(*name);
    }
}

/// Takes out the gateway's own headers.
pub fn strip_gateway(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers.keys().filter(|name| is_gateway(name)).cloned().collect();
    for name in named {
        headers.remove(name);
    }
}

/// The `Accept-Encoding` to send: the caller's where all of it can be decoded, else narrowed to what can; a stream is
/// asked for without coding. `None` (absent or unreadable) becomes `identity`, since absent means anything goes.
pub fn accept_encoding(value: Option<&str>, stream: bool) -> String {
    let Some(value) = value.filter(|_| !stream) else { return "identity".to_owned() };
    let known = |member: &&str| {
        let coding = member.split(';').next().unwrap_or("").trim();
        DECODABLE.iter().any(|known| known.eq_ignore_ascii_case(coding))
    };
    let members: Vec<&str> = value.split(',').filter(|member| !member.trim().is_empty()).collect();
    let kept: Vec<&str> = members.iter().copied().filter(known).map(str::trim).collect();
    match kept.len() {
        0 => "identity".to_owned(),
        n if n == members.len() => value.to_owned(),
        _ => kept.join(", "),
    }
}

/// Narrows `Accept-Encoding` in place, see [`accept_encoding`].
pub fn narrow_accept_encoding(headers: &mut HeaderMap, stream: bool) {
    let lines: Vec<&str> = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok()).collect();
    let joined = (!lines.is_empty()).then(|| lines.join(", "));
    let narrowed = accept_encoding(joined.as_deref(), stream);
    if let Ok(value) = HeaderValue::from_str(&narrowed) {
        headers.insert(ACCEPT_ENCODING, value);
    }
}

/// Makes a caller's headers fit to go to the vendor: `Host`, what ends at this hop and the gateway's own headers go,
/// `Accept-Encoding` is narrowed. Credentials and `Content-Length` are the pipeline's to set.
pub fn to_vendor(headers: &mut HeaderMap, stream: bool) {
    strip_hop_by_hop(headers);
    strip_gateway(headers);
    headers.remove(HOST);
    narrow_accept_encoding(headers, stream);
}

/// Makes a vendor's headers fit to go to the caller: what ends at this hop goes, and what would pass for ours.
pub fn to_caller(headers: &mut HeaderMap) {
    strip_hop_by_hop(headers);
    strip_gateway(headers);
}

/// What a body with these headers is.
pub fn media(headers: &HeaderMap) -> Media {
    let Some(value) = headers.get(CONTENT_TYPE) else { return Media::Absent };
    let text = String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase();
    match text.split(';').next().unwrap_or("").trim() {
        "text/event-stream" => Media::EventStream,
        "application/json" | "text/json" => Media::Json,
        other if other.ends_with("+json") => Media::Json,
        _ => Media::Other,
    }
}
