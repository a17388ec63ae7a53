//! Opens a data directory to append to it: lock, keys, recovery, first records, threads, in this order.

use std::sync::Arc;

use crate::env::{Clock, Disk, RealDisk};
use crate::record::vkey;
use crate::store::{KeyStore, Lock, Paths, Segments, files};
use crate::telemetry::Metrics;

use super::config::{BootFacts, LedgerConfig};
use super::error::OpenError;
use super::handle::Ledger;
use super::recovery::{self, RecoverySummary};
use super::sealer::{Sealer, SegmentState};
use super::shared::Shared;
use super::threads::Threads;
use super::writer::Writer;
use super::{boot, keys};

/// An open ledger.
#[derive(Debug)]
pub struct Opened {
    /// Submits records.
    pub ledger: Ledger,
    /// The keys beside the log.
    pub keys: Arc<KeyStore>,
    /// Whether the log was made just now.
    pub is_new: bool,
    /// `<gateway name>/<generation>`.
    pub origin: String,
    /// The log key as a C2SP verifier key, for `verify`.
    pub log_vkey: String,
    /// What an unclean end of the last process left to do.
    pub recovery: Option<RecoverySummary>,
    /// The configuration digest the last boot recorded; `None` at the first.
    pub previous_config: Option<String>,
    /// The running threads.
    pub threads: Threads,
}

/// Opens the data directory of `config` on the real disk, making it if it is new.
///
/// Every decision left open has its completion when this returns.
///
/// # Errors
/// When another process has it, a key is missing or foreign, the log is damaged, or the disk refuses.
pub fn open(config: LedgerConfig, clock: Clock, metrics: Arc<Metrics>, facts: BootFacts) -> Result<Opened, OpenError> {
    open_on(Arc::new(RealDisk), config, clock, metrics, facts)
}

/// As [`open`], on a disk that may be told to fail.
///
/// # Errors
/// As [`open`].
pub fn open_on(
    disk: Arc<dyn Disk>,
    config: LedgerConfig,
    clock: Clock,
    metrics: Arc<Metrics>,
    facts: BootFacts,
) -> Result<Opened, OpenError> {
    let paths = Paths::new(&config.data);
    files::make_folder(disk.as_ref(), paths.data())?;
    let lock = Lock::take(&paths)?;
    files::make_folder(disk.as_ref(), &paths.keys())?;
    let identity = keys::load(disk.as_ref(), &paths, config.gateway_name.as_deref())?;
    keys::hold_sections(&paths)?;
    let keys = Arc::new(KeyStore::open(paths.data())?);
    let segments = Segments::open(disk, paths.clone(), identity.generation)?;
    let public = identity.log_key.public();
    let recovered = recovery::recover(&segments, &paths, identity.generation, &identity.origin, public)?;

    let committed = &recovered.committed;
    let size = committed.frontier.len();
    let shared = Shared::new(metrics, paths.data(), size);
    let segment = SegmentState {
        records: committed.segment_records,
        day: committed.last.map_or(i64::MIN, |(_, day)| day),
        groups: committed.groups,
    };
    let mut sealer = Sealer::new(
        Arc::clone(&identity.origin),
        clock,
        Arc::clone(&identity.log_key),
        committed.frontier.clone(),
        committed.open.clone(),
        segment,
        config.segment_records.max(1),
    )?;
    let last = committed.end.as_ref().map(|(segment, _)| segment);
    let log_key = Arc::clone(&identity.log_key);
    let mut writer = Writer::new(segments, last, config.durability, log_key, Arc::clone(&shared))?;
    let recovery = boot::write(&mut sealer, &mut writer, &facts, &recovered).map_err(OpenError::Write)?;
    let (ledger, threads) = Threads::start(&config, shared, sealer, writer, lock)?;
    Ok(Opened {
        ledger,
        keys,
        is_new: size == 0,
        origin: identity.origin.to_string(),
        log_vkey: vkey(&identity.origin, public),
        recovery,
        previous_config: recovered.committed.config,
        threads,
    })
}
