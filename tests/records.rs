//! The record format, version 1: golden bytes of every kind, and every damage to a small log reported.

#![expect(clippy::expect_used, reason = "tests say what they expect")]

#[path = "records/golden.rs"]
mod golden;
#[path = "records/writer.rs"]
mod writer;

use sealgate::record::event::{self, Predicate};
use sealgate::record::verify::{Verdict, Verifier, VerifyOptions, Word};
use sealgate::record::{Draft, Head, Line};
use writer::{Log, twelve_records, verify};

fn verdict_of(lines: &[Vec<u8>], log: &Log) -> Verdict {
    verify(&lines.concat(), log.options())
}

fn invalid(lines: &[Vec<u8>], log: &Log, what: &str) {
    let verdict = verdict_of(lines, log);
    assert_eq!(verdict.word, Word::Invalid, "{what}");
    assert!(verdict.fault.is_some_and(|fault| fault.index.is_some()), "{what}: names no record");
}

#[test]
fn an_untouched_log_is_ok() {
    let log = twelve_records();
    let verdict = verdict_of(&log.lines(), &log);
    assert_eq!((verdict.word, verdict.fault), (Word::OkUnanchored, None));
    assert_eq!((verdict.size, verdict.uncommitted), (12, 0));
    let counts = verdict.counts;
    assert_eq!((counts.decisions, counts.completions, counts.orphans, counts.open()), (3, 3, 1, 0));
    assert_eq!((counts.boots, counts.rotations, counts.shutdowns), (1, 1, 1));
    assert!(verdict.origin_proven);
}

#[test]
fn every_flipped_bit_is_reported_with_its_record() {
    let log = twelve_records();
    let (lines, bytes) = (log.lines(), log.lines().concat());
    // What stands before a line is read once; each flip in it goes on from there.
    let mut before = Verifier::new(log.options());
    before.open_segment("000000000000.jsonl");
    let mut start = 0;
    for line in &lines {
        let mut rest = bytes[start..].to_vec();
        for at in 0..line.len() {
            for bit in 0..8 {
                rest[at] ^= 1 << bit;
                let mut verifier = before.clone();
                verifier.feed_lines(rest.as_slice(), true).expect("memory reads");
                let verdict = verifier.finish();
                assert_eq!(verdict.word, Word::Invalid, "byte {} bit {bit}", start + at);
                assert!(verdict.fault.is_some_and(|f| f.index.is_some()), "byte {} bit {bit}: no record", start + at);
                rest[at] ^= 1 << bit;
            }
        }
        before.feed_lines(line.as_slice(), false).expect("memory reads");
        assert!(before.settle_signatures());
        start += line.len();
    }
    assert_eq!(before.finish().word, Word::OkUnanchored);
}

#[test]
fn every_flipped_bit_of_the_published_checkpoint_is_reported() {
    let log = twelve_records();
    let (bytes, published) = (log.lines().concat(), log.published());
    for at in 0..published.len() {
        for bit in 0..8 {
            let mut flipped = published.clone().into_bytes();
            flipped[at] ^= 1 << bit;
            let mut options = log.options();
            options.published = Some(String::from_utf8_lossy(&flipped).into_owned());
            assert_eq!(verify(&bytes, options).word, Word::Invalid, "byte {at} bit {bit}");
        }
    }
}

#[test]
fn every_line_lost_doubled_swapped_or_moved_is_reported() {
    let log = twelve_records();
    let lines = log.lines();
    for at in 0..lines.len() {
        let mut lost = lines.clone();
        lost.remove(at);
        invalid(&lost, &log, &format!("line {at} lost"));
        for to in 0..=lines.len() {
            let mut doubled = lines.clone();
            doubled.insert(to, lines[at].clone());
            invalid(&doubled, &log, &format!("line {at} doubled at {to}"));
        }
        for other in at + 1..lines.len() {
            let mut swapped = lines.clone();
            swapped.swap(at, other);
            invalid(&swapped, &log, &format!("lines {at} and {other} swapped"));
        }
    }
}

/// The verdict for each length the log can be cut to; what stands before a cut line is read once.
fn cuts(log: &Log, options: VerifyOptions) -> Vec<(usize, Verdict)> {
    let mut before = Verifier::new(options);
    before.open_segment("000000000000.jsonl");
    let (mut start, mut verdicts) = (0, Vec::new());
    for line in log.lines() {
        for length in 0..line.len() {
            let mut verifier = before.clone();
            verifier.feed_lines(&line[..length], true).expect("memory reads");
            verdicts.push((start + length, verifier.finish()));
        }
        before.feed_lines(line.as_slice(), false).expect("memory reads");
        assert!(before.settle_signatures());
        start += line.len();
    }
    verdicts
}

#[test]
fn every_cut_of_the_end_is_reported() {
    let log = twelve_records();
    for (length, verdict) in cuts(&log, log.options()) {
        assert_eq!(verdict.word, Word::Invalid, "cut to {length}");
    }
}

#[test]
fn every_cut_of_a_live_log_is_an_uncommitted_tail() {
    let log = twelve_records();
    let options = VerifyOptions { published: None, ..log.options() };
    for (length, verdict) in cuts(&log, options) {
        assert_eq!(verdict.fault, None, "cut to {length}");
        assert!(verdict.word != Word::OkUnanchored || verdict.counts.decisions == 0, "cut to {length}");
    }
}

#[test]
fn nothing_follows_a_shutdown_when_nobody_writes() {
    let mut log = twelve_records();
    let closed = log.options();
    log.boot();
    for (free, word) in [(true, Word::Invalid), (false, Word::OkUnanchored)] {
        let mut options = closed.clone();
        options.store_lock_free = free;
        assert_eq!(verify(&log.lines().concat(), options.clone()).word, word);
        let torn = [twelve_records().lines().concat(), b"{".to_vec()].concat();
        assert_eq!(verify(&torn, options).word, word);
    }
    log.checkpoint();
    assert_eq!(verdict_of(&log.lines(), &log).word, Word::OkUnanchored);
    assert_eq!(verdict_of(&log.lines(), &log).counts.key_breaks(), 1);
}

#[test]
fn a_section_may_be_missing_only_under_a_predicate() {
    let erased = |predicate: Option<Predicate>| {
        let mut log = Log::new();
        log.boot();
        let decision = log.decision(1);
        let completion = log.completion(decision, 1, sealgate::types::Status::Completed);
        if let Some(predicate) = predicate {
            log.event(|stamp| event::erasure(stamp, &predicate, 3, writer::operator()));
        }
        log.checkpoint();
        let lines = log.lines();
        // Without the sections lines of both records.
        let left: Vec<_> = lines.iter().filter(|line| !line.starts_with(b"{\"sections\"")).cloned().collect();
        assert_eq!(left.len() + 2, lines.len());
        (verdict_of(&left, &log), decision, completion)
    };
    let predicate = |subject: &str, sections: &[&str], up_to| Predicate {
        subject: Some(subject.to_owned()),
        sections: sections.iter().map(|s| (*s).to_owned()).collect(),
        class: Some("standard".to_owned()),
        up_to,
    };
    let all = ["commitments", "content", "identity"];
    let (verdict, decision, completion) = erased(Some(predicate(&writer::subject(1), &all, 3)));
    assert_eq!((verdict.word, verdict.counts.absent, verdict.counts.erasures), (Word::OkUnanchored, 3, 1));
    let cases = [
        (None, decision),
        (Some(predicate(&writer::subject(2), &all, 3)), decision),
        (Some(predicate(&writer::subject(1), &all, 2)), completion),
        (Some(predicate(&writer::subject(1), &all[..2], 3)), decision),
    ];
    for (predicate, at) in cases {
        let fault = erased(predicate).0.fault.expect("a fault");
        assert_eq!(fault.index, Some(at), "{fault}");
    }
}

#[test]
fn signed_nonsense_is_reported_too() {
    type Break = fn(&mut Log);
    let cases: [(&str, Break); 8] = [
        ("a completion twice", |log| {
            let decision = log.decision(1);
            log.completion(decision, 1, sealgate::types::Status::Completed);
            log.completion(decision, 1, sealgate::types::Status::Completed);
        }),
        ("a completion of nothing", |log| {
            log.completion(0, 1, sealgate::types::Status::Completed);
        }),
        ("a completion before its decision", |log| {
            let next = log.tree.len() + 1;
            log.completion(next, 1, sealgate::types::Status::Completed);
            log.decision(1);
        }),
        ("another request's completion", |log| {
            let decision = log.decision(1);
            log.completion(decision, 2, sealgate::types::Status::Completed);
        }),
        ("a certificate inside a group", |log| {
            log.decision(1);
            log.rotate();
        }),
        ("a boot without certificate", |log| {
            log.event(|stamp| event::boot(stamp, "0.1.0", &sealgate::types::Digest::of(b""), &[], None));
        }),
        ("records after a shutdown in its group", |log| {
            log.event(|stamp| event::shutdown(stamp, "signal", 0, 0));
            log.decision(1);
        }),
        ("a key that is out of range", |log| {
            log.epoch = sealgate::record::Signer::from_seed(&[77; 32]).expect("a key");
            log.decision(1);
        }),
    ];
    for (what, damage) in cases {
        let mut log = Log::new();
        log.boot();
        log.checkpoint();
        damage(&mut log);
        log.checkpoint();
        assert_eq!(verdict_of(&log.lines(), &log).word, Word::Invalid, "{what}");
    }
}

#[test]
fn every_line_reads_back_as_written() {
    for line in twelve_records().lines() {
        let line = line.strip_suffix(b"\n").expect("a newline");
        if let Line::Record(record) = Line::parse(line).expect("reads") {
            assert_eq!(record.head.encode(), line[record.head_bytes.clone()]);
            let value: serde_json::Value = serde_json::from_slice(&record.head.encode()).expect("JSON");
            assert_eq!(serde_json_canonicalizer::to_vec(&value).expect("canonical"), record.head.encode());
        }
    }
}

#[test]
fn what_does_not_fit_is_cut_and_counted() {
    let log = twelve_records();
    let lines = log.lines();
    let line = lines.iter().find(|line| line.windows(15).any(|w| w == b"\"kind\":\"decisio")).expect("a decision");
    let Ok(Line::Record(record)) = Line::parse(&line[..line.len() - 1]) else { panic!("a record") };
    let Head::Decision(mut head) = record.head else { panic!("a decision") };
    let long: Vec<_> = (0..5000).map(|n| format!("rule-number-{n}").into()).collect();
    head.rules = long;
    let Head::Decision(cut) = Draft::bare(Head::Decision(head)).head else { panic!("a decision") };
    assert_eq!(cut.truncated + cut.rules.len() as u64 + cut.classes.len() as u64, 5001);
    assert!(Head::Decision(cut).encode().len() < 60 * 1024);
}
