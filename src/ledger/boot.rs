//! The first groups of a process, written before there are threads: `key.certified`, `boot`, what recovery set
//! aside, and a completion for every decision that the last process left open.

use crate::record::{Checkpoint, event};
use crate::store::StoreError;
use crate::types::{Reason, Status};

use super::config::{BootFacts, GROUP_RECORDS_MAX};
use super::events::stamp;
use super::group::Group;
use super::recovery::{Recovered, RecoverySummary};
use super::sealer::Sealer;
use super::writer::Writer;

/// Writes them, makes them durable and publishes the checkpoint behind them.
pub(super) fn write(
    sealer: &mut Sealer,
    writer: &mut Writer,
    facts: &BootFacts,
    recovered: &Recovered,
) -> Result<Option<RecoverySummary>, StoreError> {
    let before = sealer.head();
    let left: Vec<u64> = sealer.open.keys().copied().collect();
    let mut group = sealer.begin();
    sealer.certify_at_boot(&mut group);
    sealer.event(&mut group, boot(sealer, facts, &before));
    let mut summary = RecoverySummary { orphans: left.len() as u64, ..RecoverySummary::default() };
    for (segment, aside) in &recovered.asides {
        summary.bytes = summary.bytes.saturating_add(aside.bytes);
        summary.lines = summary.lines.saturating_add(aside.lines);
        summary.quarantine = Some(aside.path.clone());
        let what = event::Recovered { bytes: aside.bytes, lines: aside.lines, digest: aside.digest, segment: *segment };
        sealer.event(&mut group, event::recovered(stamp(&sealer.clock), &what, summary.orphans));
    }
    // A crash between two of these groups leaves the rest of the decisions open, for the next start.
    for decision in left {
        if group.records >= GROUP_RECORDS_MAX {
            writer.commit(sealer.finish(std::mem::take(&mut group)))?;
            group = sealer.begin();
        }
        sealer.close(&mut group, decision, Status::Orphan, Reason::GatewayCrashed);
    }
    commit_last(sealer, writer, group)?;
    writer.publish()?;
    Ok(recovered.unclean.then_some(summary))
}

fn commit_last(sealer: &mut Sealer, writer: &mut Writer, group: Group) -> Result<(), StoreError> {
    if !group.is_empty() {
        writer.commit(sealer.finish(group))?;
    }
    Ok(())
}

fn boot(sealer: &Sealer, facts: &BootFacts, before: &Checkpoint) -> crate::record::EventHead {
    let previous = (before.size > 0).then_some(before);
    event::boot(stamp(&sealer.clock), &facts.version, &facts.config_digest, &facts.fleet, previous)
}
