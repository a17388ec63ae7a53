//! The spine against the whole product: what is on disk when, and what a killed, drained or failing gateway leaves.
//!
//! Promises 1, 2 and 3 of DESIGN section 2, and the record's own: one changed byte is found.

#![expect(clippy::expect_used, reason = "a test stops at what it cannot do")]
#![allow(clippy::disallowed_methods, reason = "tests measure with the real clock")]

mod common;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::{Call, Connection, Gateway, Log, Next, Seen, Site, Vendor, chat, json_answer, openai_events, wait_for};
use sealgate::record::Kind;
use sealgate::types::Status;

/// A trace id of letters only (base 6, `a` to `f`), in which no detector sees a number.
fn trace(number: usize) -> String {
    (0..32u32).map(|place| char::from(b"abcdef"[number / 6usize.saturating_pow(place) % 6])).collect()
}

fn traced(number: usize, stream: bool) -> Call {
    Call::post("/openai/v1/chat/completions", chat("How is the weather?", stream))
        .header("traceparent", format!("00-{}-aaaaaaaaaaaaaaaa-01", trace(number)))
}

fn trace_of(seen: &Seen) -> String {
    seen.header("traceparent").and_then(|value| value.split('-').nth(1)).expect("a trace").to_owned()
}

/// A vendor that looks into the log each time it is called; gives the calls whose decision was not there.
fn watching(vendor: &Vendor, data: &Path) -> Arc<AtomicUsize> {
    let early = Arc::new(AtomicUsize::new(0));
    let (data, counter) = (data.to_owned(), early.clone());
    vendor.on("watch", move |seen, wire| {
        let mark = format!("\"trace\":\"{}\"", trace_of(seen));
        if !Log::holds(&data, &[&mark, "\"kind\":\"decision\""]) {
            counter.fetch_add(1, Ordering::SeqCst);
        }
        wire.write_all(&json_answer("{\"ok\":true}"))?;
        Ok(Next::Keep)
    });
    early
}

#[test]
fn a_vendor_that_is_called_finds_the_decision_on_disk() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let early = watching(&vendor, &site.data());
    let gateway = site.start();
    for number in 0..20 {
        assert_eq!(gateway.call(traced(number, false).case("watch")).status, 200);
    }
    std::thread::scope(|scope| {
        for client in 1..=8 {
            let gateway = &gateway;
            scope.spawn(move || {
                for number in 0..12 {
                    assert_eq!(gateway.call(traced(client * 100 + number, false).case("watch")).status, 200);
                }
            });
        }
    });
    assert_eq!(
        (vendor.calls(), early.load(Ordering::SeqCst)),
        (20 + 8 * 12, 0),
        "calls, and those before their record"
    );
    gateway.stop();
    assert_eq!(site.log().decisions().len(), 20 + 8 * 12);
    site.verify();
}

#[test]
fn a_caller_that_sees_the_end_of_an_answer_finds_the_completion_on_disk() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let gateway = site.start();
    for number in 0..10 {
        let answer = gateway.call(traced(number, false));
        let request = format!("\"request\":\"{}\"", answer.request());
        assert!(Log::holds(&site.data(), &[&request, "\"kind\":\"completion\""]), "whole answer {number}");
        let mut connection = Connection::open(gateway.gateway);
        connection.send(&traced(number, true).token(&gateway.token).bytes()).expect("sent");
        let mut answer = connection.head().expect("a head");
        let request = format!("\"request\":\"{}\"", answer.request());
        connection.until(&mut answer, "[DONE]");
        assert!(Log::holds(&site.data(), &[&request, "\"kind\":\"completion\""]), "stream {number}");
    }
}

/// Each `fdatasync` made to take this long by `strace`.
const SLOW: Duration = Duration::from_millis(150);

#[test]
fn nothing_leaves_before_fdatasync_has_returned() {
    if !common::has_strace() {
        return;
    }
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let called = Arc::new(Mutex::new(None));
    let noting = called.clone();
    vendor.on("note", move |_, wire| {
        *noting.lock().expect("lock") = Some(Instant::now());
        let events = openai_events(&["All", " is", " well", " here."]);
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        wire.write_all(format!("{head}{events}").as_bytes())?;
        Ok(Next::Close)
    });
    let delay = format!("inject=fdatasync:delay_exit={}", SLOW.as_micros());
    let gateway = site.start_under(&["strace", "-D", "-f", "-o", "/dev/null", "-e", "trace=fdatasync", "-e", &delay]);
    gateway.call(traced(1, false));
    for number in 2..5 {
        let mut connection = Connection::open(gateway.gateway);
        let sent = Instant::now();
        connection.send(&traced(number, true).case("note").token(&gateway.token).bytes()).expect("sent");
        let mut answer = connection.head().expect("a head");
        connection.until(&mut answer, "All");
        let first = Instant::now();
        connection.until(&mut answer, "[DONE]");
        let (reached, end) = (called.lock().expect("lock").expect("called"), first.elapsed());
        assert!(reached - sent >= SLOW, "the vendor was called {:?} after sending", reached - sent);
        assert!(end >= SLOW / 2, "the end came {end:?} after the first event");
        assert!(first - reached < SLOW, "the first event waited {:?} for the completion", first - reached);
    }
}

#[test]
fn a_disk_that_fails_means_503_and_a_silent_vendor() {
    if !common::has_strace() {
        return;
    }
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let early = watching(&vendor, &site.data());
    let fault = ["-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=60+"];
    let gateway = site.start_under(&[&["strace", "-D", "-f", "-o", "/dev/null"], &fault[..]].concat());
    let mut refused = None;
    for number in 0..200 {
        let answer = gateway.call(traced(number, false).case("watch"));
        if answer.status == 503 {
            refused = Some(answer);
            break;
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let answer = refused.expect("the disk failed in time");
    assert!(answer.text().contains("ledger.unavailable"), "{}", answer.text());
    let before = vendor.calls();
    for number in 300..310 {
        let answer = gateway.call(traced(number, false).case("watch"));
        assert_eq!((answer.status, answer.header("sealgate-outcome")), (503, Some("unrecorded")), "{}", answer.text());
    }
    assert_eq!((vendor.calls(), early.load(Ordering::SeqCst)), (before, 0), "the vendor hears nothing more");
    assert_eq!(gateway.admin("/readyz").status, 503);
    let metrics = gateway.admin("/metrics").text();
    assert!(metrics.contains("sealgate_ledger_poisoned 1"), "{metrics}");
    let counted =
        metrics.lines().find(|line| line.starts_with("sealgate_unrecorded_refusals_total")).unwrap_or_default();
    assert!(counted.ends_with(" 11") || counted.ends_with(" 12"), "{counted}");
    gateway.kill();
    site.start().stop();
    assert!(site.log().open().is_empty());
    site.verify();
}

/// Eight callers until the gateway dies; the requests that were answered whole.
fn load(gateway: &Gateway<'_>, life: usize, stop: &AtomicBool) -> BTreeSet<String> {
    let answered = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for client in 0..8 {
            let (answered, token, address) = (&answered, &gateway.token, gateway.gateway);
            scope.spawn(move || {
                for number in 0.. {
                    let call = traced(life * 1_000_000 + client * 100_000 + number, number % 2 == 1).token(token);
                    let Ok(answer) = Connection::try_open(address).and_then(|mut open| open.call(&call)) else {
                        return;
                    };
                    if answer.whole && answer.status == 200 {
                        answered.lock().expect("lock").insert(answer.request());
                    }
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                }
            });
        }
        std::thread::sleep(Duration::from_millis(350 + 90 * life as u64));
        gateway.signal(rustix::process::Signal::KILL);
        stop.store(true, Ordering::SeqCst);
    });
    answered.into_inner().expect("lock")
}

#[test]
fn what_a_gateway_killed_under_load_answered_is_recorded() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let mut answered = BTreeSet::new();
    for life in 1..=5 {
        let gateway = site.start();
        assert!(site.log().open().is_empty(), "recovery has closed every open decision before anything is served");
        answered.extend(load(&gateway, life, &AtomicBool::new(false)));
        gateway.kill();
    }
    site.start().stop();
    let log = site.log();
    assert!(answered.len() > 40, "only {} answers", answered.len());
    for request in &answered {
        assert_eq!(log.pair(request).2.status, Status::Completed);
    }
    assert!(log.open().is_empty(), "every decision is closed");
    assert_eq!(log.decisions().len(), log.completions().len(), "and once");
    let decided: BTreeSet<_> = log.decisions().iter().filter_map(|(_, head)| head.trace.clone()).collect();
    let unknown = vendor.seen().iter().filter(|seen| !decided.contains(&trace_of(seen))).count();
    assert_eq!(unknown, 0, "requests that the vendor saw without a decision");
    let orphans = log.completions().iter().filter(|(_, head)| head.status == Status::Orphan).count();
    eprintln!("{} answered, {orphans} orphans in {} requests", answered.len(), log.decisions().len());
    site.verify();
}

#[test]
fn a_gateway_asked_to_stop_finishes_what_it_has_begun() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let (slow, waiting) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
    let (begun, held) = (slow.clone(), waiting.clone());
    vendor.on("slow", move |_, wire| {
        begun.fetch_add(1, Ordering::SeqCst);
        while held.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        wire.write_all(&json_answer("{\"slow\":true}"))?;
        Ok(Next::Keep)
    });
    let gateway = site.start();
    let answers = std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|number| {
                let gateway = &gateway;
                scope.spawn(move || gateway.call(traced(number, false).case("slow")))
            })
            .collect();
        wait_for("four calls", || (slow.load(Ordering::SeqCst) == 4).then_some(()));
        gateway.terminate();
        std::thread::sleep(Duration::from_millis(200));
        waiting.store(false, Ordering::SeqCst);
        callers.into_iter().map(|caller| caller.join().expect("answered")).collect::<Vec<_>>()
    });
    let (status, out) = gateway.ended();
    assert!(status.success(), "{status}");
    assert!(out.contains("Drained: 4 requests finished, 0 cut"), "{out}");
    let log = site.log();
    for answer in answers {
        assert_eq!(answer.text(), "{\"slow\":true}");
        assert_eq!(log.pair(&answer.request()).2.status, Status::Completed);
    }
    assert!(log.open().is_empty());
    assert_eq!(log.events(Kind::Shutdown).len(), 1);
    assert!(
        matches!(&log.entries.last().expect("records").head, sealgate::record::Head::Event(head) if head.kind == Kind::Shutdown)
    );
    site.verify();
    let again = site.start();
    assert_eq!(again.call(traced(9, false)).status, 200);
    again.stop();
    let log = site.log();
    assert_eq!((log.events(Kind::Boot).len(), log.events(Kind::Shutdown).len()), (2, 2));
    assert!(log.events(Kind::Recovered).is_empty(), "a clean end leaves nothing to recover");
    site.verify();
}

#[test]
fn a_drain_that_takes_too_long_is_cut_and_recorded() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "[limits]\ndrain_seconds = 1\n");
    vendor.on("never", |_, _| {
        std::thread::sleep(Duration::from_secs(30));
        Ok(Next::Close)
    });
    let gateway = site.start();
    let mut connection = Connection::open(gateway.gateway);
    connection.send(&traced(1, false).case("never").token(&gateway.token).bytes()).expect("sent");
    wait_for("the call", || (vendor.calls() == 1).then_some(()));
    let start = Instant::now();
    gateway.terminate();
    let (status, out) = gateway.ended();
    assert!(status.success() && out.contains("Drained: 0 requests finished, 1 cut"), "{status} {out}");
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    let log = site.log();
    assert!(log.open().is_empty(), "no open decision is left");
    assert_eq!(log.completions()[0].1.status, Status::ClientAborted);
    site.verify();
}

/// Changes one byte, runs `records verify` on it, changes it back.
fn flipped(folder: &Path, file: &Path, at: usize, mask: u8) -> Result<(), String> {
    let good = std::fs::read(file).expect("a file");
    let mut bad = good.clone();
    bad[at] ^= mask;
    std::fs::write(file, &bad).expect("written");
    let run = Command::new(env!("CARGO_BIN_EXE_sealgate")).args(["records", "verify", "--data"]).arg(folder).output();
    std::fs::write(file, &good).expect("written back");
    let run = run.expect("runs");
    let out = String::from_utf8_lossy(&run.stdout).into_owned();
    let fits = run.status.code() == Some(1) && out.starts_with("INVALID");
    let end = good.len().min(at + 20);
    let near = String::from_utf8_lossy(&good[at.saturating_sub(20)..end]).into_owned();
    if fits { Ok(()) } else { Err(format!("{}:{at} ^{mask:#x} near `{near}`: {:?} {out}", file.display(), run.status)) }
}

#[test]
fn one_changed_byte_anywhere_in_the_log_is_found() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    for number in 0..2 {
        let gateway = site.start();
        gateway.call(traced(number, false));
        gateway.call(traced(number, true));
        gateway.bare(traced(number, false));
        gateway.stop();
    }
    site.verify();
    let bad: Vec<String> = std::thread::scope(|scope| {
        let half = |parity: usize| {
            let copy = tempfile::tempdir().expect("a folder");
            let done = Command::new("cp").arg("-a").arg(site.data()).arg(copy.path()).status().expect("cp");
            assert!(done.success());
            let data = copy.path().join("data");
            let mut bad = Vec::new();
            for (file, bytes) in common::files(&data.join("log")) {
                let wanted = if file.ends_with("checkpoint") { 40 } else { 160 };
                let step = (bytes.len() / wanted).max(1);
                let places = (parity..bytes.len()).step_by(step).chain([bytes.len() - 1]).enumerate();
                for (number, at) in places.filter(|(number, _)| number % 2 == parity) {
                    bad.extend(flipped(&data, &file, at, [1, 2, 0x20, 0x80][number % 4]).err());
                }
            }
            bad
        };
        let other = scope.spawn(move || half(1));
        let mut bad = half(0);
        bad.extend(other.join().expect("ran"));
        bad
    });
    assert!(bad.is_empty(), "{} changes went unseen:\n{}", bad.len(), bad.join("\n"));
    site.verify();
}

#[test]
fn a_log_that_lost_or_moved_a_line_is_found() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let gateway = site.start();
    for number in 0..3 {
        gateway.call(traced(number, false));
    }
    gateway.stop();
    let segment = site.data().join("log/1/000000000000.jsonl");
    let good = std::fs::read(&segment).expect("a segment");
    let lines: Vec<&[u8]> = good.split_inclusive(|byte| *byte == b'\n').collect();
    let check = |what: &str, bytes: Vec<u8>| {
        std::fs::write(&segment, bytes).expect("written");
        let ran = site.run(&["records", "verify"]);
        assert!(ran.code == 1 && ran.out.starts_with("INVALID"), "{what}: {} {}{}", ran.code, ran.out, ran.err);
        let fault = ran.out.lines().find_map(|line| line.trim().strip_prefix("fault ")).unwrap_or_default();
        assert!(fault.contains("record ") && fault.contains(": "), "{what}: which record, and why? {}", ran.out);
    };
    for at in 0..lines.len() {
        let mut fewer = lines.clone();
        fewer.remove(at);
        check(&format!("without line {}", at + 1), fewer.concat());
        let mut twice = lines.clone();
        twice.insert(at, lines[at]);
        check(&format!("line {} twice", at + 1), twice.concat());
        if at > 0 {
            let mut swapped = lines.clone();
            swapped.swap(at - 1, at);
            check(&format!("lines {at} and {} swapped", at + 1), swapped.concat());
            check(&format!("cut after line {at}"), lines[..at].concat());
        }
    }
    check("empty", Vec::new());
    check("more after the shutdown", [&good[..], b"x"].concat());
    std::fs::write(&segment, &good).expect("written");
    site.verify();
    std::fs::remove_file(site.data().join("index.sqlite")).expect("there");
    let ran = site.run(&["records", "count"]);
    assert!(ran.code == 0 && ran.out.trim_start().starts_with('3'), "the index is rebuilt: {}{}", ran.out, ran.err);
    let published = site.data().join("log/1/checkpoint");
    std::fs::remove_file(&published).expect("there");
    let ran = site.run(&["records", "verify"]);
    eprintln!("without its published checkpoint: {} {}", ran.code, ran.out.lines().next().unwrap_or_default());
}

#[test]
fn a_log_verifies_while_it_is_written() {
    let vendor = Vendor::start();
    let site = Site::before(&vendor, "");
    let gateway = site.start();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for client in 0..4 {
            let (gateway, stop) = (&gateway, &stop);
            scope.spawn(move || {
                for number in 0.. {
                    assert_eq!(gateway.call(traced(client * 10_000 + number, number % 2 == 0)).status, 200);
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
            });
        }
        for round in 0..8 {
            let start = Instant::now();
            let ran = site.run(&["records", "verify"]);
            let verified = start.elapsed();
            let listed = site.run(&["records", "list", "--limit", "5", "--format", "jsonl"]);
            eprintln!(
                "round {round}: {verified:?}, {:?}: {}",
                start.elapsed(),
                ran.out.lines().next().unwrap_or_default()
            );
            stop.store(ran.code != 0 || listed.code != 0, Ordering::SeqCst);
            assert!(ran.code == 0 && ran.out.starts_with("OK"), "{}{}", ran.out, ran.err);
            assert!(listed.code == 0 && listed.out.lines().count() <= 5, "{}{}", listed.out, listed.err);
        }
        stop.store(true, Ordering::SeqCst);
    });
    gateway.stop();
    site.verify();
}
