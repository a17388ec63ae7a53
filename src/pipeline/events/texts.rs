//! The texts a stream builds up, one per channel: where they are replaced, and what is committed to.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::json;
use crate::record::commitments::BodyCommitter;
use crate::scan::{Form, StreamScan};

use super::super::splice::{Edit, splice};

/// Channel of event data that is not JSON.
pub(super) const RAW_CHANNEL: u32 = u32::MAX;

/// A string of an event that continues a channel.
pub(super) struct Piece {
    /// The scanner's channel.
    pub(super) channel: u32,
    /// Where it stands in that channel's text.
    pub(super) span: Range<usize>,
    /// Where it stands in the event's data.
    pub(super) place: Range<usize>,
    /// Whether it is a JSON string there.
    pub(super) json: bool,
}

/// Every channel's joined text.
#[derive(Default)]
pub(super) struct Texts {
    channels: BTreeMap<u32, Text>,
    /// Channels decided before their end because too much waited for them; a continuation cannot be joined to them.
    forced: BTreeSet<u32>,
    /// The dialect's channel to the scanner's, for those that went on after being forced.
    continued: BTreeMap<u32, u32>,
    /// Bytes kept for commitments, all channels together.
    kept_bytes: usize,
}

#[derive(Default)]
struct Text {
    length: usize,
    /// Up to where it went out although a match might still have begun there ([`Texts::release_first_word`],
    /// [`Texts::supersede`]).
    early: usize,
    /// Findings to replace, in order.
    replaced: Vec<Edit>,
    /// The text, while there is room for it.
    kept: Option<String>,
}

impl Texts {
    /// Appends to a channel and to the scanner; whether the text could be joined to what came before it.
    pub(super) fn feed(
        &mut self,
        scan: &mut StreamScan,
        channel: u32,
        form: Form,
        text: &str,
    ) -> (u32, Range<usize>, bool) {
        let was = self.continued.get(&channel).copied().unwrap_or(channel);
        let joined = !self.forced.contains(&was);
        let channel = if joined { was } else { self.continue_as(channel) };
        scan.push(channel, form, text);
        let state = self.channels.entry(channel).or_default();
        let start = state.length;
        state.length += text.len();
        if start == 0 {
            state.kept = Some(String::new());
        }
        if self.kept_bytes + text.len() > KEPT_BYTES_MAX {
            state.kept = None;
        }
        if let Some(kept) = &mut state.kept {
            kept.push_str(text);
            self.kept_bytes += text.len();
        }
        (channel, start..start + text.len(), joined)
    }

    /// A number of its own for a channel that goes on after being decided.
    fn continue_as(&mut self, channel: u32) -> u32 {
        let next = CONTINUED_FROM + self.forced.len() as u32 + self.continued.len() as u32;
        self.continued.insert(channel, next);
        next
    }

    /// The channel's text is over.
    pub(super) fn end(&self, scan: &mut StreamScan, channel: u32) {
        scan.end(self.continued.get(&channel).copied().unwrap_or(channel));
    }

    /// Another text of the same choice goes on: a short rest of plain text that this one holds may go out. The scanner
    /// keeps it, so a continuation still joins. What looks like the beginning of a number or key stays held.
    pub(super) fn supersede(&mut self, scan: &StreamScan, channel: u32) {
        let channel = self.continued.get(&channel).copied().unwrap_or(channel);
        let Some(text) = self.channels.get_mut(&channel) else { return };
        let rest = text.kept.as_deref().and_then(|kept| kept.get(scan.released(channel)..)).unwrap_or(UNKNOWN_REST);
        let digits = rest.bytes().filter(u8::is_ascii_digit).count();
        if rest.len() <= SUPERSEDED_BYTES_MAX && digits < SUPERSEDED_DIGITS_MAX && !rest.contains('@') {
            text.early = text.length;
        }
    }

    /// What is held is decided as it stands; a continuation cannot be joined to it.
    fn force(&mut self, scan: &mut StreamScan, channel: u32) {
        if scan.held(channel) > 0 && self.forced.insert(channel) {
            scan.end(channel);
        }
    }

    /// Decides everything that is held.
    pub(super) fn force_all(&mut self, scan: &mut StreamScan) {
        let channels: Vec<u32> = self.channels.keys().copied().collect();
        channels.into_iter().for_each(|channel| self.force(scan, channel));
    }

    /// Whether all there is of a channel is one plain word, as prose begins: a letter and small letters.
    pub(super) fn is_first_word(&self, channel: u32) -> bool {
        let Some(text) = self.channels.get(&channel).filter(|text| text.early == 0) else { return false };
        let word = text.kept.as_deref().unwrap_or_default().as_bytes();
        let (first, rest) = word.split_first().unwrap_or((&b'0', &[]));
        first.is_ascii_alphabetic() && rest.iter().all(u8::is_ascii_lowercase) && word.len() <= FIRST_WORD_BYTES_MAX
    }

    /// Lets a channel's first word go, once. A finding that begins in it is replaced from its end on.
    pub(super) fn release_first_word(&mut self, channel: u32) {
        if let Some(text) = self.channels.get_mut(&channel) {
            text.early = text.length;
        }
    }

    /// Up to where a channel's text may go out.
    pub(super) fn released(&self, scan: &StreamScan, channel: u32) -> usize {
        scan.released(channel).max(self.channels.get(&channel).map_or(0, |text| text.early))
    }

    /// Notes a replacement in a channel.
    pub(super) fn replace(&mut self, channel: u32, mut edit: Edit) {
        let text = self.channels.entry(channel).or_default();
        edit.span.start = edit.span.start.max(text.early);
        if edit.span.is_empty() {
            return;
        }
        let replaced = &mut text.replaced;
        let at = replaced.partition_point(|known| known.span.start <= edit.span.start);
        replaced.insert(at, edit);
    }

    /// The parts of replacements that fall into this piece, in offsets of the event's data.
    pub(super) fn edits<'t>(&'t self, piece: &'t Piece, data: &'t str) -> impl Iterator<Item = Edit> + 't {
        let replaced = self.channels.get(&piece.channel).map_or(&[][..], |text| &text.replaced);
        let first = replaced.partition_point(|edit| edit.span.end <= piece.span.start);
        let map = piece.json.then(|| data.get(piece.place.clone()).map(|raw| json::decode(raw).map)).flatten();
        replaced[first..].iter().take_while(|edit| edit.span.start < piece.span.end).map(move |edit| {
            let start = edit.span.start.max(piece.span.start) - piece.span.start;
            let end = edit.span.end.min(piece.span.end) - piece.span.start;
            let begins_here = edit.span.start >= piece.span.start;
            let text = if begins_here { edit.text.as_str() } else { "" };
            let at = |offset| piece.place.start + map.as_ref().map_or(offset, |map| map.source(offset));
            let escaped = || text.replace('\\', "\\\\").replace('"', "\\\"");
            let text = if piece.json { escaped() } else { text.to_owned() };
            Edit { span: at(start)..at(end), text }
        })
    }

    /// How many channels hold text.
    pub(super) fn count(&self) -> u64 {
        self.channels.values().filter(|text| text.length > 0).count() as u64
    }

    /// Commits to the text of every channel as the vendor gave it, or as the caller got it.
    pub(super) fn commit(&self, committer: &mut BodyCommitter, replaced: bool) {
        for (channel, text) in &self.channels {
            let Some(kept) = &text.kept else { continue };
            let pointer = pointer(*channel);
            if replaced {
                let delivered = splice(kept.as_bytes(), text.replaced.clone());
                committer.part(&pointer, &String::from_utf8_lossy(&delivered));
            } else {
                committer.part(&pointer, kept);
            }
        }
    }
}

/// How a channel is named in commitments and findings.
pub(super) fn pointer(channel: u32) -> String {
    if channel == RAW_CHANNEL { "/stream/raw".to_owned() } else { format!("/stream/{channel}") }
}

/// Text kept for commitments, all channels of a stream together, bytes.
const KEPT_BYTES_MAX: usize = 1 << 20;

/// Longest first word that may go out before it is decided, bytes: what an e-mail address could lose of its beginning,
/// in exchange for a first token that does not wait for the second.
const FIRST_WORD_BYTES_MAX: usize = 12;

/// Longest rest that may go out undecided when another field goes on, bytes: a word.
const SUPERSEDED_BYTES_MAX: usize = 16;

/// Digits from which on such a rest could be the beginning of a number that must not leak.
const SUPERSEDED_DIGITS_MAX: usize = 4;

/// Stands for a rest that was not kept: it stays held.
const UNKNOWN_REST: &str = "@";

/// First number of channels that went on after being decided; dialects number from 0 to 16,384.
const CONTINUED_FROM: u32 = 1 << 20;
