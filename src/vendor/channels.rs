//! Numbers the channels of a stream: one for each text that deltas build up, keyed by choice or block and field.

use std::collections::{BTreeMap, BTreeSet};

/// Channels open at once, at most: 128 choices of 8 fields.
const OPEN_MAX: usize = 1024;
/// Channels of a stream over its whole life, at most: keeps a hostile stream from growing the scanner's state.
const TOTAL_MAX: u32 = 16_384;

/// The open channels of one stream.
#[derive(Debug, Default)]
pub(super) struct Channels {
    /// By group (choice or content block), then by field path.
    open: BTreeMap<u64, BTreeMap<String, u32>>,
    /// How many are open.
    count: usize,
    /// Groups that ended; not more than the channels ever opened.
    closed: BTreeSet<u64>,
    /// By group: the channels that went on in its last event.
    current: BTreeMap<u64, BTreeSet<u32>>,
    /// By group: the channels that go on in this event.
    touched: BTreeMap<u64, BTreeSet<u32>>,
    /// The next number to give.
    next: u32,
    /// Whether some text could not be joined to what came before it.
    unjoined: bool,
}

impl Channels {
    /// The channel of that group and path, opened where it is new; `None` when there are too many.
    pub(super) fn at(&mut self, group: u64, path: &str) -> Option<u32> {
        if let Some(&known) = self.open.get(&group).and_then(|paths| paths.get(path)) {
            self.touched.entry(group).or_default().insert(known);
            return Some(known);
        }
        if self.count >= OPEN_MAX || self.next >= TOTAL_MAX {
            self.unjoined = true;
            return None;
        }
        // A text that goes on after its end was scanned to that end already.
        self.unjoined |= self.closed.contains(&group);
        let channel = self.next;
        self.next += 1;
        self.count += 1;
        self.open.entry(group).or_default().insert(path.to_owned(), channel);
        self.touched.entry(group).or_default().insert(channel);
        Some(channel)
    }

    /// Ends an event; gives the channels that went on in their group's event before, while only others of it do now.
    pub(super) fn take_superseded(&mut self) -> Vec<u32> {
        let mut superseded = Vec::new();
        for (group, now) in std::mem::take(&mut self.touched) {
            let before = self.current.get(&group);
            superseded.extend(before.into_iter().flatten().filter(|channel| !now.contains(channel)));
            self.current.insert(group, now);
        }
        superseded
    }

    /// Ends all channels of a group and gives their numbers; a later delta of it opens new ones.
    pub(super) fn end(&mut self, group: u64) -> Vec<u32> {
        let Some(paths) = self.open.remove(&group) else { return Vec::new() };
        self.closed.insert(group);
        self.current.remove(&group);
        self.count = self.count.saturating_sub(paths.len());
        paths.into_values().collect()
    }

    /// Whether some text was not joined since the last call.
    pub(super) fn take_unjoined(&mut self) -> bool {
        std::mem::take(&mut self.unjoined)
    }
}
