use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::sync::mpsc;

use super::*;
use crate::env::Stopwatch;

fn body(text: impl Into<Bytes>) -> ResponseBody {
    Full::new(text.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Listeners at work, and what they noticed.
struct Server {
    running: Option<Running>,
    stop: watch::Sender<bool>,
    bad: Arc<Mutex<Vec<BadHead>>>,
    /// Handler futures or bodies dropped before their end.
    dropped: Arc<AtomicU64>,
}

struct Tripwire(Arc<AtomicU64>, bool);

impl Drop for Tripwire {
    fn drop(&mut self) {
        if !self.1 {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// `/slow` answers after two seconds, `/hang` never, `/stream` sends a piece each 50 ms for ever, `/break` breaks off;
/// everything else tells what arrived.
async fn answer(request: Request<Incoming>, peer: Peer, dropped: Arc<AtomicU64>) -> Response<ResponseBody> {
    let mut wire = Tripwire(Arc::clone(&dropped), false);
    match request.uri().path() {
        "/slow" => tokio::time::sleep(Duration::from_secs(2)).await,
        "/hang" => std::future::pending().await,
        "/stream" => {
            let pieces = async_pieces(Tripwire(dropped, false));
            wire.1 = true;
            return Response::new(pieces);
        }
        "/break" => {
            wire.1 = true;
            return Response::new(Broken(0).boxed_unsync());
        }
        _ => {}
    }
    let upgrade = request.headers().contains_key("upgrade");
    let head = format!(
        "{} {} {:?} tls={} upgrade={upgrade} ",
        request.method(),
        request.uri().path_and_query().map_or("", |p| p.as_str()),
        request.version(),
        peer.tls
    );
    let received = request.into_body().collect().await.map(|b| b.to_bytes().len());
    wire.1 = true;
    Response::new(body(head + &received.map_or("broken".into(), |n| n.to_string())))
}

/// Three bytes, then an error.
struct Broken(u8);

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = io::Error;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<io::Result<http_body::Frame<Bytes>>>> {
        self.0 += 1;
        std::task::Poll::Ready(Some(match self.0 {
            1 => Ok(http_body::Frame::data(Bytes::from_static(b"abc"))),
            2 => {
                cx.waker().wake_by_ref();
                return std::task::Poll::Pending;
            }
            _ => Err(io::Error::other("broken")),
        }))
    }
}

fn async_pieces(wire: Tripwire) -> ResponseBody {
    let (send, receive) = mpsc::channel::<Bytes>(1);
    tokio::spawn(async move {
        while send.send(Bytes::from_static(b"piece\n")).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    struct Live(mpsc::Receiver<Bytes>, #[allow(dead_code, reason = "held for its Drop")] Tripwire);
    impl http_body::Body for Live {
        type Data = Bytes;
        type Error = io::Error;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<io::Result<http_body::Frame<Bytes>>>> {
            self.0.poll_recv(cx).map(|piece| piece.map(|p| Ok(http_body::Frame::data(p))))
        }
    }
    Live(receive, wire).boxed_unsync()
}

impl Server {
    fn start(limits: ServeLimits, tls: Option<Certificates>) -> Self {
        let (stop, stopped) = watch::channel(false);
        let bad = Arc::new(Mutex::new(Vec::new()));
        let dropped = Arc::new(AtomicU64::new(0));
        let heads = Arc::clone(&bad);
        let hooks = Hooks { on_bad_head: Arc::new(move |head| heads.lock().unwrap().push(head)), ..Hooks::default() };
        let listeners = bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let wires = Arc::clone(&dropped);
        let make = move |_| {
            let wires = Arc::clone(&wires);
            move |request, peer| answer(request, peer, Arc::clone(&wires))
        };
        let running = start(listeners, make, limits, tls, hooks, stopped).unwrap();
        Server { running: Some(running), stop, bad, dropped }
    }

    fn address(&self) -> SocketAddr {
        self.running.as_ref().unwrap().address()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    fn exchange(&self, text: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(text.as_bytes()).unwrap();
        read_all(&mut stream)
    }

    fn stop(mut self) -> (DrainReport, Vec<BadHead>) {
        self.stop.send(true).unwrap();
        let report = self.running.take().unwrap().join().unwrap();
        let bad = self.bad.lock().unwrap().clone();
        (report, bad)
    }

    /// The one bad head noticed, waited for.
    fn bad_head(&self) -> Option<BadHead> {
        let watch = Stopwatch::start();
        while self.bad.lock().unwrap().is_empty() && watch.elapsed() < Duration::from_secs(2) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let mut bad = self.bad.lock().unwrap();
        assert!(bad.len() < 2, "{bad:?}");
        bad.pop()
    }

    fn dropped_within(&self, limit: Duration) -> u64 {
        let watch = Stopwatch::start();
        while self.dropped.load(Ordering::SeqCst) == 0 && watch.elapsed() < limit {
            std::thread::sleep(Duration::from_millis(5));
        }
        self.dropped.load(Ordering::SeqCst)
    }
}

fn read_all(stream: &mut impl Read) -> String {
    let mut all = Vec::new();
    let _ = stream.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

fn short() -> ServeLimits {
    ServeLimits { header_read_seconds: 1, drain_seconds: 1, ..ServeLimits::default() }
}

const CLOSE: &str = "host: x\r\nconnection: close\r\n\r\n";

#[test]
fn a_port_is_taken_alone_and_the_error_names_it() {
    let first = bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
    assert_ne!(first.address().port(), 0);
    let error = bind(first.address(), 2).unwrap_err().to_string();
    assert!(error.contains(&format!("`{}`", first.address())) && error.contains("taken by another process"), "{error}");
    let error = bind("192.0.2.1:0".parse().unwrap(), 1).unwrap_err().to_string();
    assert!(error.contains("no such address"), "{error}");
    let again = first.address();
    drop(first);
    bind(again, 1).unwrap();
}

#[test]
fn http_1_answers_add_nothing_but_framing() {
    let server = Server::start(short(), None);
    assert!(server.running.as_ref().unwrap().is_serving());
    let seen = server.exchange(&format!("GET /a%2Fb?x=%zz HTTP/1.1\r\n{CLOSE}"));
    assert_eq!(
        seen,
        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 51\r\n\r\n\
         GET /a%2Fb?x=%zz HTTP/1.1 tls=false upgrade=false 0"
    );
    assert_eq!(server.stop().1, []);
}

#[test]
fn pipelined_requests_and_continue_and_upgrades_work() {
    let server = Server::start(short(), None);
    let seen = server.exchange(&format!(
        "POST /1 HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabcPOST /2 HTTP/1.1\r\nhost: x\r\n\
         transfer-encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\nGET /3 HTTP/1.1\r\n{CLOSE}"
    ));
    for part in ["POST /1 HTTP/1.1 tls=false upgrade=false 3", "POST /2 ", "upgrade=false 2HTTP", "GET /3 "] {
        assert!(seen.contains(part), "{part}: {seen}");
    }
    let mut stream = server.connect();
    stream
        .write_all(
            b"POST /c HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n",
        )
        .unwrap();
    let mut buffer = [0u8; 25];
    stream.read_exact(&mut buffer).unwrap();
    assert_eq!(&buffer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream.write_all(b"ok").unwrap();
    assert!(read_all(&mut stream).contains("POST /c"));
    let seen =
        server.exchange("GET /w HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n\r\n");
    assert!(seen.contains("upgrade=true"), "{seen}");
    assert_eq!(server.stop().1, []);
}

#[tokio::test]
async fn http_2_with_prior_knowledge_shares_the_port() {
    let server = Server::start(short(), None);
    let stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    for _ in 0..3 {
        let request = Request::post("http://x/h2?beta=true").body(Full::new(Bytes::from_static(b"four"))).unwrap();
        let response = sender.send_request(request).await.unwrap();
        assert!(!response.headers().contains_key("date"));
        let text = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(text, "POST /h2?beta=true HTTP/2.0 tls=false upgrade=false 4");
    }
    // A stream reset by the client drops its handler, and the connection lives on.
    let hanging = sender.send_request(Request::get("http://x/hang").body(Full::new(Bytes::new())).unwrap());
    assert!(tokio::time::timeout(Duration::from_millis(200), hanging).await.is_err());
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(server.dropped.load(Ordering::SeqCst), 1);
    let request = Request::get("http://x/after").body(Full::new(Bytes::new())).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), 200);
    drop(sender);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(server.stop().1, [], "frames between requests are no bad heads");
}

#[test]
fn a_client_that_goes_away_drops_the_handler_and_the_body() {
    for path in ["/hang", "/stream"] {
        for half in [false, true] {
            let server = Server::start(short(), None);
            let mut stream = server.connect();
            stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes()).unwrap();
            std::thread::sleep(Duration::from_millis(200));
            assert_eq!(server.dropped.load(Ordering::SeqCst), 0);
            if half {
                stream.shutdown(std::net::Shutdown::Write).unwrap()
            } else {
                drop(stream)
            };
            assert_eq!(server.dropped_within(Duration::from_secs(2)), 1, "{path} half={half}");
            assert_eq!(server.stop().1, [], "an abort is no bad head");
        }
    }
}

#[test]
fn an_error_in_the_body_breaks_the_answer_off() {
    let server = Server::start(short(), None);
    let seen = server.exchange(&format!("GET /break HTTP/1.1\r\n{CLOSE}"));
    assert!(seen.contains("transfer-encoding: chunked") && !seen.ends_with("0\r\n\r\n"), "{seen}");
}

#[test]
fn every_bad_head_is_counted_once() {
    let server = Server::start(short(), None);
    let huge = format!("GET / HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(100_000));
    let cases: [(&str, &str, BadHead); 7] = [
        ("hello\r\n\r\n", "HTTP/1.1 400", BadHead::Unparsable),
        ("GET / HTTP/1.1\r\nbad header\r\n\r\n", "HTTP/1.1 400", BadHead::Unparsable),
        ("GET / HTTP/9.9\r\n\r\n", "HTTP/1.1 400", BadHead::Unparsable),
        ("POST / HTTP/1.1\r\ncontent-length: x\r\n\r\n", "HTTP/1.1 400", BadHead::Unparsable),
        (&huge, "HTTP/1.1 431", BadHead::TooLarge),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\ngarbage garbage garbage", "", BadHead::Unparsable),
        ("GET /sl", "", BadHead::Slow),
    ];
    for (sent, answer, kind) in &cases {
        let seen = server.exchange(sent);
        assert!(seen.starts_with(answer), "{kind:?}: {seen}");
        assert_eq!(server.bad_head(), Some(*kind), "{}", &sent[..sent.len().min(50)]);
    }
    let mut stream = server.connect();
    stream.write_all(b"GET /tr").unwrap();
    drop(stream);
    assert_eq!(server.bad_head(), Some(BadHead::Truncated));
    // After a good request on the same connection: the next head never ends.
    let seen = server.exchange("GET /good HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(seen.contains("GET /good"), "idle: closed without a word, and no bad head");
    assert_eq!(server.bad.lock().unwrap().len(), 0);
    let mut stream = server.connect();
    stream.write_all(b"GET /good HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    stream.write_all(b"GET /half").unwrap();
    read_all(&mut stream);
    assert_eq!(server.bad_head(), Some(BadHead::Slow));
}

#[test]
fn nobody_holds_a_connection_without_a_request() {
    let server = Server::start(short(), None);
    for sent in ["", "P", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let watch = Stopwatch::start();
        server.exchange(sent);
        assert!(watch.elapsed() < Duration::from_secs(4), "{sent}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let (_, bad) = server.stop();
    assert_eq!(bad, [BadHead::Slow, BadHead::Slow], "the one that sent nothing is no head");
}

#[test]
fn connections_over_the_limit_wait_their_turn() {
    let server = Server::start(ServeLimits { connections_max: 1, header_read_seconds: 30, ..short() }, None);
    let first = server.connect();
    std::thread::sleep(Duration::from_millis(100));
    let mut second = server.connect();
    second.write_all(format!("GET /second HTTP/1.1\r\n{CLOSE}").as_bytes()).unwrap();
    second.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    assert_eq!(read_all(&mut second), "");
    drop(first);
    second.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    assert!(read_all(&mut second).contains("GET /second"));
}

#[test]
fn a_drain_finishes_what_it_can_and_counts_the_rest() {
    let server = Server::start(ServeLimits { drain_seconds: 3, ..short() }, None);
    let idle = server.connect();
    let mut slow = server.connect();
    slow.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    let mut hang = server.connect();
    hang.write_all(b"GET /hang HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    let address = server.address();
    let watch = Stopwatch::start();
    let (report, _) = server.stop();
    assert!(watch.elapsed() < Duration::from_secs(5));
    let seen = read_all(&mut slow);
    assert!(seen.contains("connection: close") && seen.contains("GET /slow"), "{seen}");
    assert_eq!(read_all(&mut hang), "");
    let expected =
        DrainReport { requests_drained: 1, requests_aborted: 1, connections_drained: 2, connections_aborted: 1 };
    assert_eq!(report, expected);
    assert!(TcpStream::connect(address).is_err());
    drop(idle);
}

#[test]
fn tasks_left_behind_get_time_to_settle() {
    let (stop, stopped) = watch::channel(false);
    let done = Arc::new(AtomicU64::new(0));
    let work = Arc::clone(&done);
    let make = move |_| {
        let work = Arc::clone(&work);
        move |_: Request<Incoming>, _: Peer| {
            let work = Arc::clone(&work);
            async move {
                let task = tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(1500)).await;
                    work.fetch_add(1, Ordering::SeqCst);
                });
                let _ = task.await;
                Response::new(body("late"))
            }
        }
    };
    let waiting = Arc::clone(&done);
    let settle: Settle = Arc::new(move || {
        let waiting = Arc::clone(&waiting);
        Box::pin(async move {
            while waiting.load(Ordering::SeqCst) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
    });
    let hooks = Hooks { settle, ..Hooks::default() };
    let listeners = bind("127.0.0.1:0".parse().unwrap(), 1).unwrap();
    let limits = ServeLimits { drain_seconds: 0, ..short() };
    let running = start(listeners, make, limits, None, hooks, stopped).unwrap();
    let mut stream = TcpStream::connect(running.address()).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    std::thread::sleep(Duration::from_millis(200));
    stop.send(true).unwrap();
    let report = running.join().unwrap();
    assert_eq!((report.requests_aborted, done.load(Ordering::SeqCst)), (1, 1));
}

fn certificate(folder: &Path, name: &str) -> (TlsFiles, CertificateDer<'static>) {
    let made = rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    let files = TlsFiles { cert: folder.join("cert.pem"), key: folder.join("key.pem") };
    std::fs::write(&files.cert, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    (files, made.cert.der().clone())
}

/// Shakes hands trusting only `trusted`; gives the protocol chosen and, for HTTP/1.1, an answer.
async fn shake(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    protocols: &[&[u8]],
) -> io::Result<(Option<Vec<u8>>, tokio_rustls::client::TlsStream<tokio::net::TcpStream>)> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.to_vec()).collect();
    let stream = tokio::net::TcpStream::connect(address).await?;
    let connector = tokio_rustls::TlsConnector::from(Arc::new(config));
    let stream = connector.connect(ServerName::try_from("localhost").unwrap(), stream).await?;
    let chosen = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
    Ok((chosen, stream))
}

#[tokio::test]
async fn tls_chooses_the_protocol_by_alpn() {
    let folder = tempfile::tempdir().unwrap();
    let (files, der) = certificate(folder.path(), "localhost");
    let server = Server::start(short(), Some(Certificates::load(files).unwrap()));
    let (chosen, stream) = shake(server.address(), &der, &[b"h2", b"http/1.1"]).await.unwrap();
    assert_eq!(chosen.as_deref(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://localhost/s").body(Full::new(Bytes::new())).unwrap();
    let text = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    assert_eq!(text, "GET /s HTTP/2.0 tls=true upgrade=false 0");
    for protocols in [&[&b"http/1.1"[..]][..], &[]] {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (_, mut stream) = shake(server.address(), &der, protocols).await.unwrap();
        stream.write_all(format!("GET /s HTTP/1.1\r\n{CLOSE}").as_bytes()).await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.ends_with("GET /s HTTP/1.1 tls=true upgrade=false 0"), "{text}");
    }
    let plain = server.exchange("GET / HTTP/1.1\r\nhost: x\r\n\r\n");
    assert!(!plain.contains("HTTP/1.1 200"));
    drop(sender);
    let address = server.address();
    let silent = TcpStream::connect(address).unwrap();
    tokio::time::sleep(Duration::from_millis(1500)).await;
    drop(silent);
    assert_eq!(server.stop().1, [BadHead::Handshake, BadHead::Handshake]);
}

#[tokio::test]
async fn a_new_certificate_is_taken_up_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (files, first) = certificate(folder.path(), "localhost");
    let server = Server::start(short(), Some(Certificates::load(files.clone()).unwrap()));
    shake(server.address(), &first, &[]).await.unwrap();
    std::fs::write(&files.cert, "-----BEGIN CERTIFICATE-----\nbroken").unwrap();
    tokio::time::sleep(Duration::from_millis(3500)).await;
    shake(server.address(), &first, &[]).await.expect("the old one stays");
    let (_, second) = certificate(folder.path(), "localhost");
    tokio::time::sleep(Duration::from_millis(3500)).await;
    shake(server.address(), &second, &[]).await.expect("the new one is in use");
    assert!(shake(server.address(), &first, &[]).await.is_err());
}

#[test]
fn tls_files_that_do_not_fit_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (files, _) = certificate(folder.path(), "localhost");
    let other = tempfile::tempdir().unwrap();
    let (foreign, _) = certificate(other.path(), "localhost");
    let mixed = TlsFiles { cert: files.cert.clone(), key: foreign.key };
    let error = Certificates::load(mixed).unwrap_err().to_string();
    assert!(error.contains("cannot be used together"), "{error}");
    let missing = TlsFiles { cert: files.cert.clone(), key: folder.path().join("none.pem") };
    let error = Certificates::load(missing).unwrap_err().to_string();
    assert!(error.contains("none.pem`"), "{error}");
    std::fs::write(&files.cert, "nothing").unwrap();
    let error = Certificates::load(files).unwrap_err().to_string();
    assert!(error.contains("holds no PEM certificate"), "{error}");
}
