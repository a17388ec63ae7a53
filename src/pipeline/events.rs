//! The events of one stream between arrival and release.
//!
//! Every string that continues a text is fed to the scanner under its channel; every other string is scanned alone.
//! An event leaves when each of its strings lies wholly before the point from which a match could still begin; it
//! leaves unchanged unless a finding is to be replaced in it, and then differs only inside the replaced span. One
//! event in, one event out, in order. Policy is asked again whenever what it could read has changed.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;

use bytes::Bytes;

use crate::env::Stopwatch;
use crate::json::{self, Document, OffsetMap};
use crate::record::commitments::{Body, BodyCommitter, Commitments};
use crate::scan::{Finding, Form, StreamScan};
use crate::types::{AnswerOutcome, AnswerVerdict, Class, Coverage};
use crate::vendor::sse::{Frame, FrameTooLong, Framer};
use crate::vendor::{DeltaForm, StreamReader};

use super::forward::Exchange;
use super::inspect::{AnswerRuling, Ending, Looked, ask};
use super::sections::{AnswerParts, FindingNote};
use super::splice::{Edit, splice};

/// The state of one stream.
pub(super) struct Events {
    framer: Framer,
    reader: Box<dyn StreamReader>,
    scan: StreamScan,
    /// Events that have not left, in order.
    queue: VecDeque<Pending>,
    /// Per channel of the dialect; the last one is for data that is not JSON.
    channels: Vec<Channel>,
    classes: BTreeSet<Class>,
    redactable: bool,
    coverage: Coverage,
    /// What policy said last, and of what.
    ruling: AnswerRuling,
    asked: Asked,
    notes: Vec<FindingNote>,
    /// The terminal event and what came after it.
    tail: Vec<Bytes>,
    ended: bool,
    error: bool,
    changed: bool,
    answered_bytes: u64,
    delivered_bytes: u64,
    commitments: Commitments,
    answered: Option<BodyCommitter>,
    delivered: Option<BodyCommitter>,
}

/// What policy was last asked about; each of these only grows.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Asked {
    classes: usize,
    coverage: Coverage,
    tools: usize,
    redactable: bool,
    model: bool,
}

/// One channel's joined text.
#[derive(Default)]
struct Channel {
    length: usize,
    replaced: Vec<Replacement>,
    /// The text, for the commitment, up to [`COMMITTED_BYTES_MAX`].
    text: String,
}

/// A finding that is replaced, in its channel's offsets.
struct Replacement {
    span: Range<usize>,
    text: String,
}

/// An event that waits.
struct Pending {
    raw: Bytes,
    data: String,
    map: OffsetMap,
    strings: Vec<Piece>,
    /// Edits of strings that stand for themselves, in offsets of `data`.
    fixed: Vec<Edit>,
    since: Stopwatch,
    terminal: bool,
}

/// A string of an event that continues a channel.
struct Piece {
    channel: u32,
    span: Range<usize>,
    /// Where it stands in the event's data.
    place: Range<usize>,
    json: bool,
}

impl Events {
    /// A stream of which nothing has arrived.
    pub(super) fn new(exchange: &Exchange, first: AnswerRuling) -> Self {
        let case = &exchange.case;
        let commitments = Commitments::new();
        Events {
            framer: Framer::new(),
            reader: case.dialect.stream(&case.operation),
            scan: StreamScan::new(case.pinned.scanner.clone()),
            queue: VecDeque::new(),
            channels: Vec::new(),
            classes: BTreeSet::new(),
            redactable: true,
            coverage: Coverage::Full,
            ruling: first,
            asked: Asked { classes: 0, coverage: Coverage::Full, tools: 0, redactable: true, model: false },
            notes: Vec::new(),
            tail: Vec::new(),
            ended: false,
            error: false,
            changed: false,
            answered_bytes: 0,
            delivered_bytes: 0,
            answered: Some(commitments.body()),
            delivered: Some(commitments.body()),
            commitments,
        }
    }

    /// Bytes as they came from the vendor.
    pub(super) fn received(&mut self, bytes: &Bytes) {
        self.answered_bytes += bytes.len() as u64;
        if let Some(answered) = &mut self.answered {
            answered.update(bytes);
        }
    }

    /// Bytes that went to the caller.
    pub(super) fn delivered(&mut self, bytes: u64) {
        self.delivered_bytes += bytes;
    }

    /// Whether the terminal event has been seen.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the vendor reported an error in the stream.
    pub(super) fn has_error(&self) -> bool {
        self.error
    }

    /// Whether policy stopped the stream.
    pub(super) fn is_cut(&self) -> bool {
        self.ruling.act == AnswerVerdict::Withhold
    }

    /// Takes decoded bytes in.
    pub(super) fn push(&mut self, exchange: &Exchange, bytes: &Bytes) -> Result<(), FrameTooLong> {
        self.framer.push(bytes);
        while let Some(frame) = self.framer.next_frame()? {
            self.take(exchange, frame);
        }
        Ok(())
    }

    fn take(&mut self, exchange: &Exchange, frame: Frame) {
        let Frame { raw, event, data, map, side } = frame;
        let mut pending = Pending {
            raw,
            data,
            map,
            strings: Vec::new(),
            fixed: Vec::new(),
            since: Stopwatch::start(),
            terminal: false,
        };
        if !side.is_empty() {
            self.beside(exchange, &side);
        }
        if !pending.data.is_empty() || event.is_some() {
            self.read(exchange, event.as_deref(), &mut pending);
        }
        self.queue.push_back(pending);
    }

    /// Reads one event: feeds its strings to the scanner.
    fn read(&mut self, exchange: &Exchange, event: Option<&str>, pending: &mut Pending) {
        let data = std::mem::take(&mut pending.data);
        let document = Document::parse(data.as_bytes()).ok();
        let view = self.reader.event(event, document.as_ref(), &data);
        let mut places = Vec::new();
        if let Some(document) = &document {
            for delta in &view.deltas {
                let Some(value) = document.value(delta.node) else { continue };
                let form = if delta.form == DeltaForm::Json { Form::Json } else { Form::Text };
                let text = value.as_str().unwrap_or_default();
                let span = self.feed(delta.channel, form, &text);
                places.push(value.range());
                pending.strings.push(Piece { channel: delta.channel, span, place: value.range(), json: true });
            }
            let scan = exchange.case.pinned.scanner.document(document);
            self.coverage = self.coverage.max(scan.coverage);
            self.alone(exchange, &scan.findings, &places, pending);
        } else if !view.terminal {
            let span = self.feed(RAW_CHANNEL, Form::Text, &data);
            pending.strings.push(Piece { channel: RAW_CHANNEL, span, place: 0..data.len(), json: false });
        }
        for channel in &view.ended {
            self.scan.end(*channel);
        }
        if view.overflow {
            self.coverage = self.coverage.max(Coverage::Partial);
        }
        pending.terminal = view.terminal;
        self.ended |= view.terminal;
        self.error |= view.error;
        pending.data = data;
    }

    /// Text outside of the data (comments, unknown fields) cannot be redacted: a finding there is policy's to judge.
    fn beside(&mut self, exchange: &Exchange, side: &str) {
        let vendor = exchange.case.vendor_name();
        let scan = exchange.case.pinned.scanner.text(side);
        self.coverage = self.coverage.max(scan.coverage);
        for finding in &scan.findings {
            self.redactable &= !exchange.case.pinned.policy.redacts(&finding.class, &vendor);
            self.classes.insert(finding.class.clone());
            self.note(FindingNote::of(finding, "none"));
        }
    }

    fn feed(&mut self, channel: u32, form: Form, text: &str) -> Range<usize> {
        self.scan.push(channel, form, text);
        let channel = self.channel(channel);
        let start = channel.length;
        channel.length += text.len();
        if channel.length <= COMMITTED_BYTES_MAX {
            channel.text.push_str(text);
        }
        start..start + text.len()
    }

    fn channel(&mut self, channel: u32) -> &mut Channel {
        let slot = if channel == RAW_CHANNEL { 0 } else { channel as usize + 1 };
        if self.channels.len() <= slot {
            self.channels.resize_with(slot + 1, Channel::default);
        }
        &mut self.channels[slot]
    }

    /// Findings in strings that stand for themselves are known at once.
    fn alone(&mut self, exchange: &Exchange, findings: &[Finding], deltas: &[Range<usize>], pending: &mut Pending) {
        let vendor = exchange.case.vendor_name();
        for finding in findings {
            if deltas.iter().any(|delta| delta.start <= finding.start && finding.end <= delta.end) {
                continue;
            }
            let redact = exchange.case.pinned.policy.redacts(&finding.class, &vendor);
            self.redactable &= finding.is_redactable() || !redact;
            self.classes.insert(finding.class.clone());
            self.note(FindingNote::of(finding, if redact { "redacted" } else { "none" }));
            if redact {
                pending.fixed.push(Edit { span: finding.start..finding.end, text: finding.replacement() });
            }
        }
    }

    fn note(&mut self, note: FindingNote) {
        if self.notes.len() < NOTES_MAX {
            self.notes.push(note);
        }
    }

    /// Takes what the scanner has decided, and asks policy again if that is news.
    fn decide(&mut self, exchange: &Exchange) {
        let vendor = exchange.case.vendor_name();
        for finding in self.scan.take() {
            let redact = exchange.case.pinned.policy.redacts(&finding.class, &vendor);
            self.note(FindingNote {
                pointer: format!("/stream/{}", finding.channel),
                class: finding.class.clone(),
                detector: finding.detector.clone(),
                likelihood: finding.likelihood,
                validated: finding.validated,
                action: if redact { "redacted" } else { "none" },
            });
            self.classes.insert(finding.class.clone());
            if redact {
                let text = finding.replacement;
                let channel = self.channel(finding.channel);
                channel.replaced.push(Replacement { span: finding.start..finding.end, text });
            }
        }
        self.coverage = self.coverage.max(self.scan.coverage());
        let view = self.reader.view();
        let state = Asked {
            classes: self.classes.len(),
            coverage: self.coverage,
            tools: view.tools.len(),
            redactable: self.redactable,
            model: view.model.is_some(),
        };
        if state != self.asked {
            self.asked = state;
            self.ruling = ask(exchange, &self.looked(exchange), true, self.delivered_bytes > 0);
        }
    }

    fn looked(&self, exchange: &Exchange) -> Looked {
        let classes = self.classes.iter().cloned().collect();
        Looked::new(exchange, self.reader.view(), classes, self.coverage, self.redactable)
    }

    /// What may go to the caller now.
    pub(super) fn ready(&mut self, exchange: &Exchange) -> VecDeque<Bytes> {
        self.decide(exchange);
        let mut out = VecDeque::new();
        while !self.is_cut() && self.queue.front().is_some_and(|event| self.is_released(event)) {
            let Some(event) = self.queue.pop_front() else { break };
            exchange.case.gate.parts.metrics.stream_hold.observe(event.since.elapsed().as_secs_f64());
            let last = event.terminal || !self.tail.is_empty();
            let bytes = self.render(event);
            if let Some(delivered) = &mut self.delivered {
                delivered.update(&bytes);
            }
            if last {
                self.tail.push(bytes);
            } else {
                out.push_back(bytes);
            }
        }
        out
    }

    fn is_released(&self, event: &Pending) -> bool {
        event.strings.iter().all(|piece| self.scan.released(piece.channel) >= piece.span.end)
    }

    /// The event's bytes, changed only inside what is replaced.
    fn render(&mut self, event: Pending) -> Bytes {
        if self.ruling.act != AnswerVerdict::ReleaseRedacted {
            return event.raw;
        }
        let mut edits = event.fixed;
        for piece in &event.strings {
            let slot = if piece.channel == RAW_CHANNEL { 0 } else { piece.channel as usize + 1 };
            let replaced = self.channels.get(slot).map_or(&[][..], |channel| &channel.replaced);
            edits.extend(replaced.iter().filter_map(|replacement| edit(piece, replacement, &event.data)));
        }
        if edits.is_empty() {
            return event.raw;
        }
        self.changed = true;
        for edit in &mut edits {
            edit.span = event.map.source(edit.span.start)..event.map.source(edit.span.end);
        }
        splice(&event.raw, edits).into()
    }

    /// The vendor's body is over: what is held is decided as it stands.
    pub(super) fn finish(&mut self, exchange: &Exchange) -> VecDeque<Bytes> {
        if let Some(frame) = self.framer.finish() {
            self.take(exchange, frame);
        }
        self.scan.end_all();
        self.ready(exchange)
    }

    /// Fills in what the completion says, and gives what is left to deliver once it is durable.
    /// Nothing is left for a caller that is `gone`.
    pub(super) fn conclude(
        mut self,
        exchange: &Exchange,
        ending: &mut Ending,
        media: Option<String>,
        gone: bool,
    ) -> Vec<Bytes> {
        let looked = self.looked(exchange);
        if !self.is_cut() && !gone {
            self.ruling = ask(exchange, &looked, true, self.delivered_bytes > 0);
        }
        ending.ruled(&self.ruling);
        let mut tail = std::mem::take(&mut self.tail);
        ending.outcome = if self.changed { AnswerOutcome::Redacted } else { AnswerOutcome::Released };
        if self.is_cut() {
            ending.outcome = AnswerOutcome::Cut;
            let message =
                format!("the rest of this answer was withheld by policy (rules: {})", self.ruling.rules.join(", "));
            let refusal = exchange.case.refusal_of(self.ruling.reason, message);
            tail = vec![exchange.case.dialect.stream_refusal(&refusal).into()];
            if let Some(delivered) = &mut self.delivered {
                tail.iter().for_each(|piece| delivered.update(piece));
            }
        }
        if gone {
            tail.clear();
        }
        ending.label = looked.label;
        ending.classes = looked.classes;
        ending.coverage = looked.coverage;
        ending.findings = std::mem::take(&mut self.notes);
        ending.view = self.reader.view().clone();
        ending.answered_bytes = self.answered_bytes;
        ending.delivered_bytes = self.delivered_bytes + tail.iter().map(|piece| piece.len() as u64).sum::<u64>();
        ending.parts = self.commit(media, gone);
        tail
    }

    /// Commitments: of a caller that went away only the answer is known, not how much of it was read.
    fn commit(mut self, media: Option<String>, gone: bool) -> AnswerParts {
        let count = self.channels.iter().filter(|channel| channel.length > 0).count() as u64;
        let changed = self.changed || self.is_cut();
        let (Some(mut answered), Some(mut delivered)) = (self.answered.take(), self.delivered.take()) else {
            return AnswerParts::default();
        };
        for (number, channel) in self.channels.iter().enumerate().filter(|(_, channel)| channel.length > 0) {
            if channel.length > COMMITTED_BYTES_MAX {
                continue;
            }
            let pointer = format!("/stream/{}", number as i64 - 1);
            answered.part(&pointer, &channel.text);
            let edits = channel.replaced.iter().map(|r| Edit { span: r.span.clone(), text: r.text.clone() }).collect();
            delivered.part(&pointer, &String::from_utf8_lossy(&splice(channel.text.as_bytes(), edits)));
        }
        if changed || gone {
            self.commitments.set(Body::Answered, answered.finish());
        }
        if !gone {
            self.commitments.set(Body::Delivered, delivered.finish());
        }
        AnswerParts { section: Some(self.commitments.finish()), count, media, stream: true }
    }
}

/// The part of a replacement that falls into this piece, in offsets of the event's data.
fn edit(piece: &Piece, replacement: &Replacement, data: &str) -> Option<Edit> {
    let start = replacement.span.start.max(piece.span.start);
    let end = replacement.span.end.min(piece.span.end);
    if start >= end {
        return None;
    }
    let begins_here = replacement.span.start >= piece.span.start;
    let text = if begins_here { replacement.text.clone() } else { String::new() };
    let (start, end) = (start - piece.span.start, end - piece.span.start);
    if !piece.json {
        return Some(Edit { span: piece.place.start + start..piece.place.start + end, text });
    }
    let map = json::decode(data.get(piece.place.clone())?).map;
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    Some(Edit { span: piece.place.start + map.source(start)..piece.place.start + map.source(end), text })
}

/// Channel of event data that is not JSON.
const RAW_CHANNEL: u32 = u32::MAX;

/// Longest channel text that is kept for its commitment, bytes.
const COMMITTED_BYTES_MAX: usize = 256 * 1024;

/// Findings noted of one stream; the classes go on being collected.
const NOTES_MAX: usize = 1000;
