use std::sync::Arc;
use std::time::Duration;

use super::testlog::{DAY, TestLog, pseudonym};
use super::*;
use crate::store::Paths;
use crate::telemetry::Metrics;
use crate::types::*;

fn query(fields: &[(Field, &str)]) -> Query {
    let mut query = Query::default();
    for (field, value) in fields {
        query.fields.entry(*field).or_default().push((*value).to_owned());
    }
    query
}

const PAGE: Page = Page { limit: 50, oldest_first: true };

fn found(view: &View, fields: &[(Field, &str)]) -> Vec<u64> {
    let query = query(fields);
    let rows = view.list(&query, PAGE).expect("lists");
    assert_eq!(view.count(&query).expect("counts"), rows.len() as u64);
    rows.iter().map(|row| row.index).collect()
}

/// Six requests: plain, denied, another vendor and person, redacted answer, open, another policy.
fn six(log: &mut TestLog) {
    log.event("boot", ",\"label\":7");
    let (a, head) = log.decision(|_| {});
    log.complete(a, &head, |_| {});
    let (b, head) = log.decision(|h| {
        h.outcome = RequestOutcome::Denied;
        h.reason = Reason::DlpPan;
        h.label = Label::Restricted;
        h.classes = vec![Class::new("pci.pan").expect("class")];
    });
    log.complete(b, &head, |c| {
        c.status = Status::Denied;
        c.outcome = AnswerOutcome::None;
        c.reason = Reason::DlpPan;
    });
    log.commit();
    let (c, head) = log.decision(|h| {
        h.vendor = "openai".into();
        h.subject = pseudonym(2).into();
        h.actor = pseudonym(3).into();
        h.tenant = "other".into();
        h.route = "openai".into();
    });
    let (d, head_d) = log.decision(|h| h.model = "gpt-9".into());
    log.complete(d, &head_d, |c| {
        c.outcome = AnswerOutcome::Redacted;
        c.model_served = "gpt-9-long".into();
        c.label = Label::Confidential;
        c.classes = vec![Class::new("pii.email").expect("class")];
    });
    log.complete(c, &head, |_| {});
    log.commit();
    log.next_segment();
    log.decision(|h| h.model = "gpt-9".into());
    log.commit();
    let (f, head) = log.decision(|h| {
        h.policy = PolicyRef { digest: Digest([0xcd; 32]), name: "strict".into(), version: "2".into() };
    });
    log.complete(f, &head, |_| {});
    log.commit();
}

fn answers(view: &View) {
    assert_eq!(found(view, &[]), [1, 3, 5, 6, 9, 10]);
    assert_eq!(found(view, &[(Field::Outcome, "denied")]), [3]);
    assert_eq!(found(view, &[(Field::Outcome, "redacted")]), [6]);
    assert_eq!(found(view, &[(Field::Outcome, "allowed")]), [1, 5, 6, 9, 10]);
    assert_eq!(found(view, &[(Field::Status, "open")]), [9]);
    assert_eq!(found(view, &[(Field::Status, "open"), (Field::Status, "denied")]), [3, 9]);
    assert_eq!(found(view, &[(Field::Status, "open"), (Field::Vendor, "demo")]), [9]);
    assert_eq!(found(view, &[(Field::Status, "open"), (Field::Vendor, "openai")]), Vec::<u64>::new());
    assert_eq!(found(view, &[(Field::Model, "gpt-9-long")]), [6]);
    assert_eq!(found(view, &[(Field::Model, "gpt-9"), (Field::Status, "completed")]), [6]);
    assert_eq!(found(view, &[(Field::Class, "pii")]), [6]);
    assert_eq!(found(view, &[(Field::Class, "pci.pan"), (Field::Label, "restricted")]), [3]);
    assert_eq!(found(view, &[(Field::Policy, "strict")]), [10]);
    assert_eq!(found(view, &[(Field::Policy, "cdcdcdcd")]), [10]);
    assert_eq!(found(view, &[(Field::Policy, "default@1")]), [1, 3, 5, 6, 9]);
    assert_eq!(found(view, &[(Field::Tenant, "other"), (Field::Route, "openai")]), [5]);
    assert_eq!(found(view, &[(Field::Reason, "dlp.pan")]), [3]);
    assert_eq!(found(view, &[(Field::Vendor, "nobody")]), Vec::<u64>::new());
    for who in [2, 3] {
        assert_eq!(found(view, &[(Field::Identity, &pseudonym(who))]), [5]);
        let all = [(Field::Identity, &*pseudonym(who)), (Field::Vendor, "openai"), (Field::Policy, "default")];
        assert_eq!(found(view, &all), [5]);
    }
    let mut timed = query(&[(Field::Vendor, "demo")]);
    timed.from = Some(Timestamp::from_micros(DAY + 3_000_000));
    timed.to = Some(Timestamp::from_micros(DAY + 9_000_000));
    let rows = view.list(&timed, PAGE).expect("lists");
    assert_eq!(rows.iter().map(|row| row.index).collect::<Vec<_>>(), [3, 6]);
    for row in view.list(&Query::default(), PAGE).expect("lists") {
        let fetched = view.fetch(&row).expect("reads");
        assert!(fetched.unchanged);
        assert_eq!(fetched.completion.is_some(), row.index != 9);
    }
    assert_eq!(view.as_of().size, 12);
    let (n, tally) = view.stats(&Query::default()).expect("stats");
    assert_eq!(n, 6);
    assert_eq!(tally["status"][0], ("completed".to_owned(), 4));
    assert_eq!(tally["class"], [("pci.pan".to_owned(), 1), ("pii.email".to_owned(), 1)]);
}

fn indexed(log: &TestLog) {
    let (sender, committed) = tokio::sync::watch::channel(0);
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let follower = follow(&log.data(), None, committed, metrics).expect("starts");
    follower.shutdown();
    drop(sender);
}

#[test]
fn the_log_alone_answers_every_filter() {
    let mut log = TestLog::new();
    six(&mut log);
    let view = View::open(&log.data(), None).expect("opens");
    assert!(view.index_state().1.is_some());
    answers(&view);
}

#[test]
fn the_index_answers_every_filter_alike() {
    let mut log = TestLog::new();
    six(&mut log);
    indexed(&log);
    let view = View::open(&log.data(), None).expect("opens");
    assert_eq!(view.index_state(), (12, None));
    answers(&view);
}

#[test]
fn what_is_not_indexed_yet_is_included_and_completes_older_rows() {
    let mut log = TestLog::new();
    six(&mut log);
    indexed(&log);
    let mut view = View::open(&log.data(), None).expect("opens");
    let open = view.decision(1, 9).expect("reads").expect("there");
    let head: crate::record::DecisionHead = {
        let (line, _) = view.log().read(open.place).expect("reads");
        let value: serde_json::Value = serde_json::from_slice(&line).expect("json");
        serde_json::from_value(value["head"].clone()).expect("head")
    };
    log.complete(9, &head, |c| c.status = Status::Orphan);
    log.commit();
    log.decision(|_| {});
    log.flush();
    let advanced = view.advance().expect("advances");
    assert_eq!(advanced.iter().map(|row| row.index).collect::<Vec<_>>(), [9]);
    for view in [view, View::open(&log.data(), None).expect("opens")] {
        assert_eq!(found(&view, &[(Field::Status, "orphan")]), [9]);
        assert_eq!(found(&view, &[(Field::Status, "open")]), Vec::<u64>::new());
        assert_eq!(found(&view, &[(Field::Model, "gpt-9")]), [6, 9]);
        assert_eq!(found(&view, &[]).len(), 6, "the uncommitted decision is not listed");
        assert_eq!(view.as_of().size, 13);
    }
}

#[test]
fn a_damaged_foreign_or_ahead_index_is_not_used_and_is_rebuilt() {
    let mut log = TestLog::new();
    six(&mut log);
    indexed(&log);
    let file = log.data().join(FILE_NAME);
    let good = std::fs::read(&file).expect("file");
    let mut other = TestLog::new();
    other.event("boot", "");
    other.commit();
    indexed(&other);
    let foreign = std::fs::read(other.data().join(FILE_NAME)).expect("file");
    let mut torn = good.clone();
    torn[4096..].iter_mut().step_by(3).for_each(|byte| *byte ^= 0x55);
    for (name, bytes) in
        [("foreign", foreign), ("torn", torn), ("text", b"not a database".to_vec()), ("empty", Vec::new())]
    {
        std::fs::write(&file, bytes).expect("written");
        let view = View::open(&log.data(), None).expect(name);
        assert!(view.index_state().1.is_some(), "{name}");
        answers(&view);
        drop(view);
        indexed(&log);
        let view = View::open(&log.data(), None).expect(name);
        assert_eq!(view.index_state(), (12, None), "{name}");
        answers(&view);
    }
    // The log shrinks below what the index knows.
    std::fs::write(&file, good).expect("written");
    std::fs::remove_file(log.path()).expect("removed");
    let view = View::open(&log.data(), None).expect("opens");
    assert!(view.index_state().1.is_some());
    assert_eq!(found(&view, &[]), [1, 3, 5, 6]);
}

#[test]
fn a_changed_line_is_noticed_when_its_row_is_shown() {
    let mut log = TestLog::new();
    six(&mut log);
    indexed(&log);
    log.segment = 0;
    let text = std::fs::read_to_string(log.path()).expect("segment");
    std::fs::write(log.path(), text.replacen("dlp.pan", "dlp.pii", 1)).expect("written");
    let view = View::open(&log.data(), None).expect("opens");
    let changed: Vec<u64> = view
        .list(&Query::default(), PAGE)
        .expect("lists")
        .iter()
        .filter(|row| !view.fetch(row).expect("reads").unchanged)
        .map(|row| row.index)
        .collect();
    assert_eq!(changed, [3]);
}

#[test]
fn the_thread_follows_commits_and_generations() {
    let mut log = TestLog::new();
    let (sender, committed) = tokio::sync::watch::channel(0);
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let follower = follow(&log.data(), None, committed, Arc::clone(&metrics)).expect("starts");
    six(&mut log);
    sender.send_replace(12);
    log.next_generation();
    let (a, head) = log.decision(|_| {});
    log.complete(a, &head, |_| {});
    log.commit();
    sender.send_replace(2);
    let there = || View::open(&log.data(), None).is_ok_and(|view| view.index_state() == (2, None));
    assert!((0..100).any(|_| there() || {
        std::thread::sleep(Duration::from_millis(50));
        false
    }));
    follower.shutdown();
    let view = View::open(&log.data(), None).expect("opens");
    assert_eq!(view.count(&Query::default()).expect("counts"), 7);
    assert_eq!(metrics.index_lag.get(), 0);
    let newest = view.list(&Query::default(), Page { limit: 1, oldest_first: false }).expect("lists");
    assert_eq!((newest[0].place.generation, newest[0].index), (2, 0));
}

#[test]
fn names_are_found_by_keyed_digest_until_erased() {
    let mut log = TestLog::new();
    let keys = log.keys();
    log.decision_of("ada@example.org", "Ada Lovelace");
    log.commit();
    let names = || Names::new(&Paths::new(log.data()), Arc::clone(&keys)).expect("names");
    let look = |view: &View, name: &str| view.named(&names(), name).expect("looks");
    let view = View::open(&log.data(), Some(names())).expect("opens");
    assert_eq!(look(&view, " ada LOVELACE "), [pseudonym(1)]);
    let (_sender, committed) = tokio::sync::watch::channel(0);
    let metrics = Arc::new(Metrics::new().expect("metrics"));
    let again = || {
        follow(&log.data(), Some(Arc::clone(&keys)), committed.clone(), Arc::clone(&metrics))
            .expect("starts")
            .shutdown();
    };
    again();
    let view = View::open(&log.data(), None).expect("opens");
    assert_eq!(look(&view, "Ada Lovelace"), [pseudonym(1)]);
    assert_eq!(look(&view, "ada@example.org"), [pseudonym(1)]);
    assert_eq!(look(&view, "Charles Babbage"), Vec::<String>::new());
    drop(view);
    let bytes = std::fs::read(log.data().join(FILE_NAME)).expect("file");
    assert!(!String::from_utf8_lossy(&bytes).contains("Lovelace"));
    let mut log = log;
    log.event(
        "erasure",
        &format!(",\"predicate\":{{\"sections\":[\"identity\"],\"subject\":\"{}\",\"up_to\":1}}", pseudonym(1)),
    );
    log.commit();
    let (_sender, committed) = tokio::sync::watch::channel(0);
    follow(&log.data(), None, committed, Arc::clone(&metrics)).expect("starts").shutdown();
    let view = View::open(&log.data(), None).expect("opens");
    let names = Names::new(&Paths::new(log.data()), keys).expect("names");
    assert_eq!(view.named(&names, "Ada Lovelace").expect("looks"), Vec::<String>::new());
}

/// Run with `cargo test --release --lib -- --ignored a_million --nocapture`: rebuild and query times on a million
/// requests (or `ROWS` of them).
#[test]
#[ignore = "takes a minute and 2 GB of disk"]
fn a_million_requests() {
    let mut log = TestLog::new();
    let requests: u64 = std::env::var("ROWS").ok().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    for n in 0..requests {
        let (index, head) = log.decision(|h| {
            h.subject = pseudonym(n * 7919 % 500).into();
            h.vendor = ["openai", "anthropic", "demo", "gemini"][(n / 500 % 4) as usize].into();
            h.policy.version = ["1", "2", "3"][(n * 3 / requests) as usize].into();
            h.model = ["m1", "m2", "m3"][(n % 3) as usize].into();
            if n % 100 == 0 {
                (h.outcome, h.reason) = (RequestOutcome::Denied, Reason::DlpPan);
            }
        });
        log.complete(index, &head, |_| {});
        if n % 100 == 99 {
            log.commit();
        }
        if n % 32_000 == 31_999 {
            log.next_segment();
        }
    }
    let watch = crate::env::Stopwatch::start();
    indexed(&log);
    eprintln!("index of {requests} requests: {:?}", watch.elapsed());
    let size = std::fs::metadata(log.data().join(FILE_NAME)).expect("file").len();
    eprintln!("file: {} bytes a request", size / requests);
    let watch = crate::env::Stopwatch::start();
    let view = View::open(&log.data(), None).expect("opens");
    eprintln!("open: {:?}", watch.elapsed());
    let mut timed = query(&[(Field::Identity, &pseudonym(7)), (Field::Vendor, "openai"), (Field::Policy, "2")]);
    timed.from = Some(Timestamp::from_micros(DAY + requests as i64 * 700_000));
    timed.to = Some(Timestamp::from_micros(DAY + requests as i64 * 1_200_000));
    let mut deny = query(&[(Field::Outcome, "denied"), (Field::Identity, &pseudonym(7))]);
    deny.from = timed.from;
    let cases = [
        ("identity+time+vendor+policy", timed),
        ("identity+denied+time", deny),
        ("denied", query(&[(Field::Outcome, "denied")])),
        ("none", query(&[(Field::Vendor, "openai"), (Field::Status, "open")])),
        ("vendor+model", query(&[(Field::Vendor, "openai"), (Field::Model, "m2")])),
        ("all", Query::default()),
    ];
    for (name, query) in cases {
        let mut times: Vec<_> = (0..20)
            .map(|_| {
                let watch = crate::env::Stopwatch::start();
                let rows = view.list(&query, Page { limit: 50, oldest_first: false }).expect("lists");
                (watch.elapsed(), rows.len())
            })
            .collect();
        times.sort_unstable();
        let watch = crate::env::Stopwatch::start();
        let n = view.count(&query).expect("counts");
        eprintln!("{name}: median {:?} worst {:?}; count {n} in {:?}", times[10], times[19], watch.elapsed());
    }
    let watch = crate::env::Stopwatch::start();
    view.stats(&Query::default()).expect("stats");
    eprintln!("stats: {:?}", watch.elapsed());
}
