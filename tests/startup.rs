//! Starting: what is wrong is told clearly, with its exit code, and what the listeners then speak.

#![expect(clippy::expect_used, reason = "a test stops at what it cannot do")]
#![allow(clippy::disallowed_methods, reason = "tests measure with the real clock")]

mod common;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use common::{Call, Ran, Site, Vendor, chat};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use sealgate::record::Kind;

/// Runs `serve` on a site that must not start.
fn refused(site: &Site, arguments: &[&str]) -> Ran {
    let serve = ["serve", "--gateway", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let arguments = if arguments.is_empty() { &serve[..] } else { arguments };
    site.run(arguments)
}

#[track_caller]
fn assert_told(ran: &Ran, code: i32, marks: &[&str]) {
    assert_eq!(ran.code, code, "{}{}", ran.out, ran.err);
    for mark in marks {
        assert!(ran.err.contains(mark), "no `{mark}` in: {}", ran.err);
    }
    assert!(!ran.err.contains("panicked") && !ran.err.contains("RUST_BACKTRACE"), "{}", ran.err);
}

#[test]
fn every_fault_of_a_configuration_is_told_at_once_with_file_and_line() {
    let site = Site::with(
        "[gateway]\nname = \"UPPER\"\n[listen]\ngatway = \"127.0.0.1:1\"\n[limits]\nbody_bytes_max = 0\n[store]\ndurability = \"maybe\"\n",
    );
    for command in ["serve", "check"] {
        let ran = refused(&site, &[command]);
        let lines = ["sealgate.toml:2:", "sealgate.toml:4:", "gatway", "sealgate.toml:6:", "sealgate.toml:8:"];
        assert_told(&ran, 64, &lines);
    }
    assert!(!site.data().exists(), "nothing was made");
    let not_toml = Site::with("[gateway\n");
    assert_told(&refused(&not_toml, &[]), 64, &["sealgate.toml:1"]);
    let exposed = Site::with("[listen]\ngateway = \"0.0.0.0:0\"\n");
    assert_told(&refused(&exposed, &["serve", "--admin", "127.0.0.1:0"]), 64, &["plain HTTP", "tls"]);
    let secret = Site::with(
        "[[vendor]]\nid = \"x\"\ndialect = \"openai\"\nurl = \"https://x.test\"\ncredential = \"hunter2hunter2\"\n",
    );
    let ran = refused(&secret, &[]);
    assert_told(&ran, 64, &["sealgate.toml:5", "never the credential itself"]);
    assert!(!ran.err.contains("hunter2"), "{}", ran.err);
}

#[test]
fn a_taken_port_is_74_and_names_the_address() {
    let site = Site::with("");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let ran = refused(&site, &["serve", "--gateway", &address, "--admin", "127.0.0.1:0"]);
    assert_told(&ran, 74, &[&address, "taken"]);
    let ran = refused(&site, &["serve", "--gateway", "127.0.0.1:0", "--admin", &address]);
    assert_told(&ran, 74, &[&address]);
    assert!(!site.data().join("log").exists(), "nothing was made");
}

#[test]
fn a_second_gateway_on_the_same_data_is_74_and_names_the_first() {
    let site = Site::with("");
    let gateway = site.start();
    let pid = gateway.pid().to_string();
    assert_told(&refused(&site, &[]), 74, &[&pid, "data"]);
    assert_eq!(gateway.admin("/readyz").status, 200);
    gateway.stop();
    site.verify();
}

#[test]
fn unreadable_keys_certificates_and_credentials_are_told() {
    let site = Site::with("");
    site.start().stop();
    let key = site.data().join("keys/log.pem");
    let good = fs::read(&key).expect("the key");
    fs::write(&key, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").expect("written");
    let ran = refused(&site, &[]);
    assert_told(&ran, ran.code, &["log.pem"]);
    assert!([64, 74].contains(&ran.code), "{}", ran.code);
    fs::remove_file(&key).expect("removed");
    let ran = refused(&site, &[]);
    assert_told(&ran, ran.code, &["log.pem"]);
    assert!([64, 74].contains(&ran.code), "a log without its key must not get a new one: {}", ran.code);
    fs::write(&key, good).expect("written");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("mode");
    site.start().stop();
    site.verify();

    let tls = Site::with("[listen]\ntls = { certificate = \"cert.pem\", key = \"key.pem\" }\n");
    let told = |mark: &str| {
        let ran = refused(&tls, &[]);
        assert!([64, 74].contains(&ran.code), "{}", ran.code);
        assert_told(&ran, ran.code, &[mark]);
    };
    assert_told(&refused(&tls, &[]), 74, &["cert.pem"]);
    fs::write(tls.path().join("cert.pem"), "no certificate").expect("written");
    told("cert.pem");
    let (certificate, _) = certificate();
    fs::write(tls.path().join("cert.pem"), &certificate).expect("written");
    assert_told(&refused(&tls, &[]), 74, &["key.pem"]);
    let (_, foreign) = self::certificate();
    fs::write(tls.path().join("key.pem"), foreign).expect("written");
    told("pem");

    let vendor =
        "[[vendor]]\nid = \"openai\"\ndialect = \"openai\"\nurl = \"https://x.test\"\ncredential = \"file:absent\"\n";
    let missing = Site::with(vendor);
    let ran = refused(&missing, &[]);
    assert_told(&ran, 74, &["openai", "absent"]);
}

#[test]
fn a_bad_rule_is_64_with_file_and_line() {
    let site = Site::with("[policy]\ndir = \"bundle\"\n");
    let bundle = site.path().join("bundle");
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/default");
    let copied = std::process::Command::new("cp").arg("-r").arg(source).arg(&bundle).status().expect("cp");
    assert!(copied.success());
    assert_eq!(refused(&site, &["check"]).code, 0);
    fs::write(
        bundle.join("zz.cedar"),
        "// A comment.\n\n@id(\"zz\")\npermit (principal, action, resource)\nwhen { context.nonsense == 1 };\n",
    )
    .expect("written");
    for command in ["check", "serve"] {
        assert_told(&refused(&site, &[command]), 64, &["zz.cedar:", "nonsense"]);
    }
    fs::write(bundle.join("zz.cedar"), "\n\npermit (principal, action resource);\n").expect("written");
    assert_told(&refused(&site, &[]), 64, &["zz.cedar:3"]);
    fs::remove_file(bundle.join("zz.cedar")).expect("removed");
    fs::write(bundle.join("detectors.toml"), "nonsense = 1\n").expect("written");
    assert_told(&refused(&site, &[]), 64, &["detectors.toml"]);
    fs::remove_dir_all(&bundle).expect("removed");
    assert_told(&refused(&site, &[]), 64, &["bundle"]);
    assert!(!site.data().join("log").exists(), "nothing was made");
}

#[test]
fn a_damaged_log_is_not_served_and_the_record_is_named() {
    let site = Site::with("");
    site.start().stop();
    let segment = site.data().join("log/1/000000000000.jsonl");
    let mut bytes = fs::read(&segment).expect("a segment");
    let at = common::find(&bytes, b"\"kind\":\"boot\"").expect("a boot") + 9;
    bytes[at] = b'B';
    fs::write(&segment, &bytes).expect("written");
    let ran = refused(&site, &[]);
    assert_told(&ran, ran.code, &["000000000000.jsonl"]);
    assert!(ran.code == 74 || ran.code == 64 || ran.code == 1, "{}", ran.code);
    assert_eq!(fs::read(&segment).expect("a segment"), bytes, "and nothing of it is touched");
}

#[test]
fn usage_errors_are_2() {
    let site = Site::with("");
    for arguments in [&["nonsense"][..], &["serve", "--gateway", "nowhere"], &["records", "list", "--status", "maybe"]]
    {
        assert_eq!(site.run(arguments).code, 2, "{arguments:?}");
    }
    assert_eq!(site.run(&["--version"]).code, 0);
    assert_eq!(site.run(&["--help"]).code, 0);
}

#[test]
fn without_any_file_the_demo_answers_and_echoes_what_is_left() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("sealgate.toml"), "").expect("written");
    let site = Site::with("");
    let gateway = site.start();
    let out = gateway.out();
    assert!(out.contains("New store") && out.contains("records list") && !out.contains(&gateway.token), "{out}");
    assert_eq!(gateway.bare(Call::get("/")).status, 200);
    let answer = gateway.call(Call::post("/demo/v1/chat/completions", chat("Hello to jane.doe@example.com", false)));
    let answer_text = answer.json()["choices"][0]["message"]["content"].to_string();
    assert!(answer_text.contains("[redacted:pii.email]") && !answer_text.contains("jane"), "{answer_text}");
    assert_eq!(answer.header("sealgate-outcome"), Some("redacted"));
    let answer = gateway.call(Call::post("/openai/v1/chat/completions", chat("Hello", false)));
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (403, Some("vendor.no_credential")));
    gateway.stop();
    site.verify();
}

#[test]
fn health_readiness_and_metrics_are_told() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let gateway = site.start();
    assert_eq!(gateway.admin("/healthz").status, 200);
    assert_eq!(gateway.admin("/readyz").status, 200);
    assert_eq!(gateway.call(Call::post("/openai/v1/chat/completions", chat("Hello", true))).status, 200);
    gateway.call(Call::post("/openai/v1/chat/completions", chat(&format!("Card {}", common::CARD), false)));
    let metrics = gateway.admin("/metrics").text();
    for line in [
        "sealgate_requests_total{outcome=\"allowed\",route=\"openai\",vendor=\"openai\"} 1",
        "sealgate_requests_total{outcome=\"redacted\",route=\"openai\",vendor=\"openai\"} 1",
        "sealgate_findings_total{action=\"redacted\",class=\"pci.pan\",direction=\"request\"} 1",
        "sealgate_overhead_seconds",
        "sealgate_phase_seconds",
        "sealgate_stream_hold_seconds",
        "sealgate_ledger_commit_seconds",
        "sealgate_ledger_size",
        "sealgate_ledger_poisoned 0",
        "sealgate_unrecorded_refusals_total 0",
        "sealgate_index_lag_records",
        "sealgate_policy_info{",
    ] {
        assert!(metrics.contains(line), "no `{line}` in {metrics}");
    }
    for path in ["/nothing", "/api/v1/records", "/tokens", "/access"] {
        assert_eq!(gateway.admin(path).status, 404, "{path}");
    }
    assert_eq!(
        common::Connection::open(gateway.admin).call(&Call::post("/tokens", "{}")).expect("an answer").status,
        405
    );
}

/// A certificate for `localhost` and its key, PEM.
fn certificate() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn http2_request(authority: &str, scheme: &str, token: &str) -> http::Request<Full<Bytes>> {
    http::Request::post(format!("{scheme}://{authority}/openai/v1/chat/completions"))
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", "application/json")
        .body(Full::new(chat("Hello over HTTP/2", false).into()))
        .expect("a request")
}

#[test]
fn http2_is_spoken_with_prior_knowledge_and_by_alpn_over_tls() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let vendor = Vendor::start();
    let plain = Site::before(&vendor, "");
    let gateway = plain.start();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::connect(gateway.gateway).await.expect("connects");
        exchange(TokioIo::new(stream), http2_request("gateway.test", "http", &gateway.token)).await;
    });
    // The runtime stands still now: a client that keeps its connection open and answers no goodbye.
    let start = Instant::now();
    gateway.stop();
    assert!(start.elapsed().as_secs() < 10, "an idle connection held the drain up for {:?}", start.elapsed());

    let tls = Site::before(&vendor, "[listen]\ntls = { certificate = \"cert.pem\", key = \"key.pem\" }\n");
    let (pem, key) = certificate();
    fs::write(tls.path().join("cert.pem"), &pem).expect("written");
    fs::write(tls.path().join("key.pem"), key).expect("written");
    let gateway = tls.start();
    assert!(gateway.out().contains("listening on https://"));
    for offered in [&b"h2"[..], b"http/1.1"] {
        runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(gateway.gateway).await.expect("connects");
            let connector = tokio_rustls::TlsConnector::from(Arc::new(trusting(&pem, offered)));
            let name = ServerName::try_from("localhost").expect("a name");
            let stream = connector.connect(name, stream).await.expect("a handshake");
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(offered));
            if offered == b"h2" {
                exchange(TokioIo::new(stream), http2_request("localhost", "https", &gateway.token)).await;
            } else {
                let (mut sender, connection) =
                    hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.expect("http/1.1");
                tokio::spawn(connection);
                let mut request = http2_request("localhost", "https", &gateway.token);
                request.headers_mut().insert("host", http::HeaderValue::from_static("localhost"));
                *request.uri_mut() = http::Uri::from_static("/openai/v1/chat/completions");
                assert_eq!(sender.send_request(request).await.expect("an answer").status(), 200);
            }
        });
    }
    gateway.stop();
    assert_eq!(tls.log().decisions().len(), 2);
    tls.verify();
}

fn trusting(pem: &str, alpn: &[u8]) -> rustls::ClientConfig {
    use rustls::pki_types::pem::PemObject;
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).expect("a certificate")).expect("a root");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = config.expect("versions").with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    config
}

/// Two requests over one HTTP/2 connection.
async fn exchange<I>(io: I, request: http::Request<Full<Bytes>>)
where
    I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await.expect("http/2");
    tokio::spawn(connection);
    let response = sender.send_request(request).await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert!(response.headers().contains_key("sealgate-record"));
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    assert!(common::find(&body, b"All is well.").is_some());
}

#[test]
fn tokens_take_effect_at_once_with_and_without_a_gateway_and_are_recorded() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let offline = site.token(&["--name", "before", "--user", "ann"]);
    let ask = || Call::post("/openai/v1/chat/completions", chat("Hello", false));
    let gateway = site.start();
    assert_eq!(gateway.bare(ask().token(&offline)).status, 200);
    let online = site.token(&["--name", "beside", "--user", "bob"]);
    assert_eq!(gateway.bare(ask().token(&online)).status, 200, "in force at once");
    let listed = site.run(&["token", "list", "--format", "json"]);
    let listed: serde_json::Value = serde_json::from_str(&listed.out).expect("json");
    let id = |name: &str| {
        let found = listed.as_array().expect("a list").iter().find(|token| token["name"] == name).expect("listed");
        found["id"].as_str().expect("an id").to_owned()
    };
    assert_eq!(site.run(&["token", "revoke", &id("beside")]).code, 0);
    let answer = gateway.bare(ask().token(&online));
    assert_eq!((answer.status, answer.json()["error"]["code"].as_str()), (401, Some("identity.invalid")), "at once");
    assert_eq!(gateway.bare(ask().token(&offline)).status, 200);
    gateway.stop();
    assert_eq!(site.run(&["token", "revoke", &id("before")]).code, 0);
    assert_eq!(site.run(&["token", "revoke", "tok_unknown"]).code, 2);
    let gateway = site.start();
    assert_eq!(gateway.bare(ask().token(&offline)).status, 401);
    let dev = gateway.token.clone();
    gateway.stop();
    let log = site.log();
    assert_eq!((log.events(Kind::TokenCreated).len(), log.events(Kind::TokenRevoked).len()), (3, 2));
    for (path, bytes) in common::files(site.path()) {
        for token in [&offline, &online, &dev] {
            let there = common::find(&bytes, token.as_bytes()).is_some();
            assert_eq!(there, *token == dev && path.ends_with("dev-token"), "a token in {}", path.display());
        }
    }
    assert_eq!(fs::metadata(site.data().join("dev-token")).expect("there").permissions().mode() & 0o777, 0o600);
    site.verify();
}

#[test]
fn a_start_is_quick() {
    let site = Site::with("");
    site.start().stop();
    let start = Instant::now();
    let gateway = site.start();
    eprintln!("second start: {:?}", start.elapsed());
    assert!(start.elapsed().as_secs() < 10);
    gateway.stop();
}

/// Copies the default bundle to `bundle/` of a site.
fn bundle(site: &Site) -> std::path::PathBuf {
    let bundle = site.path().join("bundle");
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/default");
    let copied = std::process::Command::new("cp").arg("-r").arg(source).arg(&bundle).status().expect("cp");
    assert!(copied.success());
    bundle
}

#[test]
fn a_policy_is_rolled_forward_and_back_while_running_and_a_bad_one_changes_nothing() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "[policy]\ndir = \"bundle\"\n");
    let bundle = bundle(&site);
    let gateway = site.start();
    let ask = || gateway.call(Call::post("/openai/v1/chat/completions", chat("Hello", false)));
    let policy = || ask().header("sealgate-policy").expect("a policy").to_owned();
    let first = policy();
    let rule = bundle.join("zz.cedar");
    fs::write(&rule, "permit (principal, action resource);\n").expect("written");
    gateway.signal(rustix::process::Signal::HUP);
    let log = || site.log();
    common::wait_for("the refusal", || (log().events(Kind::PolicyRejected).len() == 1).then_some(()));
    assert_eq!((policy(), ask().status), (first.clone(), 200));
    let closing =
        "@id(\"zz.closed\")\n@reason(\"authz.role\")\nforbid (principal, action in Action::\"request\", resource);\n";
    fs::write(&rule, closing).expect("written");
    gateway.signal(rustix::process::Signal::HUP);
    let cases = common::wait_for("a verdict", || {
        let (activated, rejected) =
            (log().events(Kind::PolicyActivated).len(), log().events(Kind::PolicyRejected).len());
        (activated + rejected == 3).then_some(rejected)
    });
    if cases == 2 {
        // The bundle's own cases refuse it: they say what must stay permitted.
        fs::remove_dir_all(bundle.join("cases")).expect("removed");
        gateway.signal(rustix::process::Signal::HUP);
    }
    common::wait_for("the new policy", || (log().events(Kind::PolicyActivated).len() == 2).then_some(()));
    let answer = common::wait_for("the new policy in effect", || Some(ask()).filter(|answer| answer.status == 403));
    assert_eq!(answer.json()["error"]["code"], "authz.role");
    assert_ne!(answer.header("sealgate-policy"), Some(first.as_str()));
    fs::remove_file(&rule).expect("removed");
    gateway.signal(rustix::process::Signal::HUP);
    common::wait_for("the old policy", || Some(ask()).filter(|answer| answer.status == 200));
    gateway.stop();
    for (entry, head) in site.log().decisions() {
        let kept = site.data().join("policies").join(head.policy.digest.to_string());
        assert!(kept.is_dir(), "the bundle that decided record {} is kept", entry.index);
    }
    site.verify();
}

#[test]
fn a_signal_during_the_start_ends_it_in_order() {
    let site = Site::with("");
    for _ in 0..3 {
        let gateway = site.start();
        gateway.stop();
    }
    let log = site.log();
    assert_eq!((log.events(Kind::Boot).len(), log.events(Kind::Shutdown).len()), (3, 3));
}
