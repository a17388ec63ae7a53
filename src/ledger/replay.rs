//! Reads a whole log from its first byte and says how far it holds: tree, checkpoints, sections, keys in order,
//! one completion a decision. Record signatures are left to `records verify`: the checkpoints cover their lines.

use std::collections::BTreeMap;
use std::path::Path;

use crate::record::tree::Frontier;
use crate::record::{
    Checkpoint, Head, Kind, Line, PublicKey, RecordLine, SectionRefs, SectionsLine, SignedNote, leaf_hash,
    signing_input,
};
use crate::store::read::{Lines, RawLine};
use crate::store::{SegmentFile, StoreError};
use crate::types::{Digest, RequestId};

use super::error::Damage;
use super::events::OpenDecision;

/// The log up to its last valid checkpoint.
#[derive(Debug, Default)]
pub(super) struct Committed {
    pub(super) frontier: Frontier,
    pub(super) open: BTreeMap<u64, OpenDecision>,
    /// The segment that checkpoint is in, and the offset behind its line.
    pub(super) end: Option<(SegmentFile, u64)>,
    /// Decisions of the whole log.
    pub(super) decisions: u64,
    /// Records of that segment.
    pub(super) segment_records: u64,
    /// Checkpoint lines.
    pub(super) groups: u64,
    /// Kind and UTC day of the last record.
    pub(super) last: Option<(Kind, i64)>,
    /// The configuration digest of the last boot.
    pub(super) config: Option<String>,
    epoch: Option<PublicKey>,
}

/// Why reading stopped.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) damage: Damage,
    /// The bytes are whole and signed and still make no sense: no crash does that.
    pub(super) signed: bool,
}

enum Change {
    Opened(u64, OpenDecision),
    Closed { decision: u64, request: RequestId },
}

/// What a line did wrong.
enum Wrong {
    Bytes(String),
    Sense(String),
}

fn bytes(why: impl Into<String>) -> Wrong {
    Wrong::Bytes(why.into())
}

/// Reads a log.
pub(super) struct Replay<'a> {
    origin: &'a str,
    log_key: &'a PublicKey,
    published: Option<&'a Checkpoint>,
    pub(super) committed: Committed,
    frontier: Frontier,
    epoch: Option<PublicKey>,
    /// What the group being read will change once its checkpoint holds.
    changes: Vec<Change>,
    group_records: u64,
    segment_records: u64,
    last: Option<(Kind, i64)>,
    config: Option<String>,
    /// Sections that the next line must bring.
    awaited: Option<(u64, SectionRefs)>,
    published_seen: bool,
}

impl<'a> Replay<'a> {
    pub(super) fn new(origin: &'a str, log_key: &'a PublicKey, published: Option<&'a Checkpoint>) -> Self {
        Replay {
            origin,
            log_key,
            published,
            committed: Committed::default(),
            frontier: Frontier::new(),
            epoch: None,
            changes: Vec::new(),
            group_records: 0,
            segment_records: 0,
            last: None,
            config: None,
            awaited: None,
            published_seen: false,
        }
    }

    /// Reads the segments in order until the end or the first fault.
    pub(super) fn read(&mut self, segments: &[SegmentFile]) -> Result<Option<Fault>, StoreError> {
        for segment in segments {
            let between = if self.group_records > 0 { Some("the segment before ends inside a group") } else { None };
            let misnamed = (segment.first != self.frontier.len()).then_some("is not named after its first record");
            if let Some(why) = between.or(misnamed) {
                return Ok(Some(self.fault(&segment.path, 0, None, bytes(why))));
            }
            self.segment_records = 0;
            if let Some(fault) = self.read_segment(segment)? {
                return Ok(Some(fault));
            }
        }
        Ok(None)
    }

    /// Whether the published checkpoint is one of the log's own, or there is none.
    pub(super) fn holds_published(&self) -> bool {
        self.published.is_none() || self.published_seen
    }

    fn read_segment(&mut self, segment: &SegmentFile) -> Result<Option<Fault>, StoreError> {
        let mut lines = Lines::open(&segment.path, 0)?;
        let mut number = 0u64;
        while let Some(raw) = lines.next_line()? {
            number += 1;
            let mut id = None;
            let result = self.line(segment, &raw, &mut id);
            if let Err(wrong) = result {
                return Ok(Some(self.fault(&segment.path, number, id, wrong)));
            }
        }
        Ok(None)
    }

    fn line(&mut self, segment: &SegmentFile, raw: &RawLine, id: &mut Option<String>) -> Result<(), Wrong> {
        if !raw.terminated {
            return Err(bytes("the line has no end, or is too long"));
        }
        match Line::parse(&raw.bytes).map_err(|error| bytes(error.to_string()))? {
            Line::Record(record) => {
                *id = Some(record.head.id().to_string());
                self.record(&raw.bytes, &record)
            }
            Line::Sections(sections) => self.sections(&sections),
            Line::Checkpoint(note) => self.checkpoint(segment, raw, &note),
        }
    }

    fn record(&mut self, line: &[u8], record: &RecordLine) -> Result<(), Wrong> {
        if self.awaited.is_some() {
            return Err(bytes("the sections of the record before are missing"));
        }
        let index = self.frontier.len();
        match &record.head {
            Head::Event(event) if event.kind == Kind::KeyCertified => {
                if self.group_records > 0 {
                    return Err(bytes("a key is certified inside a group"));
                }
                let head = line.get(record.head_bytes.clone()).unwrap_or_default();
                let signed = self.log_key.verify(&signing_input(self.origin, index, head), &record.sig);
                signed.map_err(|_| bytes("the certified key is not signed by the log key"))?;
                let public = event.text("public").unwrap_or_default();
                self.epoch = Some(PublicKey::from_base64(public).map_err(|error| bytes(error.to_string()))?);
            }
            _ if self.epoch.as_ref().is_none_or(|epoch| epoch.id() != record.key) => {
                return Err(bytes("the record is signed by another key than the one certified"));
            }
            Head::Completion(head) => {
                self.changes.push(Change::Closed { decision: head.decision, request: head.request });
            }
            Head::Event(event) if event.kind == Kind::Boot => self.config = event.text("config").map(str::to_owned),
            Head::Event(_) => {}
            Head::Decision(_) => {
                self.changes.extend(OpenDecision::of(&record.head).map(|open| Change::Opened(index, open)));
            }
        }
        if !record.head.sections().is_empty() {
            self.awaited = Some((index, record.head.sections().clone()));
        }
        self.frontier.append(leaf_hash(line));
        self.group_records += 1;
        self.segment_records += 1;
        self.last = Some((record.head.kind(), record.head.time().day()));
        Ok(())
    }

    fn sections(&mut self, line: &SectionsLine) -> Result<(), Wrong> {
        let (index, expected) = self.awaited.take().ok_or_else(|| bytes("sections without a record that has them"))?;
        if line.index != index || !line.sections.keys().eq(expected.keys()) {
            return Err(bytes("the sections are another record's"));
        }
        for (reference, sealed) in expected.values().zip(line.sections.values()) {
            if Digest::of(sealed) != reference.sealed {
                return Err(bytes("a section is not the one the record names"));
            }
        }
        Ok(())
    }

    fn checkpoint(&mut self, segment: &SegmentFile, raw: &RawLine, note: &SignedNote) -> Result<(), Wrong> {
        if self.awaited.is_some() {
            return Err(bytes("the sections of the record before are missing"));
        }
        let (Some(epoch), true) = (&self.epoch, self.group_records > 0) else {
            return Err(bytes("a checkpoint without records before it"));
        };
        let (size, root) = (self.frontier.len(), self.frontier.root());
        if note.checkpoint != (Checkpoint { origin: self.origin.to_owned(), size, root }) {
            return Err(bytes("the checkpoint is not that of the records before it"));
        }
        note.verify_only(epoch).map_err(|error| bytes(error.to_string()))?;
        if let Some(published) = self.published.filter(|published| published.size == size) {
            if published.root != root {
                return Err(Wrong::Sense("the log differs from its published checkpoint".to_owned()));
            }
            self.published_seen = true;
        }
        self.apply(segment, raw.end())
    }

    /// The group holds: its changes are the log's.
    fn apply(&mut self, segment: &SegmentFile, end: u64) -> Result<(), Wrong> {
        for change in self.changes.drain(..) {
            match change {
                Change::Opened(index, open) => {
                    self.committed.decisions += 1;
                    self.committed.open.insert(index, open);
                }
                Change::Closed { decision, request } => match self.committed.open.remove(&decision) {
                    Some(open) if open.request == request => {}
                    _ => {
                        return Err(Wrong::Sense(format!(
                            "a completion of {decision}, which is no open decision of its request"
                        )));
                    }
                },
            }
        }
        self.committed.frontier = self.frontier.clone();
        self.committed.epoch = self.epoch.clone();
        self.committed.end = Some((segment.clone(), end));
        self.committed.segment_records = self.segment_records;
        self.committed.groups = self.committed.groups.saturating_add(1);
        self.committed.last = self.last;
        self.committed.config = self.config.clone();
        self.group_records = 0;
        Ok(())
    }

    fn fault(&self, path: &Path, line: u64, record: Option<String>, wrong: Wrong) -> Fault {
        let segment = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let (why, signed) = match wrong {
            Wrong::Bytes(why) => (why, false),
            Wrong::Sense(why) => (why, true),
        };
        Fault { damage: Damage { segment, line, index: self.frontier.len(), record, why }, signed }
    }
}
