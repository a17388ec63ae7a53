//! What is recorded of a reading, and answers that are no.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Parser;

use super::tests::{Cli, records, three};
use super::*;
use crate::index::testlog::TestLog;

type Heard = Arc<Mutex<Vec<String>>>;

/// Answers on the control socket and keeps what was asked.
fn gateway(log: &TestLog) -> Heard {
    let listener = UnixListener::bind(log.data().join("admin.sock")).expect("binds");
    let heard = Heard::default();
    let kept = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("accepts");
            let (mut text, mut buffer) = (String::new(), [0; 4096]);
            while !text.contains("\"size\"") {
                let n = stream.read(&mut buffer).expect("reads");
                text.push_str(&String::from_utf8_lossy(&buffer[..n]));
            }
            kept.lock().expect("lock").push(text);
            write!(stream, "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("answers");
        }
    });
    heard
}

fn asked(heard: &Heard) -> Vec<String> {
    let body = |text: &String| text.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned();
    heard.lock().expect("lock").iter().map(body).collect()
}

#[test]
fn verify_and_show_are_recorded_with_what_they_gave_out() {
    let log = three();
    let heard = gateway(&log);
    assert_eq!(records(&log, &["verify"]).0, 0);
    let vkey = crate::record::vkey("sealgate-test/1", log.log_key.public());
    assert_eq!(records(&log, &["verify", "--vkey", &vkey]).0, 0);
    assert_eq!(records(&log, &["show", "#6"]).0, 0);
    assert_eq!(records(&log, &["show", "#0"]).0, 0);
    assert_eq!(records(&log, &["show", "#99"]).0, 1);
    let asked = asked(&heard);
    assert!(asked[0].contains("\"command\":\"verify\",\"fields\":[]"), "{}", asked[0]);
    assert!(asked[1].contains("\"command\":\"verify\",\"fields\":[\"vkey\"]"), "{}", asked[1]);
    for (at, rows) in [(0, 0), (2, 2), (3, 1), (4, 0)] {
        assert!(asked[at].contains(&format!("\"rows\":{rows},\"size\":8")), "{at}: {}", asked[at]);
    }
}

#[test]
fn another_leaf_is_a_no_with_its_word_first() {
    let log = three();
    let (code, out, err) = records(&log, &["show", "sealgate-test/1#6#AAAA"]);
    assert_eq!((code, out.starts_with("MISMATCH record #6 ")), (1, true), "{out}{err}");
    let (code, out, _) = records(&log, &["show", "sealgate-test/1#6#AAAA", "--format", "json"]);
    assert_eq!((code, &*out), (1, "{\"index\":6,\"records\":[],\"verdict\":\"MISMATCH\"}\n"));
}

#[test]
fn verify_says_when_no_log_key_is_readable() {
    let log = three();
    let vkey = crate::record::vkey("sealgate-test/1", log.log_key.public());
    let (_, out, _) = records(&log, &["verify", "--vkey", &vkey]);
    assert!(!out.contains("NOT CHECKED"), "{out}");
    // There is no `keys/log.pem` in this folder.
    let (code, out, _) = records(&log, &["verify"]);
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].starts_with("OK-UNANCHORED") && lines[1].ends_with("NOT CHECKED"), "{out}");
    assert_eq!(code, 0);
}

/// An output whose reader goes away once it has read `until`.
struct Reader {
    text: Vec<u8>,
    until: &'static str,
}

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.text.extend_from_slice(bytes);
        match String::from_utf8_lossy(&self.text).contains(self.until) {
            true => Err(io::ErrorKind::BrokenPipe.into()),
            false => Ok(bytes.len()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn run_until(log: &TestLog, until: &'static str, line: &[&str]) -> (u8, String) {
    let args = Cli::try_parse_from(["records"].iter().chain(line)).unwrap_or_else(|error| panic!("{error}")).records;
    let (mut out, mut err) = (Reader { text: Vec::new(), until }, Vec::new());
    let mut console = Console { out: &mut out, err: &mut err, width: 80, interactive: false, use_index: true };
    let code = run_on(&args, &Paths::new(log.data()), &mut console).expect("runs");
    (code, String::from_utf8(out.text).expect("text"))
}

#[test]
fn a_verdict_keeps_its_code_when_its_reader_goes_away() {
    let log = three();
    let text = std::fs::read_to_string(log.path()).expect("segment");
    assert_eq!(run_until(&log, "OK", &["verify"]).0, 0);
    std::fs::write(log.path(), text.replacen("dlp.pan", "dlp.pii", 1)).expect("written");
    assert_eq!(run_until(&log, "INVALID", &["verify"]).0, 1);
}

#[test]
fn following_records_what_it_shows_and_does_not_hold_the_index() {
    let mut log = three();
    let (open, head) = log.decision(|_| {});
    log.commit();
    let (sender, committed) = tokio::sync::watch::channel(9);
    let metrics = Arc::new(crate::telemetry::Metrics::new().expect("metrics"));
    crate::index::follow(&log.data(), None, committed, metrics).expect("starts").shutdown();
    drop(sender);
    let heard = gateway(&log);
    let data = log.data();
    let wal_is_free = std::thread::scope(|scope| {
        let tail = scope.spawn({
            let (data, args) = (data.clone(), ["records", "tail", "--follow", "--format", "jsonl", "--limit", "1"]);
            move || {
                let args = Cli::try_parse_from(args).expect("arguments").records;
                let mut out = Reader { text: Vec::new(), until: "\"status\":\"client_aborted\"" };
                let mut console =
                    Console { out: &mut out, err: &mut Vec::new(), width: 80, interactive: false, use_index: true };
                run_on(&args, &Paths::new(data), &mut console).expect("runs")
            }
        });
        std::thread::sleep(Duration::from_millis(600));
        let index = rusqlite::Connection::open(data.join(crate::index::FILE_NAME)).expect("opens");
        index.execute("INSERT INTO meta VALUES ('test', 1)", []).expect("written");
        for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
            let mode = std::fs::metadata(data.join(name)).expect("there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
        let busy: i64 = index.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0)).expect("asked");
        log.complete(open, &head, |_| {});
        let (next, head) = log.decision(|_| {});
        log.complete(next, &head, |c| c.status = crate::types::Status::ClientAborted);
        log.commit();
        assert_eq!(tail.join().expect("ends"), 0);
        busy == 0
    });
    assert!(wal_is_free);
    let asked = asked(&heard);
    assert_eq!(asked.len(), 2, "{asked:#?}");
    assert!(asked[0].contains("\"rows\":1,\"size\":9") && asked[1].contains("\"rows\":2,\"size\":12"), "{asked:#?}");
}
