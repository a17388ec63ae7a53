//! The seal thread: takes what is queued, numbers and signs it, and hands a closed group to the write thread as soon
//! as that one is free. So a group is whatever queued while the last one was synced; no timer is needed.

use std::sync::Arc;
use std::sync::mpsc::{SendError, SyncSender};
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use crate::env::Stopwatch;
use crate::record::{Head, event};
use crate::types::{Reason, Status, Timestamp};

use super::config::{CLOCK_STEP_MICROS, FULL_RETRY, GROUP_BYTES_MAX, GROUP_RECORDS_MAX, ROOM_OWN_BYTES};
use super::error::LedgerError;
use super::events::{clock_state, stamp};
use super::group::{ClosedGroup, Group, Reply, Waiter};
use super::handle::Submission;
use super::receipt::{Open, Receipt};
use super::sealer::Sealer;
use super::shared::Shared;
use super::threads::{Farewell, ShutdownSummary};

/// What the seal thread asks of the write thread; one at a time.
#[derive(Debug)]
pub(super) enum Work {
    Commit(Box<ClosedGroup>),
    Reserve(u64),
    Finish,
}

/// The write thread's answer: the room left, or nothing because it failed and has ended.
pub(super) type Done = Option<u64>;

/// The seal thread's state.
#[derive(Debug)]
pub(super) struct Committer {
    pub(super) sealer: Sealer,
    pub(super) shared: Arc<Shared>,
    pub(super) queue: Receiver<Submission>,
    pub(super) work: SyncSender<Work>,
    pub(super) done: Receiver<Done>,
    pub(super) room: u64,
    /// Being filled.
    pub(super) group: Option<Group>,
    /// Bytes the write thread has in hand; `None` when it is idle.
    pub(super) in_flight: Option<u64>,
    pub(super) heartbeat: Duration,
    /// Wall and monotonic clock at the last look.
    pub(super) looked: (Timestamp, Stopwatch),
    /// Since when the disk is full, and how many requests had been refused without a record by then.
    pub(super) full_since: Option<(Timestamp, u64)>,
}

enum Step {
    Done(Done),
    Stop,
    Abandoned,
    Heartbeat,
    Retry,
    Take(Submission),
    Gone,
}

impl Committer {
    /// Runs until everybody is gone (no farewell: as a crash would) or asked to stop.
    pub(super) async fn run(mut self, farewell: impl FnOnce() -> Farewell) -> Result<ShutdownSummary, LedgerError> {
        let mut beat = interval(self.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        beat.tick().await;
        let mut stopping = false;
        loop {
            match self.next(&mut beat).await {
                Step::Done(done) => self.done(done),
                Step::Abandoned => self.close_abandoned(),
                Step::Heartbeat => self.beat(),
                Step::Retry => self.reserve(),
                Step::Take(submission) => self.take(submission),
                Step::Stop => {
                    // Whoever submits from now on is told that the ledger is closed; what is queued is still done.
                    stopping = true;
                    self.queue.close();
                }
                Step::Gone if stopping => return self.stop(farewell()).await,
                Step::Gone => return Err(LedgerError::Closed),
            }
            self.advance();
        }
    }

    async fn next(&mut self, beat: &mut Interval) -> Step {
        let (takes, retries) = (self.takes_more(), self.shared.is_full() && self.in_flight.is_none());
        tokio::select! {
            biased;
            done = self.done.recv(), if self.in_flight.is_some() => Step::Done(done.flatten()),
            () = self.shared.stop.notified() => Step::Stop,
            () = self.shared.abandoned.news.notified() => Step::Abandoned,
            _ = beat.tick() => Step::Heartbeat,
            submission = self.queue.recv(), if takes => submission.map_or(Step::Gone, Step::Take),
            () = sleep(FULL_RETRY), if retries => Step::Retry,
        }
    }

    /// Fills the group from the queue and hands it over, if the write thread is free.
    fn advance(&mut self) {
        if self.in_flight.is_some() || self.shared.poisoned().is_some() {
            return;
        }
        while self.takes_more() {
            match self.queue.try_recv() {
                Ok(submission) => self.take(submission),
                Err(_) => break,
            }
        }
        match self.group.take() {
            Some(group) if !group.is_empty() => self.commit(group),
            _ if !self.shared.is_full() && !self.fits() => self.reserve(),
            _ => {}
        }
    }

    fn commit(&mut self, group: Group) {
        let closed = self.sealer.finish(group);
        self.in_flight = Some(closed.group.bytes.len() as u64);
        self.shared.set_open(self.sealer.open.len());
        // The write thread takes one piece of work at a time and is idle; if it has ended, `done` tells too.
        if let Err(SendError(Work::Commit(closed))) = self.work.send(Work::Commit(Box::new(closed))) {
            let error = self.shared.poisoned().unwrap_or(LedgerError::Closed);
            closed.group.waiters.into_iter().for_each(|waiter| waiter.fail(&error));
        }
    }

    fn reserve(&mut self) {
        if self.in_flight.is_none() && self.shared.poisoned().is_none() {
            self.in_flight = Some(0);
            drop(self.work.send(Work::Reserve(self.sealer.room_wanted().saturating_add(LEAVE_FULL_BYTES))));
        }
    }

    fn done(&mut self, done: Done) {
        let asked_for_room = self.in_flight.take() == Some(0);
        let Some(room) = done else { return self.fail() };
        self.room = room;
        if self.shared.is_full() {
            if self.room >= self.sealer.room_wanted().saturating_add(LEAVE_FULL_BYTES) {
                self.leave_full();
            }
        } else if asked_for_room && !self.fits() {
            self.go_full();
        }
    }

    /// Refuses decisions from here on; completions still have the room set aside for them.
    fn go_full(&mut self) {
        self.shared.set_full(true);
        tracing::error!("the disk of the log is full; requests are refused until there is room");
        self.full_since = Some((self.sealer.clock.now(), self.shared.metrics.unrecorded_refusals.get()));
        self.tell_full();
    }

    /// Accepts decisions again, and records how many were refused meanwhile.
    fn leave_full(&mut self) {
        tracing::info!("the disk has room again; decisions are accepted");
        self.shared.set_full(false);
        self.tell_full();
        self.full_since = None;
    }

    /// `log.full`, once when it begins (nothing refused yet) and once when it ends.
    fn tell_full(&mut self) {
        let Some((since, before)) = self.full_since else { return };
        let metrics = &self.shared.metrics;
        let free = u64::try_from(metrics.store_free_bytes.get()).unwrap_or(0);
        let refused = metrics.unrecorded_refusals.get().saturating_sub(before);
        self.own(|sealer, group| {
            sealer.event(group, event::log_full(stamp(&sealer.clock), free, refused, since));
        });
    }

    /// The write thread has failed: whoever waits is told, and nothing is handed over any more.
    fn fail(&mut self) {
        let error = self.shared.poisoned().unwrap_or(LedgerError::Closed);
        if let Some(group) = self.group.take() {
            group.waiters.into_iter().for_each(|waiter| waiter.fail(&error));
        }
    }

    fn takes_more(&self) -> bool {
        if self.shared.poisoned().is_some() {
            return true;
        }
        let (records, bytes) = self.group.as_ref().map_or((0, 0), |group| (group.records, group.bytes.len()));
        records < GROUP_RECORDS_MAX && bytes < GROUP_BYTES_MAX && (self.shared.is_full() || self.fits())
    }

    /// Whether one more decision and its completion have room behind everything that is under way.
    fn fits(&self) -> bool {
        let filling = self.group.as_ref().map_or(0, |group| group.bytes.len() as u64);
        let ahead = self.in_flight.unwrap_or(0).saturating_add(filling);
        self.room >= ahead.saturating_add(self.sealer.room_wanted())
    }

    fn take(&mut self, submission: Submission) {
        if let Some(error) = self.shared.poisoned() {
            return submission.refuse(error);
        }
        if self.shared.is_full() && !matches!(submission, Submission::Completion { .. }) {
            return submission.refuse(self.shared.full_error());
        }
        let mut group = self.group.take().unwrap_or_else(|| self.sealer.begin());
        self.seal(&mut group, submission);
        self.group = Some(group);
    }

    fn seal(&mut self, group: &mut Group, submission: Submission) {
        let sealer = &mut self.sealer;
        let (since, reply) = match submission {
            Submission::Decision { record, open, to, since } => {
                let sealed = sealer.append(group, &record.head, &record.sections);
                let receipt = Receipt::new(open.request, sealed.clone());
                let right = Open::new(open.request, sealed.clone(), Arc::clone(&self.shared.abandoned));
                sealer.open.insert(sealed.index, open);
                (since, Reply::Decision { to, receipt, open: right })
            }
            Submission::Completion { decision, record, to, since } => {
                if sealer.open.remove(&decision).is_none() {
                    return drop(to.send(Err(LedgerError::Misuse("the decision has its completion"))));
                }
                (since, Reply::Record { to, sealed: sealer.append(group, &record.head, &record.sections) })
            }
            Submission::Refusal { decision, mut completion, sections, to, since } => {
                let sealed = sealer.append(group, &decision.head, &decision.sections);
                completion.decision = sealed.index;
                sealer.append(group, &Head::Completion(*completion).encode(), &sections);
                (since, Reply::Record { to, sealed })
            }
            Submission::Event { head, sections, to, since } => {
                (since, Reply::Record { to, sealed: sealer.append_event(group, *head, &sections) })
            }
        };
        group.waiters.push(Waiter { since, reply });
    }

    /// Adds records of the ledger's own to the group.
    fn own(&mut self, write: impl FnOnce(&mut Sealer, &mut Group)) {
        if self.shared.poisoned().is_some() {
            return;
        }
        let mut group = self.group.take().unwrap_or_else(|| self.sealer.begin());
        write(&mut self.sealer, &mut group);
        self.group = (!group.is_empty()).then_some(group);
    }

    fn close_abandoned(&mut self) {
        let abandoned = self.shared.abandoned.take();
        self.own(|sealer, group| {
            for (decision, never_sent) in abandoned {
                let (status, reason) = match never_sent {
                    true => (Status::NotSent, Reason::ClientAborted),
                    false => (Status::Orphan, Reason::GatewayError),
                };
                sealer.close(group, decision, status, reason);
            }
        });
    }

    fn beat(&mut self) {
        let (wall, watch) = std::mem::replace(&mut self.looked, (self.sealer.clock.now(), Stopwatch::start()));
        let moved = self.looked.0.micros().saturating_sub(wall.micros());
        let step = moved.saturating_sub(i64::try_from(watch.micros()).unwrap_or(i64::MAX));
        self.own(|sealer, group| {
            if step.saturating_abs() > CLOCK_STEP_MICROS {
                sealer.event(group, event::clock_stepped(stamp(&sealer.clock), step, "system"));
            }
            let lowest = sealer.open.keys().next().copied();
            let open = u64::try_from(sealer.open.len()).unwrap_or(u64::MAX);
            sealer.event(group, event::heartbeat(stamp(&sealer.clock), open, lowest, &clock_state()));
        });
    }

    /// Everything queued is sealed: closes what is still open, says goodbye, publishes.
    async fn stop(mut self, farewell: Farewell) -> Result<ShutdownSummary, LedgerError> {
        self.settle().await;
        self.close_abandoned();
        let left: Vec<u64> = self.sealer.open.keys().copied().collect();
        let cut = farewell.cut.max(left.len() as u64);
        self.own(|sealer, group| {
            left.iter().for_each(|index| sealer.close(group, *index, Status::Orphan, Reason::GatewayDraining));
            sealer.event(group, event::shutdown(stamp(&sealer.clock), farewell.why, farewell.drained, cut));
        });
        self.settle().await;
        if self.shared.poisoned().is_none() {
            self.in_flight = Some(0);
            drop(self.work.send(Work::Finish));
            self.settle().await;
        }
        let head = self.sealer.head();
        let summary = ShutdownSummary { size: head.size, root: head.root, closed: left.len() as u64 };
        self.shared.poisoned().map_or(Ok(summary), Err)
    }

    /// Hands over what is in hand and waits until it is done.
    async fn settle(&mut self) {
        loop {
            if self.in_flight.is_some() {
                let done = self.done.recv().await.flatten();
                self.in_flight = None;
                if done.is_none() {
                    return self.fail();
                }
            }
            match self.group.take() {
                Some(group) if self.shared.poisoned().is_none() => self.commit(group),
                _ => return,
            }
        }
    }
}

impl Submission {
    /// Tells the caller that nothing was recorded.
    fn refuse(self, error: LedgerError) {
        match self {
            Submission::Decision { to, .. } => drop(to.send(Err(error))),
            Submission::Completion { to, .. } | Submission::Refusal { to, .. } | Submission::Event { to, .. } => {
                drop(to.send(Err(error)));
            }
        }
    }
}

/// A full ledger accepts decisions again when this much more than the least is free: it does not flap.
const LEAVE_FULL_BYTES: u64 = 4 * ROOM_OWN_BYTES;
