//! Numbers the channels of a stream: one for each text that deltas build up, keyed by choice or block and field.

use std::collections::BTreeMap;

/// Channels open at once, at most: 128 choices of 8 fields.
const OPEN_MAX: usize = 1024;
/// Channels of a stream over its whole life, at most: keeps a hostile stream from growing the scanner's state.
const TOTAL_MAX: u32 = 16_384;

/// The open channels of one stream.
#[derive(Debug, Default)]
pub(super) struct Channels {
    /// By group (choice or content block) and field path.
    open: BTreeMap<(u64, String), u32>,
    /// The next number to give.
    next: u32,
}

impl Channels {
    /// The channel of that group and path, opened where it is new; `None` when there are too many.
    pub(super) fn at(&mut self, group: u64, path: &str) -> Option<u32> {
        let key = (group, path.to_owned());
        if let Some(&known) = self.open.get(&key) {
            return Some(known);
        }
        if self.open.len() >= OPEN_MAX || self.next >= TOTAL_MAX {
            return None;
        }
        let channel = self.next;
        self.next += 1;
        self.open.insert(key, channel);
        Some(channel)
    }

    /// Ends all channels of a group and gives their numbers; a later delta of it opens new ones.
    pub(super) fn end(&mut self, group: u64) -> Vec<u32> {
        let mut ended = Vec::new();
        self.open.retain(|(of, _), channel| {
            let stays = *of != group;
            if !stays {
                ended.push(*channel);
            }
            stays
        });
        ended
    }
}
