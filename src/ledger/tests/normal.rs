//! Good runs: order, groups, rotation, reading back, shutdown.
use super::*;

#[test]
fn a_new_log_begins_with_its_key_and_boot_and_ends_with_shutdown() {
    let bench = Bench::new();
    let opened = bench.open();
    assert!(opened.is_new && opened.recovery.is_none() && opened.previous_config.is_none());
    assert!(opened.origin.starts_with("sealgate-") && opened.origin.ends_with("/1"), "{}", opened.origin);
    let (decided, completed) = bench.exchange(&opened.ledger).expect("durable");
    assert_eq!((decided.index, completed.index), (2, 3));
    assert!(decided.header_value().starts_with(&format!("{}#2#", opened.origin)));
    let summary = opened.threads.shutdown().expect("ends");
    assert_eq!((summary.size, summary.closed), (5, 0));
    use Kind::*;
    assert_eq!(bench.kinds(), [KeyCertified, Boot, Decision, Completion, Shutdown]);
    assert_eq!(bench.verify(), 5);
    let published = bench.reader().published().expect("reads").expect("is there");
    assert!(published.contains("\n5\n"), "{published}");
}

#[test]
fn a_clean_restart_goes_on_in_the_same_segment_and_recovers_nothing() {
    let bench = Bench::new();
    let first = bench.open();
    bench.exchange(&first.ledger).expect("durable");
    first.threads.shutdown().expect("ends");
    let second = bench.open();
    assert!(!second.is_new && second.recovery.is_none());
    assert_eq!(second.previous_config, Some(Digest::of(b"config").to_string()));
    bench.exchange(&second.ledger).expect("durable");
    second.threads.shutdown().expect("ends");
    assert_eq!(bench.verify(), 10);
    assert!(bench.segment(0).exists() && !bench.paths().quarantine().exists());
    let heads = bench.heads();
    let Head::Event(boot) = &heads[6] else { panic!("{:?}", heads[6]) };
    assert!(boot.kind == Kind::Boot && boot.fields.contains_key("previous"));
}

#[test]
fn two_processes_on_one_directory_refuse() {
    let bench = Bench::new();
    let first = bench.open();
    let error = bench.try_open().expect_err("in use");
    assert_eq!(error.exit_code(), 74);
    assert!(error.to_string().contains("in use by process"), "{error}");
    first.threads.shutdown().expect("ends");
    bench.open().threads.shutdown().expect("free again");
}

#[test]
fn another_gateway_name_refuses_with_code_64() {
    let mut bench = Bench::new();
    bench.config.gateway_name = Some("edge.one".into());
    assert_eq!(bench.open().origin, "edge.one/1");
    std::thread::sleep(std::time::Duration::from_millis(50));
    bench.config.gateway_name = Some("edge.two".into());
    let error = bench.try_open().expect_err("another name");
    assert!(error.exit_code() == 64 && error.to_string().contains("edge.one"), "{error}");
    bench.config.gateway_name = Some("Edge Two".into());
    assert_eq!(bench.try_open().expect_err("no name").exit_code(), 64);
    bench.config.gateway_name = None;
    assert_eq!(bench.open().origin, "edge.one/1");
}

#[test]
fn a_refusal_is_a_pair_in_one_group_with_the_index_in_it() {
    let bench = Bench::new();
    let opened = bench.open();
    let request = request();
    let pair = opened.ledger.refuse(decision(request), completion(request));
    let sealed = bench.runtime.block_on(pair).expect("durable");
    opened.threads.shutdown().expect("ends");
    assert_eq!(sealed.index, 2);
    let Head::Completion(head) = &bench.heads()[3] else { panic!("no completion") };
    assert_eq!(head.decision, 2);
    let text = String::from_utf8(std::fs::read(bench.segment(0)).expect("segment")).expect("text");
    let kinds: Vec<_> = text.lines().map(|line| line.starts_with("{\"checkpoint\"")).collect();
    assert_eq!(kinds[3..6], [false, false, true]);
}

#[test]
fn sections_follow_their_record_and_open_again_with_the_stored_key() {
    let bench = Bench::new();
    let opened = bench.open();
    let pair = sealed_refusal(&opened);
    bench.runtime.block_on(opened.ledger.refuse(pair.0, pair.1)).expect("durable");
    let origin = opened.origin.clone();
    opened.threads.shutdown().expect("ends");
    bench.verify();
    let record = bench.reader().get(2).expect("is there");
    let Line::Record(line) = record.parse().expect("a record") else { panic!("no record") };
    let Line::Sections(sections) = Line::parse(&record.sections.expect("has one")).expect("sections") else {
        panic!("no sections")
    };
    let reference = &line.head.sections()["content"];
    let keys = crate::store::KeyStore::open_read_only(&bench.data).expect("opens");
    let id: Vec<u8> =
        (0..32).step_by(2).map(|at| u8::from_str_radix(&reference.key[at..at + 2], 16).expect("hex")).collect();
    let key = keys.by_id(&id.try_into().expect("16 bytes")).expect("reads").expect("is there");
    let fact = crate::record::section::open(
        &origin,
        line.head.id(),
        "content",
        reference,
        &sections.sections["content"],
        &key,
    );
    assert!(format!("{:?}", fact.expect("opens")).contains("salt"));
}

#[test]
fn what_makes_no_sense_is_refused_and_leaves_no_record() {
    let bench = Bench::new();
    let opened = bench.open();
    let ledger = &opened.ledger;
    bench.runtime.block_on(async {
        assert!(matches!(ledger.decide(completion(request())).await, Err(LedgerError::Misuse(_))));
        assert!(matches!(ledger.append(decision(request())).await, Err(LedgerError::Misuse(_))));
        let pair = ledger.refuse(decision(request()), completion(request())).await;
        assert!(matches!(pair, Err(LedgerError::Misuse(_))));
        ledger.append(some_event()).await.expect("an event");
    });
    opened.threads.shutdown().expect("ends");
    assert_eq!(bench.verify(), 4);
}

#[test]
fn a_dropped_open_decision_is_closed_by_the_ledger_once() {
    let bench = Bench::new();
    let opened = bench.open();
    let decided = bench.runtime.block_on(opened.ledger.decide(decision(request()))).expect("durable");
    assert_eq!(opened.ledger.open_count(), 1);
    drop(decided);
    // A caller that goes away while it waits: the future is polled once, then dropped.
    bench.runtime.block_on(async {
        let waiting = opened.ledger.decide(decision(request()));
        let _ = tokio::time::timeout(std::time::Duration::ZERO, waiting).await;
        opened.ledger.append(some_event()).await.expect("an event");
    });
    opened.threads.shutdown().expect("ends");
    let heads = bench.heads();
    let closed: Vec<_> = heads
        .iter()
        .filter_map(|head| match head {
            Head::Completion(head) => Some((head.decision, head.status)),
            _ => None,
        })
        .collect();
    assert_eq!(closed[0], (2, Status::Orphan));
    assert_eq!(closed.len(), heads.iter().filter(|head| head.kind() == Kind::Decision).count());
    bench.verify();
}

#[test]
fn shutdown_closes_what_is_open_and_later_callers_are_told() {
    let bench = Bench::new();
    let opened = bench.open();
    let (receipt, open) = bench.runtime.block_on(opened.ledger.decide(decision(request()))).expect("durable");
    let summary = opened.threads.shutdown().expect("ends");
    assert_eq!((summary.closed, summary.size), (1, 5));
    let late = bench.runtime.block_on(opened.ledger.complete(open, completion(receipt.request())));
    assert_eq!(late.expect_err("closed"), LedgerError::Closed);
    assert_eq!(bench.verify(), 5);
}

#[test]
fn segments_close_when_full_and_when_the_day_changes_with_a_new_key() {
    let mut bench = Bench::new();
    bench.config.segment_records = 4;
    let opened = bench.open();
    bench.exchange(&opened.ledger).expect("durable");
    bench.exchange(&opened.ledger).expect("durable");
    assert!(bench.segment(4).exists());
    bench.clock.set("2026-11-23T00:00:01Z".parse().expect("time"));
    bench.exchange(&opened.ledger).expect("durable");
    assert!(bench.segment(6).exists());
    opened.threads.shutdown().expect("ends");
    let heads = bench.heads();
    let Head::Event(certified) = &heads[6] else { panic!("{:?}", heads[6]) };
    assert!(certified.kind == Kind::KeyCertified && certified.text("handover").is_some());
    assert_eq!(bench.verify(), heads.len() as u64);
    bench.open().threads.shutdown().expect("goes on");
}

#[test]
fn a_clock_that_steps_back_over_midnight_opens_no_new_segment() {
    let bench = Bench::new();
    let opened = bench.open();
    bench.clock.set("2026-11-21T23:59:00Z".parse().expect("time"));
    bench.exchange(&opened.ledger).expect("durable");
    opened.threads.shutdown().expect("ends");
    assert_eq!(crate::store::read::segments(&bench.paths(), 1).expect("lists").len(), 1);
    assert_eq!(bench.verify(), 5);
}

#[test]
fn many_waiters_share_groups_and_each_gets_its_own_record() {
    let bench = Bench::new();
    let opened = bench.open();
    let ledger = opened.ledger.clone();
    let indexes = bench.runtime.block_on(async {
        let tasks: Vec<_> = (0..256).map(|_| tokio::spawn(exchange(ledger.clone()))).collect();
        let mut indexes = Vec::new();
        for task in tasks {
            let (decided, completed) = task.await.expect("ends").expect("durable");
            indexes.extend([decided.index, completed.index]);
        }
        indexes
    });
    opened.threads.shutdown().expect("ends");
    let unique: std::collections::BTreeSet<_> = indexes.iter().collect();
    assert_eq!(unique.len(), 512);
    assert_eq!(bench.verify(), 2 + 512 + 1);
    let checkpoints = lines(&bench.segment(0)).iter().filter(|line| line.starts_with(b"{\"checkpoint\"")).count();
    assert!(checkpoints < 400, "{checkpoints} groups for 512 records");
}

#[test]
fn the_reader_finds_records_by_index_and_offset() {
    let mut bench = Bench::new();
    bench.config.segment_records = 6;
    let opened = bench.open();
    for _ in 0..10 {
        bench.exchange(&opened.ledger).expect("durable");
    }
    opened.threads.shutdown().expect("ends");
    let reader = bench.reader();
    let all: Vec<_> = reader.from(0).expect("lists").map(|record| record.expect("reads")).collect();
    for (at, record) in all.iter().enumerate() {
        assert_eq!(record.index, at as u64);
        assert_eq!(reader.get(record.index).expect("is there"), *record);
        assert_eq!(reader.at(record.segment, record.offset, record.index).expect("is there"), *record);
        let rest = reader.from_offset(record.segment, record.offset, record.index).expect("opens");
        assert_eq!(
            rest.map(|record| record.expect("reads").index).collect::<Vec<_>>(),
            (at as u64..23).collect::<Vec<_>>()
        );
    }
    assert!(matches!(reader.get(99), Err(reader::ReadError::Missing(99))));
}

#[test]
fn without_durability_nothing_is_synced_and_decisions_say_so() {
    let disk = crate::env::FaultyDisk::new();
    let mut bench = Bench::on(Arc::new(disk.clone()));
    bench.config.durability = Durability::None;
    let opened = bench.open();
    let before = disk.steps().iter().filter(|step| **step == crate::env::Step::Sync).count();
    bench.exchange(&opened.ledger).expect("accepted");
    assert_eq!(disk.steps().iter().filter(|step| **step == crate::env::Step::Sync).count(), before);
    opened.threads.shutdown().expect("ends");
    let Head::Decision(head) = &bench.heads()[2] else { panic!("no decision") };
    assert_eq!(&*head.durability, "none");
}

#[test]
fn the_checkpoint_is_published_within_a_second_of_a_commit() {
    let bench = Bench::new();
    let opened = bench.open();
    bench.exchange(&opened.ledger).expect("durable");
    std::thread::sleep(std::time::Duration::from_millis(1200));
    let published = bench.reader().published().expect("reads").expect("is there");
    assert!(published.contains("\n4\n"), "{published}");
    opened.threads.shutdown().expect("ends");
}

#[test]
fn heartbeats_name_the_lowest_open_decision_and_a_stepped_clock_is_recorded() {
    let mut bench = Bench::new();
    bench.config.heartbeat_seconds = 1;
    let opened = bench.open();
    let (_receipt, open) = bench.runtime.block_on(opened.ledger.decide(decision(request()))).expect("durable");
    bench.clock.set("2026-11-22T14:00:00Z".parse().expect("time"));
    std::thread::sleep(std::time::Duration::from_millis(1500));
    let completion = completion(open.request());
    bench.runtime.block_on(opened.ledger.complete(open, completion)).expect("durable");
    opened.threads.shutdown().expect("ends");
    bench.verify();
    let heads = bench.heads();
    let field = |kind, name: &str| {
        heads.iter().find_map(|head| match head {
            Head::Event(event) if event.kind == kind => event.fields.get(name).cloned(),
            _ => None,
        })
    };
    assert_eq!(field(Kind::Heartbeat, "open_lowest"), Some(2u64.into()));
    assert_eq!(field(Kind::Heartbeat, "open"), Some(1u64.into()));
    assert!(field(Kind::ClockStepped, "step_micros").is_some());
}
