//! Every call to the disk fails once, in every way, with and without a power cut; after each the log holds.
use std::io::ErrorKind;

use super::*;
use crate::env::{Fault, FaultyDisk, Loss, Step};

/// What the caller was promised before the fault.
#[derive(Default)]
struct Promised {
    sealed: Vec<Sealed>,
}

/// Opens, exchanges three times, shuts down; stops at the first error. Gives what was acknowledged.
fn run(bench: &Bench, promised: &mut Promised) {
    let Ok(opened) = bench.try_open() else { return };
    let mut poisoned = false;
    for _ in 0..3 {
        match bench.exchange(&opened.ledger) {
            Ok((decided, completed)) => {
                assert!(!poisoned, "something was acknowledged behind a failure");
                promised.sealed.extend([decided, completed]);
            }
            Err(error) => {
                assert!(matches!(error, LedgerError::Unavailable(_)), "{error}");
                poisoned = true;
            }
        }
    }
    if poisoned {
        assert!(opened.ledger.is_poisoned());
        assert_eq!(bench.metrics.ledger_poisoned.get(), 1);
    }
    let ended = opened.threads.shutdown();
    assert!(!poisoned || ended.is_err());
}

fn steps_of_a_good_run(segment_records: u64) -> Vec<Step> {
    let disk = FaultyDisk::new();
    let mut bench = Bench::on(Arc::new(disk.clone()));
    bench.config.segment_records = segment_records;
    run(&bench, &mut Promised::default());
    disk.steps()
}

fn check(bench: &Bench, promised: &Promised, case: &str) {
    let opened = bench.try_open().unwrap_or_else(|error| panic!("{case}: {error}"));
    bench.exchange(&opened.ledger).unwrap_or_else(|error| panic!("{case}: {error}"));
    opened.threads.shutdown().unwrap_or_else(|error| panic!("{case}: {error}"));
    bench.verify();
    for sealed in &promised.sealed {
        let found = bench.reader().get(sealed.index).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(crate::record::leaf_hash(&found.line), sealed.leaf, "{case}: record {}", sealed.index);
    }
    let heads = bench.heads();
    let decisions = heads.iter().filter(|head| head.kind() == Kind::Decision).count();
    let completions = heads.iter().filter(|head| head.kind() == Kind::Completion).count();
    assert_eq!(decisions, completions, "{case}");
}

/// The table: place x how much was stored x power cut or only a dead process.
#[test]
fn after_every_fault_the_log_holds_what_was_promised() {
    let mut cases = 0;
    for segment_records in [4, 65_536] {
        let steps = steps_of_a_good_run(segment_records);
        assert!(steps.len() > 30, "{} steps", steps.len());
        for at in 0..steps.len() as u64 {
            // The small segments rotate and go through everything; the large ones through the ends of it.
            let small = segment_records == 4;
            for stored_permille in if small { &[0, 400, 1000][..] } else { &[0, 1000] }.iter().copied() {
                let losses = [None, Some(Loss::All), Some(Loss::Half), Some(Loss::Hole)];
                for power_cut in losses.into_iter().take(if small { 4 } else { 2 }) {
                    let disk = FaultyDisk::new();
                    let mut bench = Bench::on(Arc::new(disk.clone()));
                    bench.config.segment_records = segment_records;
                    disk.arm(Fault { at, error: ErrorKind::Other, stored_permille });
                    let mut promised = Promised::default();
                    run(&bench, &mut promised);
                    if let Some(loss) = power_cut {
                        disk.power_cut(loss).expect("cuts");
                    }
                    let step = steps[at as usize];
                    let case = format!("{step:?} {at}, stored {stored_permille}, cut {power_cut:?}, {segment_records}");
                    check(&bench, &promised, &case);
                    cases += 1;
                }
            }
        }
    }
    println!("{cases} cases");
}

/// A log with a torn group behind it, and five decisions open.
fn torn(disk: &FaultyDisk) -> (Bench, Promised) {
    let bench = Bench::on(Arc::new(disk.clone()));
    let opened = bench.open();
    let mut promised = Promised::default();
    promised.sealed.extend(<[Sealed; 2]>::from(bench.exchange(&opened.ledger).expect("durable")));
    let mut rights = Vec::new();
    for _ in 0..5 {
        rights.push(bench.runtime.block_on(opened.ledger.decide(decision(request()))).expect("durable"));
    }
    let at = disk.steps().len() as u64;
    disk.arm(Fault { at, error: ErrorKind::Other, stored_permille: 700 });
    assert!(bench.exchange(&opened.ledger).is_err());
    promised.sealed.extend(rights.iter().map(|(receipt, _)| receipt.sealed().clone()));
    opened.threads.abandon_with(opened.ledger);
    (bench, promised)
}

/// Recovery itself is cut short at every step; the recovery after it finds everything, and tells of the torn group.
#[test]
fn a_fault_in_recovery_is_recovered_from() {
    let steps = {
        let disk = FaultyDisk::new();
        let (bench, _) = torn(&disk);
        let before = disk.steps().len();
        let opened = bench.open();
        let steps = disk.steps()[before..].to_vec();
        opened.threads.shutdown().expect("ends");
        steps
    };
    assert!(steps.contains(&Step::Rename) && steps.len() > 15, "{steps:?}");
    for (ahead, step) in steps.iter().enumerate() {
        for stored_permille in [0, 400, 1000] {
            for power_cut in [None, Some(Loss::All), Some(Loss::Hole)] {
                let disk = FaultyDisk::new();
                let (bench, promised) = torn(&disk);
                let at = (disk.steps().len() + ahead) as u64;
                disk.arm(Fault { at, error: ErrorKind::Other, stored_permille });
                let case = format!("{step:?} {ahead}, stored {stored_permille}, cut {power_cut:?}");
                match bench.try_open() {
                    // Room that cannot be set aside is no failed write.
                    Ok(opened) => {
                        assert_eq!(*step, Step::Reserve, "{case}");
                        opened.threads.shutdown().expect("ends");
                    }
                    Err(error) => assert!(error.exit_code() == 74, "{case}: {error}"),
                }
                if let Some(loss) = power_cut {
                    disk.power_cut(loss).expect("cuts");
                }
                check(&bench, &promised, &case);
                let told = bench.heads().iter().filter(|head| head.kind() == Kind::Recovered).count();
                assert!(told > 0 || power_cut == Some(Loss::All), "{case}: nobody told of the torn group");
            }
        }
    }
}

/// Many lives of one log, each with its own failure, from a seed.
#[test]
fn many_lives_with_random_faults() {
    for seed in 0..40u64 {
        let disk = FaultyDisk::new();
        let mut bench = Bench::on(Arc::new(disk.clone()));
        bench.config.segment_records = 8;
        let mut promised = Promised::default();
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = |below: u64| {
            // xorshift64 (Marsaglia 2003): a test's choices, nothing more.
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % below
        };
        for _ in 0..4 {
            let at = disk.steps().len() as u64 + draw(45);
            let stored_permille = [0, 300, 999, 1000][draw(4) as usize];
            disk.arm(Fault { at, error: ErrorKind::Other, stored_permille });
            run(&bench, &mut promised);
            let loss = [None, Some(Loss::All), Some(Loss::Half), Some(Loss::Hole)][draw(4) as usize];
            if let Some(loss) = loss {
                disk.power_cut(loss).expect("cuts");
            }
        }
        disk.arm(Fault { at: u64::MAX, error: ErrorKind::Other, stored_permille: 0 });
        check(&bench, &promised, &format!("seed {seed}"));
    }
}

/// A process dies with its page cache intact, restarts, and then the power is cut: what the restart kept is on disk.
#[test]
fn what_recovery_keeps_survives_a_power_cut_even_after_a_failed_sync() {
    let disk = FaultyDisk::new();
    let bench = Bench::on(Arc::new(disk.clone()));
    let opened = bench.open();
    let first = bench.exchange(&opened.ledger).expect("durable").0;
    let next = disk.steps().len() as u64;
    // The next exchange appends (and may publish); fail whichever sync comes first.
    for ahead in 0..8 {
        disk.arm(Fault { at: next + ahead, error: ErrorKind::Other, stored_permille: 0 });
        if bench.exchange(&opened.ledger).is_err() {
            break;
        }
    }
    assert!(opened.ledger.is_poisoned());
    assert!(opened.threads.shutdown().is_err());
    let mut promised = Promised::default();
    promised.sealed.push(first);
    let opened = bench.open();
    promised.sealed.push(bench.exchange(&opened.ledger).expect("durable").0);
    opened.threads.abandon_with(opened.ledger);
    disk.power_cut(Loss::All).expect("cuts");
    check(&bench, &promised, "second power cut");
}

#[test]
fn a_decision_whose_sync_fails_yields_no_receipt() {
    let disk = FaultyDisk::new();
    let bench = Bench::on(Arc::new(disk.clone()));
    let opened = bench.open();
    let at = disk.steps().len() as u64;
    // Behind the boot group there is room: a decision is one append and one sync.
    disk.arm(Fault { at: at + 1, error: ErrorKind::Other, stored_permille: 1000 });
    let refused = bench.runtime.block_on(opened.ledger.decide(decision(request())));
    assert_eq!(disk.steps()[at as usize..], [Step::Append, Step::Sync]);
    let error = refused.map(|_| ()).expect_err("no receipt");
    assert!(error.to_string().contains("restart the gateway"), "{error}");
    // Nothing is tried again, whoever asks.
    for _ in 0..3 {
        assert!(bench.exchange(&opened.ledger).is_err());
    }
    assert_eq!(disk.steps().len() as u64, at + 2);
    assert!(opened.threads.shutdown().is_err());
    check(&bench, &Promised::default(), "after the failed sync");
}

#[test]
fn every_waiter_of_a_failed_group_is_told() {
    let disk = FaultyDisk::new();
    let bench = Bench::on(Arc::new(disk.clone()));
    let opened = bench.open();
    let ledger = opened.ledger.clone();
    disk.arm(Fault { at: disk.steps().len() as u64 + 3, error: ErrorKind::Other, stored_permille: 500 });
    let failures = bench.runtime.block_on(async {
        let tasks: Vec<_> = (0..256).map(|_| tokio::spawn(exchange(ledger.clone()))).collect();
        let mut failures = 0;
        for task in tasks {
            failures += u32::from(task.await.expect("ends").is_err());
        }
        failures
    });
    assert!(failures > 200, "{failures}");
    assert!(opened.threads.shutdown().is_err());
    check(&bench, &Promised::default(), "after the failed group");
}

#[test]
fn a_killed_process_leaves_orphans_that_the_next_start_closes() {
    let bench = Bench::new();
    let opened = bench.open();
    let mut open = Vec::new();
    for _ in 0..5 {
        open.push(bench.runtime.block_on(opened.ledger.decide(decision(request()))).expect("durable"));
    }
    let rights = open.into_iter().map(|(_, open)| open).collect::<Vec<_>>();
    opened.threads.abandon_with(opened.ledger);
    drop(rights);
    // A torn group behind the last checkpoint.
    let path = bench.segment(0);
    let mut bytes = std::fs::read(&path).expect("segment");
    let torn: Vec<u8> = lines(&path)[3][..40].to_vec();
    bytes.extend_from_slice(&torn);
    std::fs::write(&path, bytes).expect("writes");
    let opened = bench.open();
    let recovery = opened.recovery.clone().expect("was unclean");
    assert_eq!((recovery.orphans, recovery.bytes, recovery.lines), (5, 40, 1));
    assert_eq!(std::fs::read(recovery.quarantine.expect("kept")).expect("reads"), torn);
    opened.threads.shutdown().expect("ends");
    let heads = bench.heads();
    let orphans = heads.iter().filter(|h| matches!(h, Head::Completion(c) if c.status == Status::Orphan)).count();
    assert_eq!(orphans, 5);
    assert_eq!(heads.iter().filter(|head| head.kind() == Kind::Recovered).count(), 1);
    bench.verify();
}

#[test]
fn a_whole_group_that_lost_pages_is_set_aside_if_it_is_the_last() {
    let bench = Bench::new();
    let opened = bench.open();
    bench.exchange(&opened.ledger).expect("durable");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let published = std::fs::read(bench.paths().checkpoint(1)).expect("published");
    let size = std::fs::metadata(bench.segment(0)).expect("segment").len();
    bench.exchange(&opened.ledger).expect("durable");
    opened.threads.abandon_with(opened.ledger);
    std::fs::write(bench.paths().checkpoint(1), published).expect("as it was");
    let whole = std::fs::read(bench.segment(0)).expect("segment");
    let mut torn = lines(&bench.segment(0));
    torn.truncate(torn.len() - 2);
    // The group of the last decision keeps its checkpoint line and loses a page of its record.
    let mut bytes = torn.concat();
    let at = size as usize;
    bytes[at..at + 64].fill(0);
    std::fs::write(bench.segment(0), &bytes).expect("writes");
    let opened = bench.open();
    assert!(opened.recovery.clone().expect("unclean").bytes > 64);
    opened.threads.shutdown().expect("ends");
    bench.verify();
    // The same with a further group behind it is no crash.
    let mut bytes = whole;
    bytes[at..at + 64].fill(0);
    std::fs::write(bench.segment(0), &bytes).expect("writes");
    std::fs::remove_file(bench.paths().checkpoint(1)).expect("removes");
    assert!(matches!(bench.try_open(), Err(OpenError::Damaged(_))));
}
