use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;

use super::*;
use crate::env::Stopwatch;

/// A vendor that takes `connections` one after the other, reads a whole request from each, hands it to the test,
/// then lets `answer` write.
fn vendor(
    connections: usize,
    answer: impl Fn(&mut std::net::TcpStream) + Send + 'static,
) -> (SocketAddr, Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (tell, told) = sync_channel(16);
    std::thread::spawn(move || {
        for _ in 0..connections {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = tell.send(read_request(&mut stream));
            answer(&mut stream);
        }
    });
    (address, told)
}

fn read_request(stream: &mut std::net::TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    let mut buffer = [0u8; 4096];
    loop {
        let count = stream.read(&mut buffer).unwrap();
        all.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&all).to_lowercase();
        let Some(head) = text.find("\r\n\r\n") else { continue };
        let length: Option<usize> =
            text.split("content-length: ").nth(1).and_then(|t| t.split("\r\n").next()?.parse().ok());
        let whole = match length {
            Some(length) => all.len() >= head + 4 + length,
            None if text[..head].contains("transfer-encoding: chunked") => all.ends_with(b"0\r\n\r\n"),
            None => true,
        };
        if whole || count == 0 {
            return all;
        }
    }
}

fn client() -> Client {
    Client::new(&EgressConfig { connect_timeout_seconds: 1, ..EgressConfig::default() }).unwrap()
}

fn post(url: &str, body: OutBody) -> Request<OutBody> {
    Request::post(url).header("anthropic-version", "2023-06-01").body(body).unwrap()
}

async fn failure(answer: impl Fn(&mut std::net::TcpStream) + Send + 'static) -> EgressError {
    let (address, _told) = vendor(1, answer);
    let request = post(&format!("http://{address}/v1"), OutBody::sized(Bytes::from_static(b"{}")));
    client().send(request).await.unwrap_err()
}

#[tokio::test]
async fn a_request_leaves_as_it_was_given_and_nothing_is_added() {
    let (address, told) =
        vendor(2, |s| s.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap());
    let url = format!("http://{address}/model/a%3Ab:c/../x?beta=true&q=%7E~&e=");
    let client = client();
    client.send(post(&url, OutBody::sized(Bytes::from_static(b"{\"a\": 1}")))).await.unwrap();
    let seen = String::from_utf8(told.recv().unwrap()).unwrap();
    let expected = format!(
        "POST /model/a%3Ab:c/../x?beta=true&q=%7E~&e= HTTP/1.1\r\nanthropic-version: 2023-06-01\r\nhost: {address}\r\n\
         content-length: 8\r\n\r\n{{\"a\": 1}}"
    );
    assert_eq!(seen, expected);
    client.send(post(&url, OutBody::chunked(Bytes::from_static(b"{\"a\": 1}")))).await.unwrap();
    let seen = String::from_utf8(told.recv().unwrap()).unwrap();
    assert!(seen.contains("transfer-encoding: chunked\r\n") && !seen.contains("content-length"), "{seen}");
    assert!(seen.ends_with("\r\n\r\n8\r\n{\"a\": 1}\r\n0\r\n\r\n"), "{seen}");
}

#[tokio::test]
async fn a_get_without_a_body_has_no_framing_and_redirects_are_not_followed() {
    let (address, told) =
        vendor(1, |s| s.write_all(b"HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n").unwrap());
    let request = Request::get(format!("http://{address}/v1/models")).body(OutBody::none()).unwrap();
    let response = client().send(request).await.unwrap();
    assert_eq!((response.status().as_u16(), response.headers()["location"].to_str().unwrap()), (302, "/elsewhere"));
    assert_eq!(told.recv().unwrap(), format!("GET /v1/models HTTP/1.1\r\nhost: {address}\r\n\r\n").as_bytes());
    assert!(told.recv_timeout(Duration::from_millis(100)).is_err());
}

#[tokio::test]
async fn a_vendor_that_is_not_there_is_refused_and_nothing_left() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for url in [format!("http://{free}/"), format!("https://{free}/"), "http://no-such-host.invalid/".to_owned()] {
        let error = client().send(post(&url, OutBody::none())).await.unwrap_err();
        assert!(matches!(error, EgressError::Refused(_)) && !error.may_have_left(), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn a_vendor_that_never_shakes_hands_meets_the_connect_limit() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let watch = Stopwatch::start();
    let url = format!("https://{}/", listener.local_addr().unwrap());
    let error = client().send(post(&url, OutBody::none())).await.unwrap_err();
    assert_eq!(error, EgressError::Timeout(Phase::Connect));
    assert!(!error.may_have_left() && watch.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn an_unknown_authority_and_a_plain_server_are_tls_errors() {
    let key = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![key.cert.der().clone()],
            rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap(),
        )
        .unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let _ = acceptor.accept(stream).await;
        }
    });
    let error = client().send(post(&format!("https://localhost:{port}/"), OutBody::none())).await.unwrap_err();
    assert!(matches!(error, EgressError::Tls(why) if why.contains("unknown authority")), "{error:?}");
    assert!(!error.may_have_left());

    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, key.cert.pem()).unwrap();
    let trusting = Client::new(&EgressConfig { ca_file: Some(ca_file), ..EgressConfig::default() }).unwrap();
    let error = trusting.send(post(&format!("https://127.0.0.1:{port}/"), OutBody::none())).await.unwrap_err();
    assert!(matches!(error, EgressError::Tls(why) if why.contains("another name")), "{error:?}");

    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}/", plain.local_addr().unwrap());
    std::thread::spawn(move || plain.accept().unwrap().0.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    let error = client().send(post(&url, OutBody::none())).await.unwrap_err();
    assert!(matches!(error, EgressError::Tls(_)), "{error:?}");
}

#[tokio::test]
async fn garbage_resets_and_silence_are_told_apart() {
    let garbage = failure(|s| s.write_all(b"\x00\x01\x02 hello, this is no http\r\n\r\n").unwrap()).await;
    assert!(matches!(garbage, EgressError::Protocol(_)), "{garbage:?}");
    let closed = failure(|_| ()).await;
    assert_eq!(closed, EgressError::Reset);
    let half = failure(|s| s.write_all(b"HTTP/1.1 200 OK\r\ncontent-le").unwrap()).await;
    assert_eq!(half, EgressError::Reset);
    let reset = failure(|s| socket2::SockRef::from(&*s).set_linger(Some(Duration::ZERO)).unwrap()).await;
    assert_eq!(reset, EgressError::Reset);
    let huge = failure(|s| {
        let _ = s.write_all(format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "a".repeat(1_000_000)).as_bytes());
    });
    assert!(matches!(huge.await, EgressError::Protocol(_)));
    for error in [garbage, closed, reset] {
        assert!(error.may_have_left(), "{error:?}");
    }
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_and_not_an_end() {
    for (answer, kind) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", EgressError::Reset),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", EgressError::Reset),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n",
            EgressError::Protocol("its body's framing is broken"),
        ),
    ] {
        let (address, _told) = vendor(1, move |s| s.write_all(answer.as_bytes()).unwrap());
        let response = client().send(post(&format!("http://{address}/"), OutBody::none())).await.unwrap();
        let error = response.into_body().collect().await.unwrap_err();
        assert_eq!(EgressError::of_http(&error), kind, "{answer}");
    }
}

#[tokio::test]
async fn nothing_is_sent_twice_when_an_idle_connection_was_closed() {
    let (address, told) = vendor(4, |s| s.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap());
    let client = client();
    let mut answered = 0;
    for _ in 0..4 {
        let sent = client.send(post(&format!("http://{address}/"), OutBody::sized(Bytes::from_static(b"x")))).await;
        answered += usize::from(sent.is_ok());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(answered, 4, "a connection closed while idle is noticed before it is used again");
    assert_eq!(told.try_iter().count(), 4);
}

/// A TLS vendor that speaks HTTP/2 and echoes `:authority`, path and whether a `host` header came; counts connections.
async fn http2_vendor() -> (u16, String, Arc<std::sync::atomic::AtomicUsize>) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let key = rustls::pki_types::PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let mut config = builder.with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let connections = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, counted) = (acceptor.clone(), Arc::clone(&counted));
            tokio::spawn(async move {
                let stream = hyper_util::rt::TokioIo::new(acceptor.accept(stream).await.unwrap());
                counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let echo = hyper::service::service_fn(|request: Request<Incoming>| async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let text = format!("{} host={}", request.uri(), request.headers().contains_key("host"));
                    Ok::<_, std::convert::Infallible>(Response::new(text))
                });
                let _ =
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new()).serve_connection(stream, echo).await;
            });
        }
    });
    (port, made.cert.pem(), connections)
}

#[tokio::test]
async fn fifty_first_requests_to_an_http_2_vendor_share_what_they_opened() {
    let (port, pem, connections) = http2_vendor().await;
    let folder = tempfile::tempdir().unwrap();
    let ca_file = folder.path().join("ca.pem");
    std::fs::write(&ca_file, pem).unwrap();
    let client = Client::new(&EgressConfig { ca_file: Some(ca_file), ..EgressConfig::default() }).unwrap();
    let url = format!("https://localhost:{port}/model/a%3Ab?beta=true");
    for _ in 0..2 {
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..50 {
            let (client, request) = (client.clone(), post(&url, OutBody::sized(Bytes::from_static(b"{}"))));
            tasks.spawn(async move { client.send(request).await });
        }
        while let Some(answer) = tasks.join_next().await {
            let text = answer.unwrap().unwrap().into_body().collect().await.unwrap().to_bytes();
            assert_eq!(text, format!("{url} host=false"));
        }
    }
    // The first fifty race to connect; the second fifty use what is there.
    let opened = connections.load(std::sync::atomic::Ordering::SeqCst);
    assert!((1..=50).contains(&opened), "{opened}");
    let fresh = client.fresh_pool();
    fresh.send(post(&url, OutBody::none())).await.unwrap();
    assert_eq!(connections.load(std::sync::atomic::Ordering::SeqCst), opened + 1, "a pool of its own");
}

#[test]
fn an_unusable_ca_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, b"no certificate").unwrap();
    for path in [empty, folder.path().join("missing.pem")] {
        let config = EgressConfig { ca_file: Some(path.clone()), ..EgressConfig::default() };
        let error = Client::new(&config).unwrap_err().to_string();
        assert!(error.contains(&format!("`{}`", path.display())), "{error}");
    }
}
