//! The promises of DESIGN section 2 as a caller, a vendor and an auditor see them: refusals and their records, bytes
//! that are not touched, findings that never pass, text that is kept nowhere.

#![expect(clippy::expect_used, reason = "a test stops at what it cannot do")]
#![allow(clippy::disallowed_methods, reason = "tests measure with the real clock")]

mod common;

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::{
    Answer, CARD, CARD_BARE, Call, Connection, EMAIL, Framing, Gateway, Next, Site, Vendor, aws_key, chat, json_answer,
    messages, openai_events, sse_answer, wait_for,
};
use sealgate::types::{AnswerOutcome, Coverage, Reason, RequestOutcome, Status};
use serde_json::{Value, json};

const OPENAI: &str = "/openai/v1/chat/completions";
const ANTHROPIC: &str = "/anthropic/v1/messages";

/// What a refusal must look like, to the caller and in the log.
struct Refused {
    name: &'static str,
    call: Call,
    http: u16,
    reason: Reason,
}

fn refused(name: &'static str, call: Call, http: u16, reason: Reason) -> Refused {
    Refused { name, call, http, reason }
}

/// Both shapes: an error with reason code and request id, in the shape of the route's vendor.
fn check_shape(name: &str, call: &Call, answer: &Answer, reason: Reason) {
    let body = answer.json();
    let message = body["error"]["message"].as_str().unwrap_or_default();
    assert!(message.contains(reason.as_str()) && message.contains(&answer.request()), "{name}: {message}");
    if call.target.contains("/messages") {
        assert_eq!((&body["type"], &body["request_id"]), (&json!("error"), &json!(answer.request())), "{name}");
        assert!(body["error"]["type"].is_string(), "{name}");
    } else {
        assert_eq!(body["error"]["code"], json!(reason.as_str()), "{name}");
    }
    assert_eq!(answer.header("content-type"), Some("application/json"), "{name}");
}

fn check_refusals(site: &Site, gateway: &Gateway<'_>, vendor: &Vendor, cases: Vec<Refused>) {
    let before = vendor.calls();
    let mut answers = Vec::new();
    for Refused { name, call, http, reason } in cases {
        let answer = gateway.bare(call.clone());
        assert_eq!(answer.status, http, "{name}: {}", answer.text());
        assert_eq!(answer.header("sealgate-outcome"), Some("denied"), "{name}");
        check_shape(name, &call, &answer, reason);
        answers.push((name, http, reason, answer));
    }
    assert_eq!(vendor.calls(), before, "the vendor hears nothing of what is refused");
    let log = site.log();
    for (name, http, reason, answer) in answers {
        let (_, decision, completion) = log.pair(&answer.request());
        assert_eq!((decision.reason, completion.reason), (reason, reason), "{name}");
        assert_eq!((decision.outcome, completion.status), (RequestOutcome::Denied, Status::Denied), "{name}");
        assert_eq!((completion.http_status, completion.bytes.forwarded), (http, 0), "{name}");
    }
}

#[test]
fn a_caller_that_is_not_proven_is_refused_and_recorded() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let short = site.token(&["--name", "short", "--user", "ann", "--expires", "2001-01-01T00:00:00Z"]);
    let revoked = site.token(&["--name", "gone", "--user", "ann"]);
    let other = site.token(&["--name", "other", "--user", "ann"]);
    let list: Value = serde_json::from_str(&site.run(&["token", "list", "--format", "json"]).out).expect("json");
    let gone = list.as_array().expect("a list").iter().find(|token| token["name"] == "gone").expect("listed");
    assert_eq!(site.run(&["token", "revoke", gone["id"].as_str().expect("an id")]).code, 0);
    let gateway = site.start();
    let token = gateway.token.clone();
    let post = || Call::post(OPENAI, chat("Hello", false));
    let mut cases = vec![
        refused("missing", post(), 401, Reason::IdentityMissing),
        refused("missing, anthropic", Call::post(ANTHROPIC, messages("Hello", false)), 401, Reason::IdentityMissing),
        refused("empty counts as absent", post().header("authorization", ""), 401, Reason::IdentityMissing),
        refused("unknown", post().token("sg_nobody"), 401, Reason::IdentityInvalid),
        refused("no token at all", post().token("with spaces, and more"), 401, Reason::IdentityInvalid),
        refused("expired", post().token(&short), 401, Reason::IdentityExpired),
        refused("revoked", post().token(&revoked), 401, Reason::IdentityInvalid),
        refused("two", post().token(&token).header("x-api-key", &*other), 401, Reason::IdentityConflict),
        refused("two of a kind", post().token(&token).token(&other), 401, Reason::IdentityConflict),
    ];
    let foreign = Call::post("/other/v1/chat/completions", chat("Hello", false)).token(&token);
    cases.push(refused("another tenant's", foreign, 403, Reason::AuthzTenant));
    check_refusals(&site, &gateway, &vendor, cases);
    let twice = gateway.bare(post().token(&token).header("x-api-key", &*token));
    assert_eq!(twice.status, 200, "the same credential twice is one: {}", twice.text());
    for name in ["x-api-key", "api-key", "x-goog-api-key"] {
        assert_eq!(gateway.bare(post().header(name, &*token)).status, 200, "{name}");
        assert_eq!(vendor.last().header(name), None, "{name} is not forwarded");
    }
    let mut query = post();
    query.target = format!("{OPENAI}?a=1&key={token}&b=2");
    assert_eq!(gateway.bare(query).status, 200);
    assert_eq!(vendor.last().target, "/v1/chat/completions?a=1&b=2");
    assert_eq!(vendor.last().header("authorization"), Some("Bearer vendor-credential-of-the-test"));
    gateway.stop();
    site.verify();
}

#[test]
fn a_request_that_cannot_be_read_is_refused_and_recorded() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "[limits]\nbody_bytes_max = 100000\n");
    let gateway = site.start();
    let token = gateway.token.clone();
    let post = |body: &[u8]| Call::post(OPENAI, body).token(&token);
    let deep = [b"[".repeat(10_000), b"]".repeat(10_000)].concat();
    let deep_inside = [b"{\"model\":\"m\",\"messages\":".to_vec(), deep.clone(), b"}".to_vec()].concat();
    let mut wrong = chat("Hello", false);
    let at = common::find(&wrong, b"Hello").expect("there");
    wrong[at] = 0xff;
    let whole = chat("Hello", false);
    let large = chat(&"word ".repeat(30_000), false);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&chat(&" ".repeat(3_000_000), false)).expect("packed");
    let bomb = gzip.finish().expect("packed");
    let malformed = Reason::RequestMalformed;
    let cases = vec![
        refused("malformed", post(b"{\"model\": nonsense}"), 422, malformed),
        refused("empty", post(b""), 422, malformed),
        refused("truncated", post(&whole[..whole.len() - 3]), 422, malformed),
        refused("trailing", post(&[&whole[..], b"{}"].concat()), 422, malformed),
        refused("duplicate keys", post(br#"{"model":"a","model":"b","messages":[]}"#), 422, malformed),
        refused("duplicate keys escaped", post(br#"{"model":"a","mod\u0065l":"b","messages":[]}"#), 422, malformed),
        refused("depth 10,000", post(&deep), 422, malformed),
        refused("depth 10,000 inside", post(&deep_inside), 422, malformed),
        refused("invalid UTF-8", post(&wrong), 422, malformed),
        refused("anthropic", Call::post(ANTHROPIC, "{").token(&token), 422, malformed),
        refused("over the limit", post(&large), 413, Reason::RequestTooLarge),
        refused("over the limit, chunked", post(&large).chunked(), 413, Reason::RequestTooLarge),
        refused("a bomb", post(&bomb).header("content-encoding", "gzip"), 413, Reason::RequestTooLarge),
        refused("no gzip", post(&whole).header("content-encoding", "gzip"), 422, Reason::RequestUnscannable),
        refused("unknown coding", post(&whole).header("content-encoding", "rot13"), 422, Reason::RequestUnscannable),
        refused(
            "upgrade",
            Call::get("/openai/v1/realtime")
                .token(&token)
                .header("connection", "upgrade")
                .header("upgrade", "websocket"),
            422,
            Reason::RequestUpgrade,
        ),
        refused("unknown path", Call::post("/nowhere/v1/messages", "{}").token(&token), 404, Reason::RouteUnknown),
        refused("unknown path, nobody", Call::get("/wp-login.php"), 404, Reason::RouteUnknown),
        refused("a path like a route's", Call::get("/openaix/v1").token(&token), 404, Reason::RouteUnknown),
    ];
    check_refusals(&site, &gateway, &vendor, cases);
    let log = site.log();
    assert!(log.decisions().iter().any(|(_, head)| head.reason == Reason::RouteUnknown && &*head.route == "none"));
    gateway.stop();
    site.verify();
}

#[test]
fn a_request_that_policy_refuses_is_recorded_with_its_rules() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let gateway = site.start();
    let token = gateway.token.clone();
    let key = aws_key();
    let post = |body: Vec<u8>| Call::post(OPENAI, body).token(&token);
    let in_key = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"x","{CARD}":1}}]}}"#);
    let cases = vec![
        refused("secret", post(chat(&format!("My key is {key}."), false)), 403, Reason::DlpSecret),
        refused("secret, anthropic", Call::post(ANTHROPIC, messages(&key, true)).token(&token), 403, Reason::DlpSecret),
        refused("a card as a JSON key", post(in_key.into_bytes()), 403, Reason::DlpPan),
        refused(
            "an address in the query",
            Call::get(&format!("/openai/v1/models?user={EMAIL}")).token(&token),
            403,
            Reason::DlpPii,
        ),
        refused(
            "unknown operation",
            Call::post("/openai/v1/files", r#"{"purpose":"x"}"#).token(&token),
            403,
            Reason::OperationUnknown,
        ),
        refused(
            "unknown method",
            Call::new("DELETE", "/openai/v1/models/x").token(&token),
            403,
            Reason::OperationUnknown,
        ),
    ];
    check_refusals(&site, &gateway, &vendor, cases);
    let log = site.log();
    let secret = log.decisions().into_iter().find(|(_, head)| head.reason == Reason::DlpSecret).expect("recorded").1;
    assert!(secret.rules.iter().any(|rule| &**rule == "request.secret"), "{:?}", secret.rules);
    assert!(secret.classes.iter().any(|class| class.as_str().starts_with("secret.")), "{:?}", secret.classes);
    gateway.stop();
    site.verify();
}

/// Waits for the one completed pair and gives status and reason.
fn ending(site: &Site, number: usize) -> (Status, Reason, u16) {
    wait_for("the completion", || {
        let log = site.log();
        let (_, decision) = *log.decisions().get(number)?;
        let found =
            log.completions().into_iter().find(|(entry, head)| head.request == decision.request && entry.committed);
        found.map(|(_, head)| (head.status, head.reason, head.http_status))
    })
}

#[test]
fn a_caller_that_goes_away_leaves_both_records() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let gateway = site.start();
    // In the middle of its upload.
    let whole = Call::post(OPENAI, chat(&"word ".repeat(5_000), false)).token(&gateway.token).bytes();
    let mut connection = Connection::open(gateway.gateway);
    connection.send(&whole[..whole.len() / 2]).expect("sent");
    std::thread::sleep(Duration::from_millis(50));
    drop(connection);
    assert_eq!(ending(&site, 0), (Status::ClientAborted, Reason::ClientAborted, 0));
    assert_eq!(vendor.calls(), 0);
    // While the vendor thinks.
    vendor.on("thinks", |_, wire| {
        std::thread::sleep(Duration::from_millis(400));
        wire.write_all(&json_answer("{}"))?;
        Ok(Next::Close)
    });
    let mut connection = Connection::open(gateway.gateway);
    let call = Call::post(OPENAI, chat("Hello", false)).case("thinks").token(&gateway.token);
    connection.send(&call.bytes()).expect("sent");
    wait_for("the call", || (vendor.calls() == 1).then_some(()));
    drop(connection);
    assert_eq!(ending(&site, 1), (Status::ClientAborted, Reason::ClientAborted, 0));
    // In the middle of a stream.
    vendor.on("endless", |_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")?;
        let event = openai_events(&["word", " and", " word"]).replace("data: [DONE]\n\n", "");
        for _ in 0..500 {
            wire.write_all(event.replace("\"stop\"", "null").as_bytes())?;
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Next::Close)
    });
    let mut connection = Connection::open(gateway.gateway);
    let call = Call::post(OPENAI, chat("Hello", true)).case("endless").token(&gateway.token);
    connection.send(&call.bytes()).expect("sent");
    let mut answer = connection.head().expect("a head");
    connection.until(&mut answer, " and");
    drop(connection);
    let (status, reason, _) = ending(&site, 2);
    assert_eq!((status, reason), (Status::ClientAborted, Reason::ClientAborted));
    let log = site.log();
    let completion = log.completions()[2].1;
    assert!(completion.bytes.delivered > 0 && completion.bytes.answered >= completion.bytes.delivered);
    gateway.stop();
    assert!(site.log().open().is_empty());
    site.verify();
}

#[test]
fn a_vendor_that_fails_is_told_apart_and_recorded() {
    let vendor = Vendor::start();
    let egress = "[egress]\nconnect_seconds = 1\nfirst_byte_seconds = 1\nidle_seconds = 1\n";
    let site = Site::before(&vendor, egress);
    vendor.on("slow", |_, _| {
        std::thread::sleep(Duration::from_secs(3));
        Ok(Next::Close)
    });
    vendor.on("stalls", |_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"a\":")?;
        std::thread::sleep(Duration::from_secs(3));
        Ok(Next::Close)
    });
    vendor.on("resets", |_, _| Ok(Next::Reset));
    vendor.on("hangs up", |_, _| Ok(Next::Close));
    vendor.answers("garbage", "SSH-2.0-OpenSSH_9.6\r\n");
    vendor.answers("binary", vec![0u8, 159, 146, 150, 13, 10, 13, 10]);
    let short = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{\"a\":";
    vendor.answers("truncated", short);
    let gateway = site.start();
    let (timeout, error) = (Reason::UpstreamTimeout, Reason::UpstreamError);
    let cases = [
        ("slow", 504, timeout),
        ("stalls", 504, timeout),
        ("resets", 502, error),
        ("hangs up", 502, error),
        ("garbage", 502, error),
        ("binary", 502, error),
        ("truncated", 502, error),
    ];
    for (case, http, reason) in cases {
        let call = Call::post(OPENAI, chat("Hello", false)).case(case);
        let answer = gateway.call(call.clone());
        assert_eq!(answer.status, http, "{case}: {}", answer.text());
        check_shape(case, &call, &answer, reason);
        let log = site.log();
        let (_, decision, completion) = log.pair(&answer.request());
        assert_eq!((decision.outcome, completion.status), (RequestOutcome::Allowed, Status::UpstreamError), "{case}");
        assert_eq!((completion.reason, completion.http_status), (reason, http), "{case}");
    }
    let answer = gateway.call(Call::post("/down/v1/chat/completions", chat("Hello", false)));
    assert_eq!((answer.status, &answer.json()["error"]["code"]), (502, &json!("upstream.refused")));
    assert_eq!(site.log().pair(&answer.request()).2.reason, Reason::UpstreamRefused);
    gateway.stop();
    site.verify();
}

#[test]
fn an_error_of_the_vendor_passes_as_it_is_and_is_recorded() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let body =
        r#"{"error":{"message":"Rate limit reached","type":"requests","param":null,"code":"rate_limit_exceeded"}}"#;
    let raw = format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nretry-after: 7\r\nx-ratelimit-remaining-requests: 0\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    vendor.answers("limited", raw);
    let gateway = site.start();
    for stream in [false, true] {
        let answer = gateway.call(Call::post(OPENAI, chat("Hello", stream)).case("limited"));
        assert_eq!((answer.status, answer.text().as_str()), (429, body));
        assert_eq!(answer.header("retry-after"), Some("7"));
        assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("0"));
        let log = site.log();
        let (_, _, completion) = log.pair(&answer.request());
        assert_eq!((completion.status, completion.http_status), (Status::UpstreamError, 429));
    }
}

#[test]
fn a_stream_that_fails_after_its_200_is_told_apart_and_recorded() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "[egress]\nidle_seconds = 1\n");
    let events = openai_events(&["All", " is", " well", " here."]);
    let start = events.replace("data: [DONE]\n\n", "");
    let failing = format!("{start}data: {{\"error\":{{\"message\":\"overloaded\",\"type\":\"server_error\"}}}}\n\n");
    vendor.answers("error", sse_answer(&failing));
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let cut = format!("{head}{:x}\r\n{start}\r\n", start.len());
    vendor.answers("truncated", cut.clone());
    let broken = cut.clone();
    vendor.on("reset", move |_, wire| {
        wire.write_all(broken.as_bytes())?;
        std::thread::sleep(Duration::from_millis(100));
        Ok(Next::Reset)
    });
    vendor.on("silent", move |_, wire| {
        wire.write_all(cut.as_bytes())?;
        std::thread::sleep(Duration::from_secs(3));
        Ok(Next::Close)
    });
    let gateway = site.start();
    let cases = [
        ("error", Status::StreamError, Reason::UpstreamStreamError, true),
        ("truncated", Status::UpstreamError, Reason::UpstreamError, false),
        ("reset", Status::UpstreamError, Reason::UpstreamError, false),
        ("silent", Status::UpstreamError, Reason::UpstreamTimeout, false),
    ];
    for (case, status, reason, whole) in cases {
        let answer = gateway.call(Call::post(OPENAI, chat("Hello", true)).case(case));
        assert_eq!((answer.status, answer.whole), (200, whole), "{case}: {}", answer.text());
        assert!(answer.text().contains(" is"), "{case}: what came before is delivered");
        if case == "error" {
            assert_eq!(answer.text(), failing);
        }
        let request = answer.request();
        let found = wait_for("the completion", || {
            let log = site.log();
            let found = log.completions().into_iter().find(|(_, head)| head.request.to_string() == request);
            found.map(|(_, head)| (head.status, head.reason))
        });
        assert_eq!(found, (status, reason), "{case}");
    }
    gateway.stop();
    assert!(site.log().open().is_empty());
    site.verify();
}

/// Bodies that a re-encoding would change: spaces, escapes, number spellings, key order, invisible characters.
const ODD: &str = "{ \"model\" : \"gpt-4o-mini\",\r\n\t\"z\": 1.0e+2, \"messages\":[{\"role\":\"user\",\"content\":\"caf\\u00e9 \\/ \u{feff}\u{200d}\\ud83d\\ude00\"}],\"a\":-0.0,\"n\":12345678901234567890123 } \n";

#[test]
fn what_holds_no_finding_passes_byte_for_byte_both_ways() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let odd = "{ \"id\" : \"x\", \"choices\":[ ],\"pi\": 3.140, \"text\":\"na\\u00efve \\/ \u{1F600}\"}\n\n";
    let headers = "Content-Type: application/json; charset=UTF-8\r\nX-Request-Id: req-7\r\nSet-Cookie: a=b\r\nset-cookie: c=d\r\nOpenAI-Processing-MS: 12\r\nETag: \"x\"\r\nsealgate-outcome: forged\r\nConnection: close, x-hop\r\nX-Hop: 1\r\n";
    vendor.answers("length", format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n{odd}", odd.len()));
    vendor.answers("chunked", chunked(headers, odd.as_bytes()));
    vendor.answers("close", format!("HTTP/1.1 200 OK\r\n{headers}\r\n{odd}"));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(odd.as_bytes()).expect("packed");
    let packed = gzip.finish().expect("packed");
    let coded = format!("{headers}Content-Encoding: gzip\r\n");
    let mut raw = format!("HTTP/1.1 200 OK\r\n{coded}Content-Length: {}\r\n\r\n", packed.len()).into_bytes();
    raw.extend_from_slice(&packed);
    vendor.answers("gzip", raw);
    let gateway = site.start();
    for (case, framing, body, chunks) in [
        ("length", Framing::Length(odd.len()), odd.as_bytes(), false),
        ("chunked", Framing::Chunked, odd.as_bytes(), true),
        ("close", Framing::Chunked, odd.as_bytes(), false),
        ("gzip", Framing::Length(packed.len()), &packed[..], true),
    ] {
        let mut call = Call::post(OPENAI, ODD)
            .case(case)
            .header("Accept-Encoding", "gzip, deflate, br")
            .header("User-Agent", "OpenAI/Python 1.0")
            .header("X-Stainless-Lang", "python")
            .header("X-Twice", "1")
            .header("x-twice", "2")
            .header("Connection", "x-mine")
            .header("X-Mine", "gone")
            .header("sealgate-mode", "off");
        call.chunked = chunks;
        call.target = format!("{OPENAI}?b=%7e&a=1&b=2&");
        let answer = gateway.call(call.clone());
        assert_eq!(answer.status, 200, "{case}: {}", answer.text());
        assert_eq!(answer.body, body, "{case}: the answer, byte for byte");
        assert_eq!(answer.framing, framing, "{case}");
        check_answer_headers(case, &answer);
        let seen = vendor.last();
        assert_eq!(seen.body, ODD.as_bytes(), "{case}: the request, byte for byte");
        assert_eq!((seen.method.as_str(), seen.target.as_str()), ("POST", "/v1/chat/completions?b=%7e&a=1&b=2&"));
        check_request_headers(case, &seen.headers, vendor.address, chunks);
        let log = site.log();
        let (_, decision, completion) = log.pair(&answer.request());
        assert_eq!(
            (decision.outcome, completion.outcome),
            (RequestOutcome::Allowed, AnswerOutcome::Released),
            "{case}"
        );
        assert_eq!((decision.coverage, completion.coverage), (Coverage::Full, Coverage::Full), "{case}");
        let bytes = completion.bytes;
        assert_eq!((bytes.received, bytes.forwarded), (ODD.len() as u64, ODD.len() as u64), "{case}");
        assert_eq!((bytes.answered, bytes.delivered), (body.len() as u64, body.len() as u64), "{case}");
    }
    gateway.stop();
    site.verify();
}

fn chunked(headers: &str, body: &[u8]) -> Vec<u8> {
    let mut raw = format!("HTTP/1.1 200 OK\r\n{headers}Transfer-Encoding: chunked\r\n\r\n").into_bytes();
    for piece in body.chunks(7) {
        raw.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
        raw.extend_from_slice(piece);
        raw.extend_from_slice(b"\r\n");
    }
    raw.extend_from_slice(b"0\r\n\r\n");
    raw
}

/// The vendor's headers but for hop-by-hop, framing and the forged `sealgate-*`.
fn check_answer_headers(case: &str, answer: &Answer) {
    let framing = ["content-length", "transfer-encoding", "connection"];
    let kept: Vec<_> =
        answer.foreign_headers().into_iter().filter(|(name, _)| !framing.contains(&name.as_str())).collect();
    let mut wanted = vec![
        ("content-type", "application/json; charset=UTF-8"),
        ("etag", "\"x\""),
        ("openai-processing-ms", "12"),
        ("set-cookie", "a=b"),
        ("set-cookie", "c=d"),
        ("x-request-id", "req-7"),
    ];
    if case == "gzip" {
        wanted.insert(0, ("content-encoding", "gzip"));
    }
    let wanted: Vec<_> = wanted.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    assert_eq!(kept, wanted, "{case}");
    assert_eq!(answer.header("sealgate-outcome"), Some("allowed"), "{case}: the gateway's own, not the vendor's");
    assert_eq!(answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("sealgate-outcome")).count(), 1);
}

/// The caller's headers, with the vendor's host and credential instead of the caller's.
fn check_request_headers(case: &str, seen: &[(String, String)], vendor: std::net::SocketAddr, chunks: bool) {
    let mut seen: Vec<_> = seen.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.clone())).collect();
    seen.sort();
    let framing =
        if chunks { ("transfer-encoding", "chunked".to_owned()) } else { ("content-length", ODD.len().to_string()) };
    let mut wanted = vec![
        ("accept-encoding", "gzip, deflate, br".to_owned()),
        ("authorization", "Bearer vendor-credential-of-the-test".to_owned()),
        ("content-type", "application/json".to_owned()),
        ("host", vendor.to_string()),
        ("user-agent", "OpenAI/Python 1.0".to_owned()),
        ("x-case", case.to_owned()),
        ("x-stainless-lang", "python".to_owned()),
        ("x-twice", "1".to_owned()),
        ("x-twice", "2".to_owned()),
        framing,
    ];
    wanted.sort();
    let wanted: Vec<_> = wanted.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    assert_eq!(seen, wanted, "{case}");
}

#[test]
fn a_stream_without_findings_passes_byte_for_byte() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let events = openai_events(&["All", " is", "\n\nwell \u{1F600}", " here."]);
    let odd = format!(
        ": a comment\r\n\r\nretry: 10\n\nid: 7\nevent: x\ndata: {{ \"a\" : [1.0,\ndata: 2] }}\n\n{events}: trailing\n\n"
    );
    vendor.answers("odd", chunked("content-type: text/event-stream; charset=utf-8\r\nx-a: b\r\n", odd.as_bytes()));
    let gateway = site.start();
    let answer = gateway.call(Call::post(OPENAI, chat("Hello", true)).case("odd"));
    assert_eq!(answer.text(), odd);
    assert!(answer.whole);
    assert_eq!(answer.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(answer.header("x-a"), Some("b"));
    assert_eq!(vendor.last().header("accept-encoding"), Some("identity"));
    let log = site.log();
    let (_, _, completion) = log.pair(&answer.request());
    assert_eq!((completion.status, completion.outcome), (Status::Completed, AnswerOutcome::Released));
}

#[test]
fn a_redaction_changes_its_span_and_nothing_else() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let gateway = site.start();
    for (found, shown) in
        [(EMAIL, "[redacted:pii.email]"), (CARD, "[redacted:pci.pan]"), (CARD_BARE, "[redacted:pci.pan]")]
    {
        let body = ODD.replace("\\/ ", &format!("\\/ <{found}> "));
        let answer = gateway.call(Call::post(OPENAI, body.as_str()));
        assert_eq!((answer.status, answer.header("sealgate-outcome")), (200, Some("redacted")), "{}", answer.text());
        assert_eq!(String::from_utf8_lossy(&vendor.last().body), body.replace(found, shown));
    }
    let nested = format!(
        r#"{{"model":"m","messages":[{{"role":"assistant","tool_calls":[{{"id":"c","type":"function","function":{{"name":"pay","arguments":"{{\"to\":\"{EMAIL}\",\"card\":{CARD_BARE}}}"}}}}]}}]}}"#
    );
    let answer = gateway.call(Call::post(OPENAI, nested));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen: Value = serde_json::from_slice(&vendor.last().body).expect("still JSON");
    let arguments = seen["messages"][0]["tool_calls"][0]["function"]["arguments"].as_str().expect("a string");
    let arguments: Value = serde_json::from_str(arguments).expect("still JSON inside");
    assert_eq!(arguments, json!({"to": "[redacted:pii.email]", "card": "[redacted:pci.pan]"}));
    // The same in an answer read whole.
    let odd = format!("{{ \"id\" : \"x\", \"pi\": 3.140, \"text\":\"na\\u00efve <{CARD}> \\/\"}}\n");
    vendor.answers("card", json_answer(&odd));
    let answer = gateway.call(Call::post(OPENAI, chat("Hello", false)).case("card"));
    assert_eq!(answer.text(), odd.replace(CARD, "[redacted:pci.pan]"));
    let log = site.log();
    assert_eq!(log.pair(&answer.request()).2.outcome, AnswerOutcome::Redacted);
    gateway.stop();
    site.verify();
}

#[test]
fn the_first_tokens_of_a_clean_stream_do_not_wait_for_the_rest() {
    held_back_from(", all", " dear");
}

/// An answer's first word might be the beginning of an e-mail address; it is not held for the second all the same.
#[test]
fn the_first_word_of_a_clean_stream_does_not_wait_for_the_second() {
    held_back_from(" dear", "Hello");
}

/// A vendor that holds its stream back from `stop` on, and a caller that sees `seen` meanwhile.
fn held_back_from(stop: &'static str, seen: &str) {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let go_on = Arc::new(AtomicBool::new(false));
    let held = go_on.clone();
    vendor.on("holds", move |_, wire| {
        let events = openai_events(&["Hello", " dear", " world", ", all is well."]);
        let cut = common::find(events.as_bytes(), stop.as_bytes()).expect("there");
        let cut = events[..cut].rfind("data:").expect("an event");
        wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n")?;
        wire.write_all(&events.as_bytes()[..cut])?;
        let start = Instant::now();
        while !held.load(Ordering::SeqCst) && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(2));
        }
        wire.write_all(&events.as_bytes()[cut..])?;
        Ok(Next::Close)
    });
    let gateway = site.start();
    let mut connection = Connection::open(gateway.gateway);
    let call = Call::post(OPENAI, chat("Hello", true)).case("holds").token(&gateway.token);
    connection.send(&call.bytes()).expect("sent");
    let start = Instant::now();
    let mut answer = connection.head().expect("a head");
    connection.until(&mut answer, seen);
    assert!(start.elapsed() < Duration::from_secs(2), "the tokens waited for the rest: {:?}", start.elapsed());
    assert!(common::find(&answer.body, stop.as_bytes()).is_none());
    go_on.store(true, Ordering::SeqCst);
    connection.rest(&mut answer);
    assert_eq!(answer.text(), openai_events(&["Hello", " dear", " world", ", all is well."]));
}

/// One form of streamed text: how fragments become events, and how a client joins them again.
struct StreamForm {
    name: &'static str,
    route: &'static str,
    whole: &'static str,
    event: fn(&str) -> String,
    last: &'static str,
    pointer: &'static str,
    is_json: bool,
}

const ARGUMENTS: &str = r#"{"card":"4111 1111 1111 1111","raw":4111111111111111,"note":"after"}"#;
const ANTHROPIC_END: &str = "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\nevent: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":5}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const OPENAI_END: &str =
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const SENTENCE: &str = "Before it: card 4111 1111 1111 1111 and after.";

const FORMS: [StreamForm; 4] = [
    StreamForm {
        name: "OpenAI text",
        route: OPENAI,
        whole: SENTENCE,
        event: |piece| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": piece}}]})),
        last: OPENAI_END,
        pointer: "/choices/0/delta/content",
        is_json: false,
    },
    StreamForm {
        name: "OpenAI tool arguments",
        route: OPENAI,
        whole: ARGUMENTS,
        event: |piece| {
            let call = json!({"index": 0, "function": {"arguments": piece}});
            format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]}))
        },
        last: OPENAI_END,
        pointer: "/choices/0/delta/tool_calls/0/function/arguments",
        is_json: true,
    },
    StreamForm {
        name: "Anthropic text",
        route: ANTHROPIC,
        whole: SENTENCE,
        event: |piece| {
            let delta = json!({"type": "text_delta", "text": piece});
            let event = json!({"type": "content_block_delta", "index": 0, "delta": delta});
            format!("event: content_block_delta\ndata: {event}\n\n")
        },
        last: ANTHROPIC_END,
        pointer: "/delta/text",
        is_json: false,
    },
    StreamForm {
        name: "Anthropic tool input",
        route: ANTHROPIC,
        whole: ARGUMENTS,
        event: |piece| {
            let delta = json!({"type": "input_json_delta", "partial_json": piece});
            let event = json!({"type": "content_block_delta", "index": 0, "delta": delta});
            format!("event: content_block_delta\ndata: {event}\n\n")
        },
        last: ANTHROPIC_END,
        pointer: "/delta/partial_json",
        is_json: true,
    },
];

/// What a client joins from a stream.
fn joined(form: &StreamForm, answer: &Answer) -> String {
    let text = answer.text();
    let events = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let values = events.map(|data| serde_json::from_str::<Value>(data).expect("every event is JSON"));
    values.filter_map(|value| value.pointer(form.pointer)?.as_str().map(str::to_owned)).collect()
}

fn check_split(form: &StreamForm, pieces: &[&str], answer: &Answer) {
    let what = format!("{} {pieces:?}: {}", form.name, answer.text());
    assert!(answer.status == 200 && answer.whole && answer.text().ends_with(form.last), "{what}");
    let joined = joined(form, answer);
    let digits: String = joined.chars().filter(char::is_ascii_digit).collect();
    assert!(!digits.contains("4111111111"), "the card's first ten digits passed: {joined} in {what}");
    if form.is_json {
        let value: Value = serde_json::from_str(&joined).unwrap_or_else(|error| panic!("{error}: {joined} in {what}"));
        let wanted = json!({"card": "[redacted:pci.pan]", "raw": "[redacted:pci.pan]", "note": "after"});
        assert_eq!(value, wanted, "{what}");
    } else {
        assert_eq!(joined, form.whole.replace(CARD, "[redacted:pci.pan]"), "{what}");
    }
}

#[test]
fn a_card_number_in_a_stream_is_never_delivered_however_it_is_split() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    vendor.on("split", |seen, wire| {
        let script: Value =
            serde_json::from_str(seen.header("x-split").unwrap_or("[]")).map_err(std::io::Error::other)?;
        let form = &FORMS[script["form"].as_u64().unwrap_or(0) as usize];
        let mut at = 0;
        let places = script["at"].as_array().cloned().unwrap_or_default();
        wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")?;
        let ends = places.iter().filter_map(Value::as_u64).map(|end| end as usize).chain([form.whole.len()]);
        for end in ends {
            let event = (form.event)(&form.whole[at..end]);
            wire.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes())?;
            at = end;
        }
        wire.write_all(format!("{:x}\r\n{}\r\n0\r\n\r\n", form.last.len(), form.last).as_bytes())?;
        Ok(Next::Keep)
    });
    let gateway = site.start();
    std::thread::scope(|scope| {
        for (number, form) in FORMS.iter().enumerate() {
            let gateway = &gateway;
            scope.spawn(move || {
                let mut connection = Connection::open(gateway.gateway);
                let one_by_one: Vec<usize> = (1..form.whole.len()).collect();
                let splits = (1..form.whole.len()).map(|at| vec![at]).chain([one_by_one]);
                for split in splits {
                    let script = json!({"form": number, "at": split}).to_string();
                    let body = if form.route == OPENAI { chat("Hello", true) } else { messages("Hello", true) };
                    let call =
                        Call::post(form.route, body).case("split").header("x-split", script).token(&gateway.token);
                    let answer = connection.call(&call).expect("an answer");
                    let ends: Vec<usize> = [0].into_iter().chain(split).chain([form.whole.len()]).collect();
                    let pieces: Vec<&str> = ends.windows(2).map(|pair| &form.whole[pair[0]..pair[1]]).collect();
                    check_split(form, &pieces, &answer);
                }
            });
        }
    });
    let log = site.log();
    assert!(
        log.completions()
            .iter()
            .all(|(_, head)| head.outcome == AnswerOutcome::Redacted && head.reason == Reason::DlpPan)
    );
    gateway.stop();
    site.verify();
}

#[test]
fn nothing_a_caller_sends_switches_anything_off() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let gateway = site.start();
    let names = [
        "sealgate-mode",
        "sealgate-scan",
        "sealgate-policy",
        "sealgate-outcome",
        "sealgate-request",
        "x-sealgate-bypass",
        "sealgate-authorization",
        "x-no-log",
        "dnt",
    ];
    let mut call = Call::post(OPENAI, chat(&format!("Card {CARD}"), false));
    for name in names {
        call = call.header(name, "off");
    }
    let answer = gateway.call(call);
    assert_eq!((answer.status, answer.header("sealgate-outcome")), (200, Some("redacted")));
    let seen = vendor.last();
    assert!(common::find(&seen.body, b"[redacted:pci.pan]").is_some());
    assert!(seen.headers.iter().all(|(name, _)| !name.starts_with("sealgate-")), "{:?}", seen.headers);
    let log = site.log();
    assert_eq!(log.pair(&answer.request()).1.outcome, RequestOutcome::Redacted);
    let body = format!(
        r#"{{"model":"m","sealgate":{{"scan":false}},"metadata":{{"no_log":true}},"store":false,"messages":[{{"role":"user","content":"{CARD}"}}]}}"#
    );
    let answer = gateway.call(Call::post(OPENAI, body));
    assert_eq!(answer.header("sealgate-outcome"), Some("redacted"));
}

#[test]
fn the_record_header_names_index_and_leaf_of_the_decision() {
    use base64::Engine;
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let gateway = site.start();
    let post = || Call::post(OPENAI, chat("Hello", false));
    let streamed = Call::post(OPENAI, chat("Hello", true));
    for answer in [gateway.call(post()), gateway.bare(post()), gateway.call(streamed)] {
        let log = site.log();
        let (entry, decision, _) = log.pair(&answer.request());
        let leaf = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(entry.leaf.0);
        let origin = std::fs::read_to_string(site.data().join("keys/origin")).expect("an origin");
        let wanted = format!("{}#{}#{leaf}", origin.trim(), entry.index);
        assert_eq!(answer.header("sealgate-record"), Some(wanted.as_str()));
        assert_eq!(answer.header("sealgate-outcome"), Some(decision.outcome.as_str()));
        let policy = answer.header("sealgate-policy").expect("a policy");
        assert!(policy.contains(&decision.policy.digest.to_string()), "{policy}");
    }
}

/// Puts the forbidden text into every place a caller or a vendor has.
fn everywhere(gateway: &Gateway<'_>, vendor: &Vendor, text: &str) {
    let path_text = text.replace(' ', "%20");
    let whole = json!({"model": text, "user": text, "messages": [{"role": "user", "name": text, "content": text}],
        "tools": [{"type": "function", "function": {"name": text, "description": text}}], text: 1})
    .to_string();
    gateway.call(Call::post(OPENAI, whole.clone()));
    gateway.call(Call::post(ANTHROPIC, whole.clone()));
    gateway.bare(Call::post(OPENAI, whole.clone()));
    gateway.bare(Call::post(OPENAI, chat(text, false)).token(&text.replace(' ', "")));
    gateway.call(Call::post(OPENAI, &whole[..whole.len() - 1]));
    gateway.call(Call::post(OPENAI, chat(text, false)));
    gateway.call(Call::post(OPENAI, json!({"model": text, "messages": []}).to_string()));
    let tools = json!([{"type": "function", "function": {"name": text}}]);
    gateway.call(Call::post(OPENAI, json!({"model": "m", "messages": [], "tools": tools}).to_string()));
    for target in [
        format!("/openai/v1/models/{path_text}"),
        format!("/openai/v1/models?q={path_text}"),
        format!("/{path_text}"),
        format!("/openai/{path_text}"),
    ] {
        gateway.call(Call::get(&target));
    }
    let mut call = Call::post(OPENAI, chat("Hello", false));
    for name in
        ["x-note", "user-agent", "traceparent", "openai-organization", "sealgate-note", "cookie", "referer", "accept"]
    {
        call = call.header(name, text);
    }
    gateway.call(call.clone().header("x-case", text));
    call.headers[0].1 = text.to_owned();
    gateway.call(call);
    gateway.call(Call::new(text.split(' ').next().unwrap_or("X"), OPENAI));
    // And in what comes back.
    let answer = json!({"id": text, "model": text, "system_fingerprint": text, "choices": [{"index": 0, "finish_reason": text,
        "message": {"role": text, "content": text, "tool_calls": [{"id": text, "type": "function", "function": {"name": text, "arguments": text}}]}}]})
    .to_string();
    let headers = format!("content-type: application/json\r\nx-request-id: {text}\r\nx-note: {text}\r\n");
    vendor.answers("back", chunked(&headers, answer.as_bytes()));
    gateway.call(Call::post(OPENAI, chat("Hello", false)).case("back"));
    let odd_type = format!("content-type: {text}\r\n");
    vendor.answers("type", chunked(&odd_type, answer.as_bytes()));
    gateway.call(Call::post(OPENAI, chat("Hello", false)).case("type"));
    let events = format!(
        "event: {text}\ndata: {text}\n\n: {text}\n\n{}",
        openai_events(&[text, " and ", text]).replace("gpt-4o-mini", text)
    );
    vendor.answers(
        "stream",
        chunked(&format!("content-type: text/event-stream\r\nx-request-id: {text}\r\n"), events.as_bytes()),
    );
    gateway.call(Call::post(OPENAI, chat("Hello", true)).case("stream"));
    vendor.answers("broken", format!("HTTP/1.1 200 {text}\r\n{text}\r\n\r\n"));
    gateway.call(Call::post(OPENAI, chat("Hello", false)).case("broken"));
    let error = json!({"error": {"message": text, "type": text, "code": text}}).to_string();
    vendor.answers(
        "refuses",
        format!(
            "HTTP/1.1 500 {text}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{error}",
            error.len()
        ),
    );
    gateway.call(Call::post(OPENAI, chat("Hello", false)).case("refuses"));
    // Bytes that are no HTTP at all.
    let mut connection = Connection::open(gateway.gateway);
    let _ = connection.send(format!("{text} {text}\r\n{text}\r\n\r\n").as_bytes());
    let _ = connection.head();
}

#[test]
fn no_text_of_a_caller_or_vendor_is_kept_anywhere() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let free = "an entirely harmless phrase about zebras";
    let texts = [EMAIL.to_owned(), CARD.to_owned(), CARD_BARE.to_owned(), aws_key(), free.to_owned()];
    let gateway = site.start();
    for text in &texts {
        everywhere(&gateway, &vendor, text);
    }
    for arguments in [&["records", "list"][..], &["records", "stats"], &["records", "list", "--identity", EMAIL]] {
        let ran = site.run(arguments);
        let shown = ran.out.clone();
        assert!(texts.iter().all(|text| !shown.contains(text.as_str())), "{arguments:?}: {shown}");
    }
    let metrics = gateway.admin("/metrics").text();
    let out = gateway.stop();
    let stderr = site.stderr();
    let needles = texts.iter().flat_map(|text| [text.clone(), text.replace(' ', ""), text.replace(' ', "%20")]);
    for needle in needles.chain(["vendor-credential-of-the-test".to_owned()]) {
        for (place, text) in [("/metrics", &metrics), ("stderr", &stderr), ("stdout", &out)] {
            assert!(!text.contains(&needle), "`{needle}` in {place}: {text}");
        }
        for (path, bytes) in common::files(&site.data()) {
            // The policy bundle is the operator's own text.
            let ours = path.starts_with(site.data().join("policies"));
            assert!(ours || common::find(&bytes, needle.as_bytes()).is_none(), "`{needle}` in {}", path.display());
        }
    }
    assert!(site.log().open().is_empty());
    site.verify();
}

#[test]
fn records_can_be_asked_for_by_every_filter() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let ann = site.token(&["--name", "laptop", "--user", "ann"]);
    let gateway = site.start();
    let mut ids = Vec::new();
    for call in [
        Call::post(OPENAI, chat("Hello", false)).token(&gateway.token),
        Call::post(ANTHROPIC, messages("Hello", false)).token(&gateway.token),
        Call::post(OPENAI, chat(&format!("Card {CARD}"), false)).token(&ann),
        Call::post(OPENAI, chat(&aws_key(), false)).token(&ann),
        Call::post(OPENAI, "{"),
    ] {
        ids.push(gateway.bare(call).request());
    }
    check_filters(&site, &ids);
    gateway.stop();
    check_filters(&site, &ids);
    let queries = site.log().events(sealgate::record::Kind::AccessQuery).len();
    assert!(queries >= 10, "reading beside a gateway is recorded: {queries}");
    site.verify();
}

/// Which of the five requests each filter shows.
fn check_filters(site: &Site, ids: &[String]) {
    let cases: [(&[&str], &[usize]); 17] = [
        (&[], &[0, 1, 2, 3, 4]),
        (&["--vendor", "anthropic"], &[1]),
        (&["--route", "openai"], &[0, 2, 3, 4]),
        (&["--model", "claude-sonnet-4"], &[1]),
        (&["--outcome", "denied"], &[3, 4]),
        (&["--outcome", "redacted"], &[2]),
        (&["--class", "pci.pan"], &[2]),
        (&["--class", "secret"], &[3]),
        (&["--reason", "dlp.secret"], &[3]),
        (&["--status", "completed"], &[0, 1, 2]),
        (&["--label", "unclassified"], &[3, 4]),
        (&["--identity", "ann"], &[2, 3]),
        (&["--tenant", "default"], &[0, 1, 2, 3, 4]),
        (&["--tenant", "nobody"], &[]),
        (&["--from", "1h", "--vendor", "openai", "--identity", "ann", "--outcome", "denied"], &[3]),
        (&["--to", "2020-01-01"], &[]),
        (&["--limit", "2"], &[3, 4]),
    ];
    for (filter, wanted) in cases {
        let ran = site.run(&[&["records", "list", "--format", "jsonl"], filter].concat());
        assert_eq!(ran.code, 0, "{filter:?}: {}", ran.err);
        let rows = ran.out.lines().map(|line| serde_json::from_str::<Value>(line).expect("json"));
        let mut found: Vec<String> = rows.map(|row| row["request"].as_str().unwrap_or_default().to_owned()).collect();
        found.reverse();
        let wanted: Vec<String> = wanted.iter().map(|&number| ids[number].clone()).collect();
        assert_eq!(found, wanted, "{filter:?}: {}", ran.out);
    }
    for format in ["table", "json", "csv"] {
        let ran = site.run(&["records", "list", "--format", format]);
        assert!(ran.code == 0 && ran.out.contains("dlp.secr"), "{format}: {}{}", ran.out, ran.err);
    }
    let shown = site.run(&["records", "show", &ids[2]]);
    assert!(shown.code == 0 && shown.out.contains("pci.pan"), "{}{}", shown.out, shown.err);
    let counted = site.run(&["records", "count", "--outcome", "denied"]);
    assert!(counted.code == 0 && counted.out.trim_start().starts_with('2'), "{}", counted.out);
}

/// A vendor's stream of these bytes, in pieces of this size.
fn in_pieces(vendor: &Vendor, case: &str, events: String, size: usize) {
    vendor.on(case, move |_, wire| {
        wire.write_all(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")?;
        for piece in events.as_bytes().chunks(size) {
            wire.write_all(format!("{:x}\r\n", piece.len()).as_bytes())?;
            wire.write_all(piece)?;
            wire.write_all(b"\r\n")?;
        }
        wire.write_all(b"0\r\n\r\n")?;
        Ok(Next::Keep)
    });
}

#[test]
fn a_card_number_outside_of_the_deltas_of_a_stream_never_passes() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let events = openai_events(&["All", " is", " well."]);
    let at = events.rfind("data: {").expect("the finish");
    let (start, end) = events.split_at(at);
    let (first, second) = CARD.split_at(9);
    // What is put in, and whether the rest of the stream goes on (else it is cut).
    let cases = [
        ("field", format!("data: {{\"choices\":[],\"note\":\"to {CARD} now\"}}\n\n"), true),
        ("error", format!("data: {{\"error\":{{\"message\":\"no {CARD} here\"}}}}\n\n"), true),
        ("number", format!("data: {{\"choices\":[],\"note\":{CARD_BARE}}}\n\n"), false),
        ("key", format!("data: {{\"choices\":[],\"{CARD}\":1}}\n\n"), false),
        ("comment", format!(": {CARD}\n\n"), false),
        ("event name", format!("event: {CARD}\ndata: {{}}\n\n"), false),
        ("id", format!("id: {CARD}\ndata: {{}}\n\n"), false),
        ("no JSON", format!("data: to {CARD} now\n\n"), true),
        ("no JSON, split", format!("data: to {first}\n\ndata: {second} now\n\n"), true),
        (
            "two choices",
            [0, 1]
                .map(|at| format!("data: {}\n\n", json!({"choices": [{"index": at, "delta": {"content": CARD}}]})))
                .concat(),
            true,
        ),
        (
            "unknown field",
            format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"thought": {"text": CARD}}}]})),
            true,
        ),
    ];
    let gateway = site.start();
    for (case, middle, goes_on) in cases {
        for size in [1, 7, 100_000] {
            in_pieces(&vendor, case, format!("{start}{middle}{end}"), size);
            let answer = gateway.call(Call::post(OPENAI, chat("Hello", true)).case(case));
            let text = answer.text();
            let digits: String = text.chars().filter(char::is_ascii_digit).collect();
            assert!(!digits.contains("4111111111"), "{case} by {size}: {text}");
            // What came before a cut in the same read of the gateway may be cut with it.
            assert!(!goes_on || text.starts_with(start), "{case} by {size}: {text}");
            assert_eq!(text.ends_with(end), goes_on, "{case} by {size}: {text}");
            let log = site.log();
            let (_, _, completion) = log.pair(&answer.request());
            let reason = match case {
                "error" => Reason::UpstreamStreamError,
                "no JSON" | "no JSON, split" => completion.reason,
                _ => Reason::DlpPan,
            };
            assert_eq!(completion.reason, reason, "{case}");
            let (outcome, status) = match goes_on {
                true if case == "error" => (AnswerOutcome::Redacted, Status::StreamError),
                true => (AnswerOutcome::Redacted, Status::Completed),
                false => (AnswerOutcome::Cut, Status::CutByPolicy),
            };
            assert_eq!((completion.outcome, completion.status), (outcome, status), "{case} by {size}");
            if !goes_on {
                assert!(
                    text.contains(reason.as_str()) && text.contains(&answer.request()),
                    "{case}: told in the stream: {text}"
                );
            }
        }
    }
    gateway.stop();
    site.verify();
}

#[test]
fn an_answer_that_cannot_be_scanned_is_withheld() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "[limits]\nanswer_bytes_max = 10000\n");
    let json = "content-type: application/json\r\n";
    vendor.answers("coding", chunked(&format!("{json}content-encoding: rot13\r\n"), b"{}"));
    vendor.answers("no gzip", chunked(&format!("{json}content-encoding: gzip\r\n"), b"{}"));
    vendor.answers("binary", chunked("content-type: audio/mpeg\r\n", &[0xff, 0xfe, 0, 1]));
    vendor.answers("stream", chunked("content-type: text/event-stream\r\ncontent-encoding: rot13\r\n", b"data: x\n\n"));
    vendor.answers("large", chunked(json, format!("{{\"text\":\"{}\"}}", "word ".repeat(3000)).as_bytes()));
    let mut bomb = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    bomb.write_all(&[b' '; 1_000_000]).expect("packed");
    vendor.answers("bomb", chunked(&format!("{json}content-encoding: gzip\r\n"), &bomb.finish().expect("packed")));
    let gateway = site.start();
    for case in ["coding", "no gzip", "binary", "stream", "large", "bomb"] {
        let call = Call::post(OPENAI, chat("Hello", case == "stream")).case(case);
        let answer = gateway.call(call.clone());
        let reason = if case == "large" { Reason::AnswerTooLarge } else { Reason::AnswerUnscannable };
        assert_eq!(answer.status, 403, "{case}: {}", answer.text());
        check_shape(case, &call, &answer, reason);
        let log = site.log();
        assert_eq!(log.pair(&answer.request()).2.reason, reason, "{case}");
    }
    gateway.stop();
    site.verify();
}

#[test]
fn compressed_requests_and_answers_are_scanned() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let gzip = |bytes: &[u8]| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(bytes).expect("packed");
        packer.finish().expect("packed")
    };
    let text = format!(r#"{{"text":"to {CARD} now"}}"#);
    vendor.answers(
        "whole",
        chunked("content-type: application/json\r\ncontent-encoding: gzip\r\n", &gzip(text.as_bytes())),
    );
    let events = openai_events(&["to 4111 1111", " 1111 1111", " now"]);
    vendor.answers(
        "stream",
        chunked("content-type: text/event-stream\r\ncontent-encoding: gzip\r\n", &gzip(events.as_bytes())),
    );
    let gateway = site.start();
    let answer = gateway.call(Call::post(OPENAI, chat("Hello", false)).case("whole"));
    assert_eq!((answer.text(), answer.header("content-encoding")), (text.replace(CARD, "[redacted:pci.pan]"), None));
    let answer = gateway.call(Call::post(OPENAI, chat("Hello", true)).case("stream"));
    assert!(answer.text().contains("[redacted:pci.pan]") && answer.text().ends_with("[DONE]\n\n"), "{}", answer.text());
    assert!(!answer.text().contains("4111 1111"), "{}", answer.text());
    let plain = chat(&format!("to {CARD} now"), false);
    let answer = gateway.call(Call::post(OPENAI, gzip(&plain)).header("content-encoding", "gzip"));
    assert_eq!(answer.header("sealgate-outcome"), Some("redacted"));
    let seen = vendor.last();
    assert_eq!(
        String::from_utf8_lossy(&seen.body),
        String::from_utf8_lossy(&plain).replace(CARD, "[redacted:pci.pan]")
    );
    assert_eq!(seen.header("content-encoding"), None);
    let clean = gzip(&chat("Hello", false));
    gateway.call(Call::post(OPENAI, clean.clone()).header("content-encoding", "gzip"));
    assert_eq!((vendor.last().body, vendor.last().header("content-encoding")), (clean, Some("gzip")));
}

#[test]
fn a_caller_may_bring_its_own_vendor_key() {
    let vendor = Vendor::start();
    let url = vendor.address;
    let site = Site::with(&format!(
        "[[vendor]]\nid = \"openai\"\ndialect = \"openai\"\nurl = \"http://{url}\"\ncredential = \"caller\"\n[[route]]\nvendor = \"openai\"\n"
    ));
    let gateway = site.start();
    let own = || Call::post(OPENAI, chat("Hello", false)).header("authorization", "Bearer own-vendor-key");
    let answer = gateway.bare(own().header("sealgate-authorization", format!("Bearer {}", gateway.token)));
    assert_eq!(answer.status, 200, "{}", answer.text());
    let seen = vendor.last();
    assert_eq!(
        (seen.header("authorization"), seen.header("sealgate-authorization")),
        (Some("Bearer own-vendor-key"), None)
    );
    assert_eq!(gateway.bare(own()).json()["error"]["code"], "identity.missing");
    let only = gateway.call(Call::post(OPENAI, chat("Hello", false)));
    assert_eq!(only.json()["error"]["code"], "identity.missing", "the usual place is the vendor's here");
    assert_eq!(vendor.calls(), 1);
    gateway.stop();
    for (path, bytes) in common::files(site.path()) {
        assert!(common::find(&bytes, b"own-vendor-key").is_none(), "{}", path.display());
    }
}

#[test]
fn odd_but_legal_http_is_served_and_recorded() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    vendor.answers("204", "HTTP/1.1 204 No Content\r\nx-a: b\r\n\r\n");
    vendor.answers("early", "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-type: application/json\r\n\r\n{}");
    vendor.answers("trailers", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: application/json\r\n\r\n2\r\n{}\r\n0\r\nx-trailer: 1\r\n\r\n");
    vendor.answers(
        "redirect",
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://elsewhere.test/\r\ncontent-length: 0\r\n\r\n",
    );
    let gateway = site.start();
    for (case, status) in [("204", 204), ("early", 200), ("trailers", 200), ("redirect", 307)] {
        let answer = gateway.call(Call::post(OPENAI, chat("Hello", false)).case(case).header("connection", "close"));
        assert_eq!(answer.status, status, "{case}: {}", answer.text());
        let log = site.log();
        assert_eq!(log.pair(&answer.request()).2.http_status, status, "{case}");
    }
    // A client that waits for leave to send its body.
    let body = chat("Hello", false);
    let mut connection = Connection::open(gateway.gateway);
    let mut call = Call::post(OPENAI, "").token(&gateway.token).header("expect", "100-continue");
    call.headers.push(("content-length".to_owned(), body.len().to_string()));
    let head = String::from_utf8(call.bytes()).expect("text").replace("content-length: 0\r\n", "");
    connection.send(head.as_bytes()).expect("sent");
    std::thread::sleep(Duration::from_millis(100));
    connection.send(&body).expect("sent");
    assert_eq!(connection.head().expect("a head").status, 200);
    assert_eq!((vendor.last().header("expect"), vendor.last().body), (None, body));
    // Two requests in one write, and HEAD.
    let two = [Call::get("/openai/v1/models"), Call::post(OPENAI, chat("Hello", false))]
        .map(|call| call.token(&gateway.token).bytes());
    let mut connection = Connection::open(gateway.gateway);
    connection.send(&two.concat()).expect("sent");
    for _ in 0..2 {
        let mut answer = connection.head().expect("a head");
        connection.rest(&mut answer);
        assert_eq!(answer.status, 200);
    }
    let mut connection = Connection::open(gateway.gateway);
    connection.send(&Call::new("HEAD", "/openai/v1/models").token(&gateway.token).bytes()).expect("sent");
    assert_eq!(connection.head().expect("a head").status, 403);
    gateway.stop();
    assert!(site.log().open().is_empty());
    site.verify();
}

#[test]
fn a_flood_of_nobodies_is_bounded_counted_and_recorded() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "[limits]\nunauthenticated_records_per_second = 5\n");
    let gateway = site.start();
    let mut connection = Connection::open(gateway.gateway);
    let (mut recorded, mut counted) = (0, 0);
    for _ in 0..100 {
        let answer = connection.call(&Call::post(OPENAI, chat("Hello", false))).expect("an answer");
        assert_eq!(answer.status, 401);
        match answer.header("sealgate-record") {
            Some(_) => recorded += 1,
            None => counted += 1,
        }
    }
    assert!(recorded >= 5 && counted > 30, "{recorded} recorded, {counted} counted");
    for _ in 0..3 {
        let mut connection = Connection::open(gateway.gateway);
        connection.send(b"NOT HTTP AT ALL\r\n\r\n").expect("sent");
        let _ = connection.head();
    }
    assert_eq!(gateway.call(Call::post(OPENAI, chat("Hello", false))).status, 200, "the known are not shut out");
    gateway.stop();
    let log = site.log();
    assert_eq!(log.decisions().len(), recorded + 1);
    let total = |head: &&sealgate::record::EventHead| {
        let fields = serde_json::to_value(&head.fields).expect("json");
        (fields["counts"]["identity.missing"].as_u64().unwrap_or(0), fields["heads"].as_u64().unwrap_or(0))
    };
    let refusals = log.events(sealgate::record::Kind::Refusals);
    let (missing, heads) = refusals.iter().map(total).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    assert_eq!((missing, heads), (counted, 3), "{refusals:?}");
    site.verify();
}

/// Fields of one choice that take turns: a clean stream passes as it is, and a card that goes on after another field
/// had its turn is still not delivered.
#[test]
fn fields_that_take_turns_neither_cut_a_clean_stream_nor_let_a_card_out() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let event = |delta: serde_json::Value| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]}));
    let call = |index: u64, part: &str| json!({"tool_calls": [{"index": index, "function": {"arguments": part}}]});
    let clean = [
        json!({"reasoning_content": "let me think"}),
        json!({"content": "hi 42"}),
        json!({"annotations": [{"type": "url_citation", "title": "x"}]}),
        json!({"content": " more"}),
        call(0, "{\"city\":\"Par"),
        call(1, "{\"city\":\"Rome\"}"),
        call(0, "is\"}"),
    ]
    .map(event)
    .concat()
        + "data: [DONE]\n\n";
    let split =
        [json!({"content": "card 411111111111111"}), json!({"reasoning_content": "hm "}), json!({"content": "1 end"})]
            .map(event)
            .concat()
            + "data: [DONE]\n\n";
    let gateway = site.start();
    for size in [1, 60, 100_000] {
        in_pieces(&vendor, "clean", clean.clone(), size);
        let answer = gateway.call(Call::post(OPENAI, chat("Hello", true)).case("clean"));
        assert_eq!(answer.text(), clean, "by {size}");
        in_pieces(&vendor, "split", split.clone(), size);
        let answer = gateway.call(Call::post(OPENAI, chat("Hello", true)).case("split"));
        let text = answer.text();
        assert!(!text.contains("4111111111") && text.contains("[redacted:pci.pan]"), "by {size}: {text}");
    }
}
