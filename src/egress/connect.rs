//! Opens connections: name, TCP and TLS under one time limit, each failure told apart.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use super::EgressConfig;
use super::error::{EgressError, Phase};

/// The connector of the pool. `HttpConnector` alone limits only the TCP part; a server that accepts and then says
/// nothing in the TLS handshake would hold a request until its first-byte limit.
#[derive(Clone)]
pub(super) struct Connector {
    inner: HttpsConnector<HttpConnector>,
    limit: Duration,
}

impl Connector {
    pub(super) fn new(tls: &Arc<ClientConfig>, config: &EgressConfig) -> Self {
        let limit = Duration::from_secs(config.connect_timeout_seconds);
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(TCP_KEEPALIVE));
        tcp.set_keepalive_interval(Some(TCP_KEEPALIVE));
        tcp.set_connect_timeout(Some(limit));
        let builder = HttpsConnectorBuilder::new().with_tls_config(ClientConfig::clone(tls)).https_or_http();
        let inner = if config.http2 {
            builder.enable_all_versions().wrap_connector(tcp)
        } else {
            builder.enable_http1().wrap_connector(tcp)
        };
        Connector { inner, limit }
    }
}

impl Service<Uri> for Connector {
    type Response = MaybeHttpsStream<TokioIo<TcpStream>>;
    type Error = EgressError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, EgressError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), EgressError>> {
        self.inner.poll_ready(cx).map_err(|error| EgressError::of_connect(&*error))
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let connecting = self.inner.call(destination);
        let limit = self.limit;
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(Ok(stream)) => Ok(stream),
                Ok(Err(error)) => Err(EgressError::of_connect(&*error)),
                Err(_) => Err(EgressError::Timeout(Phase::Connect)),
            }
        })
    }
}

/// Finds a vendor that vanished without a word while an answer is awaited.
const TCP_KEEPALIVE: Duration = Duration::from_secs(60);
