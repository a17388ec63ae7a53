//! Disk room set aside ahead of need, without changing the file's length.

use std::io::ErrorKind;

use crate::env::DiskFile;
use crate::store::Segments;

use super::config::ROOM_AHEAD_BYTES;

/// What the segment in use may still grow by.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// Set aside up to this length of the file.
    reserved: u64,
    /// The last attempt failed, and the log of the program said so.
    failing: bool,
    /// The file system cannot set room aside: only its free space can be asked for.
    unsupported: bool,
}

impl Room {
    /// A new file has nothing set aside.
    pub(super) fn restart(&mut self) {
        self.reserved = 0;
    }

    /// Sees that `wanted` more bytes have room, and some ahead of them if there is.
    ///
    /// Gives how many bytes may be written; fewer than wanted means that the disk is full. Failing to set room
    /// aside is not a failed write: nothing that was promised depends on it.
    pub(super) fn ensure(&mut self, file: &mut dyn DiskFile, segments: &Segments, wanted: u64) -> u64 {
        let needed = file.length().saturating_add(wanted);
        for ahead in [ROOM_AHEAD_BYTES, 0] {
            if self.unsupported || self.reserved >= needed {
                break;
            }
            match file.reserve(needed.saturating_add(ahead)) {
                Ok(()) => {
                    self.reserved = needed.saturating_add(ahead);
                    self.failing = false;
                }
                Err(error) if error.kind() == ErrorKind::Unsupported => self.unsupported = true,
                Err(error) => {
                    if !std::mem::replace(&mut self.failing, true) {
                        tracing::warn!(%error, bytes = wanted, "no disk room could be set aside for the log");
                    }
                }
            }
        }
        self.left(file, segments)
    }

    /// How many bytes may still be written.
    pub(super) fn left(&self, file: &dyn DiskFile, segments: &Segments) -> u64 {
        if self.unsupported {
            return segments.free_bytes().unwrap_or(0);
        }
        self.reserved.saturating_sub(file.length())
    }
}
