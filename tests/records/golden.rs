//! Golden bytes: one record of each kind. The files are never edited; a new version of the format gets a new folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use sealgate::record::event::{
    self, Access, ClockState, PolicyFault, Population, Predicate, Recovered, Sample, SuspendScope, Token,
};
use sealgate::record::verify::Word;
use sealgate::record::{Kind, Line, section};
use sealgate::types::{Digest, PrincipalKind, Reason, RequestId, Status, Timestamp};

use super::writer::{self, Log, verify};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/records/v1")
}

/// A log that holds one record of each kind at least.
fn one_of_each() -> Log {
    let mut log = Log::new();
    log.boot();
    log.checkpoint();
    let decision = log.decision(1);
    log.checkpoint();
    log.completion(decision, 1, Status::Completed);
    log.checkpoint();
    log.rotate();
    life(&mut log);
    log.checkpoint();
    change(&mut log);
    log.checkpoint();
    evidence(&mut log);
    log.shutdown();
    log
}

fn life(log: &mut Log) {
    let start = Timestamp::from_micros(writer::START);
    let old = log.log_key.public().id();
    log.event(|s| event::key_retired(s, &old, "epoch", "rotated", event::By::System));
    let clock = ClockState { source: "system", sync: "synchronised", offset_micros: Some(-12) };
    log.event(|s| event::heartbeat(s, 0, None, &clock));
    let set_aside = Recovered { bytes: 100, lines: 2, digest: Digest::of(b"tail"), segment: 0 };
    log.event(|s| event::recovered(s, &set_aside, 1));
    log.event(|s| event::clock_stepped(s, -2_000_000, "system"));
    log.event(|s| event::log_full(s, 4096, 3, start));
    let counts = BTreeMap::from([(Reason::IdentityMissing, 7), (Reason::LedgerUnavailable, 2)]);
    log.event(|s| event::refusals(s, start, start.plus_days(1), &counts, 1));
}

fn change(log: &mut Log) {
    let subject = writer::subject(1);
    let roles = ["developer".into()];
    let token = Token {
        id: "t-1",
        subject: &subject,
        tenant: "default",
        principal: PrincipalKind::Human,
        roles: &roles,
        expires: Some(Timestamp::from_micros(writer::START).plus_days(90)),
    };
    let operator = writer::operator();
    log.event(|s| event::token_created(s, &token, operator));
    log.event(|s| event::token_revoked(s, "t-1", &subject, "default", operator));
    let (now, digest) = (writer::policy(), Digest::of(b"other"));
    log.event(|s| event::policy_activated(s, &now, &Digest::of(b"detectors"), Some(&now), operator));
    log.event(|s| event::policy_rejected(s, &digest, PolicyFault::Cases, 2, operator));
    log.event(|s| event::config_changed(s, &Digest::of(b"a"), &digest));
    let request = RequestId::new(1_795_305_600_000, [1; 10]);
    log.event(|s| event::vendor_first_seen(s, "demo", "demo", request));
    log.event(|s| event::model_first_seen(s, "demo", "demo-1", "served", request));
    log.event(|s| event::suspend_on(s, SuspendScope::Vendor("demo"), operator));
    log.event(|s| event::suspend_off(s, SuspendScope::All, operator));
    let raised = log.stamp();
    log.event(|_| event::anomaly_raised(raised, "rate", 90, 10, Some(&subject), Some("demo")));
    log.event(|s| event::anomaly_resolved(s, &raised.id.to_string(), "expected", operator));
    log.event(|s| event::alert_sent(s, "pager", &raised.id.to_string(), true, 1));
}

fn evidence(log: &mut Log) {
    let (filter, operator) = (Digest::of(b"filter"), writer::operator());
    let access = Access { command: "list", filter: &filter, rows: 5, size: 20 };
    log.event(|s| event::access_query(s, &access, operator));
    log.event(|s| event::access_export(s, &access, "jsonl", &Digest::of(b"export"), &[section::IDENTITY], operator));
    let head = log.head();
    let population = Population {
        filter,
        from: Timestamp::from_micros(writer::START),
        to: Timestamp::from_micros(writer::START).plus_days(1),
        count: 1,
        excluded: BTreeMap::from([("synthetic", 0)]),
        size: head.size,
        root: head.root,
    };
    let index = log.event(|s| event::population_frozen(s, &population, operator));
    let sample = Sample { population: index, n: 1, seed: Digest::of(b"seed"), drawn: Digest::of(b"2\n") };
    log.event(|s| event::sample_drawn(s, &sample, operator));
    let predicate = Predicate {
        subject: Some(writer::subject(1)),
        sections: ["commitments", "content", "identity"].map(str::to_owned).to_vec(),
        class: None,
        up_to: 3,
    };
    log.event(|s| event::erasure(s, &predicate, 3, operator));
    let predicate = Predicate { subject: None, class: Some("standard".to_owned()), ..predicate };
    log.event(|s| event::retention_pruned(s, &predicate, 0, event::By::System));
}

/// File name and bytes of every golden file.
fn files() -> BTreeMap<String, Vec<u8>> {
    let log = one_of_each();
    let mut files = BTreeMap::from([
        ("log.jsonl".to_owned(), log.lines().concat()),
        ("log.checkpoint".to_owned(), log.published().into_bytes()),
        ("log.vkey".to_owned(), format!("{}\n", log.vkey()).into_bytes()),
    ]);
    for written in &log.written {
        let Line::Record(record) = Line::parse(&written.record).expect("reads") else { continue };
        let lines: Vec<&[u8]> = std::iter::once(&written.record).chain(&written.sections).map(Vec::as_slice).collect();
        let bytes = lines.iter().flat_map(|line| [*line, b"\n"].concat()).collect();
        // The first of a kind; of `key.certified` the last, which carries a hand-over.
        let name = format!("{}.jsonl", record.head.kind());
        if record.head.kind() == Kind::KeyCertified {
            files.insert(name, bytes);
        } else {
            files.entry(name).or_insert(bytes);
        }
    }
    files
}

#[test]
fn golden_bytes_of_every_kind_are_written_again() {
    let files = files();
    for kind in Kind::ALL {
        assert!(files.contains_key(&format!("{kind}.jsonl")), "no golden record of kind {kind}");
    }
    for (name, bytes) in &files {
        let stored = fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(String::from_utf8_lossy(&stored), String::from_utf8_lossy(bytes), "{name}");
    }
    assert_eq!(fs::read_dir(folder()).expect("the folder").count(), files.len());
}

#[test]
fn golden_records_read_canonically_and_verify() {
    let read = |name: &str| fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    for kind in Kind::ALL {
        let bytes = read(&format!("{kind}.jsonl"));
        let line = bytes.split(|byte| *byte == b'\n').next().expect("a line");
        let Line::Record(record) = Line::parse(line).expect("a record") else { panic!("{kind}: no record") };
        assert_eq!(record.head.kind(), *kind);
        let value: serde_json::Value = serde_json::from_slice(line).expect("JSON");
        assert_eq!(serde_json_canonicalizer::to_vec(&value).expect("canonical"), line, "{kind}");
    }
    let mut options = Log::new().options();
    options.published = Some(String::from_utf8(read("log.checkpoint")).expect("text"));
    options.log_key = Some(String::from_utf8(read("log.vkey")).expect("text").parse().expect("a vkey"));
    let verdict = verify(&read("log.jsonl"), options);
    assert_eq!((verdict.fault, verdict.word), (None, Word::OkUnanchored));
}

#[test]
#[ignore = "writes the golden files of a new version; those that are there are never changed"]
fn write_golden_files() {
    for (name, bytes) in files() {
        let path = folder().join(name);
        if !path.exists() {
            fs::write(path, bytes).expect("writes");
        }
    }
}
