//! The admin listener (loopback) and the control socket (`<data>/admin.sock`, 0600): health, metrics, and the
//! commands that append records while the gateway runs.
//!
//! What the reader may rely on: the TCP listener only reads, and shows nothing but health and metrics; everything
//! that changes something, or tells of records, goes through the socket, whose permissions say who may.

mod control;
mod listen;
mod respond;

use std::sync::Arc;

use crate::env::Clock;
use crate::identity::TokenStore;
use crate::ledger::Ledger;
use crate::pipeline::Gate;
use crate::store::KeyStore;
use crate::telemetry::Metrics;

pub use control::{AccessRequest, TokenAnswer, TokenRevoke, created, revoked};
pub use listen::{Running, bind, start};

/// Loads the policy anew and swaps it in; the one line says what is active now, or what was wrong.
pub type Reload = Box<dyn Fn() -> Result<String, String> + Send + Sync>;

/// What the admin side works on.
pub struct Admin {
    /// Metric handles.
    pub metrics: Arc<Metrics>,
    /// The log.
    pub ledger: Ledger,
    /// The data plane.
    pub gate: Arc<Gate>,
    /// Client tokens.
    pub tokens: TokenStore,
    /// Pseudonym and data keys.
    pub keys: Arc<KeyStore>,
    /// The clock.
    pub clock: Clock,
    /// Loads the policy anew.
    pub reload: Reload,
}

impl Admin {
    /// Why the gateway is not ready; empty when it is.
    pub fn obstacles(&self) -> Vec<String> {
        let mut found = Vec::new();
        found.extend(self.ledger.obstacle().map(|obstacle| obstacle.to_string()));
        if self.gate.is_draining() {
            found.push("shutting down".to_owned());
        }
        if let Some(obstacle) = self.gate.policy_obstacle() {
            found.push(obstacle);
        }
        found
    }
}
