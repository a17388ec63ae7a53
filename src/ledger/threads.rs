//! The two long-lived threads: started together, ended in order or, as after a crash, not at all.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use tokio::runtime;
use tokio::sync::mpsc::{self, Sender};

use crate::env::Stopwatch;
use crate::store::Lock;
use crate::types::Digest;

use super::committer::{Committer, Done, Work};
use super::config::{LedgerConfig, QUEUE_MAX};
use super::error::{LedgerError, OpenError};
use super::handle::Ledger;
use super::sealer::Sealer;
use super::shared::{PanicGuard, Shared};
use super::writer::Writer;

/// What the `shutdown` record says.
#[derive(Clone, Copy, Debug)]
pub struct Farewell {
    /// `signal`, `command` or `error`.
    pub why: &'static str,
    /// Requests finished while draining.
    pub drained: u64,
    /// Requests ended by the drain's time limit.
    pub cut: u64,
}

/// Where the log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutdownSummary {
    /// Its size.
    pub size: u64,
    /// Its root.
    pub root: Digest,
    /// Decisions that were still open and were closed as `orphan`.
    pub closed: u64,
}

/// The running threads. Dropped without [`Threads::shutdown`], the log ends as after a crash.
#[derive(Debug)]
pub struct Threads {
    ledger: Ledger,
    farewell: Arc<Mutex<Farewell>>,
    seal: JoinHandle<Result<ShutdownSummary, LedgerError>>,
    write: JoinHandle<()>,
}

impl Threads {
    /// Starts both threads behind a log that has been opened.
    pub(super) fn start(
        config: &LedgerConfig,
        shared: Arc<Shared>,
        sealer: Sealer,
        writer: Writer,
        lock: Lock,
    ) -> Result<(Ledger, Threads), OpenError> {
        let (queue, submissions) = mpsc::channel(QUEUE_MAX);
        let (work, orders) = sync_channel(1);
        let (done, answers) = mpsc::channel(4);
        let ledger = Ledger {
            queue,
            shared: Arc::clone(&shared),
            origin: Arc::clone(&sealer.origin),
            durability: config.durability,
            wait: Duration::from_secs(config.wait_seconds.max(1)),
        };
        let committer = Committer {
            looked: (sealer.clock.now(), Stopwatch::start()),
            room: writer.room_left(),
            sealer,
            shared: Arc::clone(&shared),
            queue: submissions,
            work,
            done: answers,
            group: None,
            in_flight: None,
            heartbeat: Duration::from_secs(config.heartbeat_seconds.max(1)),
            full_since: None,
        };
        let guard = PanicGuard(Arc::clone(&shared));
        let farewell = Arc::new(Mutex::new(Farewell { why: "command", drained: 0, cut: 0 }));
        let words = Arc::clone(&farewell);
        let runtime = runtime::Builder::new_current_thread().enable_time().build().map_err(OpenError::Thread)?;
        let write = Builder::new()
            .name("ledger-write".to_owned())
            .spawn(move || write(writer, &orders, &done, shared, lock))
            .map_err(OpenError::Thread)?;
        let seal = Builder::new()
            .name("ledger-seal".to_owned())
            .spawn(move || {
                let _guard = guard;
                runtime.block_on(committer.run(move || *words.lock().unwrap_or_else(PoisonError::into_inner)))
            })
            .map_err(OpenError::Thread)?;
        Ok((ledger.clone(), Threads { ledger, farewell, seal, write }))
    }

    /// As [`Threads::shutdown_with`], with nothing to tell.
    ///
    /// # Errors
    /// When the log could not be ended in order.
    pub fn shutdown(self) -> Result<ShutdownSummary, LedgerError> {
        self.shutdown_with(Farewell { why: "command", drained: 0, cut: 0 })
    }

    /// Does what is queued, closes what is open, writes `shutdown` and the last checkpoint, ends the threads.
    ///
    /// Waits for the disk: call it off the async runtimes or when they are done. Handles that are left get
    /// [`LedgerError::Closed`].
    ///
    /// # Errors
    /// When the log could not be ended in order: the next start recovers it.
    pub fn shutdown_with(self, farewell: Farewell) -> Result<ShutdownSummary, LedgerError> {
        *self.farewell.lock().unwrap_or_else(PoisonError::into_inner) = farewell;
        self.ledger.shared.stop.notify_one();
        drop(self.ledger);
        let summary = self.seal.join().unwrap_or(Err(LedgerError::Misuse("the seal thread panicked")));
        let written = self.write.join().map_err(|_| LedgerError::Misuse("the write thread panicked"));
        summary.and_then(|summary| written.map(|()| summary))
    }

    /// Ends the threads without a word, with the last handle: what a crash leaves.
    #[cfg(test)]
    pub(super) fn abandon_with(self, last: Ledger) {
        drop((last, self.ledger));
        drop(self.seal.join());
        drop(self.write.join());
    }
}

/// The write thread: one piece of work at a time, and the publication between them. Keeps the store lock.
fn write(mut writer: Writer, orders: &Receiver<Work>, done: &Sender<Done>, shared: Arc<Shared>, _lock: Lock) {
    let guard = PanicGuard(shared);
    loop {
        let due = writer.publication_due();
        if due.is_some_and(|due| due.is_zero()) && writer.publish().is_err() {
            // If the seal thread is gone there is nobody to tell; the poison says it to everybody else.
            let _gone = done.blocking_send(None);
            return;
        }
        let order = match due.filter(|due| !due.is_zero()) {
            Some(due) => orders.recv_timeout(due),
            None => orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let answer = match order {
            Ok(Work::Commit(closed)) => writer.commit(*closed).ok(),
            Ok(Work::Reserve(wanted)) => Some(writer.reserve(wanted)),
            Ok(Work::Finish) => {
                let published = writer.publish().is_ok();
                writer.end();
                let _gone = done.blocking_send(published.then_some(0));
                return;
            }
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let failed = answer.is_none();
        if done.blocking_send(answer).is_err() || failed {
            debug_assert!(!failed || guard.0.poisoned().is_some(), "whoever fails says so first");
            return;
        }
    }
}
