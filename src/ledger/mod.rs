//! A stand-in for the ledger's `Receipt` until the ledger itself lands in this tree.

use crate::types::RequestId;

/// Proof that a request's decision record is durable: only the ledger makes one.
#[derive(Debug)]
pub struct Receipt {
    request: RequestId,
}

impl Receipt {
    /// The request whose decision is sealed.
    pub fn request(&self) -> RequestId {
        self.request
    }
}
