//! Numbers, signs and closes: the pure part of the seal thread, used by the start and by the running ledger alike.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::env::Clock;
use crate::record::tree::Frontier;
use crate::record::{self, Checkpoint, Head, KeyError, Signer, event, note};
use crate::types::{Reason, Status};

use super::config::ROOM_OWN_BYTES;
use super::config::ROOM_PER_OPEN_BYTES;
use super::events::{OpenDecision, stamp};
use super::group::{ClosedGroup, Group};
use super::receipt::Sealed;

/// The log's state ahead of the disk; owned by the seal thread.
#[derive(Debug)]
pub(super) struct Sealer {
    pub(super) origin: Arc<str>,
    pub(super) clock: Clock,
    log_key: Arc<Signer>,
    /// In memory only; a new one at boot and each UTC day.
    epoch: Signer,
    epoch_day: i64,
    frontier: Frontier,
    /// Decisions without a completion, by index.
    pub(super) open: BTreeMap<u64, OpenDecision>,
    segment: SegmentState,
    segment_records_max: u64,
    /// Checkpoint lines of this generation so far.
    groups: u64,
}

/// How far the segment is that the next group goes into.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SegmentState {
    /// Records in it; 0 = there is none yet.
    pub(super) records: u64,
    /// UTC day of its last group.
    pub(super) day: i64,
    /// Checkpoint lines of the generation so far.
    pub(super) groups: u64,
}

impl Sealer {
    /// Goes on behind `frontier` with an epoch key that has not been certified yet.
    pub(super) fn new(
        origin: Arc<str>,
        clock: Clock,
        log_key: Arc<Signer>,
        frontier: Frontier,
        open: BTreeMap<u64, OpenDecision>,
        segment: SegmentState,
        segment_records_max: u64,
    ) -> Result<Sealer, KeyError> {
        let epoch_day = clock.now().day();
        let epoch = Signer::generate()?;
        Ok(Sealer {
            origin,
            clock,
            log_key,
            epoch,
            epoch_day,
            frontier,
            open,
            segment,
            segment_records_max,
            groups: segment.groups,
        })
    }

    /// The checkpoint a record made now would follow.
    pub(super) fn head(&self) -> Checkpoint {
        Checkpoint { origin: self.origin.to_string(), size: self.frontier.len(), root: self.frontier.root() }
    }

    /// Begins a group: a new segment if the old one is full or of another day, a new epoch key if the day is new.
    pub(super) fn begin(&mut self) -> Group {
        let today = self.clock.now().day();
        let segment = &mut self.segment;
        let mut group = Group::default();
        if segment.records == 0 || segment.records >= self.segment_records_max || today > segment.day {
            group.new_segment = Some(self.frontier.len());
            segment.records = 0;
        }
        // A clock that steps back must not reopen yesterday, so the day only grows.
        segment.day = segment.day.max(today);
        if today > self.epoch_day {
            self.rotate(&mut group, today);
        }
        group
    }

    /// Certifies the first epoch key of this boot: the first record of its group.
    pub(super) fn certify_at_boot(&mut self, group: &mut Group) {
        let head = event::key_certified(stamp(&self.clock), self.epoch.public(), None);
        self.append_signed(group, &Head::Event(head).encode(), true);
    }

    /// Puts a new epoch key in place of the old one, which vouches for it together with the log key.
    fn rotate(&mut self, group: &mut Group, today: i64) {
        let next = match Signer::generate() {
            Ok(next) => next,
            Err(error) => {
                tracing::error!(%error, "no new epoch key could be made; the old one stays in use");
                return;
            }
        };
        let input = record::handover_input(&self.origin, self.frontier.len(), next.public().raw());
        let handover = self.epoch.sign(&input);
        let head = event::key_certified(stamp(&self.clock), next.public(), Some(&handover));
        self.epoch = next;
        self.epoch_day = today;
        self.append_signed(group, &Head::Event(head).encode(), true);
    }

    /// Adds one record with its sections; `open` is what to remember of a decision.
    pub(super) fn append(&mut self, group: &mut Group, head: &[u8], sections: &Sections) -> Sealed {
        let sealed = self.append_signed(group, head, false);
        if !sections.is_empty() {
            group.line(&record::sections_line(sealed.index, sections));
        }
        sealed
    }

    /// Adds an event the ledger makes itself.
    pub(super) fn event(&mut self, group: &mut Group, head: record::EventHead) -> Sealed {
        self.append_event(group, Head::Event(head), &Sections::new())
    }

    /// Adds an event, which tells how many checkpoint lines are before it: none can be taken out unseen.
    pub(super) fn append_event(&mut self, group: &mut Group, mut head: Head, sections: &Sections) -> Sealed {
        head.set_groups(self.groups);
        self.append(group, &head.encode(), sections)
    }

    /// Closes an open decision without its [`super::Open`]; nothing if it has its completion already.
    pub(super) fn close(&mut self, group: &mut Group, decision: u64, status: Status, reason: Reason) {
        if let Some(open) = self.open.remove(&decision) {
            let head = open.close(&self.clock, decision, status, reason);
            self.append_signed(group, &head.encode(), false);
        }
    }

    fn append_signed(&mut self, group: &mut Group, head: &[u8], by_log_key: bool) -> Sealed {
        let index = self.frontier.len();
        let signer = if by_log_key { &*self.log_key } else { &self.epoch };
        let signature = signer.sign(&record::signing_input(&self.origin, index, head));
        let line = record::record_line(head, &signer.public().id(), &signature);
        let leaf = record::leaf_hash(&line);
        self.frontier.append(leaf);
        self.segment.records = self.segment.records.saturating_add(1);
        group.line(&line);
        group.records = group.records.saturating_add(1);
        Sealed { origin: Arc::clone(&self.origin), index, leaf }
    }

    /// Disk room to keep behind what has been numbered: a completion for each open decision, and the ledger's own.
    pub(super) fn room_wanted(&self) -> u64 {
        let open = u64::try_from(self.open.len()).unwrap_or(u64::MAX);
        open.saturating_add(2).saturating_mul(ROOM_PER_OPEN_BYTES).saturating_add(ROOM_OWN_BYTES)
    }

    /// Ends a group with its checkpoint line, signed by the epoch key.
    pub(super) fn finish(&mut self, mut group: Group) -> ClosedGroup {
        self.groups = self.groups.saturating_add(1);
        let checkpoint = self.head();
        let note = note::sign(&checkpoint, &[&self.epoch]);
        group.line(&record::checkpoint_line(&note));
        ClosedGroup { group, checkpoint, room_after: self.room_wanted() }
    }
}

/// Ciphertexts by section name.
pub(super) type Sections = BTreeMap<String, Vec<u8>>;
