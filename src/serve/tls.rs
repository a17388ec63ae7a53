//! The listeners' certificate, and its renewal without a restart.
//!
//! The two files are looked at every few seconds. A pair that changed is loaded and checked; only a certificate that
//! fits its key replaces the one in use. Anything else is logged once and the old one stays. Open connections keep what
//! they have.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::Deserialize;
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

/// Where the certificate is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsFiles {
    /// PEM: the certificate, then its intermediates.
    pub cert: PathBuf,
    /// PEM: the private key (PKCS#8, SEC1 or PKCS#1).
    pub key: PathBuf,
}

/// A certificate in use, and the files it came from. Clones share it.
#[derive(Clone, Debug)]
pub struct Certificates {
    files: Arc<TlsFiles>,
    current: Arc<Current>,
    config: Arc<ServerConfig>,
}

impl Certificates {
    /// Loads and checks the files.
    ///
    /// # Errors
    /// When one cannot be read, or they do not belong together.
    pub fn load(files: TlsFiles) -> Result<Self, TlsFilesError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let stamp = Stamp::of(&files);
        let key = certified(&files, &provider)?;
        let current = Arc::new(Current { key: RwLock::new(Arc::new(key)), stamp: RwLock::new(stamp) });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| TlsFilesError::Library)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Certificates { files: Arc::new(files), current, config: Arc::new(config) })
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }

    /// Looks at the files for as long as the runtime lives.
    pub(super) async fn watch(self) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.refresh();
        }
    }

    /// Takes the files' certificate into use if they changed and are sound. Says whether it did.
    pub fn refresh(&self) -> bool {
        // The stamp first: files that change while they are read are read again at the next look.
        let stamp = Stamp::of(&self.files);
        if *self.current.stamp.read().unwrap_or_else(PoisonError::into_inner) == stamp {
            return false;
        }
        *self.current.stamp.write().unwrap_or_else(PoisonError::into_inner) = stamp;
        match certified(&self.files, self.config.crypto_provider()) {
            Ok(key) => {
                *self.current.key.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(key);
                tracing::info!("the tls certificate was renewed from its files");
                true
            }
            Err(error) => {
                tracing::error!(%error, "the tls files changed and cannot be used: the old certificate stays");
                false
            }
        }
    }
}

/// What handshakes ask for; written by `refresh` alone.
#[derive(Debug)]
struct Current {
    key: RwLock<Arc<CertifiedKey>>,
    stamp: RwLock<Stamp>,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.key.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Modification time and length of both files; `None` for one that is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp([Option<(SystemTime, u64)>; 2]);

impl Stamp {
    fn of(files: &TlsFiles) -> Self {
        let look = |path: &Path| {
            let meta = fs::metadata(path).ok()?;
            Some((meta.modified().ok()?, meta.len()))
        };
        Stamp([look(&files.cert), look(&files.key)])
    }
}

fn certified(files: &TlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, TlsFilesError> {
    let unreadable = |path: &Path, why: String| TlsFilesError::Unreadable { path: path.display().to_string(), why };
    let chain = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unreadable(&files.cert, error.to_string()))?;
    if chain.is_empty() {
        return Err(unreadable(&files.cert, "it holds no PEM certificate".to_owned()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unreadable(&files.key, error.to_string()))?;
    CertifiedKey::from_der(chain, key, provider).map_err(|error| TlsFilesError::Mismatch {
        cert: files.cert.display().to_string(),
        key: files.key.display().to_string(),
        why: error.to_string(),
    })
}

/// The files cannot be used.
#[derive(Debug, Error)]
pub enum TlsFilesError {
    /// One cannot be read or is not PEM.
    #[error("cannot read the tls file `{path}`: {why}")]
    Unreadable {
        /// Which.
        path: String,
        /// The cause.
        why: String,
    },
    /// They do not belong together.
    #[error("the tls certificate `{cert}` and the key `{key}` cannot be used together: {why}")]
    Mismatch {
        /// The certificate.
        cert: String,
        /// The key.
        key: String,
        /// The cause.
        why: String,
    },
    /// The TLS library refused its own defaults.
    #[error("the tls library offers no protocol version: this build is broken")]
    Library,
}

/// How old a renewed certificate may get before it is used.
const LOOK_EVERY: Duration = Duration::from_secs(3);
