//! Waiting while the gateway runs, and ending it: signals, the counts of unrecorded refusals, what was drained.

use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::env::Clock;
use crate::ledger::{Ledger, LedgerError, ShutdownSummary};
use crate::pipeline::Gate;
use crate::record::event::{self, Stamp};
use crate::record::{Draft, Head};
use crate::serve::DrainReport;
use crate::types::{Reason, Timestamp};

use super::reload::Reloader;

/// What a drain came to.
pub struct Drained {
    /// Requests that ended by themselves while draining.
    pub requests: u64,
    /// Requests cut when the time was over.
    pub cut: u64,
    /// Records in the log; absent when it could not be closed in order.
    pub records: Option<u64>,
    /// Why the log could not be closed in order.
    pub fault: Option<String>,
}

impl Drained {
    pub(super) fn new(report: &DrainReport, ended: Result<ShutdownSummary, LedgerError>) -> Self {
        let fault = ended.as_ref().err().map(ToString::to_string);
        Drained {
            requests: report.requests_drained,
            cut: report.requests_aborted,
            records: ended.ok().map(|summary| summary.size),
            fault,
        }
    }
}

/// The signals a gateway answers. Listening begins before anything is served: one that comes while the gateway is
/// still starting waits, and then ends it in order.
pub(super) struct Signals {
    interrupt: Option<Signal>,
    terminate: Option<Signal>,
    hangup: Option<Signal>,
}

impl Signals {
    /// Listens from now on; called on the runtime that will wait.
    pub(super) fn listen() -> Self {
        let listen = |kind| signal(kind).ok();
        Signals {
            interrupt: listen(SignalKind::interrupt()),
            terminate: listen(SignalKind::terminate()),
            hangup: listen(SignalKind::hangup()),
        }
    }
}

/// Waits for SIGINT or SIGTERM; SIGHUP loads the policy anew; counts are recorded every [`FLUSH_EVERY`].
pub(super) async fn wait(mut signals: Signals, reload: &Arc<Reloader>, refusals: &mut Refusals<'_>) {
    loop {
        tokio::select! {
            () = next(&mut signals.interrupt) => return,
            () = next(&mut signals.terminate) => return,
            () = next(&mut signals.hangup) => reload_off_thread(reload),
            () = tokio::time::sleep(FLUSH_EVERY) => refusals.flush().await,
        }
    }
}

async fn next(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => {
            signal.recv().await;
        }
        None => std::future::pending().await,
    }
}

/// Loading a bundle takes longer than a signal handler should.
fn reload_off_thread(reload: &Arc<Reloader>) {
    let reload = reload.clone();
    tokio::task::spawn_blocking(move || match reload.run() {
        Ok(line) => tracing::info!("{line}"),
        Err(line) => tracing::error!("{line}"),
    });
}

/// Writes down how many refusals got no record of their own.
pub(super) struct Refusals<'a> {
    gate: &'a Gate,
    ledger: &'a Ledger,
    clock: &'a Clock,
    /// What came before is written down.
    since: Timestamp,
}

impl<'a> Refusals<'a> {
    /// Counts from now on.
    pub(super) fn new(gate: &'a Gate, ledger: &'a Ledger, clock: &'a Clock) -> Self {
        Refusals { gate, ledger, clock, since: clock.now() }
    }

    /// Records the counts so far; they are kept where that fails.
    pub(super) async fn flush(&mut self) {
        let counts = self.gate.flood().take();
        let now = self.clock.now();
        if counts.is_empty() {
            self.since = now;
            return;
        }
        let mut told = counts.clone();
        let heads = told.remove(&Reason::RequestMalformed).unwrap_or(0);
        let head = event::refusals(Stamp::new(now), self.since, now, &told, heads);
        match self.ledger.append(Draft::bare(Head::Event(head))).await {
            Ok(_) => self.since = now,
            Err(error) => {
                tracing::error!(%error, "counts of refusals could not be recorded yet");
                self.gate.flood().put_back(counts);
            }
        }
    }
}

/// How often counts are recorded.
const FLUSH_EVERY: Duration = Duration::from_secs(10);
