//! The one door out: an HTTP/1.1 and HTTP/2 client over TCP or TLS.
//!
//! What the callers may rely on:
//! - **Once.** A request is written to at most one connection, at most once: no retry, no redirect, no proxy from
//!   the environment. An error says whether a byte may have left ([`EgressError::may_have_left`]).
//! - **As given.** Method, path, query, header values and body go out as they are. The client adds `host` (HTTP/1.1;
//!   `:authority` in HTTP/2) from the URL, and the body's framing (RFC 9112 section 6), nothing else.
//! - **Checked.** TLS 1.2 and 1.3 (RFC 8446) by rustls over aws-lc-rs; certificates against Mozilla's roots and, where
//!   configured, an additional file; there is no way to switch the check off.
//! - **Mute.** Errors are told in the gateway's own words: no text of the other side reaches a message.
//!
//! A client's connections belong to the runtime that made them: use [`Client::fresh_pool`] once per runtime.

mod body;
mod connect;
mod error;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;

pub use body::OutBody;
use connect::Connector;
pub use error::{EgressConfigError, EgressError, Phase};

/// Settings of the client.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EgressConfig {
    /// Time limit for name resolution, TCP and TLS together, in seconds.
    pub connect_timeout_seconds: u64,
    /// PEM certificates trusted in addition to Mozilla's roots.
    pub ca_file: Option<PathBuf>,
    /// Whether to offer HTTP/2 in TLS (ALPN).
    pub http2: bool,
    /// Idle connections kept per vendor and core.
    pub idle_connections_max: usize,
    /// How long an idle connection is kept, in seconds: shorter than the vendors' own limits, so that a request is
    /// rarely written to a connection that the other side is just closing.
    pub idle_connection_seconds: u64,
}

impl Default for EgressConfig {
    fn default() -> Self {
        EgressConfig {
            connect_timeout_seconds: CONNECT_TIMEOUT_SECONDS,
            ca_file: None,
            http2: true,
            idle_connections_max: IDLE_CONNECTIONS_MAX,
            idle_connection_seconds: IDLE_CONNECTION_SECONDS,
        }
    }
}

/// An HTTP client with its connection pool. Clones share the pool.
#[derive(Clone)]
pub struct Client {
    inner: legacy::Client<Connector, OutBody>,
    tls: Arc<ClientConfig>,
    config: Arc<EgressConfig>,
}

impl Client {
    /// Reads the CA file, if any, and makes a client with an empty pool.
    ///
    /// # Errors
    /// When the CA file cannot be read or holds no certificate.
    pub fn new(config: &EgressConfig) -> Result<Self, EgressConfigError> {
        Ok(Self::build(Arc::new(tls(config)?), Arc::new(config.clone())))
    }

    /// A client with the same settings and a pool of its own: one per runtime.
    pub fn fresh_pool(&self) -> Self {
        Self::build(Arc::clone(&self.tls), Arc::clone(&self.config))
    }

    /// Sends one request, once, and waits for the head of its answer. The URI must be absolute.
    ///
    /// # Errors
    /// As [`EgressError`] tells them apart.
    pub async fn send(&self, request: Request<OutBody>) -> Result<Response<Incoming>, EgressError> {
        self.inner.request(request).await.map_err(|error| EgressError::of_send(&error))
    }

    fn build(tls: Arc<ClientConfig>, config: Arc<EgressConfig>) -> Self {
        let connector = Connector::new(&tls, &config);
        let inner = legacy::Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_max_idle_per_host(config.idle_connections_max)
            .pool_idle_timeout(Duration::from_secs(config.idle_connection_seconds))
            .retry_canceled_requests(false)
            .http1_max_headers(ANSWER_HEADERS_MAX)
            .http2_max_header_list_size(ANSWER_HEADER_BYTES_MAX)
            .http2_keep_alive_interval(HTTP2_PING)
            .http2_keep_alive_timeout(HTTP2_PONG)
            .build(connector);
        Client { inner, tls, config }
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("config", &self.config).finish_non_exhaustive()
    }
}

fn tls(config: &EgressConfig) -> Result<ClientConfig, EgressConfigError> {
    let mut roots = RootCertStore::empty();
    roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    if let Some(path) = &config.ca_file {
        let unreadable = |error: &dyn std::fmt::Display| EgressConfigError::CaFile {
            path: path.display().to_string(),
            why: error.to_string(),
        };
        let mut found = 0usize;
        for certificate in CertificateDer::pem_file_iter(path).map_err(|e| unreadable(&e))? {
            roots.add(certificate.map_err(|e| unreadable(&e))?).map_err(|e| unreadable(&e))?;
            found = found.saturating_add(1);
        }
        if found == 0 {
            return Err(unreadable(&"it holds no PEM certificate"));
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|_| EgressConfigError::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

/// Name resolution, TCP and TLS together.
pub const CONNECT_TIMEOUT_SECONDS: u64 = 10;
/// Idle connections kept per vendor and core: as many as a busy core has requests open at once.
pub const IDLE_CONNECTIONS_MAX: usize = 64;
/// Below the 5 s after which Node's servers close an idle connection by default, and far below what load balancers do:
/// nothing is tried again here, so a request written to a connection that is just closing would be lost.
pub const IDLE_CONNECTION_SECONDS: u64 = 4;
/// Header lines in one answer.
const ANSWER_HEADERS_MAX: usize = 256;
/// Decoded header bytes in one HTTP/2 answer (names, values, 32 for each: RFC 9113 section 6.5.2).
const ANSWER_HEADER_BYTES_MAX: u32 = 64 * 1024;
/// A silent HTTP/2 connection with streams open is asked this often whether it lives …
const HTTP2_PING: Duration = Duration::from_secs(20);
/// … and is given up when no reply comes in this time.
const HTTP2_PONG: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests;
