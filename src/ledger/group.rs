//! One group: the bytes that are written and synced together, and who waits for them.

use tokio::sync::oneshot;

use crate::env::Stopwatch;
use crate::record::Checkpoint;

use super::error::LedgerError;
use super::receipt::{Open, Receipt, Sealed};

/// Records under way to the disk, closed by a checkpoint line.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// Whole lines with their newlines.
    pub(super) bytes: Vec<u8>,
    /// How many records.
    pub(super) records: u64,
    /// The index of the first record of the segment to begin with this group, if a new one is to begin.
    pub(super) new_segment: Option<u64>,
    /// Who waits.
    pub(super) waiters: Vec<Waiter>,
}

impl Group {
    pub(super) fn is_empty(&self) -> bool {
        self.records == 0
    }

    pub(super) fn line(&mut self, line: &[u8]) {
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
    }
}

/// A group with its checkpoint: nothing is added to it any more.
#[derive(Debug)]
pub(super) struct ClosedGroup {
    pub(super) group: Group,
    /// The tree behind its last record.
    pub(super) checkpoint: Checkpoint,
    /// Disk room to keep for what must still fit behind it, in bytes.
    pub(super) room_after: u64,
}

/// One caller's answer, made when the record got its number and held back until it is durable.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) since: Stopwatch,
    pub(super) reply: Reply,
}

/// Who is answered, and with what.
#[derive(Debug)]
pub(super) enum Reply {
    /// A decision: the receipt and the right to complete.
    Decision { to: ReplyTo<(Receipt, Open)>, receipt: Receipt, open: Open },
    /// Any other record.
    Record { to: ReplyTo<Sealed>, sealed: Sealed },
}

pub(super) type ReplyTo<T> = oneshot::Sender<Result<T, LedgerError>>;

impl Waiter {
    /// The group is durable.
    pub(super) fn answer(self) {
        match self.reply {
            Reply::Decision { to, receipt, open } => {
                if let Err(Ok((_, open))) = to.send(Ok((receipt, open))) {
                    open.never_delivered();
                }
            }
            // A caller that stopped waiting for its completion lost nothing: it is in the log.
            Reply::Record { to, sealed } => drop(to.send(Ok(sealed))),
        }
    }

    /// The group is not durable, and never will be through this process.
    pub(super) fn fail(self, error: &LedgerError) {
        match self.reply {
            Reply::Decision { to, open, .. } => {
                open.hand_over();
                drop(to.send(Err(error.clone())));
            }
            Reply::Record { to, .. } => drop(to.send(Err(error.clone()))),
        }
    }
}
