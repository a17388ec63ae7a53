//! One connection: handshake, version, requests, end.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;

use super::core::{Settings, stopped};
use super::flight::{Counted, Counts, Flight, Watched};
use super::{BadHead, Peer, ResponseBody, ServeLimits};

/// What all connections of a core share.
pub(super) struct Context {
    builder: Builder<TokioExecutor>,
    tls: Option<TlsAcceptor>,
    counts: Arc<Counts>,
    on_bad_head: Arc<dyn Fn(BadHead) + Send + Sync>,
    head_limit: Duration,
    idle_limit: Duration,
}

impl Context {
    pub(super) fn new(settings: &Settings, counts: Arc<Counts>) -> Self {
        Context {
            builder: builder(&settings.limits),
            tls: settings.tls.as_ref().map(super::Certificates::acceptor),
            counts,
            on_bad_head: Arc::clone(&settings.hooks.on_bad_head),
            head_limit: Duration::from_secs(settings.limits.header_read_seconds.max(1)),
            idle_limit: Duration::from_secs(settings.limits.idle_seconds),
        }
    }
}

fn builder(limits: &ServeLimits) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .half_close(false)
        .header_read_timeout(Duration::from_secs(limits.header_read_seconds.max(1)))
        .max_buf_size(limits.header_bytes_max.max(HTTP1_BUFFER_MIN));
    builder
        .http2()
        .timer(TokioTimer::new())
        .auto_date_header(false)
        .max_header_list_size(u32::try_from(limits.header_bytes_max).unwrap_or(u32::MAX))
        .max_concurrent_streams(limits.streams_max)
        .keep_alive_interval(HTTP2_PING)
        .keep_alive_timeout(HTTP2_PONG);
    builder
}

/// Serves a connection to its end.
pub(super) async fn serve<H, F>(
    stream: TcpStream,
    address: SocketAddr,
    context: &Context,
    handler: H,
    mut shutdown: watch::Receiver<bool>,
) where
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<ResponseBody>> + Send + 'static,
{
    let Some(acceptor) = &context.tls else {
        return requests(stream, Peer { address, tls: false }, context, handler, shutdown).await;
    };
    let handshake = tokio::time::timeout(context.head_limit, acceptor.accept(stream));
    let shaken = tokio::select! {
        () = stopped(&mut shutdown) => return,
        shaken = handshake => shaken,
    };
    match shaken {
        Ok(Ok(stream)) => requests(Box::new(stream), Peer { address, tls: true }, context, handler, shutdown).await,
        Ok(Err(_)) | Err(_) => (context.on_bad_head)(BadHead::Handshake),
    }
}

async fn requests<S, H, F>(stream: S, peer: Peer, context: &Context, handler: H, mut shutdown: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<ResponseBody>> + Send + 'static,
{
    let flight = Arc::new(Flight::new(Arc::clone(&context.counts)));
    let entry = Arc::clone(&flight);
    let service = service_fn(move |request: Request<Incoming>| {
        let guard = Flight::enter(&entry, request.version());
        let answer = handler(request, peer);
        async move { Ok::<_, Infallible>(answer.await.map(|body| Counted::new(body, guard))) }
    });
    let io = TokioIo::new(Watched::new(stream, Arc::clone(&flight)));
    let mut connection = std::pin::pin!(context.builder.serve_connection(io, service));
    let mut patience = Patience::default();
    let mut draining = false;
    let mut moved = 0;
    let end = loop {
        let tick = if draining { DRAIN_QUIET } else { context.head_limit };
        tokio::select! {
            result = connection.as_mut() => break result.map_or_else(End::Failed, |()| End::Closed),
            () = stopped(&mut shutdown), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
            // A peer that answers no goodbye is not waited for: nothing is open, and nothing moves.
            () = tokio::time::sleep(tick), if draining => {
                if flight.open() == 0 && flight.moved() == moved {
                    break End::Cut;
                }
                moved = flight.moved();
            }
            () = tokio::time::sleep(tick), if !draining => match patience.tick(&flight, context) {
                Verdict::Wait => {}
                Verdict::Close => connection.as_mut().graceful_shutdown(),
                Verdict::Cut => break End::Cut,
            },
        }
    };
    let unfinished = flight.unfinished_head() && !draining;
    if let Some(bad) = end.bad_head(unfinished, flight.started() == 0) {
        (context.on_bad_head)(bad);
    }
}

/// hyper limits a head's time only once it knows the version, and never an idle HTTP/2 connection's.
#[derive(Default)]
struct Patience {
    seen: u64,
    quiet: Duration,
}

enum Verdict {
    Wait,
    Close,
    Cut,
}

impl Patience {
    /// Asked every `head_limit`.
    fn tick(&mut self, flight: &Flight, context: &Context) -> Verdict {
        let started = flight.started();
        if flight.open() > 0 || started != self.seen {
            (self.seen, self.quiet) = (started, Duration::ZERO);
            return Verdict::Wait;
        }
        if started == 0 {
            return Verdict::Cut;
        }
        self.quiet = self.quiet.saturating_add(context.head_limit);
        if self.quiet >= context.idle_limit { Verdict::Close } else { Verdict::Wait }
    }
}

/// How a connection ended.
enum End {
    Closed,
    Failed(Box<dyn std::error::Error + Send + Sync>),
    /// By us, for want of any request.
    Cut,
}

impl End {
    /// Whether it ended in a head that never became a request. `unfinished`: bytes of one had come; `first`: no
    /// request had come before.
    fn bad_head(&self, unfinished: bool, first: bool) -> Option<BadHead> {
        let failed = match self {
            End::Closed => return None,
            End::Cut => return unfinished.then_some(BadHead::Slow),
            End::Failed(error) => error.downcast_ref::<hyper::Error>(),
        };
        match failed {
            Some(error) if error.is_parse_too_large() => Some(BadHead::TooLarge),
            Some(error) if error.is_parse() => Some(BadHead::Unparsable),
            Some(error) if error.is_timeout() => unfinished.then_some(BadHead::Slow),
            Some(error) if error.is_incomplete_message() => unfinished.then_some(BadHead::Truncated),
            // HTTP/2 that broke its protocol before the first request, or a transport that broke in a first head.
            _ => (unfinished && first).then_some(BadHead::Unparsable),
        }
    }
}

/// hyper's own lower bound.
const HTTP1_BUFFER_MIN: usize = 8192;
/// While draining, a connection without an open request is cut once nothing has moved on it for this long.
const DRAIN_QUIET: Duration = Duration::from_secs(2);
/// A silent HTTP/2 client with requests open is asked this often whether it lives …
const HTTP2_PING: Duration = Duration::from_secs(20);
/// … and is given up when no reply comes in this time.
const HTTP2_PONG: Duration = Duration::from_secs(20);
