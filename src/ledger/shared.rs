//! What the handles and the two threads share: the poison, the size, the abandoned decisions.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::sync::{Notify, watch};

use crate::store::StoreError;
use crate::telemetry::Metrics;

use super::error::LedgerError;

/// State of one running ledger.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) metrics: Arc<Metrics>,
    pub(super) abandoned: Arc<Abandoned>,
    /// Set once by whoever sees the first failure, never cleared.
    poison: OnceLock<Arc<str>>,
    /// Whether decisions are refused for want of disk room; owned by the seal thread.
    full: AtomicBool,
    /// Decisions without a completion; owned by the seal thread.
    open: AtomicU64,
    /// Records durable; owned by the write thread.
    pub(super) size: watch::Sender<u64>,
    /// Asks the seal thread to shut down in order.
    pub(super) stop: Notify,
    /// The data directory, for messages.
    data: Arc<str>,
}

impl Shared {
    pub(super) fn new(metrics: Arc<Metrics>, data: &Path, size: u64) -> Arc<Shared> {
        Arc::new(Shared {
            metrics,
            abandoned: Arc::default(),
            poison: OnceLock::new(),
            full: AtomicBool::new(false),
            open: AtomicU64::new(0),
            size: watch::Sender::new(size),
            stop: Notify::new(),
            data: data.display().to_string().into(),
        })
    }

    /// Ends all writing: the first failure is the one that is told.
    pub(super) fn poison(&self, failure: &StoreError) {
        let why = if failure.is_full() { format!("ledger full: {failure}") } else { failure.to_string() };
        if self.poison.set(why.as_str().into()).is_ok() {
            tracing::error!(error = %why, "the ledger stops writing; requests are refused until a restart");
        }
        self.metrics.ledger_poisoned.set(1);
    }

    /// A thread of the ledger ended by a defect: as good as a failed disk.
    fn poison_by_panic(&self) {
        drop(self.poison.set("a thread of the ledger panicked".into()));
        self.metrics.ledger_poisoned.set(1);
    }

    /// The error every waiter gets, once poisoned.
    pub(super) fn poisoned(&self) -> Option<LedgerError> {
        self.poison.get().map(|why| LedgerError::Unavailable(Arc::clone(why)))
    }

    pub(super) fn full_error(&self) -> LedgerError {
        LedgerError::Full(Arc::clone(&self.data))
    }

    pub(super) fn is_full(&self) -> bool {
        self.full.load(Ordering::Relaxed)
    }

    pub(super) fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    pub(super) fn open_count(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    pub(super) fn set_open(&self, open: usize) {
        let open = u64::try_from(open).unwrap_or(u64::MAX);
        self.open.store(open, Ordering::Relaxed);
        self.metrics.open_requests.set(i64::try_from(open).unwrap_or(i64::MAX));
    }

    /// `size` records are durable.
    pub(super) fn committed(&self, size: u64) {
        self.size.send_replace(size);
        self.metrics.ledger_size.set(i64::try_from(size).unwrap_or(i64::MAX));
    }
}

/// Decisions whose [`super::Open`] was lost; the seal thread closes them.
#[derive(Debug, Default)]
pub(super) struct Abandoned {
    /// Index, and whether it is certain that nothing was sent. At most one entry an open decision.
    list: Mutex<Vec<(u64, bool)>>,
    pub(super) news: Notify,
}

impl Abandoned {
    pub(super) fn add(&self, index: u64, never_sent: bool) {
        self.list.lock().unwrap_or_else(PoisonError::into_inner).push((index, never_sent));
        self.news.notify_one();
    }

    pub(super) fn take(&self) -> Vec<(u64, bool)> {
        std::mem::take(&mut *self.list.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Poisons the ledger if the thread that holds it panics: whoever waits is refused, and the metric tells.
pub(super) struct PanicGuard(pub(super) Arc<Shared>);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poison_by_panic();
        }
    }
}
