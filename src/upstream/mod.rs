//! The vendors: where they are, which credential opens them, how long they may take.
//!
//! Guarantee (DESIGN section 2, promise 1): [`send`] consumes a [`Receipt`], which only the ledger makes, after the
//! decision's record is durable. No other function here writes a request, and a receipt is good for one request, the
//! one it names. Nothing is retried: an SDK that wants to try again makes a new request with records of its own.
//!
//! The vendor's credential is read once, at start, never shown, and put where the dialect wants it; where the
//! configuration says `caller`, the caller's own vendor key passes untouched.

mod answer;
mod credential;
mod error;
mod target;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use http::{HeaderMap, Method, Request, StatusCode, Version, header};
use serde::Deserialize;

use crate::egress::{Client, EgressError};
pub use crate::egress::{EgressConfig, EgressConfigError, OutBody, Phase};
use crate::ledger::Receipt;
use crate::types::RequestId;
pub use answer::{Answer, AnswerBody};
pub use credential::{Credential, CredentialError, CredentialSource, HeaderShape};
pub use error::SendError;
pub use target::{TargetError, VendorTarget};

/// Time limits of one exchange with a vendor, in seconds; 0 counts as 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UpstreamLimits {
    /// From sending to the head of the answer: a long completion that is not streamed says nothing until it is done.
    pub first_byte_seconds: u64,
    /// Between two pieces of the answer.
    pub idle_seconds: u64,
    /// The whole exchange.
    pub total_seconds: u64,
}

impl Default for UpstreamLimits {
    fn default() -> Self {
        UpstreamLimits {
            first_byte_seconds: FIRST_BYTE_SECONDS,
            idle_seconds: IDLE_SECONDS,
            total_seconds: TOTAL_SECONDS,
        }
    }
}

impl UpstreamLimits {
    const fn first_byte(&self) -> Duration {
        seconds(self.first_byte_seconds)
    }

    const fn idle(&self) -> Duration {
        seconds(self.idle_seconds)
    }

    const fn total(&self) -> Duration {
        seconds(self.total_seconds)
    }
}

const fn seconds(count: u64) -> Duration {
    Duration::from_secs(if count == 0 { 1 } else { count })
}

/// All vendors, checked. Shared by every runtime; each makes a [`Pool`] of its own.
#[derive(Clone, Debug)]
pub struct Upstreams {
    targets: Arc<BTreeMap<Arc<str>, Arc<VendorTarget>>>,
    client: Client,
}

impl Upstreams {
    /// Reads the CA file and takes the vendors in.
    ///
    /// # Errors
    /// When the CA file cannot be used or an id appears twice.
    pub fn new(targets: Vec<VendorTarget>, egress: &EgressConfig) -> Result<Self, TargetError> {
        let mut by_id = BTreeMap::new();
        for target in targets {
            let id = Arc::clone(target.id());
            if by_id.insert(Arc::clone(&id), Arc::new(target)).is_some() {
                return Err(TargetError::Twice(id.to_string()));
            }
        }
        Ok(Upstreams { targets: Arc::new(by_id), client: Client::new(egress)? })
    }

    /// The connections of the runtime this is called on.
    pub fn for_this_runtime(&self) -> Pool {
        Pool { targets: Arc::clone(&self.targets), client: self.client.fresh_pool() }
    }

    /// Whether requests to this vendor can carry the credential it wants.
    pub fn has_credential(&self, id: &str) -> bool {
        self.target(id).is_some_and(|target| *target.credential() != Credential::Missing)
    }

    /// The vendor of this id.
    pub fn target(&self, id: &str) -> Option<&Arc<VendorTarget>> {
        self.targets.get(id)
    }
}

/// One runtime's connections to every vendor. Clones share them.
#[derive(Clone, Debug)]
pub struct Pool {
    targets: Arc<BTreeMap<Arc<str>, Arc<VendorTarget>>>,
    client: Client,
}

impl Pool {
    /// The vendor of this id.
    pub fn target(&self, id: &str) -> Option<&Arc<VendorTarget>> {
        self.targets.get(id)
    }
}

/// A request as it is to leave, but for the vendor's credential and host, which [`send`] adds.
#[derive(Debug)]
pub struct Outbound {
    /// Which request this is: must be the receipt's.
    pub request: RequestId,
    /// The vendor's id.
    pub vendor: Arc<str>,
    /// The method.
    pub method: Method,
    /// What is left of path and query behind the route's path, byte for byte as the caller wrote it.
    pub path_and_query: Bytes,
    /// The headers, the caller's Sealgate credential and hop-by-hop fields taken out.
    pub headers: HeaderMap,
    /// The body and its framing.
    pub body: OutBody,
    /// Where the dialect puts the vendor's credential; a vendor's own `header` setting wins.
    pub shape: HeaderShape,
}

/// Sends a request whose decision is durable, once, and waits for the head of its answer.
///
/// # Errors
/// As [`SendError`] tells them apart; [`SendError::may_have_left`] says whether a byte may have gone out.
pub async fn send(pool: &Pool, receipt: Receipt, outbound: Outbound) -> Result<Answer, SendError> {
    if receipt.request() != outbound.request {
        return Err(SendError::ForeignReceipt);
    }
    exchange(pool, outbound).await
}

/// The part of [`send`] after the receipt was checked.
async fn exchange(pool: &Pool, outbound: Outbound) -> Result<Answer, SendError> {
    let target = Arc::clone(pool.target(&outbound.vendor).ok_or(SendError::UnknownVendor)?);
    let limits = *target.limits();
    let total = Box::pin(tokio::time::sleep(limits.total()));
    let request = request(&target, outbound)?;
    let first_byte = limits.first_byte().min(limits.total());
    let sending = Box::pin(pool.client.send(request));
    let response = match tokio::time::timeout(first_byte, sending).await {
        Ok(response) => response?,
        Err(_) => return Err(EgressError::Timeout(Phase::FirstByte).into()),
    };
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        return Err(EgressError::Protocol("it switched protocols unasked").into());
    }
    Ok(Answer::new(response, limits.idle(), total))
}

fn request(target: &VendorTarget, outbound: Outbound) -> Result<Request<OutBody>, SendError> {
    let uri = target.uri(&outbound.path_and_query).ok_or(SendError::BadPath)?;
    let mut headers = outbound.headers;
    // The client adds `host` (or `:authority`) from the URL, and the framing from the body.
    headers.remove(header::HOST);
    headers.remove(header::CONTENT_LENGTH);
    headers.remove(header::TRANSFER_ENCODING);
    target.authorize(&mut headers, outbound.shape)?;
    let mut request = Request::new(outbound.body);
    *request.method_mut() = outbound.method;
    *request.uri_mut() = uri;
    *request.headers_mut() = headers;
    *request.version_mut() = Version::HTTP_11;
    Ok(request)
}

/// Ten minutes: the official SDKs' own default limit.
pub const FIRST_BYTE_SECONDS: u64 = 600;
/// Vendors send a heartbeat within a minute where they send any; reasoning pauses stay below five.
pub const IDLE_SECONDS: u64 = 300;
/// One hour for a whole answer, however it trickles.
pub const TOTAL_SECONDS: u64 = 3600;

#[cfg(test)]
mod tests;
