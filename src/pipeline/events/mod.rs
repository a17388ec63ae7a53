//! The events of one stream between arrival and release.
//!
//! Every string that continues a text is fed to the scanner under its channel; every other string is scanned alone.
//! An event leaves when each of its strings lies wholly before the point from which a match could still begin; it
//! leaves unchanged unless a finding is to be replaced in it, and then differs only inside the replaced span. One
//! event in, one event out, in order. Policy is asked again whenever what it could read has changed. What cannot be
//! read or joined lowers the coverage, and policy decides on that.

mod conclude;
mod texts;

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;

use crate::env::Stopwatch;
use crate::json::Document;
use crate::record::commitments::{BodyCommitter, Commitments};
use crate::scan::{Finding, Form, StreamScan};
use crate::types::{AnswerVerdict, Class, Coverage};
use crate::vendor::sse::{Frame, FrameTooLong, Framer};
use crate::vendor::{DeltaForm, EventView, StreamReader};

use super::forward::Exchange;
use super::inspect::{AnswerRuling, Looked, ask};
use super::sections::FindingNote;
use super::splice::{Edit, ordered};

use texts::{Piece, RAW_CHANNEL, Texts, pointer};

/// The state of one stream.
pub(super) struct Events {
    framer: Framer,
    reader: Box<dyn StreamReader>,
    scan: StreamScan,
    texts: Texts,
    /// Events that have not left, in order, and their bytes.
    queue: VecDeque<Pending>,
    queued_bytes: usize,
    classes: BTreeSet<Class>,
    /// A finding that is to be replaced stands where it cannot be.
    stuck: bool,
    /// The answer's text stands in it a second time, in a form that cannot be redacted (log probabilities).
    repeats: bool,
    /// Something is to be replaced.
    replaces: bool,
    coverage: Coverage,
    /// What policy said last, and of what.
    ruling: AnswerRuling,
    asked: Asked,
    /// Findings, and whether they are to be replaced.
    notes: Vec<(FindingNote, bool)>,
    /// The terminal event and what came after it.
    tail: Vec<Bytes>,
    ended: bool,
    error: bool,
    changed: bool,
    answered_bytes: u64,
    delivered_bytes: u64,
    commitments: Commitments,
    answered: BodyCommitter,
    delivered: BodyCommitter,
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

/// An event that waits.
struct Pending {
    frame: Frame,
    strings: Vec<Piece>,
    /// Edits of strings that stand for themselves, in offsets of `data`.
    fixed: Vec<Edit>,
    since: Stopwatch,
    terminal: bool,
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
            texts: Texts::default(),
            queue: VecDeque::new(),
            queued_bytes: 0,
            classes: BTreeSet::new(),
            stuck: false,
            repeats: false,
            replaces: false,
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
            answered: commitments.body(),
            delivered: commitments.body(),
            commitments,
        }
    }

    /// Bytes as they came from the vendor.
    pub(super) fn received(&mut self, bytes: &Bytes) {
        self.answered_bytes += bytes.len() as u64;
        self.answered.update(bytes);
    }

    /// Bytes that went to the caller.
    pub(super) fn delivered(&mut self, bytes: &Bytes) {
        self.delivered_bytes += bytes.len() as u64;
        self.delivered.update(bytes);
    }

    /// Whether the terminal event has been seen.
    pub(super) fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether what follows the terminal event is more than anybody needs.
    pub(super) fn is_overrun(&self) -> bool {
        self.tail.iter().map(Bytes::len).sum::<usize>() > TAIL_BYTES_MAX
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
        if !frame.side.is_empty() {
            self.beside(exchange, &frame.side);
        }
        let since = Stopwatch::start();
        let mut pending = Pending { frame, strings: Vec::new(), fixed: Vec::new(), since, terminal: false };
        let Frame { data, event, .. } = &pending.frame;
        if !data.is_empty() || event.is_some() {
            let (data, event) = (data.clone(), event.clone());
            let document = Document::parse(data.as_bytes()).ok();
            let view = self.reader.event(event.as_deref(), document.as_ref(), &data);
            match &document {
                Some(document) => self.read(exchange, document, &view, &mut pending),
                None => self.read_raw(&data, &mut pending),
            }
            self.follow(&view, &mut pending);
        }
        self.queued_bytes += pending.frame.raw.len();
        self.queue.push_back(pending);
    }

    /// Feeds an event's strings to the scanner.
    fn read(&mut self, exchange: &Exchange, document: &Document<'_>, view: &EventView, pending: &mut Pending) {
        let mut places = Vec::new();
        for delta in &view.deltas {
            let Some(value) = document.value(delta.node) else { continue };
            let form = if delta.form == DeltaForm::Json { Form::Json } else { Form::Text };
            let text = value.as_str().unwrap_or_default();
            let (channel, span, joined) = self.texts.feed(&mut self.scan, delta.channel, form, &text);
            if !joined {
                self.cover(Coverage::Partial);
            }
            places.push(value.range());
            pending.strings.push(Piece { channel, span, place: value.range(), json: true });
        }
        self.repeats |= exchange.case.dialect.repeats_text(document);
        let scan = exchange.case.pinned.scanner.document(document);
        self.cover(scan.coverage);
        let vendor = exchange.case.vendor_name();
        let in_delta =
            |finding: &&Finding| !places.iter().any(|place| place.start <= finding.start && finding.end <= place.end);
        for finding in scan.findings.iter().filter(in_delta) {
            let redact = exchange.case.pinned.policy.redacts(&finding.class, &vendor);
            self.found(FindingNote::of(finding, ""), redact, finding.is_redactable());
            if redact {
                pending.fixed.push(Edit { span: finding.start..finding.end, text: finding.replacement() });
            }
        }
    }

    /// Data that is not JSON (keep-alives, usually): scanned as one text with all other such data. Where a laxer parser
    /// than ours could read JSON in it, nobody knows what it would see.
    fn read_raw(&mut self, data: &str, pending: &mut Pending) {
        let trimmed = data.trim();
        if trimmed == "[DONE]" {
            return;
        }
        if trimmed.starts_with(['{', '[', '"']) {
            self.cover(Coverage::None);
        }
        let (channel, span, _) = self.texts.feed(&mut self.scan, RAW_CHANNEL, Form::Text, data);
        pending.strings.push(Piece { channel, span, place: 0..data.len(), json: false });
    }

    /// What an event means beyond its strings. An error event ends the stream for SDKs, so it waits like the terminal one.
    fn follow(&mut self, view: &EventView, pending: &mut Pending) {
        for channel in &view.superseded {
            self.texts.supersede(&self.scan, *channel);
        }
        for channel in &view.ended {
            self.texts.end(&mut self.scan, *channel);
        }
        if view.overflow {
            self.cover(Coverage::Partial);
        }
        pending.terminal = view.terminal || view.error;
        self.ended |= view.terminal;
        self.error |= view.error;
    }

    /// Text outside of the data (comments, unknown fields) cannot be redacted: a finding there is policy's to judge.
    fn beside(&mut self, exchange: &Exchange, side: &str) {
        let vendor = exchange.case.vendor_name();
        let scan = exchange.case.pinned.scanner.text(side);
        self.cover(scan.coverage);
        for finding in &scan.findings {
            let redact = exchange.case.pinned.policy.redacts(&finding.class, &vendor);
            self.found(FindingNote::of(finding, ""), redact, false);
        }
    }

    fn cover(&mut self, coverage: Coverage) {
        self.coverage = self.coverage.max(coverage);
    }

    fn found(&mut self, note: FindingNote, redact: bool, redactable: bool) {
        self.classes.insert(note.class.clone());
        self.replaces |= redact;
        self.stuck |= redact && !redactable;
        if self.notes.len() < NOTES_MAX {
            self.notes.push((note, redact));
        }
    }

    /// Takes what the scanner has decided, and asks policy again if that is news.
    fn decide(&mut self, exchange: &Exchange) {
        let vendor = exchange.case.vendor_name();
        for finding in self.scan.take() {
            let redact = exchange.case.pinned.policy.redacts(&finding.class, &vendor);
            let note = FindingNote {
                pointer: pointer(finding.channel),
                class: finding.class,
                detector: finding.detector,
                likelihood: finding.likelihood,
                validated: finding.validated,
                action: "",
            };
            self.found(note, redact, true);
            if redact {
                self.texts
                    .replace(finding.channel, Edit { span: finding.start..finding.end, text: finding.replacement });
            }
        }
        self.cover(self.scan.coverage());
        let view = self.reader.view();
        let state = Asked {
            classes: self.classes.len(),
            coverage: self.coverage,
            tools: view.tools.len(),
            redactable: self.is_redactable(),
            model: view.model.is_some(),
        };
        if state != self.asked {
            self.asked = state;
            self.ruling = ask(exchange, &self.looked(exchange), true, self.delivered_bytes > 0);
        }
    }

    fn is_redactable(&self) -> bool {
        !(self.stuck || self.repeats && self.replaces)
    }

    fn looked(&self, exchange: &Exchange) -> Looked {
        let classes = self.classes.iter().cloned().collect();
        Looked::new(exchange, self.reader.view(), classes, self.coverage, self.is_redactable())
    }

    /// What may go to the caller now. Where too much waits for something that is held, that is decided as it stands.
    pub(super) fn ready(&mut self, exchange: &Exchange) -> VecDeque<Bytes> {
        let mut out = self.released(exchange);
        if !self.is_cut() && (self.queued_bytes > QUEUE_BYTES_MAX || self.queue.len() > QUEUE_EVENTS_MAX) {
            self.texts.force_all(&mut self.scan);
            self.cover(Coverage::Partial);
            out.extend(self.released(exchange));
        }
        out
    }

    fn released(&mut self, exchange: &Exchange) -> VecDeque<Bytes> {
        self.decide(exchange);
        let mut out = VecDeque::new();
        while !self.is_cut() && self.queue.front().is_some_and(|event| self.is_released(event)) {
            let Some(event) = self.queue.pop_front() else { break };
            self.queued_bytes -= event.frame.raw.len();
            exchange.case.gate.parts.metrics.stream_hold.observe(event.since.elapsed().as_secs_f64());
            let last = event.terminal || !self.tail.is_empty();
            let bytes = self.render(event);
            if last {
                self.tail.push(bytes);
            } else {
                out.push_back(bytes);
            }
        }
        out
    }

    fn is_released(&self, event: &Pending) -> bool {
        event.strings.iter().all(|piece| self.texts.released(&self.scan, piece.channel) >= piece.span.end)
    }

    /// Whether the oldest event waits only because an answer's very first word might be the beginning of something.
    pub(super) fn first_word_waits(&self) -> bool {
        let held = |piece: &&Piece| self.texts.released(&self.scan, piece.channel) < piece.span.end;
        let Some(event) = self.queue.front() else { return false };
        let mut waiting = event.strings.iter().filter(held).peekable();
        waiting.peek().is_some() && waiting.all(|piece| self.texts.is_first_word(piece.channel))
    }

    /// Lets it go.
    pub(super) fn release_first_word(&mut self) {
        let channels: Vec<u32> = self.queue.front().into_iter().flat_map(|e| &e.strings).map(|p| p.channel).collect();
        for channel in channels.into_iter().filter(|channel| self.texts.is_first_word(*channel)).collect::<Vec<_>>() {
            self.texts.release_first_word(channel);
        }
    }

    /// The event's bytes, changed only inside what is replaced.
    fn render(&mut self, event: Pending) -> Bytes {
        let mut edits = event.fixed;
        for piece in &event.strings {
            edits.extend(self.texts.edits(piece, &event.frame.data));
        }
        if self.ruling.act != AnswerVerdict::ReleaseRedacted || edits.is_empty() {
            return event.frame.raw;
        }
        self.changed = true;
        event.frame.splice(&ordered(edits)).into()
    }

    /// The vendor's body is over: what is held is decided as it stands. Of a body that broke off, an unfinished event
    /// is dropped, as clients do.
    pub(super) fn finish(&mut self, exchange: &Exchange, broken: bool) -> VecDeque<Bytes> {
        if let Some(frame) = self.framer.finish().filter(|_| !broken) {
            self.take(exchange, frame);
        }
        self.scan.end_all();
        self.ready(exchange)
    }
}

/// Findings noted of one stream; the classes go on being collected.
const NOTES_MAX: usize = 1000;

/// Bytes of events that may wait for one that is held; over it everything is decided, and the coverage is partial.
const QUEUE_BYTES_MAX: usize = 1 << 20;

/// Events that may wait, likewise.
const QUEUE_EVENTS_MAX: usize = 4096;

/// Bytes kept of what follows the terminal event.
const TAIL_BYTES_MAX: usize = 64 * 1024;
