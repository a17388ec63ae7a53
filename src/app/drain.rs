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
use crate::types::Reason;

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
pub(super) async fn wait(mut signals: Signals, gate: &Gate, ledger: &Ledger, clock: &Clock, reload: &Arc<Reloader>) {
    loop {
        tokio::select! {
            () = next(&mut signals.interrupt) => return,
            () = next(&mut signals.terminate) => return,
            () = next(&mut signals.hangup) => reload_off_thread(reload),
            () = tokio::time::sleep(FLUSH_EVERY) => flush(gate, ledger, clock).await,
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

/// Writes the counts of refusals that got no record of their own.
pub(super) async fn flush(gate: &Gate, ledger: &Ledger, clock: &Clock) {
    let mut counts = gate.flood().take();
    if counts.is_empty() {
        return;
    }
    let heads = counts.remove(&Reason::RequestMalformed).unwrap_or(0);
    let now = clock.now();
    let from = crate::types::Timestamp::from_micros(now.micros() - FLUSH_EVERY.as_micros() as i64);
    let head = event::refusals(Stamp::new(now), from, now, &counts, heads);
    if let Err(error) = ledger.append(Draft::bare(Head::Event(head))).await {
        tracing::error!(%error, "counts of refusals could not be recorded");
    }
}

/// How often counts are recorded.
const FLUSH_EVERY: Duration = Duration::from_secs(10);
