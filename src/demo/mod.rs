//! The built-in vendor: a real loopback server that answers like OpenAI and Anthropic and echoes what it was sent, so
//! that a redaction can be seen without an account anywhere.
//!
//! What the reader may rely on: it listens on a free loopback port, speaks HTTP/1.1 and prior-knowledge h2c, keeps
//! nothing, and answers every request, malformed ones with the vendor's own error. An answer begins with `You said: `
//! and the last user text; "call …" calls a tool where some are offered. Request headers steer it: `demo-delay-ms` (pause
//! between streamed events), `demo-chunk-chars` (length of streamed deltas), `demo-fault` (see `fault`). Not here: a
//! language model.

mod anthropic;
mod body;
mod fault;
mod openai;
mod reply;
mod route;
mod sample;
mod usage;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// How long to wait after a failed accept (out of file descriptors, usually).
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How the built-in vendor behaves.
#[derive(Clone, Copy, Debug)]
pub struct DemoConfig {
    /// Characters in each streamed delta.
    pub chunk_chars: usize,
    /// Pause between streamed events, where the request does not say.
    pub delay: Duration,
}

impl Default for DemoConfig {
    fn default() -> Self {
        DemoConfig { chunk_chars: 4, delay: Duration::ZERO }
    }
}

/// Keeps the built-in vendor running; dropped, it stops accepting and closes its connections.
#[derive(Debug)]
pub struct Handle {
    /// Connections watch for the drop of this sender.
    _stop: watch::Sender<()>,
}

/// Starts the built-in vendor on a free loopback port, on the current runtime.
pub async fn start() -> io::Result<(SocketAddr, Handle)> {
    start_with(DemoConfig::default()).await
}

/// Starts it with other manners.
pub async fn start_with(config: DemoConfig) -> io::Result<(SocketAddr, Handle)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let (stop, stopped) = watch::channel(());
    tokio::spawn(accept(listener, config, stopped));
    Ok((address, Handle { _stop: stop }))
}

async fn accept(listener: TcpListener, config: DemoConfig, mut stopped: watch::Receiver<()>) {
    loop {
        let connection = tokio::select! {
            _ = stopped.changed() => return,
            connection = listener.accept() => connection,
        };
        match connection {
            Ok((stream, _)) => {
                // Small events must not wait for one another; a socket without the option works too.
                let _ = stream.set_nodelay(true);
                tokio::spawn(serve(stream, config, stopped.clone()));
            }
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn serve(stream: tokio::net::TcpStream, config: DemoConfig, mut stopped: watch::Receiver<()>) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new());
    let service = service_fn(move |request| async move { Ok::<_, Infallible>(route::answer(request, config).await) });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        _ = stopped.changed() => {}
        // A client that breaks its connection is no concern of the vendor's.
        _ = connection => {}
    }
}

#[cfg(test)]
mod tests;
