//! What the ledger gives back: proof that a record is durable, and the right to complete a decision once.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::types::{Digest, RequestId};

use super::shared::Abandoned;

/// A durable record: where it is and its leaf hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The log it is in.
    pub origin: Arc<str>,
    /// Its index.
    pub index: u64,
    /// Its RFC 6962 leaf hash.
    pub leaf: Digest,
}

impl Sealed {
    /// The value of the `sealgate-record` header: `<origin>#<index>#<base64url leaf, unpadded>`.
    pub fn header_value(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}#{}", self.origin, self.index, URL_SAFE_NO_PAD.encode(self.leaf.0))
    }
}

/// Proof that a request's decision is durable: the only key to `upstream::send`, which consumes it.
///
/// Only the ledger makes one, behind the `fdatasync` of its group; it cannot be cloned.
#[derive(Debug)]
#[must_use = "a receipt is the right to send: drop it only to not send"]
pub struct Receipt {
    request: RequestId,
    sealed: Sealed,
}

impl Receipt {
    pub(super) fn new(request: RequestId, sealed: Sealed) -> Self {
        Receipt { request, sealed }
    }

    /// The request it admits.
    pub fn request(&self) -> RequestId {
        self.request
    }

    /// The decision's record.
    pub fn sealed(&self) -> &Sealed {
        &self.sealed
    }
}

/// The right to complete one decision, exactly once.
///
/// Dropped without that (a defect, a panic, an aborted task), the ledger itself closes the decision as `orphan`.
#[derive(Debug)]
#[must_use = "an open decision must be completed"]
pub struct Open {
    request: RequestId,
    sealed: Sealed,
    /// Taken when the completion is in the ledger's hands.
    abandoned: Option<Arc<Abandoned>>,
}

impl Open {
    pub(super) fn new(request: RequestId, sealed: Sealed, abandoned: Arc<Abandoned>) -> Self {
        Open { request, sealed, abandoned: Some(abandoned) }
    }

    /// The request it belongs to.
    pub fn request(&self) -> RequestId {
        self.request
    }

    /// The index of the decision, which the completion names.
    pub fn decision(&self) -> u64 {
        self.sealed.index
    }

    /// The decision's record.
    pub fn sealed(&self) -> &Sealed {
        &self.sealed
    }

    /// The completion is in the ledger's queue: from here on the ledger answers for it.
    pub(super) fn hand_over(mut self) {
        self.abandoned = None;
    }

    /// Nobody ever saw the receipt: nothing can have been sent.
    pub(super) fn never_delivered(mut self) {
        if let Some(abandoned) = self.abandoned.take() {
            abandoned.add(self.sealed.index, true);
        }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(abandoned) = self.abandoned.take() {
            tracing::warn!(request = %self.request, "a decision was dropped without a completion; closing it as orphan");
            abandoned.add(self.sealed.index, false);
        }
    }
}
