//! The log as an auditor reads it: strictly, line by line.

use std::path::Path;

use sealgate::record::{CompletionHead, DecisionHead, EventHead, Head, Kind, Line, leaf_hash};
use sealgate::types::Digest;

/// A record and where it stands.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) index: u64,
    pub(crate) leaf: Digest,
    pub(crate) head: Head,
    /// A checkpoint covers it.
    pub(crate) committed: bool,
}

/// Every record of generation 1.
pub(crate) struct Log {
    pub(crate) entries: Vec<Entry>,
}

impl Log {
    /// Reads what is there; an unterminated last line is left out.
    pub(crate) fn read(data: &Path) -> Self {
        let mut entries: Vec<Entry> = Vec::new();
        for line in bytes(data).split_inclusive(|byte| *byte == b'\n') {
            let Some(line) = line.strip_suffix(b"\n") else { break };
            match Line::parse(line).expect("every line reads strictly") {
                Line::Record(record) => {
                    let (index, leaf) = (entries.len() as u64, leaf_hash(line));
                    entries.push(Entry { index, leaf, head: record.head, committed: false });
                }
                Line::Checkpoint(_) => entries.iter_mut().for_each(|entry| entry.committed = true),
                Line::Sections(_) => {}
            }
        }
        Log { entries }
    }

    pub(crate) fn decisions(&self) -> Vec<(&Entry, &DecisionHead)> {
        let decision = |entry| match entry {
            &Entry { head: Head::Decision(ref head), .. } => Some((entry, head)),
            _ => None,
        };
        self.entries.iter().filter_map(decision).collect()
    }

    pub(crate) fn completions(&self) -> Vec<(&Entry, &CompletionHead)> {
        let completion = |entry| match entry {
            &Entry { head: Head::Completion(ref head), .. } => Some((entry, head)),
            _ => None,
        };
        self.entries.iter().filter_map(completion).collect()
    }

    pub(crate) fn events(&self, kind: Kind) -> Vec<&EventHead> {
        let event = |entry: &'_ Entry| matches!(&entry.head, Head::Event(head) if head.kind == kind);
        let found = self.entries.iter().filter(|entry| event(entry));
        found.filter_map(|entry| if let Head::Event(head) = &entry.head { Some(head) } else { None }).collect()
    }

    /// The one decision and the one completion of a request.
    pub(crate) fn pair(&self, request: &str) -> (&Entry, &DecisionHead, &CompletionHead) {
        let decisions = self.decisions().into_iter().filter(|(_, head)| head.request.to_string() == request);
        let completions = self.completions().into_iter().filter(|(_, head)| head.request.to_string() == request);
        let (decisions, completions): (Vec<_>, Vec<_>) = (decisions.collect(), completions.collect());
        assert_eq!((decisions.len(), completions.len()), (1, 1), "decisions and completions of {request}");
        let ((entry, decision), (after, completion)) = (decisions[0], completions[0]);
        assert_eq!(completion.decision, entry.index, "the completion names its decision");
        assert!(after.index > entry.index && entry.committed && after.committed, "in order, and covered");
        (entry, decision, completion)
    }

    /// Requests whose decision has no completion.
    pub(crate) fn open(&self) -> Vec<String> {
        let closed: std::collections::BTreeSet<u64> =
            self.completions().iter().map(|(_, head)| head.decision).collect();
        let open = self.decisions().into_iter().filter(|(entry, _)| !closed.contains(&entry.index));
        open.map(|(_, head)| head.request.to_string()).collect()
    }
}

/// The bytes of all segments, in order.
pub(crate) fn bytes(data: &Path) -> Vec<u8> {
    let segments = super::files(&data.join("log/1")).into_iter();
    segments
        .filter(|(path, _)| path.extension().is_some_and(|end| end == "jsonl"))
        .flat_map(|(_, bytes)| bytes)
        .collect()
}

impl Log {
    /// Whether a record line that holds all of `marks` is on disk, with a checkpoint after it. Cheap: no parsing.
    pub(crate) fn holds(data: &Path, marks: &[&str]) -> bool {
        let bytes = bytes(data);
        let mut lines = bytes.split(|byte| *byte == b'\n');
        let is_it = |line: &&[u8]| marks.iter().all(|mark| super::find(line, mark.as_bytes()).is_some());
        lines.find(is_it).is_some() && lines.any(|line| line.starts_with(b"{\"checkpoint\":") && line.ends_with(b"}"))
    }
}
