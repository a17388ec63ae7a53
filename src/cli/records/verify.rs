//! `records verify`: the whole log, every generation, by `record`'s verifier.
//!
//! What the reader may rely on: the first word of the first line is the verdict, the second line says whether the
//! origin is proven, and a fault names segment, line, index, record and why. Files are read once, with a gateway
//! writing beside or without; when something seems wrong and the log has grown meanwhile, it is read once more.
//! Not proven here: that log and keys were not replaced together (give `--vkey` from elsewhere), nor that the end
//! was not cut together with the published checkpoint (that takes an anchor).

use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};

use crate::env::Stopwatch;
use crate::record::verify::{Verdict, Verifier, VerifyOptions, Word};
use crate::record::{PublicKey, Signer, VerifierKey};
use crate::store::{Lock, SegmentFile, StoreError, files, read};

use super::access::record_query;
use super::args::{Format, VerifyArgs};
use super::{Console, DataPaths, EXIT_NO, EXIT_OK, Failure, verify_text};

/// The verdict on one generation.
pub(super) struct Judged {
    pub(super) generation: u32,
    pub(super) segments: usize,
    pub(super) verdict: Verdict,
}

/// Checks the log and prints the verdict.
pub(super) fn verify(args: &VerifyArgs, paths: &DataPaths, console: &mut Console<'_>) -> Result<u8, Failure> {
    if args.format == Format::Csv {
        return Err(Failure::Usage("`records verify` has no csv form: use table or json".to_owned()));
    }
    let vkeys = given_keys(args)?;
    let watch = Stopwatch::start();
    let mut judged = judge_all(paths, &vkeys, console)?;
    let sizes = |judged: &[Judged]| judged.iter().map(|one| one.verdict.size).sum::<u64>();
    if worst(&judged) == Word::Invalid && !Lock::is_free(paths) {
        // A writer may have been between two of our looks; a real fault is still there the second time.
        judged = judge_all(paths, &vkeys, console)?;
    }
    if console.interactive && watch.elapsed().as_secs() >= 1 {
        let rate = sizes(&judged) * 1000 / u64::try_from(watch.elapsed().as_millis()).unwrap_or(1).max(1);
        console.say(&format!("{rate} records a second"));
    }
    let word = worst(&judged);
    let printed = match args.format {
        Format::Table => verify_text::text(word, &judged, console),
        _ => verify_text::json(word, &judged, console),
    };
    let fields = if args.vkey.is_empty() { Vec::new() } else { vec!["vkey"] };
    let size = judged.last().map_or(0, |one| one.verdict.size);
    record_query(paths, "verify", (fields, &args.vkey.join("\n")), (0, size), console);
    match printed {
        // The verdict stands although the output's reader went away.
        Ok(()) | Err(Failure::Closed) => Ok(if word.is_ok() { EXIT_OK } else { EXIT_NO }),
        Err(failure) => Err(failure),
    }
}

/// The verdict on all generations: the worst of each.
fn worst(judged: &[Judged]) -> Word {
    let words = || judged.iter().map(|one| one.verdict.word);
    if missing(judged).is_some() || words().any(|word| word == Word::Invalid) {
        Word::Invalid
    } else if judged.is_empty() || words().any(|word| word == Word::Incomplete) {
        Word::Incomplete
    } else {
        Word::OkUnanchored
    }
}

fn judge_all(paths: &DataPaths, vkeys: &[VerifierKey], console: &mut Console<'_>) -> Result<Vec<Judged>, Failure> {
    let generations = paths.generations()?;
    let mut judged = Vec::new();
    for (at, generation) in generations.iter().enumerate() {
        let is_newest = at + 1 == generations.len();
        judged.push(judge(paths, *generation, is_newest, vkeys, console)?);
    }
    Ok(judged)
}

fn judge(
    paths: &DataPaths,
    generation: u32,
    is_newest: bool,
    vkeys: &[VerifierKey],
    console: &mut Console<'_>,
) -> Result<Judged, Failure> {
    let given = vkeys.iter().find(|key| key.name.ends_with(&format!("/{generation}"))).or(vkeys.first());
    let options = VerifyOptions {
        origin: origin(paths, generation, given)?,
        log_key: match given {
            Some(key) => Some(key.clone()),
            None => own_key(paths, generation),
        },
        key_from_outside: given.is_some(),
        // Before the segments: a live log only grows past it.
        published: published(paths, generation)?,
        store_lock_free: !is_newest || Lock::is_free(paths),
        threads: 0,
    };
    let segments = read::segments(paths, generation)?;
    let mut verifier = Verifier::new(options);
    let mut progress = Progress::new(&segments, console);
    for (at, segment) in segments.iter().enumerate() {
        let name = format!("{:012}.jsonl", segment.first);
        let is_last = at + 1 == segments.len();
        let file = File::open(&segment.path).map_err(StoreError::io("open", &segment.path))?;
        let counted = Counted { file, progress: &mut progress };
        let reader = BufReader::with_capacity(READ_BYTES, counted);
        verifier.feed_segment(&name, reader, is_last).map_err(StoreError::io("read", &segment.path))?;
    }
    progress.done();
    Ok(Judged { generation, segments: segments.len(), verdict: verifier.finish() })
}

/// The published checkpoint's text; bytes that are no text are not an error here but a fault of the log.
fn published(paths: &DataPaths, generation: u32) -> Result<Option<String>, Failure> {
    let bytes = files::read_if_there(&paths.checkpoint(generation))?;
    Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
}

/// The first generation that should be there and is not: they count from 1 without gaps.
pub(super) fn missing(judged: &[Judged]) -> Option<u32> {
    (1..).zip(judged).find(|(due, one)| *due != one.generation).map(|(due, _)| due)
}

/// The origin a generation must have: the given key's name, else what `keys/origin` says.
fn origin(paths: &DataPaths, generation: u32, given: Option<&VerifierKey>) -> Result<Option<String>, Failure> {
    let known = match given {
        Some(key) => key.name.clone(),
        None => String::from_utf8_lossy(&files::read_if_there(&paths.origin())?.unwrap_or_default()).trim().to_owned(),
    };
    Ok(known.rsplit_once('/').map(|(name, _)| format!("{name}/{generation}")))
}

/// The log key beside the log, where this user may read it: enough to check, not to prove the origin.
fn own_key(paths: &DataPaths, generation: u32) -> Option<VerifierKey> {
    let pem = fs::read_to_string(paths.log_key()).ok()?;
    let key: PublicKey = Signer::from_pem(&pem).ok()?.public().clone();
    let origin = origin(paths, generation, None).ok()??;
    Some(VerifierKey { name: origin, key })
}

/// The keys of `--vkey`: each a key string or a file with one a line.
fn given_keys(args: &VerifyArgs) -> Result<Vec<VerifierKey>, Failure> {
    let mut keys = Vec::new();
    for given in &args.vkey {
        if let Ok(key) = given.parse::<VerifierKey>() {
            keys.push(key);
            continue;
        }
        let bad = |why: String| Failure::Usage(format!("`--vkey {}`: {why}", given.escape_debug()));
        let text = fs::read_to_string(given).map_err(|error| {
            bad(format!(
                "neither a key such as `name/1+1a2b3c4d+AbCd…` (see `sealgate key show`) nor a readable file: {error}"
            ))
        })?;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            keys.push(line.parse().map_err(|_| bad("a line of the file is not a verifier key".to_owned()))?);
        }
        if keys.is_empty() {
            return Err(bad("the file holds no key".to_owned()));
        }
    }
    Ok(keys)
}

/// Tells a person who watches how far a long reading is.
struct Progress {
    total: u64,
    read: u64,
    shown: Option<(Stopwatch, u64)>,
}

impl Progress {
    fn new(segments: &[SegmentFile], console: &Console<'_>) -> Self {
        let total = segments.iter().filter_map(|segment| fs::metadata(&segment.path).ok()).map(|meta| meta.len()).sum();
        let shown = (console.interactive && total >= LONG_BYTES).then(|| (Stopwatch::start(), 0));
        Progress { total, read: 0, shown }
    }

    fn advance(&mut self, bytes: usize) {
        self.read = self.read.saturating_add(bytes as u64);
        let (read, total) = (self.read / MIB, self.total / MIB);
        if let Some((watch, last)) = &mut self.shown {
            let steps = watch.micros() / STEP_MICROS;
            if steps > *last {
                *last = steps;
                drop(write!(io::stderr(), "\rverifying: {read} of {total} MiB "));
            }
        }
    }

    fn done(&self) {
        if self.shown.is_some_and(|(_, steps)| steps > 0) {
            drop(write!(io::stderr(), "\r{:40}\r", ""));
        }
    }
}

struct Counted<'a> {
    file: File,
    progress: &'a mut Progress,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read(buffer)?;
        self.progress.advance(read);
        Ok(read)
    }
}

const READ_BYTES: usize = 256 * 1024;
const MIB: u64 = 1024 * 1024;
/// Logs above this show their progress: about two seconds of work.
const LONG_BYTES: u64 = 64 * MIB;
const STEP_MICROS: u64 = 200_000;
