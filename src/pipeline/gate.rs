//! What all requests share: the parts `app` built, the active snapshot, the count of open requests.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use crate::env::Clock;
use crate::identity::Authenticator;
use crate::ledger::Ledger;
use crate::policy::{PolicySet, Validity};
use crate::scan::Scanner;
use crate::store::KeyStore;
use crate::telemetry::Metrics;
use crate::upstream::Upstreams;

use super::{Flood, Routes};

/// Policy and scanner that belong together; pinned per request, swapped whole.
pub struct Snapshot {
    /// The active bundle.
    pub policy: PolicySet,
    /// The detectors that bundle asks for.
    pub scanner: Arc<Scanner>,
}

/// Bounds on one request; `[limits]` in the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Largest request body, bytes, as received and as decoded.
    pub body_bytes_max: usize,
    /// Largest answer that is read whole, bytes, as received and as decoded.
    pub answer_bytes_max: usize,
    /// Longest a request body may take to arrive, seconds.
    pub body_seconds: u64,
    /// Longest a caller may leave a delivered piece unread, seconds.
    pub delivery_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { body_bytes_max: 32 << 20, answer_bytes_max: 64 << 20, body_seconds: 120, delivery_seconds: 300 }
    }
}

/// What `app` hands over to build a [`Gate`].
pub struct GateParts {
    /// Every route.
    pub routes: Routes,
    /// Who can say who is asking.
    pub identity: Arc<Authenticator>,
    /// The log.
    pub ledger: Ledger,
    /// Data and pseudonym keys.
    pub keys: Arc<KeyStore>,
    /// The vendors.
    pub upstreams: Upstreams,
    /// Metric handles.
    pub metrics: Arc<Metrics>,
    /// The clock.
    pub clock: Clock,
    /// Bounds.
    pub limits: Limits,
    /// `sync` or `none`, as it stands in every decision.
    pub durability: Arc<str>,
    /// Bound on unauthenticated records.
    pub flood: Flood,
    /// The first snapshot.
    pub snapshot: Snapshot,
}

/// Shared by every request on every core.
pub struct Gate {
    pub(super) parts: Shared,
    /// The active snapshot; replaced whole by [`Gate::swap`].
    snapshot: RwLock<Arc<Snapshot>>,
    /// Requests whose task has not ended.
    open: Arc<AtomicUsize>,
    /// No new request is taken.
    draining: AtomicBool,
}

/// The parts that never change while the process runs.
pub(super) struct Shared {
    pub(super) routes: Routes,
    pub(super) identity: Arc<Authenticator>,
    pub(super) ledger: Ledger,
    pub(super) keys: Arc<KeyStore>,
    pub(super) upstreams: Upstreams,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Clock,
    pub(super) limits: Limits,
    pub(super) durability: Arc<str>,
    pub(super) flood: Flood,
}

impl Gate {
    /// A gate over its parts.
    pub fn new(parts: GateParts) -> Self {
        let GateParts {
            routes,
            identity,
            ledger,
            keys,
            upstreams,
            metrics,
            clock,
            limits,
            durability,
            flood,
            snapshot,
        } = parts;
        Gate {
            parts: Shared { routes, identity, ledger, keys, upstreams, metrics, clock, limits, durability, flood },
            snapshot: RwLock::new(Arc::new(snapshot)),
            open: Arc::default(),
            draining: AtomicBool::new(false),
        }
    }

    /// The active snapshot.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes another snapshot active for requests admitted from now on.
    pub fn swap(&self, snapshot: Snapshot) {
        *self.snapshot.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }

    /// Refuses every request admitted from now on.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::SeqCst);
    }

    /// Whether [`Gate::drain`] was called.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Requests whose work has not ended, including those whose caller is gone.
    pub fn open_requests(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Whether any request or any decision is open.
    pub fn is_busy(&self) -> bool {
        self.open_requests() > 0 || self.parts.ledger.open_count() > 0
    }

    /// The bound on unauthenticated records, for its counts.
    pub fn flood(&self) -> &Flood {
        &self.parts.flood
    }

    /// Why the active bundle would deny everything, if it would.
    pub fn policy_obstacle(&self) -> Option<String> {
        match self.snapshot().policy.validity(self.parts.clock.now()) {
            Validity::Valid => None,
            Validity::NotYetValid => Some("the policy bundle is not valid yet".to_owned()),
            Validity::Expired => Some("the policy bundle has expired".to_owned()),
        }
    }

    /// Counts one request as open until the returned guard is dropped.
    pub(super) fn opened(&self) -> OpenCount {
        self.open.fetch_add(1, Ordering::SeqCst);
        self.parts.metrics.open_requests.inc();
        OpenCount { open: self.open.clone(), gauge: self.parts.metrics.open_requests.clone() }
    }
}

/// One open request in the count.
pub(super) struct OpenCount {
    open: Arc<AtomicUsize>,
    gauge: prometheus::IntGauge,
}

impl Drop for OpenCount {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::SeqCst);
        self.gauge.dec();
    }
}
