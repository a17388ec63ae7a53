//! Damage that no crash makes: the start refuses and names the place.
use super::*;

fn finished(bench: &Bench) {
    let opened = bench.open();
    for _ in 0..2 {
        bench.exchange(&opened.ledger).expect("durable");
        let pair = sealed_refusal(&opened);
        bench.runtime.block_on(opened.ledger.refuse(pair.0, pair.1)).expect("durable");
    }
    opened.threads.shutdown().expect("ends");
}

#[test]
fn one_changed_byte_anywhere_refuses_to_start() {
    let bench = Bench::new();
    finished(&bench);
    let path = bench.segment(0);
    let whole = std::fs::read(&path).expect("segment");
    for at in (0..whole.len()).step_by(37) {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        std::fs::write(&path, &changed).expect("writes");
        let error = bench.try_open().expect_err("damaged");
        assert!(matches!(error, OpenError::Damaged(_)), "byte {at}: {error}");
        assert!(error.to_string().contains("record"), "{error}");
        assert_eq!(std::fs::read(&path).expect("segment"), changed, "left as it is");
    }
    std::fs::write(&path, &whole).expect("writes");
    bench.open().threads.shutdown().expect("is whole again");
}

#[test]
fn records_cut_off_below_the_published_checkpoint_refuse_to_start() {
    let bench = Bench::new();
    finished(&bench);
    let path = bench.segment(0);
    let kept: Vec<u8> = lines(&path)[..9].concat();
    std::fs::write(&path, kept).expect("writes");
    let error = bench.try_open().expect_err("cut").to_string();
    assert!(error.contains("published checkpoint"), "{error}");
}

#[test]
fn a_missing_segment_or_key_refuses_to_start() {
    let mut bench = Bench::new();
    bench.config.segment_records = 4;
    finished(&bench);
    let middle = bench.segment(4);
    let bytes = std::fs::read(&middle).expect("segment");
    std::fs::remove_file(&middle).expect("removes");
    assert!(matches!(bench.try_open(), Err(OpenError::Damaged(_))));
    std::fs::write(&middle, bytes).expect("writes");
    for path in [bench.paths().log_key(), bench.paths().origin(), bench.paths().kek()] {
        let bytes = std::fs::read(&path).expect("is there");
        std::fs::remove_file(&path).expect("removes");
        let error = bench.try_open().expect_err("missing").to_string();
        assert!(error.contains(&path.display().to_string()) && error.contains("backup"), "{error}");
        std::fs::write(&path, bytes).expect("writes");
    }
    bench.open().threads.shutdown().expect("is whole again");
}

#[test]
fn a_foreign_log_key_refuses_to_start() {
    let bench = Bench::new();
    finished(&bench);
    let pem = Signer::generate().expect("a key").to_pem().expect("pem");
    std::fs::write(bench.paths().log_key(), pem).expect("writes");
    assert!(matches!(bench.try_open(), Err(OpenError::Damaged(_))));
    std::fs::write(bench.paths().log_key(), "no key").expect("writes");
    let error = bench.try_open().expect_err("no key").to_string();
    assert!(error.contains("log.pem"), "{error}");
}
