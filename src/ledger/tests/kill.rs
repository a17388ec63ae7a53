//! A real process under a real `kill -9`: what it said is durable is there.
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use super::*;

const DATA: &str = "SEALGATE_TEST_DATA";

/// The process that is killed: eight callers, each saying what was acknowledged.
#[test]
#[ignore = "run by the test below, as a process of its own"]
fn child() {
    let Some(data) = std::env::var_os(DATA) else { return };
    let mut bench = Bench::new();
    bench.clock = Clock::system();
    bench.config.data = data.into();
    bench.config.segment_records = 100;
    let opened = bench.open();
    println!();
    bench.runtime.block_on(async {
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let ledger = opened.ledger.clone();
                tokio::spawn(async move {
                    while let Ok((decided, completed)) = exchange(ledger.clone()).await {
                        println!(
                            "sealed {} {}\nsealed {} {}",
                            decided.index, decided.leaf, completed.index, completed.leaf
                        );
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.await.expect("runs until it is killed");
        }
    });
}

#[test]
fn what_a_killed_process_acknowledged_is_in_the_log() {
    let bench = Bench::new();
    let mut promised: Vec<(u64, String)> = Vec::new();
    for life in 1..=6usize {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "ledger::tests::kill::child", "--ignored", "--nocapture"])
            .env(DATA, &bench.data)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        let mut said = 0;
        for line in out.lines() {
            let line = line.expect("text");
            let Some((index, leaf)) = line.strip_prefix("sealed ").and_then(|rest| rest.split_once(' ')) else {
                continue;
            };
            promised.push((index.parse().expect("an index"), leaf.to_owned()));
            said += 1;
            if said == 37 * life {
                child.kill().expect("kills");
            }
        }
        child.wait().expect("ended");
        assert!(said >= 37 * life, "life {life}: {said}");
    }
    let opened = bench.open();
    assert!(opened.recovery.is_some());
    opened.threads.shutdown().expect("ends");
    bench.verify();
    for (index, leaf) in &promised {
        let record = bench.reader().get(*index).expect("is there");
        assert_eq!(crate::record::leaf_hash(&record.line).to_string(), *leaf, "record {index}");
    }
    let heads = bench.heads();
    let count = |kind| heads.iter().filter(|head| head.kind() == kind).count();
    assert_eq!(count(Kind::Decision), count(Kind::Completion));
    assert_eq!(count(Kind::Boot), 7);
}
