//! Puts groups on disk, one at a time: the write thread, and the start before there are threads.
//!
//! A good run of a group: (new segment: `open`), `fallocate`, `write`, `fdatasync`, (new segment: `fsync` of the
//! folder), then the waiters are answered. Once a second the checkpoint is published by synced rename.

use std::sync::Arc;

use crate::env::{DiskFile, Stopwatch};
use crate::record::{Checkpoint, Signer, note};
use crate::store::{SegmentFile, Segments, StoreError};

use super::config::{Durability, PUBLISH_EVERY};
use super::group::ClosedGroup;
use super::room::Room;
use super::shared::Shared;

/// The files under the ledger; owned by the write thread.
#[derive(Debug)]
pub(super) struct Writer {
    segments: Segments,
    durability: Durability,
    log_key: Arc<Signer>,
    shared: Arc<Shared>,
    file: Option<Box<dyn DiskFile>>,
    room: Room,
    /// Committed and not yet published.
    unpublished: Option<Checkpoint>,
    last_publication: Option<Stopwatch>,
}

impl Writer {
    /// Goes on in `last`, or waits for a group that begins a segment.
    pub(super) fn new(
        segments: Segments,
        last: Option<&SegmentFile>,
        durability: Durability,
        log_key: Arc<Signer>,
        shared: Arc<Shared>,
    ) -> Result<Writer, StoreError> {
        let file = last.map(|segment| segments.append(segment)).transpose()?;
        let (room, unpublished, last_publication) = (Room::default(), None, None);
        Ok(Writer { segments, durability, log_key, shared, file, room, unpublished, last_publication })
    }

    /// Makes a group durable and answers its waiters; gives the room left behind it.
    ///
    /// # Errors
    /// On the first failed call. Then the ledger is poisoned: what is on disk is decided by the next recovery.
    pub(super) fn commit(&mut self, closed: ClosedGroup) -> Result<u64, StoreError> {
        let wanted = (closed.group.bytes.len() as u64).saturating_add(closed.room_after);
        if let Err(error) = self.write(&closed, wanted) {
            self.shared.poison(&error);
            let told = self.shared.poisoned().unwrap_or(super::LedgerError::Closed);
            closed.group.waiters.into_iter().for_each(|waiter| waiter.fail(&told));
            return Err(error);
        }
        self.shared.committed(closed.checkpoint.size);
        for waiter in closed.group.waiters {
            self.shared.metrics.ledger_commit.observe(waiter.since.elapsed().as_secs_f64());
            waiter.answer();
        }
        self.unpublished = Some(closed.checkpoint);
        Ok(self.room_left())
    }

    fn write(&mut self, closed: &ClosedGroup, wanted: u64) -> Result<(), StoreError> {
        if let Some(first) = closed.group.new_segment {
            // The old segment's last group is durable. A crash behind this line leaves an empty file: recovery removes it.
            if let Some(mut old) = self.file.take() {
                old.release();
            }
            self.file = Some(self.segments.create(first)?);
            self.room.restart();
        }
        let folder = self.segments.folder();
        let Some(file) = self.file.as_mut() else {
            let source = std::io::Error::other("no segment is open");
            return Err(StoreError::Io { doing: "write to", path: folder, source });
        };
        self.room.ensure(file.as_mut(), &self.segments, wanted);
        // A crash in the write leaves part of a group without its checkpoint line: recovery sets it aside.
        file.append(&closed.group.bytes).map_err(StoreError::io("append to the segment in", &folder))?;
        if self.durability == Durability::None {
            return Ok(());
        }
        // A crash before the sync returns leaves any part of the group, or all of it, unacknowledged.
        file.sync().map_err(StoreError::io("sync the segment in", &folder))?;
        if closed.group.new_segment.is_some() {
            // A crash here may leave no name for the file: nothing in it was acknowledged.
            self.segments.sync_folder()?;
        }
        Ok(())
    }

    /// Sets room aside for `wanted` bytes; gives how much there is.
    pub(super) fn reserve(&mut self, wanted: u64) -> u64 {
        match self.file.as_mut() {
            Some(file) => self.room.ensure(file.as_mut(), &self.segments, wanted),
            None => self.segments.free_bytes().unwrap_or(0),
        }
    }

    /// What may still be written, by what is set aside.
    pub(super) fn room_left(&self) -> u64 {
        self.file.as_ref().map_or(0, |file| self.room.left(file.as_ref(), &self.segments))
    }

    /// When the next checkpoint is to be published; `None` if there is nothing new.
    pub(super) fn publication_due(&self) -> Option<std::time::Duration> {
        let since = self.last_publication.map_or(PUBLISH_EVERY, |last| last.elapsed());
        self.unpublished.as_ref().map(|_| PUBLISH_EVERY.saturating_sub(since))
    }

    /// Signs the newest committed checkpoint with the log key and puts it in place.
    ///
    /// # Errors
    /// On the first failed call; the ledger is poisoned then.
    pub(super) fn publish(&mut self) -> Result<(), StoreError> {
        let Some(checkpoint) = self.unpublished.take() else { return Ok(()) };
        if let (Durability::None, Some(file)) = (self.durability, self.file.as_mut()) {
            // Even without durability a checkpoint never says more than the disk holds.
            let folder = self.segments.folder();
            let synced = file.sync().map_err(StoreError::io("sync the segment in", &folder));
            synced.inspect_err(|error| self.shared.poison(error))?;
        }
        let note = note::sign(&checkpoint, &[&self.log_key]);
        self.last_publication = Some(Stopwatch::start());
        // A crash in here leaves the old checkpoint or the new one, each a prefix of what is on disk.
        self.segments.publish(&note).inspect_err(|error| self.shared.poison(error))?;
        if let Ok(free) = self.segments.free_bytes() {
            self.shared.metrics.store_free_bytes.set(i64::try_from(free).unwrap_or(i64::MAX));
        }
        Ok(())
    }

    /// Gives back the room set aside: nothing more will be written.
    pub(super) fn end(mut self) {
        if let Some(mut file) = self.file.take() {
            file.release();
        }
    }
}
