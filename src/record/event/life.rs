//! The gateway's own life: boots, keys, heartbeats, recovery, clock, disk.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::record::head::{EventHead, Kind};
use crate::record::key::{KeyId, PublicKey};
use crate::record::note::Checkpoint;
use crate::types::{Digest, Fact, Reason, Timestamp};

use super::{By, Stamp, map, number, texts};

/// The head of the log before a boot, so that nothing can be cut between two runs unseen.
pub type Previous = Checkpoint;

/// `key.certified`: `epoch`, `public`, `handover` (absent at boot). Signed by the log key; first of its group.
pub fn key_certified(stamp: Stamp, epoch: &PublicKey, handover: Option<&[u8; 64]>) -> EventHead {
    stamp
        .event(Kind::KeyCertified)
        .with("epoch", epoch.id().to_string())
        .with("public", epoch.to_base64())
        .with_some("handover", handover.map(|signature| STANDARD.encode(signature)))
}

/// `key.retired`: `key`, `use` (`epoch`, `log`, `data`, `pseudonym`), `why` (`rotated`, `lost`, `stolen`), `by`.
pub fn key_retired(stamp: Stamp, key: &KeyId, purpose: &'static str, why: &'static str, by: By<'_>) -> EventHead {
    stamp.event(Kind::KeyRetired).with("key", key.to_string()).with("use", purpose).with("why", why).with("by", by)
}

/// `boot`: `version`, `config` (digest), `fleet[]` (names of gateways expected to write logs), `previous`
/// {`origin, root, size`} (the log's head before this boot; absent in a first log). Second record of a boot.
pub fn boot(stamp: Stamp, version: &str, config: &Digest, fleet: &[String], previous: Option<&Previous>) -> EventHead {
    let previous = previous.map(|head| {
        map([
            ("origin", Fact::from(head.origin.as_str())),
            ("root", Fact::from(head.root.to_string())),
            ("size", Fact::from(head.size)),
        ])
    });
    stamp
        .event(Kind::Boot)
        .with("version", version)
        .with("config", config.to_string())
        .with("fleet", texts(fleet))
        .with_some("previous", previous)
}

/// `shutdown`: `why` (`signal`, `command`, `error`), `drained` (requests finished while draining), `cut` (requests
/// ended by the drain's time limit). The last record of a run.
pub fn shutdown(stamp: Stamp, why: &'static str, drained: u64, cut: u64) -> EventHead {
    stamp.event(Kind::Shutdown).with("why", why).with("drained", drained).with("cut", cut)
}

/// What the gateway knows of its clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockState {
    /// `system`, or `held` in tests.
    pub source: &'static str,
    /// `synchronised`, `unsynchronised` or `unknown`.
    pub sync: &'static str,
    /// Estimated offset from UTC in microseconds, where known.
    pub offset_micros: Option<i64>,
}

/// `heartbeat`: `open` (count of open decisions), `open_lowest` (index; absent when none is open),
/// `clock` {`source, sync, offset_micros?`}. Every 60 s.
pub fn heartbeat(stamp: Stamp, open: u64, open_lowest: Option<u64>, clock: &ClockState) -> EventHead {
    let mut state =
        BTreeMap::from([("source".to_owned(), Fact::from(clock.source)), ("sync".to_owned(), Fact::from(clock.sync))]);
    if let Some(offset) = clock.offset_micros {
        state.insert("offset_micros".to_owned(), number(offset));
    }
    stamp
        .event(Kind::Heartbeat)
        .with("open", open)
        .with_some("open_lowest", open_lowest)
        .with("clock", Fact::Map(state))
}

/// What recovery set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Bytes set aside.
    pub bytes: u64,
    /// Whole and unterminated lines set aside.
    pub lines: u64,
    /// SHA-256 of those bytes.
    pub digest: Digest,
    /// First index of the segment they were taken from.
    pub segment: u64,
}

/// `recovered`: `bytes`, `lines`, `sha256`, `segment` (its first index), `orphans` (open decisions closed now).
pub fn recovered(stamp: Stamp, what: &Recovered, orphans: u64) -> EventHead {
    stamp
        .event(Kind::Recovered)
        .with("bytes", what.bytes)
        .with("lines", what.lines)
        .with("sha256", what.digest.to_string())
        .with("segment", what.segment)
        .with("orphans", orphans)
}

/// `clock.stepped`: `step_micros` (signed), `source`.
pub fn clock_stepped(stamp: Stamp, step_micros: i64, source: &'static str) -> EventHead {
    stamp.event(Kind::ClockStepped).with("step_micros", number(step_micros)).with("source", source)
}

/// `log.full`: `free_bytes`, `refused` (requests refused without a record since the last record), `since`.
pub fn log_full(stamp: Stamp, free_bytes: u64, refused: u64, since: Timestamp) -> EventHead {
    stamp.event(Kind::LogFull).with("free_bytes", free_bytes).with("refused", refused).with("since", since.to_string())
}

/// `refusals`: `from`, `to`, `counts` {reason: count} of refusals without records of their own (unauthenticated
/// floods, and while the ledger could not write), `heads` (requests whose HTTP head could not be parsed).
pub fn refusals(stamp: Stamp, from: Timestamp, to: Timestamp, counts: &BTreeMap<Reason, u64>, heads: u64) -> EventHead {
    let counts = counts.iter().map(|(reason, count)| (reason.to_string(), Fact::from(*count))).collect();
    stamp
        .event(Kind::Refusals)
        .with("from", from.to_string())
        .with("to", to.to_string())
        .with("counts", Fact::Map(counts))
        .with("heads", heads)
}
