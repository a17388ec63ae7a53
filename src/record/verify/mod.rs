//! The verifier: reads the segments of one generation once, in order, and says whether they are what was written.
//!
//! What the reader may rely on. Every line is read strictly ([`super::Line`]) and must stand where its kind may
//! stand; every index, key range, signature, section digest, group root, hand-over and boot is checked, and that
//! each decision has at most one completion, after it. One changed bit, line or section is a [`Fault`] that names
//! the record. A log cut at its end is found by the published checkpoint; without one the word is `INCOMPLETE`.
//!
//! Not proven here: that a log and its keys were not replaced together (that needs a log key from outside:
//! `origin_proven`), nor that the end was not cut together with the published checkpoint (that needs an anchor).
//!
//! Words: `OK-UNANCHORED`; `INCOMPLETE` = nothing is wrong with what is there, but it holds no committed record, or
//! decisions and no published checkpoint; `INVALID` = something is wrong, and `fault` says what and where.

mod absent;
mod chain;
mod keys;
mod signatures;
mod verdict;

use std::io::{self, BufRead, Read as _};
use std::sync::Arc;

use super::key::VerifierKey;
use super::line::{LINE_SECTIONS_MAX, Line};
use super::note::SignedNote;
use super::tree::Frontier;

use chain::Chain;
use signatures::Signatures;

pub use verdict::{Counts, Fault, Place, Verdict, Word};

/// What the verifier is given besides the segments.
#[derive(Clone, Debug, Default)]
pub struct VerifyOptions {
    /// The log's origin, where it is known (`keys/origin` and the generation); else the first checkpoint says it.
    pub origin: Option<String>,
    /// The log key. Without it `key.certified` records and the published checkpoint's signature go unchecked.
    pub log_key: Option<VerifierKey>,
    /// Whether that key was given from outside (`--vkey`), not read beside the log.
    pub key_from_outside: bool,
    /// Text of `log/<generation>/checkpoint`, read before the segments.
    pub published: Option<String>,
    /// Whether the store lock is free: nobody may be writing.
    pub store_lock_free: bool,
    /// Threads that check signatures; 0 = as many as the machine has.
    pub threads: usize,
}

/// Reads a log once, segment by segment.
#[derive(Clone, Debug)]
pub struct Verifier {
    options: VerifyOptions,
    /// The line being read.
    place: Place,
    published: Published,
    chain: Chain,
    signatures: Signatures,
    /// Counts at the last checkpoint.
    committed: Counts,
    /// The tree at the last checkpoint.
    committed_tree: Frontier,
    /// Whether the last committed record is a `shutdown`.
    committed_shutdown: bool,
    /// Bytes of the unterminated last line.
    torn_bytes: u64,
    /// Lines behind the last checkpoint.
    tail_lines: u64,
    fault: Option<Fault>,
}

/// The published checkpoint and what the log says at its size.
#[derive(Clone, Debug)]
enum Published {
    Absent,
    Unreadable,
    Read { note: SignedNote, root_there: Option<crate::types::Digest> },
}

impl Verifier {
    /// A verifier that has read nothing yet.
    pub fn new(options: VerifyOptions) -> Self {
        let published = match options.published.as_deref().map(SignedNote::parse) {
            None => Published::Absent,
            Some(Err(_)) => Published::Unreadable,
            Some(Ok(note)) => {
                let root_there = (note.checkpoint.size == 0).then(|| Frontier::new().root());
                Published::Read { note, root_there }
            }
        };
        let log_key = options.log_key.as_ref().map(|log_key| log_key.key.clone());
        Verifier {
            chain: Chain::new(log_key),
            signatures: Signatures::new(options.origin.clone(), options.threads),
            options,
            place: Place::default(),
            published,
            committed: Counts::default(),
            committed_tree: Frontier::new(),
            committed_shutdown: false,
            torn_bytes: 0,
            tail_lines: 0,
            fault: None,
        }
    }

    /// Reads one segment; segments come in the order of their names, the last one said to be so. After a fault
    /// nothing more is read. Errors are the reader's own.
    pub fn feed_segment(&mut self, name: &str, reader: impl BufRead, is_last: bool) -> io::Result<()> {
        self.open_segment(name);
        self.feed_lines(reader, is_last)?;
        if !is_last {
            self.close_segment();
        }
        Ok(())
    }

    /// Begins a segment: its name must be the index of the next record.
    pub fn open_segment(&mut self, name: &str) {
        self.place = Place { segment: Arc::from(name), line: 0 };
        let due = format!("{:012}.jsonl", self.chain.tree().len());
        if self.fault.is_none() && name != due {
            self.chain.locate(b"");
            self.stop(format!("this segment should be named {due}: a segment is missing, renamed or added"));
        }
    }

    /// Reads on in the open segment until the reader ends; an unterminated last line is accepted where `is_last`.
    pub fn feed_lines(&mut self, mut reader: impl BufRead, is_last: bool) -> io::Result<()> {
        let mut line = Vec::with_capacity(8 * 1024);
        while self.fault.is_none() {
            line.clear();
            // One byte over the longest line and its newline: enough to see that it is too long.
            let most = LINE_SECTIONS_MAX as u64 + 2;
            if (&mut reader).take(most).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            self.place.line += 1;
            self.feed_line(&line, is_last);
        }
        Ok(())
    }

    /// Ends a segment that is not the last: it must hold whole groups, one at least.
    pub fn close_segment(&mut self) {
        if self.fault.is_some() {
            return;
        }
        if self.place.line == 0 {
            self.stop("an empty segment before the last".to_owned());
        } else if self.tail_lines > 0 {
            self.stop("the segment ends inside a group: its last checkpoint is missing".to_owned());
        }
    }

    /// Checks the signatures that still wait (they are checked in batches); true while no fault is known.
    pub fn settle_signatures(&mut self) -> bool {
        if self.fault.is_none() && self.signatures.origin().is_some() {
            self.fault = self.signatures.flush().err();
        }
        self.fault.is_none()
    }

    fn feed_line(&mut self, line: &[u8], is_last: bool) {
        let Some(line) = line.strip_suffix(b"\n") else {
            if is_last && line.len() <= LINE_SECTIONS_MAX {
                self.torn_bytes = line.len() as u64;
            } else {
                self.stop("a line without its end".to_owned());
            }
            return;
        };
        self.chain.locate(line);
        let result = match Line::parse(line) {
            Err(error) => Err(error.to_string()),
            Ok(Line::Record(record)) => {
                self.tail_lines += 1;
                self.chain.record(&self.place, line, record, &mut self.signatures)
            }
            Ok(Line::Sections(sections)) => {
                self.tail_lines += 1;
                self.chain.sections(&self.place, &sections)
            }
            Ok(Line::Checkpoint(note)) => self.checkpoint(&note),
        };
        if let Err(why) = result {
            self.stop(why);
        } else if let Err(fault) = self.signatures.flush_if_full() {
            self.fault = Some(fault);
        }
    }

    fn checkpoint(&mut self, note: &SignedNote) -> Result<(), String> {
        self.signatures.learn_origin(&note.checkpoint.origin)?;
        self.chain.checkpoint(&self.place, note, &mut self.signatures)?;
        self.committed = self.chain.counts();
        self.committed_tree = self.chain.tree().clone();
        self.committed_shutdown = self.chain.is_shut_down();
        self.tail_lines = 0;
        self.note_published();
        Ok(())
    }

    /// Takes the root when a group ends at exactly the published size.
    fn note_published(&mut self) {
        let size = self.chain.tree().len();
        match &mut self.published {
            Published::Read { note, root_there } if note.checkpoint.size == size => {
                *root_there = Some(self.chain.tree().root());
            }
            _ => {}
        }
    }

    /// Ends the reading: signatures still waiting come first, since what they sign stands earlier.
    fn stop(&mut self, why: String) {
        let (index, record) = self.chain.here();
        let here = Fault { place: self.place.clone(), index, record, why };
        self.fault = Some(self.signatures.flush().err().unwrap_or(here));
    }

    /// The verdict.
    pub fn finish(mut self) -> Verdict {
        if self.fault.is_none() {
            self.fault = self.settle().err();
        }
        self.verdict()
    }

    /// What can only be said at the end.
    fn settle(&mut self) -> Result<(), Fault> {
        if let Published::Read { note, .. } = &self.published {
            // A log without any checkpoint has its origin from here.
            let _ = self.signatures.learn_origin(&note.checkpoint.origin);
        }
        self.signatures.flush()?;
        self.chain.uncovered().map_or(Ok(()), Err)?;
        let tail = self.tail_lines > 0 || self.torn_bytes > 0;
        if tail && self.committed_shutdown && self.options.store_lock_free {
            return Err(self.at_end("bytes after the `shutdown` that ended the log".to_owned()));
        }
        self.check_published()
    }

    fn check_published(&self) -> Result<(), Fault> {
        let size = self.committed_tree.len();
        let fail = |why: &str| Err(Fault::at_checkpoint(size.checked_sub(1), why.to_owned()));
        let (note, root_there) = match &self.published {
            Published::Absent => return Ok(()),
            Published::Unreadable => return fail("the published checkpoint is not a signed checkpoint"),
            Published::Read { note, root_there } => (note, root_there),
        };
        if self.options.log_key.as_ref().is_some_and(|log_key| note.verify_only(&log_key.key).is_err()) {
            return fail("the published checkpoint is not signed by the log key");
        }
        if self.signatures.origin().is_some_and(|origin| origin != note.checkpoint.origin) {
            return fail("the published checkpoint is another log's");
        }
        if note.checkpoint.size > size {
            let why = format!(
                "the log ends before its published checkpoint: {} records are missing",
                note.checkpoint.size - size
            );
            return Err(Fault::at_checkpoint(Some(size), why));
        }
        match root_there {
            Some(root) if *root == note.checkpoint.root => Ok(()),
            Some(_) => fail("the published checkpoint's root is not that of the log at its size"),
            None => fail("no checkpoint line has the size of the published checkpoint"),
        }
    }

    fn at_end(&self, why: String) -> Fault {
        let (index, record) = self.chain.here();
        Fault { place: Place::default(), index, record, why }
    }

    fn verdict(self) -> Verdict {
        let mut notes = Vec::new();
        if self.committed_tree.is_empty() {
            notes.push("the log holds no committed record");
        }
        if self.committed.decisions > 0 && matches!(self.published, Published::Absent) {
            notes.push("there is no published checkpoint: whether the end was cut off cannot be told");
        }
        let word = match (&self.fault, notes.is_empty()) {
            (Some(_), _) => Word::Invalid,
            (None, false) => Word::Incomplete,
            (None, true) => Word::OkUnanchored,
        };
        let size = self.committed_tree.len();
        Verdict {
            word,
            origin_proven: self.fault.is_none() && self.options.key_from_outside && self.options.log_key.is_some(),
            log_key: self.chain.keys().log_id(),
            log_key_checked: self.options.log_key.is_some(),
            origin: self.signatures.origin().map(str::to_owned),
            size,
            root: self.committed_tree.root(),
            uncommitted: self.chain.tree().len().saturating_sub(size),
            torn_bytes: self.torn_bytes,
            counts: self.committed,
            fault: self.fault,
            notes,
        }
    }
}
