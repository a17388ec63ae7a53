//! Settings of the ledger, and its named limits.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::types::{Digest, spelled};

spelled! {
    /// Whether an acknowledged record survives a power cut (`[store] durability`).
    Durability {
        /// One `fdatasync` a group, before anything is acknowledged.
        Sync = "sync",
        /// No `fdatasync`: voids promises 1 and 2, stands in every decision, refused off loopback.
        None = "none",
    }
}

/// How the ledger runs.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerConfig {
    /// The data directory.
    pub data: PathBuf,
    /// Whether to sync.
    pub durability: Durability,
    /// The gateway's name, where the configuration gives one.
    pub gateway_name: Option<String>,
    /// A segment closes after the group that brings it to this many records.
    pub segment_records: u64,
    /// Seconds between heartbeat records.
    pub heartbeat_seconds: u64,
    /// Seconds a record may wait for the disk before its request is refused.
    pub wait_seconds: u64,
}

impl Default for LedgerConfig {
    fn default() -> Self {
        LedgerConfig {
            data: PathBuf::from("data"),
            durability: Durability::Sync,
            gateway_name: None,
            segment_records: 65_536,
            heartbeat_seconds: 60,
            wait_seconds: 15,
        }
    }
}

/// What the `boot` record says about this process.
#[derive(Clone, Debug)]
pub struct BootFacts {
    /// The program's version.
    pub version: String,
    /// Digest of the configuration in effect.
    pub config_digest: Digest,
    /// Names of the gateways that should be running; empty where nobody said.
    pub fleet: Vec<String>,
}

/// Submissions waiting for the seal thread: 4,096 x about 6 KB = 24 MiB (at most 124 KiB each).
pub(super) const QUEUE_MAX: usize = 4096;

/// Records in one group: what 256 callers queue in a slow sync, with room; a group is one write.
pub(super) const GROUP_RECORDS_MAX: u64 = 2048;

/// Bytes of one group before it takes no more: 8 MiB, plus the last record.
pub(super) const GROUP_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Disk room kept for each open decision's completion: twice a large one (content section of 128 findings).
pub(super) const ROOM_PER_OPEN_BYTES: u64 = 32 * 1024;

/// Disk room kept for the ledger's own records (heartbeats, `log.full`, `shutdown`) and checkpoints.
pub(super) const ROOM_OWN_BYTES: u64 = 1024 * 1024;

/// Disk room set aside ahead of need, so that allocation is off the commit path: 16 MiB.
pub(super) const ROOM_AHEAD_BYTES: u64 = 16 * 1024 * 1024;

/// Shortest time between two published checkpoints.
pub(super) const PUBLISH_EVERY: Duration = Duration::from_secs(1);

/// How often a full ledger asks the disk for room again.
pub(super) const FULL_RETRY: Duration = Duration::from_secs(1);

/// A wall clock that moved this much against the monotonic one between two heartbeats has been stepped.
pub(super) const CLOCK_STEP_MICROS: i64 = 1_000_000;
