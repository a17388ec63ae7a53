//! Why a vendor gave no usable answer.

use thiserror::Error;

use crate::egress::EgressError;
use crate::types::Reason;

/// A request that was not sent, or whose answer failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum SendError {
    /// The receipt is another request's: a fault of the gateway.
    #[error("the receipt belongs to another request: nothing was sent")]
    ForeignReceipt,
    /// No vendor of this id: a fault of the gateway, whose routes are checked at start.
    #[error("the route's vendor is not configured")]
    UnknownVendor,
    /// The gateway holds no credential for the vendor.
    #[error("the gateway holds no credential for this vendor: its operator has to set one")]
    NoCredential,
    /// Path and query do not make a URL together with the vendor's.
    #[error("the path cannot be appended to the vendor's url")]
    BadPath,
    /// The exchange failed.
    #[error(transparent)]
    Exchange(#[from] EgressError),
}

impl SendError {
    /// The reason for the record.
    pub const fn reason(self) -> Reason {
        match self {
            SendError::ForeignReceipt | SendError::UnknownVendor => Reason::GatewayError,
            SendError::NoCredential => Reason::VendorNoCredential,
            SendError::BadPath => Reason::RequestMalformed,
            SendError::Exchange(error) => match error {
                EgressError::Refused(_) => Reason::UpstreamRefused,
                EgressError::Tls(_) => Reason::UpstreamTls,
                EgressError::Timeout(_) => Reason::UpstreamTimeout,
                EgressError::Closed | EgressError::Reset | EgressError::Protocol(_) => Reason::UpstreamError,
            },
        }
    }

    /// The HTTP status of the refusal (RFC 9110 section 15.6): 504 for a vendor too slow, 502 for a broken one.
    pub const fn http_status(self) -> u16 {
        match self {
            SendError::ForeignReceipt | SendError::UnknownVendor => 500,
            SendError::NoCredential => 403,
            SendError::BadPath => 422,
            SendError::Exchange(EgressError::Timeout(_)) => 504,
            SendError::Exchange(_) => 502,
        }
    }

    /// Whether a byte of the request may have left the gateway.
    pub const fn may_have_left(self) -> bool {
        match self {
            SendError::Exchange(error) => error.may_have_left(),
            _ => false,
        }
    }
}
