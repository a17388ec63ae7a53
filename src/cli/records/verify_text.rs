//! How `records verify` prints its verdict.

use serde::Serialize;

use crate::record::verify::{Verdict, Word};

use super::verify::{Judged, missing};
use super::{Console, Failure};

/// For people: the verdict word first, the origin second, then what was counted.
pub(super) fn text(word: Word, judged: &[Judged], console: &mut Console<'_>) -> Result<(), Failure> {
    let size: u64 = judged.iter().map(|one| one.verdict.size).sum();
    let segments: usize = judged.iter().map(|one| one.segments).sum();
    writeln!(console.out, "{word}  {size} records in {segments} segments of {} generation(s)", judged.len())?;
    let proven = !judged.is_empty() && judged.iter().all(|one| one.verdict.origin_proven);
    let key = judged.last().and_then(|one| one.verdict.log_key).map(|key| key.to_string()).unwrap_or_default();
    let unchecked = match judged.iter().all(|one| one.verdict.log_key_checked) {
        true => "",
        false => "; no log key was readable: the log key's signatures were NOT CHECKED",
    };
    match proven {
        true => writeln!(console.out, "origin: proven by the key given, {key}{unchecked}")?,
        false => writeln!(console.out, "origin: NOT PROVEN (give the log's key from elsewhere: --vkey){unchecked}")?,
    }
    if let Some(missing) = missing(judged) {
        writeln!(console.out, "\nfault: generation {missing} is missing")?;
    }
    for one in judged {
        generation(one, console)?;
    }
    if judged.is_empty() {
        writeln!(console.out, "\nthere is no generation in the log folder")?;
    }
    Ok(())
}

fn generation(one: &Judged, console: &mut Console<'_>) -> Result<(), Failure> {
    let Verdict { counts, .. } = &one.verdict;
    let verdict = &one.verdict;
    let origin = verdict.origin.clone().unwrap_or_else(|| format!("generation {}", one.generation));
    writeln!(console.out, "\n{origin}: {}", verdict.word)?;
    if let Some(fault) = &verdict.fault {
        writeln!(console.out, "  {:<12} {fault}", "fault")?;
    }
    let mut line = |name: &str, value: String| writeln!(console.out, "  {name:<12} {value}");
    for note in &verdict.notes {
        line("note", (*note).to_owned())?;
    }
    let (decisions, completions, orphans) = (counts.decisions, counts.completions, counts.orphans);
    line("records", verdict.size.to_string())?;
    line("root", verdict.root.to_string())?;
    line(
        "requests",
        format!("{decisions} decisions, {completions} completions ({orphans} orphan), {} open", counts.open()),
    )?;
    line("runs", format!("{} boots, {} shutdowns, {} recoveries", counts.boots, counts.shutdowns, counts.recoveries))?;
    line("keys", format!("{} breaks at boots, {} live rotations", counts.key_breaks(), counts.rotations))?;
    line("sections", format!("{} absent, {} erasure records", counts.absent, counts.erasures))?;
    line("uncommitted", format!("{} records, {} bytes of a torn line", verdict.uncommitted, verdict.torn_bytes))?;
    if !verdict.log_key_checked {
        line("note", "no log key was readable: who certified the epoch keys went unchecked".to_owned())?;
    }
    Ok(())
}

#[derive(Serialize)]
struct VerdictJson {
    generations: Vec<GenerationJson>,
    missing_generation: Option<u32>,
    origin_proven: bool,
    verdict: &'static str,
}

#[derive(Serialize)]
struct GenerationJson {
    completions: u64,
    decisions: u64,
    erasures: u64,
    fault: Option<FaultJson>,
    generation: u32,
    key_breaks: u64,
    log_key_checked: bool,
    notes: Vec<&'static str>,
    open: u64,
    origin: Option<String>,
    orphans: u64,
    records: u64,
    root: String,
    rotations: u64,
    sections_absent: u64,
    segments: usize,
    uncommitted: u64,
    verdict: &'static str,
}

#[derive(Serialize)]
struct FaultJson {
    index: Option<u64>,
    line: u64,
    record: Option<String>,
    segment: String,
    why: String,
}

/// One JSON document.
pub(super) fn json(word: Word, judged: &[Judged], console: &mut Console<'_>) -> Result<(), Failure> {
    let verdict = VerdictJson {
        generations: judged.iter().map(generation_json).collect(),
        missing_generation: missing(judged),
        origin_proven: !judged.is_empty() && judged.iter().all(|one| one.verdict.origin_proven),
        verdict: word.as_str(),
    };
    writeln!(console.out, "{}", serde_json::to_string(&verdict).unwrap_or_default())?;
    Ok(())
}

fn generation_json(one: &Judged) -> GenerationJson {
    let Verdict { counts, .. } = &one.verdict;
    GenerationJson {
        completions: counts.completions,
        decisions: counts.decisions,
        erasures: counts.erasures,
        fault: one.verdict.fault.as_ref().map(|fault| FaultJson {
            index: fault.index,
            line: fault.place.line,
            record: fault.record.map(|id| id.to_string()),
            segment: fault.place.segment.to_string(),
            why: fault.why.clone(),
        }),
        generation: one.generation,
        key_breaks: counts.key_breaks(),
        log_key_checked: one.verdict.log_key_checked,
        notes: one.verdict.notes.clone(),
        open: counts.open(),
        origin: one.verdict.origin.clone(),
        orphans: counts.orphans,
        records: one.verdict.size,
        root: one.verdict.root.to_string(),
        rotations: counts.rotations,
        sections_absent: counts.absent,
        segments: one.segments,
        uncommitted: one.verdict.uncommitted,
        verdict: one.verdict.word.as_str(),
    }
}
