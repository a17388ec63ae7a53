//! Why a request got no answer, in the gateway's own words.

use std::error::Error;
use std::io;

use thiserror::Error;

/// Which limit ran out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Name, TCP and TLS.
    Connect,
    /// From sending to the head of the answer.
    FirstByte,
    /// Between two pieces of the answer.
    Idle,
    /// The whole exchange.
    Total,
}

impl Phase {
    const fn words(self) -> &'static str {
        match self {
            Phase::Connect => "accepted no connection in time",
            Phase::FirstByte => "sent no answer in time",
            Phase::Idle => "fell silent in the middle of its answer",
            Phase::Total => "did not finish its answer in time",
        }
    }
}

/// A failed exchange. Holds no text of the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum EgressError {
    /// No connection: the name does not resolve, or nobody listens there.
    #[error("the vendor cannot be reached: {0}")]
    Refused(&'static str),
    /// The TLS handshake failed.
    #[error("no trusted connection to the vendor: {0}")]
    Tls(&'static str),
    /// A time limit ran out.
    #[error("the vendor {}", .0.words())]
    Timeout(Phase),
    /// The vendor closed an idle connection just before the request was written to it: nothing was sent.
    #[error("the vendor closed the connection before the request was sent")]
    Closed,
    /// The connection broke after the request began to go out.
    #[error("the vendor broke the connection off")]
    Reset,
    /// What came back is not HTTP, or breaks its rules.
    #[error("the vendor's answer is not valid http: {0}")]
    Protocol(&'static str),
}

impl EgressError {
    /// Whether a byte of the request may have left the gateway.
    pub const fn may_have_left(self) -> bool {
        match self {
            EgressError::Refused(_) | EgressError::Tls(_) | EgressError::Closed => false,
            EgressError::Timeout(phase) => !matches!(phase, Phase::Connect),
            EgressError::Reset | EgressError::Protocol(_) => true,
        }
    }

    /// Of an error while connecting.
    pub(super) fn of_connect(error: &(dyn Error + 'static)) -> Self {
        if let Some(tls) = find::<rustls::Error>(error) {
            return EgressError::Tls(tls_words(tls));
        }
        if error.to_string().contains("dns error") {
            return EgressError::Refused("its name does not resolve");
        }
        match io_kind(error) {
            Some(io::ErrorKind::TimedOut) => EgressError::Timeout(Phase::Connect),
            Some(io::ErrorKind::ConnectionRefused) => EgressError::Refused("nobody listens at its address"),
            Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) => {
                EgressError::Tls("the connection broke off in the handshake")
            }
            _ => EgressError::Refused("its address cannot be reached"),
        }
    }

    /// Of an error while sending or awaiting the answer's head.
    pub(super) fn of_send(error: &hyper_util::client::legacy::Error) -> Self {
        if let Some(own) = find::<EgressError>(error) {
            return *own;
        }
        if error.is_connect() {
            return Self::of_connect(error);
        }
        match find::<hyper::Error>(error) {
            Some(inner) => Self::of_http(inner),
            None => EgressError::Refused("its address is not a valid url"),
        }
    }

    /// Of an error in an answer's body, or of the connection below it.
    pub fn of_http(error: &hyper::Error) -> Self {
        if error.is_canceled() {
            EgressError::Closed
        } else if error.is_parse_too_large() {
            EgressError::Protocol("its head is too large")
        } else if error.is_parse_version_h2() {
            EgressError::Protocol("it speaks http/2 unasked")
        } else if error.is_parse() {
            EgressError::Protocol("its head cannot be read")
        } else if error.is_user() {
            EgressError::Protocol("the request cannot be written as http")
        } else if error.is_timeout() {
            EgressError::Timeout(Phase::Idle)
        } else {
            match io_kind(error) {
                Some(io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput) => {
                    EgressError::Protocol("its body's framing is broken")
                }
                _ => EgressError::Reset,
            }
        }
    }
}

/// Settings that cannot work.
#[derive(Debug, Error)]
pub enum EgressConfigError {
    /// The CA file is missing or is not PEM.
    #[error("cannot use the ca file `{path}`: {why}; give a readable file of PEM certificates")]
    CaFile {
        /// The file as configured.
        path: String,
        /// The cause.
        why: String,
    },
    /// The TLS library refused its own defaults.
    #[error("the tls library offers no protocol version: this build is broken")]
    Tls,
}

/// The first error of type `E` in the chain; looks inside `io::Error`, whose `source` skips what it wraps.
fn find<'e, E: Error + 'static>(error: &'e (dyn Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    for _ in 0..CHAIN_MAX {
        let current = next?;
        if let Some(found) = current.downcast_ref::<E>() {
            return Some(found);
        }
        next = match current.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    None
}

/// The kind of the first I/O error that says more than "other".
fn io_kind(error: &(dyn Error + 'static)) -> Option<io::ErrorKind> {
    let mut next = Some(error);
    for _ in 0..CHAIN_MAX {
        let current = next?;
        let io = current.downcast_ref::<io::Error>();
        match io.map(io::Error::kind) {
            Some(kind) if kind != io::ErrorKind::Other => return Some(kind),
            _ => {}
        }
        next = match io.and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    None
}

fn tls_words(error: &rustls::Error) -> &'static str {
    use rustls::CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::Expired | Bad::ExpiredContext { .. } => "its certificate has expired",
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => "its certificate is not valid yet",
            Bad::UnknownIssuer => "its certificate is of an unknown authority: set `ca_file` if it is yours",
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => "its certificate is for another name",
            Bad::Revoked => "its certificate was revoked",
            _ => "its certificate is not acceptable",
        },
        rustls::Error::InvalidMessage(_) => "it does not speak tls at this address",
        rustls::Error::AlertReceived(_) => "it refused the handshake",
        rustls::Error::PeerIncompatible(_) => "it offers no acceptable tls version or cipher",
        _ => "the handshake failed",
    }
}

/// Error chains here are four or five links long.
const CHAIN_MAX: usize = 16;
