//! The data plane's listeners: HTTP/1.1 and HTTP/2, plain or TLS, on one port.
//!
//! What callers may rely on:
//! - **A port is ours alone** (`bind`): a second process on the same address is an error, never a silent share.
//! - **Every parsed head reaches the handler**, upgrades and unknown methods included; every head that cannot be
//!   parsed reaches [`Hooks::on_bad_head`]; hyper answers those itself (400, 431). Not seen there: an HTTP/2 stream
//!   refused by the protocol layer on a connection that goes on (431 for too many header bytes, RST_STREAM).
//! - **A client that goes away is noticed at once**: the handler's future, or the body it returned, is dropped. A
//!   client that closes only its sending side counts as gone.
//! - **Nothing is added** to an answer but the framing of its body (RFC 9112 section 6) and `connection` while
//!   draining: no `date`, no `server`.
//! - **Nobody holds a connection for free**: heads, handshakes and idle connections have time limits, connections,
//!   streams and header bytes have numbers ([`ServeLimits`]).
//! - **Drain**: accepting stops, idle connections close, open requests get their time; what is then still open is
//!   cut, and counted ([`DrainReport`]).
//!
//! One current-thread runtime per core, each with its own SO_REUSEPORT socket (DESIGN section 3). HTTP/2 without TLS
//! is taken by its preface (RFC 9113 section 3.4), in TLS by ALPN.

mod bind;
mod connection;
mod core;
mod flight;
mod tls;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use serde::Deserialize;
use thiserror::Error;
use tokio::sync::{Semaphore, watch};

pub use bind::{BindError, Listeners, bind};
pub use tls::{Certificates, TlsFiles, TlsFilesError};

/// What the handler answers with. An error in the body breaks the answer off, visibly for the client.
pub type ResponseBody = UnsyncBoxBody<Bytes, io::Error>;

/// Who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The client's address.
    pub address: SocketAddr,
    /// Whether the connection is TLS here.
    pub tls: bool,
}

/// Why a head never became a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadHead {
    /// Not HTTP, or not by its rules.
    Unparsable,
    /// More header bytes or lines than allowed.
    TooLarge,
    /// It did not arrive in time.
    Slow,
    /// The connection ended in the middle of it.
    Truncated,
    /// The TLS handshake failed or took too long.
    Handshake,
}

/// Limits of the listeners.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServeLimits {
    /// Connections open at once, all cores together; more wait in the kernel's queue.
    pub connections_max: usize,
    /// Header bytes of one request.
    pub header_bytes_max: usize,
    /// Time for a TLS handshake, and for a head to arrive, in seconds; also how long an HTTP/1.1 connection may idle.
    pub header_read_seconds: u64,
    /// How long an HTTP/2 connection may idle, in seconds.
    pub idle_seconds: u64,
    /// Requests open at once on one HTTP/2 connection.
    pub streams_max: u32,
    /// How long open requests may go on after a shutdown is asked for, in seconds.
    pub drain_seconds: u64,
}

impl Default for ServeLimits {
    fn default() -> Self {
        ServeLimits {
            connections_max: CONNECTIONS_MAX,
            header_bytes_max: HEADER_BYTES_MAX,
            header_read_seconds: HEADER_READ_SECONDS,
            idle_seconds: IDLE_SECONDS,
            streams_max: STREAMS_MAX,
            drain_seconds: DRAIN_SECONDS,
        }
    }
}

/// Waits until what a core's requests left behind is done.
pub type Settle = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

/// What the listeners call beside the handler.
#[derive(Clone)]
pub struct Hooks {
    /// Counts a head that never became a request.
    pub on_bad_head: Arc<dyn Fn(BadHead) + Send + Sync>,
    /// Awaited once per core after its connections are gone and before its runtime ends, [`SETTLE`] at most: tasks
    /// that the handler spawned die with the runtime, and some of them have a record to write.
    pub settle: Settle,
}

impl Default for Hooks {
    fn default() -> Self {
        Hooks { on_bad_head: Arc::new(|_| ()), settle: Arc::new(|| Box::pin(std::future::ready(()))) }
    }
}

/// What a drain came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DrainReport {
    /// Requests that were open when the shutdown was asked for (or began after) and ended by themselves.
    pub requests_drained: u64,
    /// Requests cut when the time was over.
    pub requests_aborted: u64,
    /// Connections closed in order.
    pub connections_drained: u64,
    /// Connections cut.
    pub connections_aborted: u64,
}

impl DrainReport {
    fn plus(self, other: Self) -> Self {
        DrainReport {
            requests_drained: self.requests_drained.saturating_add(other.requests_drained),
            requests_aborted: self.requests_aborted.saturating_add(other.requests_aborted),
            connections_drained: self.connections_drained.saturating_add(other.connections_drained),
            connections_aborted: self.connections_aborted.saturating_add(other.connections_aborted),
        }
    }
}

/// The listeners could not start, or a core died.
#[derive(Debug, Error)]
pub enum ServeError {
    /// No runtime or thread.
    #[error("cannot start a core's runtime: {0}")]
    Start(#[from] io::Error),
    /// A core's thread panicked.
    #[error("core {0} stopped unexpectedly: this is a fault of the gateway, see the log above")]
    Died(usize),
}

/// Listeners at work, a thread for each core.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    threads: Vec<JoinHandle<DrainReport>>,
}

impl Running {
    /// The address, port resolved.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether every core still has its thread: for `/readyz`.
    pub fn is_serving(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }

    /// Blocks until every core has drained, which begins when `shutdown` turns true.
    ///
    /// # Errors
    /// When a core's thread panicked.
    pub fn join(self) -> Result<DrainReport, ServeError> {
        let mut report = DrainReport::default();
        let mut died = None;
        for (number, thread) in self.threads.into_iter().enumerate() {
            match thread.join() {
                Ok(core) => report = report.plus(core),
                Err(_) => died = died.or(Some(number)),
            }
        }
        died.map_or(Ok(report), |number| Err(ServeError::Died(number)))
    }
}

/// Starts a thread per core and returns at once. `make` is called on each core's own runtime, with the core's number,
/// so that a handler can own connections that belong to it. A drain begins when `shutdown` turns true or its sender
/// is gone.
///
/// # Errors
/// When a runtime or a thread cannot be made.
pub fn start<M, H, F>(
    listeners: Listeners,
    make: M,
    limits: ServeLimits,
    tls: Option<Certificates>,
    hooks: Hooks,
    shutdown: watch::Receiver<bool>,
) -> Result<Running, ServeError>
where
    M: Fn(usize) -> H + Send + Sync + 'static,
    H: Fn(Request<Incoming>, Peer) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Response<ResponseBody>> + Send + 'static,
{
    let address = listeners.address();
    let make = Arc::new(make);
    let permits = Arc::new(Semaphore::new(limits.connections_max.clamp(1, Semaphore::MAX_PERMITS)));
    let mut threads = Vec::new();
    for (number, socket) in listeners.into_sockets().into_iter().enumerate() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let settings = core::Settings {
            limits,
            tls: tls.clone(),
            hooks: hooks.clone(),
            permits: Arc::clone(&permits),
            watch_certificates: number == 0,
        };
        let (make, shutdown) = (Arc::clone(&make), shutdown.clone());
        let body = move || runtime.block_on(async move { core::run(socket, make(number), settings, shutdown).await });
        threads.push(std::thread::Builder::new().name(format!("sealgate-core-{number}")).spawn(body)?);
    }
    Ok(Running { address, threads })
}

/// About 40 KB of buffers each when busy: 400 MB at the limit.
pub const CONNECTIONS_MAX: usize = 10_000;
/// Claude Code's heads, the largest known, are below 4 KiB; JWTs with many groups reach 16.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;
/// A slow network brings a head in well under this.
pub const HEADER_READ_SECONDS: u64 = 30;
/// Idle HTTP/2 connections are cheap to keep and dear to remake.
pub const IDLE_SECONDS: u64 = 300;
/// 50 parallel calls of one SDK, with room.
pub const STREAMS_MAX: u32 = 256;
/// Below the 90 s after which systemd kills.
pub const DRAIN_SECONDS: u64 = 30;
/// Time for the last completions to become durable.
pub const SETTLE: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
