use std::net::SocketAddr;

use http::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use super::*;
use crate::env::{Clock, random_array};
use crate::ledger::{self, BootFacts, LedgerConfig};
use crate::record::{DecisionHead, Draft, Head, Kind, Retention, SectionRefs};
use crate::telemetry::Metrics;
use crate::types::{
    AuthMethod, Coverage, Digest, Label, Mode, NONE, PolicyRef, PrincipalKind, Reason, RecordId, RequestOutcome,
    RequestVerdict, Sensitive,
};

fn secret() -> Credential {
    Credential::Value(Sensitive::new("sk-synthetic-0001".to_owned()))
}

fn pool(targets: Vec<VendorTarget>) -> Pool {
    let egress = EgressConfig { connect_timeout_seconds: 1, ..EgressConfig::default() };
    Upstreams::new(targets, &egress).unwrap().for_this_runtime()
}

fn outbound(path: &str) -> Outbound {
    let mut headers = HeaderMap::new();
    headers.insert("host", HeaderValue::from_static("gateway.example"));
    headers.insert("anthropic-beta", HeaderValue::from_static("a,b"));
    Outbound {
        request: RequestId::new(1, [0; 10]),
        vendor: "v".into(),
        method: Method::POST,
        path_and_query: Bytes::copy_from_slice(path.as_bytes()),
        headers,
        body: OutBody::sized(Bytes::from_static(b"{}")),
        shape: HeaderShape::Bearer,
    }
}

/// A vendor on this runtime: each connection's first bytes go to the test, then `script` is played: pieces to write,
/// each after a pause.
async fn vendor(script: &'static [(u64, &'static str)], then_hold: bool) -> (SocketAddr, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = mpsc::channel(16);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            tokio::spawn(play(stream, script, then_hold, tell.clone()));
        }
    });
    (address, told)
}

async fn play(mut stream: TcpStream, script: &[(u64, &str)], then_hold: bool, tell: mpsc::Sender<String>) {
    let mut buffer = [0u8; 4096];
    let count = stream.read(&mut buffer).await.unwrap();
    tell.send(String::from_utf8_lossy(&buffer[..count]).into_owned()).await.unwrap();
    for (pause, piece) in script {
        tokio::time::sleep(Duration::from_millis(*pause)).await;
        if stream.write_all(piece.as_bytes()).await.is_err() {
            return;
        }
    }
    if then_hold {
        // Ends when the gateway closes.
        let _ = stream.read(&mut buffer).await;
        let _ = tell.send("closed".to_owned()).await;
    }
}

const OK: &[(u64, &str)] = &[(0, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-Request-Id: r1\r\n\r\nhi")];

fn limits(first_byte_seconds: u64, idle_seconds: u64, total_seconds: u64) -> UpstreamLimits {
    UpstreamLimits { first_byte_seconds, idle_seconds, total_seconds }
}

async fn with_limits(script: &'static [(u64, &'static str)], limits: UpstreamLimits) -> Result<Vec<u8>, SendError> {
    let (address, _told) = vendor(script, true).await;
    let target = VendorTarget::new("v", &format!("http://{address}"), secret()).unwrap().with_limits(limits);
    let mut answer = exchange(&pool(vec![target]), outbound("/x")).await?;
    let mut all = Vec::new();
    while let Some(piece) = answer.body.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

#[tokio::test]
async fn path_host_and_credential_are_the_vendors() {
    for (shape, header, line) in [
        (HeaderShape::Bearer, None, "authorization: Bearer sk-synthetic-0001\r\n"),
        (HeaderShape::XApiKey, None, "x-api-key: sk-synthetic-0001\r\n"),
        (HeaderShape::Bearer, Some(HeaderShape::XApiKey), "x-api-key: sk-synthetic-0001\r\n"),
        (HeaderShape::XApiKey, Some(HeaderShape::Bearer), "authorization: Bearer sk-synthetic-0001\r\n"),
    ] {
        let (address, mut told) = vendor(OK, false).await;
        let target = VendorTarget::new("v", &format!("http://{address}/base/"), secret()).unwrap().with_header(header);
        let mut answer =
            exchange(&pool(vec![target]), Outbound { shape, ..outbound("/m/a%3Ab:c?x=%zz&y") }).await.unwrap();
        assert_eq!(answer.body.next().await, Some(Ok(Bytes::from_static(b"hi"))));
        assert_eq!((answer.status.as_u16(), answer.headers["x-request-id"].to_str().unwrap()), (200, "r1"));
        let seen = told.recv().await.unwrap();
        assert!(seen.starts_with("POST /base/m/a%3Ab:c?x=%zz&y HTTP/1.1\r\n"), "{seen}");
        assert!(seen.contains(line) && seen.contains(&format!("host: {address}\r\n")), "{seen}");
        assert!(!seen.contains("gateway.example") && seen.matches("sk-synthetic").count() == 1, "{seen}");
        assert!(seen.contains("anthropic-beta: a,b\r\n"));
    }
}

#[tokio::test]
async fn a_callers_own_key_passes_untouched_and_a_missing_one_sends_nothing() {
    let (address, mut told) = vendor(OK, false).await;
    let url = format!("http://{address}");
    let mut own = outbound("/x");
    own.headers.insert("x-api-key", HeaderValue::from_static("callers-own"));
    exchange(&pool(vec![VendorTarget::new("v", &url, Credential::Caller).unwrap()]), own).await.unwrap();
    let seen = told.recv().await.unwrap();
    assert!(seen.contains("x-api-key: callers-own\r\n") && !seen.contains("authorization"), "{seen}");

    let missing = pool(vec![VendorTarget::new("v", &url, Credential::Missing).unwrap()]);
    let error = exchange(&missing, outbound("/x")).await.unwrap_err();
    assert_eq!((error.reason(), error.http_status(), error.may_have_left()), (Reason::VendorNoCredential, 403, false));
    let error = exchange(&pool(vec![]), outbound("/x")).await.unwrap_err();
    assert_eq!(error.reason(), Reason::GatewayError);
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn each_time_limit_ends_in_its_own_error() {
    let slow = with_limits(&[(3000, "HTTP/1.1 200 OK\r\n\r\n")], limits(1, 9, 9)).await.unwrap_err();
    assert_eq!(slow, SendError::Exchange(EgressError::Timeout(Phase::FirstByte)));
    assert_eq!((slow.reason(), slow.http_status(), slow.may_have_left()), (Reason::UpstreamTimeout, 504, true));
    let script = &[(0, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc"), (3000, "def")];
    let silent = with_limits(script, limits(9, 1, 9)).await.unwrap_err();
    assert_eq!(silent, SendError::Exchange(EgressError::Timeout(Phase::Idle)));
    const TRICKLE: &[(u64, &str)] =
        &[(0, "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"), (400, "a"), (400, "a"), (400, "a"), (400, "a")];
    let endless = with_limits(TRICKLE, limits(9, 9, 1)).await.unwrap_err();
    assert_eq!(endless, SendError::Exchange(EgressError::Timeout(Phase::Total)));
    let trickle = &[(0, "HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n"), (600, "a"), (600, "b"), (600, "c")];
    assert_eq!(with_limits(trickle, limits(9, 1, 9)).await, Ok(b"abc".to_vec()), "each pause is below the limit");
}

#[tokio::test]
async fn broken_vendors_have_their_reasons() {
    let any = limits(5, 5, 5);
    for (script, reason, status) in [
        (&[(0, "garbage\r\n\r\n")][..], Reason::UpstreamError, 502),
        (
            &[(0, "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n")][..],
            Reason::UpstreamError,
            502,
        ),
    ] {
        let error = with_limits(script, any).await.unwrap_err();
        assert_eq!((error.reason(), error.http_status(), error.may_have_left()), (reason, status, true), "{script:?}");
        assert!(!error.to_string().contains("garbage"), "no text of the vendor: {error}");
    }
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let target = VendorTarget::new("v", &format!("http://{free}"), secret()).unwrap();
    let error = exchange(&pool(vec![target]), outbound("/x")).await.unwrap_err();
    assert_eq!((error.reason(), error.http_status(), error.may_have_left()), (Reason::UpstreamRefused, 502, false));
}

#[tokio::test]
async fn an_answer_dropped_early_closes_its_connection() {
    let script = &[(0, "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc")];
    let (address, mut told) = vendor(script, true).await;
    let target = VendorTarget::new("v", &format!("http://{address}"), secret()).unwrap();
    let pool = pool(vec![target]);
    let mut answer = exchange(&pool, outbound("/x")).await.unwrap();
    assert!(told.recv().await.unwrap().starts_with("POST /x"));
    answer.body.next().await.unwrap().unwrap();
    drop(answer);
    let closed = tokio::time::timeout(Duration::from_secs(2), told.recv()).await.unwrap();
    assert_eq!(closed.as_deref(), Some("closed"));
    // Dropped before the head came: the same.
    let (address, mut told) = vendor(&[], true).await;
    let target = VendorTarget::new("v", &format!("http://{address}"), secret()).unwrap();
    let pool = self::pool(vec![target]);
    let waiting = tokio::time::timeout(Duration::from_millis(100), exchange(&pool, outbound("/x")));
    assert!(waiting.await.is_err());
    assert!(told.recv().await.unwrap().starts_with("POST /x"));
    let closed = tokio::time::timeout(Duration::from_secs(2), told.recv()).await.unwrap();
    assert_eq!(closed.as_deref(), Some("closed"));
}

#[test]
fn urls_of_another_form_are_refused_and_paths_join_byte_for_byte() {
    for bad in ["", "api.example.com", "ftp://a", "http://", "https://u:p@a", "https://a?x=1", "https://a#f", "/v1"] {
        let error = VendorTarget::new("v", bad, Credential::NotNeeded).unwrap_err().to_string();
        assert!(error.starts_with("vendor `v`: the url cannot be used"), "{bad}: {error}");
    }
    for (url, rest, joined) in [
        ("https://a", "/v1/x", "https://a/v1/x"),
        ("https://a/", "", "https://a/"),
        ("https://a", "?q", "https://a/?q"),
        ("http://a:8080/b/c/", "/d//e/..?f=%20", "http://a:8080/b/c/d//e/..?f=%20"),
        ("http://[::1]:9/b", "", "http://[::1]:9/b"),
    ] {
        let target = VendorTarget::new("v", url, Credential::NotNeeded).unwrap();
        assert_eq!(target.uri(rest.as_bytes()).unwrap().to_string(), joined);
    }
    let target = VendorTarget::new("v", "https://a", Credential::NotNeeded).unwrap();
    assert!(target.uri(b"/a b").is_none());
    let twice = Upstreams::new(vec![target.clone(), target], &EgressConfig::default()).unwrap_err().to_string();
    assert!(twice.contains("vendor `v` is configured twice"), "{twice}");
}

#[test]
fn credentials_resolve_at_start_and_never_show() {
    let env = |name: &str| match name {
        "SET" => Some(" key-1 \n".to_owned()),
        "BAD" => Some("key 1".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("key"), "key-2\n").unwrap();
    std::fs::write(folder.path().join("void"), "\n").unwrap();
    let resolve = |text: &str| text.parse::<CredentialSource>().unwrap().resolve(&env, folder.path());
    let value = |text: &str| Credential::Value(Sensitive::new(text.to_owned()));
    assert_eq!(resolve("env:SET").unwrap(), value("key-1"));
    assert_eq!(resolve("file:key").unwrap(), value("key-2"));
    assert_eq!(resolve("env:UNSET").unwrap(), Credential::Missing);
    assert_eq!(resolve("env:EMPTY").unwrap(), Credential::Missing);
    assert_eq!(resolve("caller").unwrap(), Credential::Caller);
    assert_eq!(resolve("none").unwrap(), Credential::NotNeeded);
    for (text, part) in [
        ("file:missing", "cannot read the vendor credential `file:missing`"),
        ("file:void", "it is empty"),
        ("env:BAD", "holds spaces or control characters"),
    ] {
        let error = resolve(text).unwrap_err().to_string();
        assert!(error.contains(part) && !error.contains("key 1"), "{error}");
    }
    let pasted = "sk-pasted-by-mistake".parse::<CredentialSource>().unwrap_err().to_string();
    assert!(!pasted.contains("pasted-by") && pasted.contains("env:NAME"), "{pasted}");
    let target = VendorTarget::new("v", "https://a", value("key-3")).unwrap();
    assert!(!format!("{target:?} {:?}", HeaderShape::Bearer.value("key-3")).contains("key-3"));
}

fn decision(request: RequestId) -> Draft {
    let time = Clock::system().now();
    let policy = PolicyRef { digest: Digest::of(b"policy"), name: "default".into(), version: "1".into() };
    Draft::bare(Head::Decision(DecisionHead {
        actor: NONE.into(),
        auth: AuthMethod::Token,
        classes: Vec::new(),
        coverage: Coverage::Full,
        detectors: Digest::of(b"detectors"),
        durability: "sync".into(),
        facts: Default::default(),
        id: RecordId::new(time.unix_millis(), random_array()),
        kind: Kind::Decision,
        label: Label::Internal,
        mode: Mode::Enforce,
        model: NONE.into(),
        operation: "chat".into(),
        outcome: RequestOutcome::Allowed,
        policy,
        principal: PrincipalKind::Human,
        reason: Reason::Ok,
        request,
        retention: Retention { class: "default".into(), until: time },
        roles: Vec::new(),
        route: "demo".into(),
        rules: Vec::new(),
        sections: SectionRefs::new(),
        subject: NONE.into(),
        synthetic: false,
        tenant: "default".into(),
        time,
        trace: None,
        truncated: 0,
        v: 1,
        vendor: "demo".into(),
        verdict: RequestVerdict::Send,
    }))
}

/// Promise 1: when the vendor is called, the decision is on disk; and a receipt is good for its own request alone.
#[tokio::test]
async fn a_receipt_opens_the_way_for_its_own_request_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let config = LedgerConfig { data: data.clone(), ..LedgerConfig::default() };
    let facts = BootFacts { version: "0".into(), config_digest: Digest::of(b""), fleet: Vec::new() };
    let opened = ledger::open(config, Clock::system(), Arc::new(Metrics::new().unwrap()), facts).unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = VendorTarget::new("v", &format!("http://{}", listener.local_addr().unwrap()), secret()).unwrap();
    let log = data.join("log/1/000000000000.jsonl");
    let (tell, mut told) = mpsc::channel(1);
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tell.send(std::fs::read_to_string(&log).unwrap()).await.unwrap();
            let _ = stream.read(&mut [0u8; 4096]).await;
            stream.write_all(OK[0].1.as_bytes()).await.unwrap();
        }
    });
    let pool = pool(vec![target]);
    let own = outbound("/x").request;
    let (receipt, _open) = opened.ledger.decide(decision(own)).await.unwrap();
    let answer = send(&pool, receipt, outbound("/x")).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK);
    assert!(told.recv().await.unwrap().contains(&format!(r#""request":"{own}""#)));

    let other = RequestId::new(2, [0; 10]);
    let (receipt, _open) = opened.ledger.decide(decision(other)).await.unwrap();
    let error = send(&pool, receipt, outbound("/x")).await.unwrap_err();
    assert_eq!((error, error.may_have_left()), (SendError::ForeignReceipt, false));
    assert!(told.try_recv().is_err());
}
