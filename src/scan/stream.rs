//! Scanning texts that arrive in pieces: answers of a model, one channel a text.
//!
//! For every split of a text the findings are those of the whole text. What is released is decided: no finding
//! reaches back over it. On clean prose at most the trailing word is held; an undecided text over 8 KiB is decided
//! as it stands and makes the coverage partial.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::types::{Class, Coverage};

use super::Scanner;
use super::channel::{Channel, Located};
use super::norm::Form;
use super::redact::replacement;

/// The state of one answer: its channels and what they showed.
#[derive(Debug)]
pub struct StreamScan {
    scanner: Arc<Scanner>,
    channels: BTreeMap<u32, Channel>,
    found: Vec<StreamFinding>,
    /// Scratch space.
    located: Vec<Located>,
}

/// A finding in a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFinding {
    /// The channel.
    pub channel: u32,
    /// First byte in the channel's text.
    pub start: usize,
    /// One past the last byte in the channel's text.
    pub end: usize,
    /// What kind of data.
    pub class: Class,
    /// Which detector.
    pub detector: Arc<str>,
    /// 1 (very unlikely) to 5 (certain).
    pub likelihood: u8,
    /// Whether a checksum proved it.
    pub validated: bool,
    /// Whether it stands inside a string (or plain text); if not, what replaces it must bring its own quotes.
    pub quoted: bool,
    /// What to put in its place: keeps joined JSON valid.
    pub replacement: String,
}

impl StreamScan {
    /// Begins with no channel.
    pub fn new(scanner: Arc<Scanner>) -> Self {
        StreamScan { scanner, channels: BTreeMap::new(), found: Vec::new(), located: Vec::new() }
    }

    /// Appends text to a channel, which begins with its first text. The form is fixed then.
    pub fn push(&mut self, channel: u32, form: Form, text: &str) {
        let state = self.channels.entry(channel).or_insert_with(|| Channel::new(form));
        state.push(&self.scanner.engine, text, &mut self.located);
        self.collect(channel);
    }

    /// Ends a channel: everything in it is decided. Text pushed later continues behind it.
    pub fn end(&mut self, channel: u32) {
        if let Some(state) = self.channels.get_mut(&channel) {
            state.end(&self.scanner.engine, &mut self.located);
            self.collect(channel);
        }
    }

    /// Ends every channel.
    pub fn end_all(&mut self) {
        let channels: Vec<u32> = self.channels.keys().copied().collect();
        channels.into_iter().for_each(|channel| self.end(channel));
    }

    /// Offset in the channel's text before which every finding has been reported and none can still begin.
    pub fn released(&self, channel: u32) -> usize {
        self.channels.get(&channel).map_or(0, Channel::released)
    }

    /// Bytes of the channel that are held back.
    pub fn held(&self, channel: u32) -> usize {
        self.channels.get(&channel).map_or(0, |c| c.consumed() - c.released())
    }

    /// The findings since the last call, in order within each channel.
    pub fn take(&mut self) -> Vec<StreamFinding> {
        std::mem::take(&mut self.found)
    }

    /// Partial when a budget or the hold-back limit was reached.
    pub fn coverage(&self) -> Coverage {
        if self.channels.values().any(|c| c.is_partial) { Coverage::Partial } else { Coverage::Full }
    }

    fn collect(&mut self, channel: u32) {
        for located in self.located.drain(..) {
            let (class, detector) = self.scanner.name(located.hit.detector);
            self.found.push(StreamFinding {
                channel,
                start: located.start,
                end: located.end,
                replacement: replacement(class.as_str(), located.bare_level),
                class,
                detector,
                likelihood: located.hit.likelihood,
                validated: located.hit.validated,
                quoted: located.bare_level.is_none(),
            });
        }
    }
}
