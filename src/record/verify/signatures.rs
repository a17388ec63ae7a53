//! Signatures wait here in batches, so that they can be checked on all cores and before the origin is known.

use std::borrow::Cow;
use std::ops::Range;
use std::thread;

use crate::record::key::PublicKey;
use crate::record::line::{handover_input, signing_input};
use crate::types::RecordId;

use super::verdict::{Fault, Place};

/// Signatures checked at once: with 2 KiB heads about 2 MiB wait.
const BATCH: usize = 1024;
/// Fewer than this a thread are not worth starting one.
const SHARE_MIN: usize = 32;

/// What a signature is over.
#[derive(Clone, Copy, Debug)]
pub(super) enum Signed {
    /// A record's head, framed with origin and index.
    Head,
    /// A new epoch key, framed with origin and index, by the outgoing one.
    Handover,
    /// A checkpoint's text.
    Checkpoint,
}

#[derive(Clone, Debug)]
struct Job {
    place: Place,
    index: u64,
    record: Option<RecordId>,
    signed: Signed,
    bytes: Range<usize>,
    key: PublicKey,
    signature: [u8; 64],
}

/// Signatures not yet checked.
#[derive(Clone, Debug)]
pub(super) struct Signatures {
    origin: Option<String>,
    threads: usize,
    jobs: Vec<Job>,
    /// The signed bytes of all jobs, one after the other.
    arena: Vec<u8>,
}

impl Signatures {
    pub(super) fn new(origin: Option<String>, threads: usize) -> Self {
        let threads = match threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            given => given,
        };
        Signatures { origin, threads, jobs: Vec::new(), arena: Vec::new() }
    }

    pub(super) fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// Takes the origin from a checkpoint, or compares it.
    pub(super) fn learn_origin(&mut self, origin: &str) -> Result<(), String> {
        match &self.origin {
            Some(known) if known == origin => Ok(()),
            Some(_) => Err("the checkpoint is another log's".to_owned()),
            None => {
                self.origin = Some(origin.to_owned());
                Ok(())
            }
        }
    }

    /// Adds a signature over `bytes`, by the record it belongs to.
    pub(super) fn push(
        &mut self,
        place: &Place,
        (index, record): (u64, Option<RecordId>),
        signed: Signed,
        bytes: &[u8],
        key: &PublicKey,
        signature: [u8; 64],
    ) {
        let bytes = self.keep(bytes);
        self.jobs.push(Job { place: place.clone(), index, record, signed, bytes, key: key.clone(), signature });
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.arena.len();
        self.arena.extend_from_slice(bytes);
        start..self.arena.len()
    }

    pub(super) fn flush_if_full(&mut self) -> Result<(), Fault> {
        if self.jobs.len() >= BATCH && self.origin.is_some() { self.flush() } else { Ok(()) }
    }

    /// Checks all that wait; the fault is that of the earliest.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        let (jobs, arena) = (std::mem::take(&mut self.jobs), std::mem::take(&mut self.arena));
        if jobs.is_empty() {
            return Ok(());
        }
        let share = jobs.len().div_ceil(self.threads.max(1)).max(SHARE_MIN);
        let origin = self.origin.as_deref();
        let check = |chunk: &[Job]| chunk.iter().find_map(|job| job.check(origin, &arena).err());
        let first = if jobs.len() <= share {
            check(&jobs)
        } else {
            thread::scope(|scope| {
                let check = &check;
                let running: Vec<_> =
                    jobs.chunks(share).map(|chunk| (chunk, scope.spawn(move || check(chunk)))).collect();
                // A thread that died checks nothing: its share is checked again here.
                running.into_iter().find_map(|(chunk, thread)| thread.join().unwrap_or_else(|_| check(chunk)))
            })
        };
        first.map_or(Ok(()), Err)
    }
}

impl Job {
    fn check(&self, origin: Option<&str>, arena: &[u8]) -> Result<(), Fault> {
        let bytes = arena.get(self.bytes.clone()).unwrap_or_default();
        let Some(origin) = origin else {
            return Err(self.fault("the log's origin is not known, so no signature can be checked"));
        };
        let (message, why) = match self.signed {
            Signed::Head => (Cow::Owned(signing_input(origin, self.index, bytes)), "its signature does not verify"),
            Signed::Handover => {
                let raw = bytes.try_into().unwrap_or(&[0; 32]);
                (Cow::Owned(handover_input(origin, self.index, raw)), "its hand-over does not verify")
            }
            Signed::Checkpoint => (Cow::Borrowed(bytes), "the checkpoint's signature does not verify"),
        };
        self.key.verify(&message, &self.signature).map_err(|_| self.fault(why))
    }

    fn fault(&self, why: &str) -> Fault {
        Fault { place: self.place.clone(), index: Some(self.index), record: self.record, why: why.to_owned() }
    }
}
