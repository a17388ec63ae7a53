use std::io::{Read, Write};
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use clap::Parser;

use super::*;
use crate::index::testlog::{TestLog, pseudonym};
use crate::telemetry::Metrics;
use crate::types::*;

#[derive(Parser)]
#[command(name = "records")]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) records: RecordsArgs,
}

/// Exit code, standard output, standard error.
pub(super) fn records(log: &TestLog, line: &[&str]) -> (u8, String, String) {
    records_at(log, line, 80)
}

fn records_at(log: &TestLog, line: &[&str], width: usize) -> (u8, String, String) {
    let args = ["records"].into_iter().chain(line.iter().copied());
    let args = Cli::try_parse_from(args).unwrap_or_else(|error| panic!("{error}")).records;
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut console = Console { out: &mut out, err: &mut err, width, interactive: false, use_index: true };
    let code = run_on(&args, &Paths::new(log.data()), &mut console).expect("runs");
    (code, String::from_utf8(out).expect("text"), String::from_utf8(err).expect("text"))
}

fn refused(line: &[&str]) -> String {
    let error = Cli::try_parse_from(["records"].into_iter().chain(line.iter().copied())).err().expect("refused");
    assert_eq!(error.exit_code(), 2);
    error.to_string()
}

/// A boot, an answered request, a denied one, and one of Ada's with sections.
pub(super) fn three() -> TestLog {
    let mut log = TestLog::new();
    drop(log.keys());
    log.boot();
    let (a, head) = log.decision(|h| {
        h.vendor = "anthropic".into();
        h.model = "claude-sonnet-4-5-20250929".into();
        h.subject = pseudonym(2).into();
    });
    log.complete(a, &head, |_| {});
    let (b, head) = log.decision(|h| {
        h.outcome = RequestOutcome::Denied;
        h.reason = Reason::DlpPan;
        h.label = Label::Restricted;
        h.classes = vec![Class::new("pci.pan").expect("class")];
        h.subject = pseudonym(2).into();
    });
    log.complete(b, &head, |c| (c.status, c.outcome) = (Status::Denied, AnswerOutcome::None));
    log.commit();
    log.decision_of("ada@example.org", "Ada Lovelace");
    log.commit();
    log
}

#[test]
fn a_list_fits_eighty_columns_and_ends_with_its_checkpoint() {
    let log = three();
    let (code, out, err) = records(&log, &["list"]);
    assert_eq!(code, 0, "{err}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 5, "{out}");
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{out}");
    assert!(lines[0].starts_with("INDEX  TIME (UTC)           IDENTITY"), "{out}");
    assert!(lines[1].trim_start().starts_with("6 ") && lines[3].trim_start().starts_with("2 "), "{out}");
    assert!(lines[2].contains("denied") && lines[2].contains("dlp.pan"), "{out}");
    assert!(lines[4].starts_with("3 shown; as of 8 records, root "), "{out}");
    assert!(err.contains("no gateway is running here; this read is not recorded"), "{err}");
    let (_, wide, _) = records_at(&log, &["list", "--oldest-first"], 220);
    assert!(wide.contains("REQUEST") && wide.contains("pci.pan") && wide.contains("default@1"), "{wide}");
    assert!(wide.lines().nth(1).is_some_and(|line| line.trim_start().starts_with("2 ")), "{wide}");
}

#[test]
fn jsonl_is_the_decision_head_then_the_completion() {
    let mut log = three();
    log.decision(|_| {});
    log.commit();
    let (_, out, err) = records(&log, &["list", "--format", "jsonl", "--limit", "2"]);
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).expect("json")).collect();
    assert!(lines[0].get("completion").is_none(), "open");
    assert_eq!(lines[1]["completion"]["status"], "completed");
    assert_eq!(lines[1]["kind"], "decision");
    assert!(err.contains("2 shown, there are more (--limit); as of 9 records"), "{err}");
    let (_, out, _) = records(&log, &["list", "--format", "json", "--outcome", "denied"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("json");
    assert_eq!(json["requests"].as_array().map(Vec::len), Some(1));
    assert_eq!(json["as_of"]["size"], 9);
    let (_, out, _) = records(&log, &["list", "--format", "csv"]);
    let widths: Vec<usize> = out.lines().map(|line| line.split(',').count()).collect();
    assert!(widths.len() == 5 && widths.iter().all(|n| *n == 30), "{out}");
}

#[test]
fn an_identity_is_found_by_pseudonym_user_issuer_and_name() {
    let mut log = three();
    let keys = log.keys();
    let (version, key) = keys.pseudonym_key("default").expect("key");
    let pseudonym_of_grace = crate::record::pseudonym(&key, version, "sealgate", "grace");
    log.decision(|h| h.subject = pseudonym_of_grace.clone().into());
    log.commit();
    let count = |who: &str| records(&log, &["count", "--identity", who]).1;
    assert_eq!(count("grace"), "1\n");
    assert_eq!(count("sealgate grace"), "1\n");
    assert_eq!(count(&pseudonym_of_grace), "1\n");
    assert_eq!(count(&pseudonym_of_grace[12..24]), "1\n");
    assert_eq!(count("Ada Lovelace"), "1\n");
    assert_eq!(count("ADA@example.org"), "1\n");
    let (code, out, err) = records(&log, &["count", "--identity", "Charles Babbage"]);
    assert_eq!((code, &*out), (0, "0\n"));
    assert!(err.contains("nobody in this log goes by `Charles Babbage`"), "{err}");
}

#[test]
fn wrong_values_are_refused_with_the_right_ones() {
    assert!(refused(&["list", "--outcome", "maybe"]).contains("allowed, redacted, tokenized, denied"));
    assert!(refused(&["list", "--label", "secret"]).contains("public, internal, confidential"));
    assert!(refused(&["list", "--status", "done"]).contains("completed, denied, not_sent"));
    assert!(refused(&["list", "--reason", "bad"]).contains("identity.missing"));
    assert!(refused(&["list", "--class", "PII Email"]).contains("pii.email"));
    assert!(refused(&["list", "--from", "yesterday"]).contains("2026-11-22"));
    let log = three();
    let (code, _, err) = records(&log, &["list", "--from", "2026-12", "--to", "2026-11"]);
    assert_eq!((code, err.contains("not before")), (2, true), "{err}");
    let (code, _, err) = records(&log, &["list", "--vendor", "opanai"]);
    assert_eq!(code, 0);
    assert!(err.contains("no request in this log has the vendor `opanai`; it has: demo, anthropic"), "{err}");
    let (code, _, err) = records(&log, &["show", "x"]);
    assert_eq!((code, err.contains("neither a request")), (2, true), "{err}");
    let empty = TestLog::new();
    let (code, _, err) = records(&empty, &["list"]);
    assert_eq!((code, err.contains("there is no log under")), (74, true), "{err}");
}

#[test]
fn show_tells_signer_leaf_and_sections() {
    let mut log = three();
    let (_, out, _) = records(&log, &["show", "#6"]);
    for part in ["decision #6", "completion #7", "valid, epoch key certified in #0", "[identity]     present", "leaf"] {
        assert!(out.contains(part), "{part}: {out}");
    }
    assert!(!out.contains("Lovelace"), "{out}");
    let (_, out, _) = records(&log, &["show", "#7", "--sections"]);
    assert!(out.contains("Ada Lovelace") && out.contains("ada@example.org"), "{out}");
    let (_, out, _) = records(&log, &["show", "0", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("json");
    assert_eq!(json["records"][0]["head"]["kind"], "key.certified");
    let (_, list, _) = records(&log, &["list", "--format", "jsonl", "--limit", "1"]);
    let head: serde_json::Value = serde_json::from_str(&list).expect("json");
    for id in [&head["request"], &head["id"], &head["completion"]["id"]] {
        let (code, out, err) = records(&log, &["show", id.as_str().expect("id")]);
        assert_eq!(code, 0, "{err}");
        assert!(out.contains("decision #6") && out.contains("completion #7"), "{out}");
    }
    let (_, out, _) = records(&log, &["show", "0", "--format", "json"]);
    let id = serde_json::from_str::<serde_json::Value>(&out).expect("json")["records"][0]["head"]["id"].clone();
    assert!(records(&log, &["show", id.as_str().expect("id")]).1.contains("key.certified #0"));
    // The key of a section is destroyed; then a signature is broken.
    let database = rusqlite::Connection::open(log.data().join("keys/data.sqlite")).expect("opens");
    database.execute("DELETE FROM data_key WHERE section = 'identity'", []).expect("deletes");
    let (_, out, _) = records(&log, &["show", "#6", "--sections"]);
    assert!(out.contains("[identity]     key destroyed") && out.contains("[content]      present"), "{out}");
    log.segment = 0;
    let text = std::fs::read_to_string(log.path()).expect("segment");
    std::fs::write(log.path(), text.replacen("dlp.pan", "dlp.pii", 1)).expect("written");
    let (code, out, _) = records(&log, &["show", "#4"]);
    assert_eq!((code, out.contains("INVALID")), (1, true), "{out}");
}

#[test]
fn a_changed_record_is_not_shown_and_the_answer_is_no() {
    let log = three();
    let (sender, committed) = tokio::sync::watch::channel(8);
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    crate::index::follow(&log.data(), None, committed, metrics).expect("starts").shutdown();
    drop(sender);
    assert_eq!(records(&log, &["list"]).0, 0);
    let text = std::fs::read_to_string(log.path()).expect("segment");
    std::fs::write(log.path(), text.replacen("dlp.pan", "dlp.pii", 1)).expect("written");
    let (code, out, err) = records(&log, &["list"]);
    assert_eq!(code, 1);
    assert!(err.contains("record #4 of generation 1: the log is not what was indexed"), "{err}");
    assert!(!out.contains("dlp"), "{out}");
}

#[test]
fn stats_and_count_agree() {
    let log = three();
    let (_, out, _) = records(&log, &["stats"]);
    assert!(out.starts_with("3 requests\n") && out.contains("dlp.pan"), "{out}");
    assert!(out.lines().all(|line| line.chars().count() <= 80), "{out}");
    let (_, out, _) = records(&log, &["stats", "--format", "json", "--vendor", "demo"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("json");
    assert_eq!((&json["requests"], &json["by"]["outcome"]["denied"]), (&2.into(), &1.into()));
    assert_eq!(records(&log, &["count", "--vendor", "demo"]).1, "2\n");
    assert!(records(&log, &["count", "--format", "json"]).1.contains("\"count\":3"));
}

#[test]
fn tail_is_oldest_first() {
    let log = three();
    let (code, out, _) = records(&log, &["tail", "--limit", "2"]);
    assert_eq!(code, 0);
    let first: Vec<&str> = out.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(first[..3], ["INDEX", "4", "6"]);
}

#[test]
fn reading_is_recorded_through_the_socket() {
    let log = three();
    let listener = UnixListener::bind(log.data().join("admin.sock")).expect("binds");
    let server = std::thread::spawn(move || {
        let mut asked = Vec::new();
        for status in ["204 No Content", "503 Service Unavailable"] {
            let (mut stream, _) = listener.accept().expect("accepts");
            let mut text = vec![0u8; 4096];
            let mut n = 0;
            while !String::from_utf8_lossy(&text[..n]).contains("\"size\"") {
                n += stream.read(&mut text[n..]).expect("reads");
            }
            asked.push(String::from_utf8_lossy(&text[..n]).into_owned());
            write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n").expect("answers");
        }
        asked
    });
    let (_, _, err) = records(&log, &["list", "--vendor", "demo", "--identity", "Ada Lovelace"]);
    assert!(!err.contains("not recorded"), "{err}");
    let (_, _, err) = records(&log, &["count"]);
    assert!(err.contains("this read is not recorded"), "{err}");
    let asked = server.join().expect("ends");
    assert!(asked[0].starts_with("POST /access HTTP/1.1\r\n"), "{}", asked[0]);
    assert!(asked[0].contains("\"fields\":[\"identity\",\"vendor\"]"), "{}", asked[0]);
    assert!(asked[0].contains("\"kind\":\"access.query\",\"rows\":1,\"size\":8"), "{}", asked[0]);
    assert!(!asked[0].contains("Ada") && !asked[0].contains("demo"), "{}", asked[0]);
}

#[test]
fn an_index_damaged_inside_is_left_aside() {
    let mut log = three();
    for n in 0..400 {
        let (index, head) = log.decision(|h| h.subject = pseudonym(n).into());
        log.complete(index, &head, |_| {});
    }
    log.commit();
    let (_sender, committed) = tokio::sync::watch::channel(0);
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    crate::index::follow(&log.data(), None, committed, metrics).expect("starts").shutdown();
    let (_, good, _) = records(&log, &["list", "--vendor", "anthropic"]);
    let file = log.data().join(crate::index::FILE_NAME);
    let whole = std::fs::read(&file).expect("file");
    let mut noticed = 0;
    for page in (1..whole.len() / 4096).step_by(5) {
        let mut torn = whole.clone();
        torn[page * 4096..page * 4096 + 64].fill(0xee);
        std::fs::write(&file, torn).expect("written");
        let (code, out, err) = records(&log, &["list", "--vendor", "anthropic"]);
        assert!(code == 0 && out == good, "page {page}: {err}");
        let (code, out, stats_err) = records(&log, &["stats"]);
        assert!(code == 0 && out.starts_with("403 requests"), "page {page}: {out}{stats_err}");
        noticed += usize::from([err, stats_err].iter().any(|text| text.contains("the index is damaged")));
    }
    assert!(noticed > 0);
}

fn verdict(log: &TestLog, line: &[&str]) -> (u8, Vec<String>) {
    let (code, out, err) = records(log, &[&["verify"], line].concat());
    assert!(!out.is_empty(), "{err}");
    (code, out.lines().map(str::to_owned).collect())
}

#[test]
fn verify_says_ok_and_what_is_not_proven() {
    let log = three();
    let (code, lines) = verdict(&log, &[]);
    assert_eq!(code, 0, "{lines:#?}");
    assert!(lines[0].starts_with("OK-UNANCHORED  8 records in 1 segments"), "{lines:#?}");
    assert!(lines[1].starts_with("origin: NOT PROVEN"), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("3 decisions, 3 completions (0 orphan), 0 open")), "{lines:#?}");
    let vkey = crate::record::vkey("sealgate-test/1", log.log_key.public());
    let (code, lines) = verdict(&log, &["--vkey", &vkey]);
    assert_eq!((code, lines[1].starts_with("origin: proven by")), (0, true), "{lines:#?}");
    let file = log.data().join("vkey");
    std::fs::write(&file, format!("# from the operator\n{vkey}\n")).expect("written");
    assert_eq!(verdict(&log, &["--vkey", file.to_str().expect("path")]).0, 0);
    let other = crate::record::vkey("sealgate-test/1", log.epoch.public());
    let (code, lines) = verdict(&log, &["--vkey", &other]);
    assert_eq!((code, lines[0].starts_with("INVALID")), (1, true), "{lines:#?}");
    assert!(lines[1].starts_with("origin: NOT PROVEN"), "{lines:#?}");
    let (code, _, err) = records(&log, &["verify", "--vkey", "nonsense"]);
    assert_eq!((code, err.contains("sealgate key show")), (2, true), "{err}");
    let (_, out, _) = records(&log, &["verify", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).expect("json");
    assert_eq!((&json["verdict"], &json["generations"][0]["records"]), (&"OK-UNANCHORED".into(), &8.into()));
}

#[test]
fn every_changed_byte_is_invalid_and_named() {
    let log = three();
    let path = log.path();
    let whole = std::fs::read(&path).expect("segment");
    // Every 37th byte: all line kinds and many fields, in a second.
    for at in (0..whole.len()).step_by(37) {
        let mut changed = whole.clone();
        changed[at] ^= 0x01;
        std::fs::write(&path, &changed).expect("written");
        let (code, lines) = verdict(&log, &[]);
        assert_eq!((code, lines[0].starts_with("INVALID")), (1, true), "byte {at}: {lines:#?}");
        assert!(lines.iter().any(|line| line.contains("fault") && line.contains("record ")), "byte {at}: {lines:#?}");
    }
    std::fs::write(&path, &whole[..whole.len() - 1]).expect("written");
    assert_eq!(verdict(&log, &[]).0, 1, "cut at the end");
    std::fs::write(&path, &whole).expect("written");
    assert_eq!(verdict(&log, &[]).0, 0);
    let vkey = crate::record::vkey("sealgate-test/1", log.log_key.public());
    let published = std::fs::read(path.with_file_name("checkpoint")).expect("checkpoint");
    for at in (0..published.len()).step_by(5) {
        let mut changed = published.clone();
        changed[at] ^= if at % 2 == 0 { 0x01 } else { 0x80 };
        std::fs::write(path.with_file_name("checkpoint"), &changed).expect("written");
        let (code, lines) = verdict(&log, &["--vkey", &vkey]);
        assert_eq!((code, lines[0].starts_with("INVALID")), (1, true), "checkpoint byte {at}: {lines:#?}");
    }
    std::fs::remove_file(path.with_file_name("checkpoint")).expect("removed");
    let (code, lines) = verdict(&log, &[]);
    assert_eq!((code, lines[0].starts_with("INCOMPLETE")), (1, true), "{lines:#?}");
    let folder = log.data().join("log");
    std::fs::rename(folder.join("1"), folder.join("2")).expect("renamed");
    let (code, lines) = verdict(&log, &[]);
    assert_eq!((code, lines[0].starts_with("INVALID")), (1, true), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("generation 1 is missing")), "{lines:#?}");
}

/// The real ledger: written, indexed, read and verified while it runs, and after.
#[tokio::test]
async fn a_live_ledger_is_read_and_verified_beside_its_writer() {
    use crate::ledger::{BootFacts, LedgerConfig};
    use crate::record::{Draft, Head};
    let mut heads = TestLog::new();
    let log = TestLog::new();
    let open = || {
        let config =
            LedgerConfig { data: log.data(), gateway_name: Some("sealgate-test".into()), ..Default::default() };
        let facts = BootFacts { version: "0.1.0".into(), config_digest: Digest([3; 32]), fleet: Vec::new() };
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        crate::ledger::open(config, crate::env::Clock::system(), metrics, facts).expect("opens")
    };
    let mut pairs = Vec::new();
    for n in 0..200u64 {
        let (index, decision) = heads.decision(|h| h.subject = pseudonym(n % 5).into());
        heads.complete(index, &decision, |_| {});
        let text = std::mem::take(&mut heads.pending);
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        let head = |line: &[u8]| match crate::record::Line::parse(line) {
            Ok(crate::record::Line::Record(record)) => record.head,
            other => panic!("{other:?}"),
        };
        pairs.push((head(lines[0]), head(lines[1])));
    }
    let opened = open();
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let follower = crate::index::follow(&log.data(), Some(opened.keys.clone()), opened.ledger.committed(), metrics);
    for (n, (decision, completion)) in pairs.into_iter().enumerate() {
        let (_receipt, open) = opened.ledger.decide(Draft::bare(decision)).await.expect("decided");
        if n == 100 {
            let (code, lines) = verdict(&log, &[]);
            assert_eq!(code, 0, "{lines:#?}");
            assert_eq!(records(&log, &["count"]).1, "101\n");
            assert_eq!(records(&log, &["count", "--status", "open"]).1, "1\n");
        }
        let Head::Completion(completion) = completion else { panic!("a completion") };
        opened.ledger.complete(open, Draft::bare(Head::Completion(completion))).await.expect("completed");
    }
    assert_eq!(records(&log, &["count", "--status", "completed"]).1, "200\n");
    assert_eq!(records(&log, &["count", "--identity", &pseudonym(3)]).1, "40\n");
    let vkey = opened.log_vkey.clone();
    let (ledger, threads) = (opened.ledger, opened.threads);
    drop(ledger);
    tokio::task::spawn_blocking(move || threads.shutdown().expect("ends")).await.expect("joins");
    follower.expect("followed").shutdown();
    let (code, lines) = verdict(&log, &["--vkey", &vkey]);
    assert_eq!((code, lines[1].starts_with("origin: proven by")), (0, true), "{lines:#?}");
    let view = crate::index::View::open(&log.data(), None).expect("opens");
    assert_eq!(view.index_state(), (view.as_of().size, None), "everything is in the index");
    assert_eq!(records(&log, &["count"]).1, "200\n");
    let (code, out, err) = records(&log, &["list", "--limit", "3"]);
    assert_eq!((code, out.lines().count()), (0, 5), "{err}");
}
