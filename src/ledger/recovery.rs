//! What a start does with the log it finds (DESIGN section 4, "Recovery").
//!
//! It may set aside one unfinished group: bytes behind the last valid checkpoint that hold no further checkpoint
//! line, or exactly one which ends the file and whose group does not verify; never below the published checkpoint.
//! After any unclean end the kept tail is written anew: a sync may have failed, and then the page cache shows what
//! the disk does not hold. Everything else refuses to start, and leaves the log as it is.

use std::fs;
use std::path::PathBuf;

use crate::record::{Checkpoint, Kind, PublicKey, SignedNote};
use crate::store::read::Lines;
use crate::store::{Paths, SegmentFile, Segments, SetAside, StoreError, read};

use super::error::{Damage, OpenError};
use super::replay::{Committed, Fault, Replay};

/// What a start found and did, for the person at the terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoverySummary {
    /// Bytes set aside (0: the last process died between two groups).
    pub bytes: u64,
    /// Lines of them.
    pub lines: u64,
    /// Where they are now.
    pub quarantine: Option<PathBuf>,
    /// Open decisions closed as `orphan`.
    pub orphans: u64,
}

/// A log that is fit to be continued.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) committed: Committed,
    /// What was set aside now and by interrupted recoveries before, and the first index of the segment it was in.
    pub(super) asides: Vec<(u64, SetAside)>,
    /// Whether the last process did not end in order.
    pub(super) unclean: bool,
}

/// Reads the whole log, sets an unfinished group aside, and leaves a log that is on disk.
pub(super) fn recover(
    segments: &Segments,
    paths: &Paths,
    generation: u32,
    origin: &str,
    log_key: &PublicKey,
) -> Result<Recovered, OpenError> {
    let published = published(paths, generation, origin, log_key)?;
    let files = segments.list()?;
    let mut replay = Replay::new(origin, log_key, published.as_ref());
    let fault = replay.read(&files)?;
    let tail = tail(&files, &replay.committed, fault)?;
    let size = replay.committed.frontier.len();
    // The first checkpoint is published before the first request is served: without one nobody could tell that the end
    // was cut off, and going on would vouch for what is left.
    if published.is_none() && replay.committed.decisions > 0 {
        let why = "there is no published checkpoint beside a log that holds requests: put it back from a backup";
        return Err(damaged("checkpoint".to_owned(), size, why.to_owned()));
    }
    if let Some(published) = published.as_ref().filter(|_| !replay.holds_published()) {
        let why =
            format!("the published checkpoint says {} records and the log holds {size} that verify", published.size);
        return Err(damaged("checkpoint".to_owned(), size, why));
    }
    let committed = replay.committed;
    let ended = committed.last.is_some_and(|(kind, _)| kind == Kind::Shutdown);
    let unclean = tail.is_some() || (committed.end.is_some() && !ended);
    if let Some(tail) = &tail {
        if tail.length > tail.keep {
            // A crash behind this line leaves a copy in `quarantine/` and the log as it was: done again, same name.
            segments.set_aside(&tail.segment, tail.keep)?;
        }
        // A crash behind this line leaves a log without its tail; the next start finds the copy by its place.
        segments.keep_only(&tail.segment, tail.keep)?;
    }
    if let Some((segment, end)) = committed.end.as_ref().filter(|(last, _)| {
        // Already written anew when the tail was cut from this same file.
        unclean && tail.as_ref().is_none_or(|tail| tail.segment.path != last.path)
    }) {
        segments.keep_only(segment, *end)?;
    }
    let asides = if unclean { asides(segments, &committed)? } else { Vec::new() };
    Ok(Recovered { committed, asides, unclean })
}

/// Everything set aside from right behind where the log now ends: no record can have told of it yet.
fn asides(segments: &Segments, committed: &Committed) -> Result<Vec<(u64, SetAside)>, OpenError> {
    let mut places = vec![(committed.frontier.len(), 0)];
    places.extend(committed.end.as_ref().map(|(segment, end)| (segment.first, *end)));
    let mut found = Vec::new();
    for (first, keep) in places {
        found.extend(segments.asides_at(first, keep)?.into_iter().map(|aside| (first, aside)));
    }
    Ok(found)
}

/// The published checkpoint, verified; none only where nothing was ever published.
fn published(
    paths: &Paths,
    generation: u32,
    origin: &str,
    log_key: &PublicKey,
) -> Result<Option<Checkpoint>, OpenError> {
    let Some(text) = read::published(paths, generation)? else { return Ok(None) };
    let wrong = |why: String| damaged("checkpoint".to_owned(), 0, why);
    let note = SignedNote::parse(&text).map_err(|error| wrong(error.to_string()))?;
    note.verify(log_key).map_err(|error| wrong(error.to_string()))?;
    if note.checkpoint.origin != origin {
        return Err(wrong("the published checkpoint is another log's".to_owned()));
    }
    Ok(Some(note.checkpoint))
}

/// The bytes behind the last valid checkpoint.
struct Tail {
    segment: SegmentFile,
    keep: u64,
    length: u64,
}

/// Finds the tail, if there is one that a crash can leave; any other damage is an error.
fn tail(files: &[SegmentFile], committed: &Committed, fault: Option<Fault>) -> Result<Option<Tail>, OpenError> {
    let behind: Vec<&SegmentFile> = match &committed.end {
        Some((last, _)) => files.iter().filter(|file| file.first > last.first).collect(),
        None => files.iter().collect(),
    };
    let rest = match &committed.end {
        Some((last, end)) => length(last)?.saturating_sub(*end),
        None => 0,
    };
    let found = match (behind.as_slice(), &committed.end) {
        ([], Some((last, end))) if rest > 0 => Tail { segment: last.clone(), keep: *end, length: length(last)? },
        ([], _) => return Ok(None),
        ([one], _) if rest == 0 => Tail { segment: (*one).clone(), keep: 0, length: length(one)? },
        _ => return Err(fault.map_or_else(|| unexplained(committed), refuse)),
    };
    if fault.as_ref().is_some_and(|fault| fault.signed) || !is_one_unfinished_group(&found)? {
        return Err(fault.map_or_else(|| unexplained(committed), refuse));
    }
    Ok(Some(found))
}

/// No checkpoint line, or exactly one that ends the file.
fn is_one_unfinished_group(tail: &Tail) -> Result<bool, StoreError> {
    let mut lines = Lines::open(&tail.segment.path, tail.keep)?;
    let (mut checkpoints, mut last_is_one) = (0u64, false);
    while let Some(line) = lines.next_line()? {
        last_is_one = line.bytes.starts_with(CHECKPOINT_START);
        checkpoints += u64::from(last_is_one);
    }
    Ok(checkpoints == 0 || (checkpoints == 1 && last_is_one))
}

fn length(segment: &SegmentFile) -> Result<u64, StoreError> {
    fs::metadata(&segment.path).map(|meta| meta.len()).map_err(StoreError::io("ask for the length of", &segment.path))
}

fn refuse(fault: Fault) -> OpenError {
    OpenError::Damaged(Box::new(fault.damage))
}

fn unexplained(committed: &Committed) -> OpenError {
    damaged("log".to_owned(), committed.frontier.len(), "more than one unfinished group follows".to_owned())
}

fn damaged(segment: String, index: u64, why: String) -> OpenError {
    OpenError::Damaged(Box::new(Damage { segment, line: 0, index, record: None, why }))
}

/// How every checkpoint line begins.
const CHECKPOINT_START: &[u8] = b"{\"checkpoint\":";
