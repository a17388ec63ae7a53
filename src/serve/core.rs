//! One core: accepts, keeps its connections, drains.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::connection::{self, Context};
use super::flight::Counts;
use super::{Certificates, DrainReport, Hooks, Peer, ResponseBody, SETTLE, ServeLimits};

pub(super) struct Settings {
    pub(super) limits: ServeLimits,
    pub(super) tls: Option<Certificates>,
    pub(super) hooks: Hooks,
    /// Connections still free, over all cores.
    pub(super) permits: Arc<Semaphore>,
    /// One core looks after the certificate files for all.
    pub(super) watch_certificates: bool,
}

/// Serves until `shutdown`, then drains.
pub(super) async fn run<H, F>(
    socket: std::net::TcpListener,
    handler: H,
    settings: Settings,
    mut shutdown: watch::Receiver<bool>,
) -> DrainReport
where
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<ResponseBody>> + Send + 'static,
{
    let listener = match TcpListener::from_std(socket) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "a core cannot listen");
            return DrainReport::default();
        }
    };
    let counts = Arc::new(Counts::default());
    let context = Arc::new(Context::new(&settings, Arc::clone(&counts)));
    if let (Some(tls), true) = (settings.tls.clone(), settings.watch_certificates) {
        tokio::spawn(tls.watch());
    }
    let mut connections = JoinSet::new();
    let mut ended_early = 0usize;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut shutdown) => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {
                // The news of a shutdown can reach a connection a moment before it reaches this loop.
                ended_early = ended_early.saturating_add(usize::from(*shutdown.borrow()));
                continue;
            }
            accepted = accept(&listener) => accepted,
        };
        match accepted {
            Ok((stream, address)) => {
                // Over the limit this one waits unread, the rest in the kernel's queue. (A core that took a permit
                // before it accepts would keep it from the others while nobody comes.)
                let permit = tokio::select! {
                    biased;
                    () = stopped(&mut shutdown) => break,
                    permit = Arc::clone(&settings.permits).acquire_owned() => permit,
                };
                let (context, handler, shutdown) = (Arc::clone(&context), handler.clone(), shutdown.clone());
                connections.spawn(async move {
                    connection::serve(stream, address, &context, handler, shutdown).await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let mut report = drain(connections, &counts, &settings).await;
    report.connections_drained = report.connections_drained.saturating_add(wide(ended_early));
    report
}

/// Returns when a shutdown was asked for, or nobody is left to ask for one.
pub(super) async fn stopped(shutdown: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone: the same as being asked.
    let _ = shutdown.wait_for(|stop| *stop).await;
}

async fn accept(listener: &TcpListener) -> io::Result<(TcpStream, SocketAddr)> {
    let (stream, address) = listener.accept().await?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE).with_interval(KEEPALIVE))?;
    // A client that reads nothing more, or vanished: its answer is not kept waiting for ever.
    socket.set_tcp_user_timeout(Some(UNREAD_MAX))?;
    Ok((stream, address))
}

async fn drain(mut connections: JoinSet<()>, counts: &Counts, settings: &Settings) -> DrainReport {
    let open_connections = connections.len();
    let open_requests = counts.open();
    let started = counts.started();
    let all_done = async { while connections.join_next().await.is_some() {} };
    let limit = Duration::from_secs(settings.limits.drain_seconds);
    let _ = tokio::time::timeout(limit, all_done).await;
    let requests_aborted = counts.open();
    let connections_aborted = connections.len();
    connections.shutdown().await;
    if tokio::time::timeout(SETTLE, (settings.hooks.settle)()).await.is_err() {
        tracing::warn!("some requests were still being closed when their core stopped: recovery will close them");
    }
    let requests = open_requests.saturating_add(counts.started().saturating_sub(started));
    DrainReport {
        requests_drained: requests.saturating_sub(requests_aborted),
        requests_aborted,
        connections_drained: wide(open_connections.saturating_sub(connections_aborted)),
        connections_aborted: wide(connections_aborted),
    }
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// After a failed accept (out of file descriptors, most likely).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// A silent peer is probed this often.
const KEEPALIVE: Duration = Duration::from_secs(60);
/// How long sent bytes may stay unacknowledged, or unsent because the peer reads nothing (tcp(7), TCP_USER_TIMEOUT).
const UNREAD_MAX: Duration = Duration::from_secs(300);
