//! Heads of the records the ledger makes itself.

use crate::env::Clock;
use crate::record::event::{self, Stamp};
use crate::record::{Bytes, CompletionHead, Head, Kind, Micros, SectionRefs, Usage};
use crate::types::{
    AnswerOutcome, AnswerVerdict, Coverage, Digest, Label, Mode, NONE, PolicyRef, Reason, RequestId, Status,
};

/// What must be remembered of a decision to close it without its [`super::Open`].
#[derive(Clone, Debug)]
pub(super) struct OpenDecision {
    pub(super) request: RequestId,
    pub(super) policy: PolicyRef,
    pub(super) detectors: Digest,
    pub(super) mode: Mode,
}

impl OpenDecision {
    /// Of a decision's head; `None` for every other kind.
    pub(super) fn of(head: &Head) -> Option<OpenDecision> {
        match head {
            Head::Decision(head) => Some(OpenDecision {
                request: head.request,
                policy: head.policy.clone(),
                detectors: head.detectors,
                mode: head.mode,
            }),
            _ => None,
        }
    }

    /// The completion the ledger writes itself: `orphan` where it may have been sent, else `not_sent`.
    pub(super) fn close(&self, clock: &Clock, decision: u64, status: Status, reason: Reason) -> Head {
        let Stamp { id, time } = stamp(clock);
        Head::Completion(CompletionHead {
            bytes: Bytes::default(),
            classes: Vec::new(),
            coverage: Coverage::None,
            decision,
            detectors: self.detectors,
            facts: Default::default(),
            http_status: 0,
            id,
            kind: Kind::Completion,
            label: Label::Unclassified,
            micros: Micros::default(),
            mode: self.mode,
            model_served: NONE.into(),
            outcome: AnswerOutcome::None,
            policy: self.policy.clone(),
            reason,
            request: self.request,
            rules: Vec::new(),
            sections: SectionRefs::new(),
            status,
            time,
            truncated: 0,
            usage: Usage::default(),
            v: 1,
            verdict: AnswerVerdict::None,
        })
    }
}

/// Id and time of a record made now.
pub(super) fn stamp(clock: &Clock) -> Stamp {
    Stamp::new(clock.now())
}

/// What is known about the clock: systemd-timesyncd leaves a file once it has set it; no other source is asked yet.
pub(super) fn clock_state() -> event::ClockState {
    let set = std::path::Path::new("/run/systemd/timesync/synchronized").exists();
    event::ClockState { source: "system", sync: if set { "synchronised" } else { "unknown" }, offset_micros: None }
}
