//! Tests of the ledger on the real disk and on one that fails.

mod damage;
mod faults;
mod full;
mod kill;
mod normal;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::runtime::Runtime;

use super::*;
use crate::env::{Clock, Disk, RealDisk};
use crate::record::event::{self, Stamp};
use crate::record::verify::{Verifier, VerifyOptions, Word};
use crate::record::{
    Bytes, CompletionHead, DecisionHead, Draft, Head, Kind, Line, Micros, Retention, SectionRefs, Signer, Usage,
    VerifierKey,
};
use crate::store::Paths;
use crate::telemetry::Metrics;
use crate::types::{
    AnswerOutcome, AnswerVerdict, AuthMethod, Coverage, Digest, Label, Mode, PolicyRef, PrincipalKind, Reason,
    RecordId, RequestId, RequestOutcome, RequestVerdict, Status, Timestamp,
};

const START: &str = "2026-11-22T12:00:00Z";

/// A data directory of a test.
struct Bench {
    _folder: tempfile::TempDir,
    data: PathBuf,
    disk: Arc<dyn Disk>,
    clock: Clock,
    metrics: Arc<Metrics>,
    runtime: Runtime,
    config: LedgerConfig,
}

impl Bench {
    fn new() -> Bench {
        Bench::on(Arc::new(RealDisk))
    }

    fn on(disk: Arc<dyn Disk>) -> Bench {
        // The table of faults opens some thousand logs; a disk that only simulates its syncs may stand in memory.
        let in_memory = format!("{disk:?}").starts_with("FaultyDisk") && Path::new("/dev/shm").is_dir();
        let folder = if in_memory { tempfile::tempdir_in("/dev/shm") } else { tempfile::tempdir() };
        let folder = folder.expect("folder");
        let data = folder.path().join("data");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        let config = LedgerConfig { data: data.clone(), heartbeat_seconds: 3600, ..LedgerConfig::default() };
        let clock = Clock::held(START.parse().expect("time"));
        let metrics = Arc::new(Metrics::new().expect("metrics"));
        Bench { _folder: folder, data, disk, clock, metrics, runtime, config }
    }

    fn try_open(&self) -> Result<Opened, OpenError> {
        let facts = BootFacts { version: "0.0.0".into(), config_digest: Digest::of(b"config"), fleet: Vec::new() };
        open_on(Arc::clone(&self.disk), self.config.clone(), self.clock.clone(), Arc::clone(&self.metrics), facts)
    }

    fn open(&self) -> Opened {
        self.try_open().expect("opens")
    }

    fn paths(&self) -> Paths {
        Paths::new(&self.data)
    }

    fn reader(&self) -> reader::Reader {
        reader::Reader::new(self.paths(), 1)
    }

    fn heads(&self) -> Vec<Head> {
        let records = self.reader().from(0).expect("lists");
        records
            .map(|record| match record.expect("reads").parse().expect("a record") {
                Line::Record(line) => line.head,
                other => panic!("{other:?}"),
            })
            .collect()
    }

    fn kinds(&self) -> Vec<Kind> {
        self.heads().iter().map(Head::kind).collect()
    }

    /// Reads the log with the public verifier: everything of DESIGN section 4, and every record signature.
    fn verify(&self) -> u64 {
        let pem = std::fs::read_to_string(self.paths().log_key()).expect("log key");
        let origin = std::fs::read_to_string(self.paths().origin()).expect("origin").trim_end().to_owned();
        let key = Signer::from_pem(&pem).expect("a key").public().clone();
        let mut verifier = Verifier::new(VerifyOptions {
            log_key: Some(VerifierKey { name: origin.clone(), key }),
            origin: Some(origin),
            key_from_outside: true,
            published: self.reader().published().expect("reads"),
            store_lock_free: true,
            threads: 1,
        });
        let files = crate::store::read::segments(&self.paths(), 1).expect("lists");
        for (at, file) in files.iter().enumerate() {
            let name = file.path.file_name().expect("a name").to_string_lossy().into_owned();
            let bytes = std::fs::read(&file.path).expect("reads");
            verifier.feed_segment(&name, bytes.as_slice(), at + 1 == files.len()).expect("reads");
        }
        let verdict = verifier.finish();
        assert_eq!(verdict.word, Word::OkUnanchored, "{verdict:?}");
        assert_eq!((verdict.uncommitted, verdict.torn_bytes), (0, 0));
        assert_eq!(verdict.counts.decisions, verdict.counts.completions);
        verdict.size
    }

    fn segment(&self, first: u64) -> PathBuf {
        self.paths().log(1).join(format!("{first:012}.jsonl"))
    }

    /// Decides and completes one request.
    fn exchange(&self, ledger: &Ledger) -> Result<(Sealed, Sealed), LedgerError> {
        self.runtime.block_on(exchange(ledger.clone()))
    }
}

async fn exchange(ledger: Ledger) -> Result<(Sealed, Sealed), LedgerError> {
    let request = request();
    let (receipt, open) = ledger.decide(decision(request)).await?;
    let decided = receipt.sealed().clone();
    let completed = ledger.complete(open, completion(request)).await?;
    Ok((decided, completed))
}

fn request() -> RequestId {
    RequestId::new(1_790_000_000_000, crate::env::random_array())
}

fn record() -> RecordId {
    RecordId::new(1_790_000_000_000, crate::env::random_array())
}

fn time() -> Timestamp {
    START.parse().expect("time")
}

fn policy() -> PolicyRef {
    PolicyRef { digest: Digest::of(b"policy"), name: "default".into(), version: "1".into() }
}

fn decision(request: RequestId) -> Draft {
    Draft::bare(Head::Decision(DecisionHead {
        actor: "none".into(),
        auth: AuthMethod::Token,
        classes: Vec::new(),
        coverage: Coverage::Full,
        detectors: Digest::of(b"detectors"),
        durability: "sync".into(),
        facts: Default::default(),
        id: record(),
        kind: Kind::Decision,
        label: Label::Internal,
        mode: Mode::Enforce,
        model: "none".into(),
        operation: "chat".into(),
        outcome: RequestOutcome::Allowed,
        policy: policy(),
        principal: PrincipalKind::Human,
        reason: Reason::Ok,
        request,
        retention: Retention { class: "default".into(), until: time() },
        roles: Vec::new(),
        route: "demo".into(),
        rules: Vec::new(),
        sections: SectionRefs::new(),
        subject: "none".into(),
        synthetic: false,
        tenant: "default".into(),
        time: time(),
        trace: None,
        truncated: 0,
        v: 1,
        vendor: "demo".into(),
        verdict: RequestVerdict::Send,
    }))
}

fn completion(request: RequestId) -> Draft {
    Draft::bare(Head::Completion(CompletionHead {
        bytes: Bytes::default(),
        classes: Vec::new(),
        coverage: Coverage::Full,
        decision: 0,
        detectors: Digest::of(b"detectors"),
        facts: Default::default(),
        http_status: 200,
        id: record(),
        kind: Kind::Completion,
        label: Label::Internal,
        micros: Micros::default(),
        mode: Mode::Enforce,
        model_served: "none".into(),
        outcome: AnswerOutcome::Released,
        policy: policy(),
        reason: Reason::Ok,
        request,
        rules: Vec::new(),
        sections: SectionRefs::new(),
        status: Status::Completed,
        time: time(),
        truncated: 0,
        usage: Usage::default(),
        v: 1,
        verdict: AnswerVerdict::Release,
    }))
}

/// A refused decision and its completion, the decision with a sealed section.
fn sealed_refusal(opened: &Opened) -> (Draft, Draft) {
    let request = request();
    let name = crate::store::DataKeyName {
        tenant: "default".into(),
        retention: "default".into(),
        section: "content".into(),
        subject: "none".into(),
        month: "2026-11".into(),
    };
    let key = opened.keys.data_key(&name).expect("a key");
    let head = decision(request).head;
    let plain = std::collections::BTreeMap::from([("salt", "00112233445566778899aabbccddeeff")]);
    let sealed = crate::record::section::seal(&opened.origin, head.id(), "content", &plain, &key).expect("seals");
    (Draft::new(head, [("content", sealed)]), completion(request))
}

fn some_event() -> Draft {
    Draft::bare(Head::Event(event::suspend_on(Stamp::new(time()), event::SuspendScope::All, event::By::Operator)))
}

fn lines(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).expect("segment");
    bytes.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec).collect()
}
