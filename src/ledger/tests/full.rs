//! A full disk: decisions are refused while completions still fit; then it has room again.
use std::time::Duration;

use super::*;
use crate::env::FaultyDisk;

#[test]
fn a_full_disk_refuses_decisions_keeps_completions_and_heals() {
    let disk = FaultyDisk::new();
    let bench = Bench::on(Arc::new(disk.clone()));
    let opened = bench.open();
    let ledger = &opened.ledger;
    disk.refuse_room(true);
    let mut open = Vec::new();
    let error = loop {
        match bench.runtime.block_on(ledger.decide(decision(request()))) {
            Ok(pair) => open.push(pair),
            Err(error) => break error,
        }
        assert!(open.len() < 10_000, "never full");
    };
    assert!(matches!(error, LedgerError::Full(_)), "{error}");
    bench.metrics.unrecorded_refusals.inc_by(7);
    assert!(!ledger.is_poisoned() && ledger.obstacle().is_some());
    assert!(open.len() > 100, "{} decisions", open.len());
    for (receipt, right) in open.drain(..) {
        bench.runtime.block_on(ledger.complete(right, completion(receipt.request()))).expect("has its room");
    }
    assert!(bench.kinds().contains(&Kind::LogFull));
    disk.refuse_room(false);
    std::thread::sleep(Duration::from_millis(1500));
    bench.exchange(ledger).expect("has room again");
    opened.threads.shutdown().expect("ends");
    bench.verify();
    let heads = bench.heads();
    let refused = heads.iter().filter_map(|head| match head {
        Head::Event(event) if event.kind == Kind::LogFull => event.fields.get("refused").cloned(),
        _ => None,
    });
    assert_eq!(refused.collect::<Vec<_>>(), [0u64.into(), 7u64.into()]);
}

#[test]
fn a_write_that_finds_the_disk_full_poisons_and_says_so() {
    let disk = FaultyDisk::new();
    let bench = Bench::on(Arc::new(disk.clone()));
    let opened = bench.open();
    disk.limit_room(Some(100));
    let error = bench.exchange(&opened.ledger).expect_err("full");
    assert!(error.to_string().contains("ledger full"), "{error}");
    assert!(opened.ledger.is_poisoned());
    assert!(bench.reader().get(0).is_ok(), "reading still works");
    assert!(opened.threads.shutdown().is_err());
    disk.limit_room(None);
    bench.open().threads.shutdown().expect("starts again");
    bench.verify();
}
