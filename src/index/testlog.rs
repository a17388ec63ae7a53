//! Synthetic logs for tests: whole groups with made-up keys and signatures, which the index does not check.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use crate::record::tree::Frontier;
use crate::record::{self, Checkpoint, Signer};
use crate::record::{Bytes, CompletionHead, DecisionHead, Kind, Micros, Retention, SectionRefs, Usage};
use crate::types::*;

/// A log under construction, in its own temporary directory.
pub(crate) struct TestLog {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) generation: u32,
    pub(crate) segment: u64,
    pub(crate) next: u64,
    pub(crate) log_key: std::sync::Arc<Signer>,
    pub(crate) epoch: std::sync::Arc<Signer>,
    tree: Frontier,
    pub(crate) pending: Vec<u8>,
    serial: u64,
}

/// 2026-11-22T00:00:00Z
pub(crate) const DAY: i64 = 1_795_305_600_000_000;

impl TestLog {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("temporary directory");
        TestLog {
            dir,
            generation: 1,
            segment: 0,
            next: 0,
            log_key: std::sync::Arc::new(Signer::from_seed(&[1; 32]).expect("seed")),
            epoch: std::sync::Arc::new(Signer::from_seed(&[2; 32]).expect("seed")),
            tree: Frontier::new(),
            pending: Vec::new(),
            serial: 0,
        }
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join(format!("log/{}/{:012}.jsonl", self.generation, self.segment))
    }

    fn random(&mut self) -> [u8; 10] {
        self.serial += 1;
        let mut bytes = [7u8; 10];
        bytes[2..].copy_from_slice(&self.serial.to_be_bytes());
        bytes
    }

    pub(crate) fn origin(&self) -> String {
        format!("sealgate-test/{}", self.generation)
    }

    fn line(&mut self, head: &str) -> u64 {
        let epoch = self.epoch.clone();
        self.signed(head, &epoch)
    }

    fn signed(&mut self, head: &str, signer: &Signer) -> u64 {
        let sig = signer.sign(&record::signing_input(&self.origin(), self.next, head.as_bytes()));
        let line = record::record_line(head.as_bytes(), &signer.public().id(), &sig);
        self.tree.append(record::leaf_hash(&line));
        self.pending.extend_from_slice(&line);
        self.pending.push(b'\n');
        self.next += 1;
        self.next - 1
    }

    /// `key.certified` and `boot`, as every process begins.
    pub(crate) fn boot(&mut self) {
        let (time, id) = self.stamp();
        let head = record::event::key_certified(record::event::Stamp { id, time }, self.epoch.public(), None);
        let log_key = self.log_key.clone();
        self.signed(&encoded(head), &log_key);
        let (time, id) = self.stamp();
        let head = record::event::boot(record::event::Stamp { id, time }, "0.1.0", &Digest([3; 32]), &[], None);
        self.line(&encoded(head));
        self.commit();
    }

    fn stamp(&mut self) -> (Timestamp, RecordId) {
        let time = Timestamp::from_micros(DAY + self.next as i64 * 1_000_000);
        (time, RecordId::new(time.unix_millis(), self.random()))
    }

    pub(crate) fn decision(&mut self, change: impl FnOnce(&mut DecisionHead)) -> (u64, DecisionHead) {
        let time = Timestamp::from_micros(DAY + self.next as i64 * 1_000_000);
        let request = RequestId::new(time.unix_millis(), self.random());
        let mut head = DecisionHead {
            actor: NONE.into(),
            auth: AuthMethod::Token,
            classes: Vec::new(),
            coverage: Coverage::Full,
            detectors: Digest([1; 32]),
            durability: "sync".into(),
            facts: Default::default(),
            id: RecordId::new(time.unix_millis(), self.random()),
            kind: Kind::Decision,
            label: Label::Internal,
            mode: Mode::Enforce,
            model: "echo-1".into(),
            operation: "chat".into(),
            outcome: RequestOutcome::Allowed,
            policy: PolicyRef { digest: Digest([0xab; 32]), name: "default".into(), version: "1".into() },
            principal: PrincipalKind::Human,
            reason: Reason::Ok,
            request,
            retention: Retention { class: "standard".into(), until: time.plus_days(365) },
            roles: Vec::new(),
            route: "demo".into(),
            rules: vec!["default.send".into()],
            sections: SectionRefs::new(),
            subject: pseudonym(1).into(),
            synthetic: false,
            tenant: "default".into(),
            time,
            trace: None,
            truncated: 0,
            v: 1,
            vendor: "demo".into(),
            verdict: RequestVerdict::Send,
        };
        change(&mut head);
        (self.line(&serde_json::to_string(&head).expect("head")), head)
    }

    pub(crate) fn complete(
        &mut self,
        decision: u64,
        of: &DecisionHead,
        change: impl FnOnce(&mut CompletionHead),
    ) -> u64 {
        let time = Timestamp::from_micros(DAY + self.next as i64 * 1_000_000);
        let mut head = CompletionHead {
            bytes: Bytes { answered: 10, delivered: 10, forwarded: 20, received: 20 },
            classes: Vec::new(),
            coverage: Coverage::Full,
            decision,
            detectors: Digest([1; 32]),
            facts: Default::default(),
            http_status: 200,
            id: RecordId::new(time.unix_millis(), self.random()),
            kind: Kind::Completion,
            label: Label::Internal,
            micros: Micros::default(),
            mode: Mode::Enforce,
            model_served: of.model.clone(),
            outcome: AnswerOutcome::Released,
            policy: of.policy.clone(),
            reason: Reason::Ok,
            request: of.request,
            rules: Vec::new(),
            sections: SectionRefs::new(),
            status: Status::Completed,
            time,
            truncated: 0,
            usage: Usage::default(),
            v: 1,
            verdict: AnswerVerdict::Release,
        };
        change(&mut head);
        self.line(&serde_json::to_string(&head).expect("head"))
    }

    pub(crate) fn event(&mut self, kind: &str, fields: &str) -> u64 {
        let time = Timestamp::from_micros(DAY + self.next as i64 * 1_000_000);
        let id = RecordId::new(time.unix_millis(), self.random());
        self.line(&format!(
            "{{\"id\":\"{id}\",\"kind\":\"{kind}\",\"sections\":{{}}{fields},\"time\":\"{time}\",\"v\":1}}"
        ))
    }

    /// The key store of this log, with its origin file.
    pub(crate) fn keys(&self) -> std::sync::Arc<crate::store::KeyStore> {
        let keys = crate::store::KeyStore::open(self.dir.path()).expect("key store");
        keys.index_key().expect("index key");
        fs::write(self.dir.path().join("keys/origin"), self.origin()).expect("origin");
        std::sync::Arc::new(keys)
    }

    /// A completed request of a named person, with its identity and content sections.
    pub(crate) fn decision_of(&mut self, user: &str, display: &str) -> (u64, DecisionHead) {
        let keys = self.keys();
        let origin = self.origin();
        let key = |section: &str| {
            let name = crate::store::DataKeyName {
                tenant: "default".to_owned(),
                retention: "standard".to_owned(),
                section: section.to_owned(),
                subject: pseudonym(1),
                month: "2026-11".to_owned(),
            };
            keys.data_key(&name).expect("data key")
        };
        let identity = record::IdentitySection {
            actor: None,
            address: None,
            credential: "t1".to_owned(),
            display: Some(display.to_owned()),
            groups: Vec::new(),
            issuer: "sealgate".to_owned(),
            roles: Vec::new(),
            salt: record::section::new_salt(),
            subject: user.to_owned(),
        };
        let content = record::ContentSection { salt: record::section::new_salt(), parts: 3, ..Default::default() };
        let mut bytes = std::collections::BTreeMap::new();
        let (index, head) = self.decision(|head| {
            let sealed = [
                ("identity", record::section::seal(&origin, head.id, "identity", &identity, &key("identity"))),
                ("content", record::section::seal(&origin, head.id, "content", &content, &key("content"))),
            ];
            for (name, sealed) in sealed {
                let sealed = sealed.expect("sealed");
                head.sections.insert(name.to_owned(), sealed.reference);
                bytes.insert(name.to_owned(), sealed.bytes);
            }
        });
        let line = record::sections_line(index, &bytes);
        self.sections(&String::from_utf8(line).expect("text"));
        self.complete(index, &head, |_| {});
        (index, head)
    }

    pub(crate) fn sections(&mut self, line: &str) {
        self.pending.extend_from_slice(line.as_bytes());
        self.pending.push(b'\n');
    }

    /// Closes the group with a checkpoint and writes it.
    pub(crate) fn commit(&mut self) {
        let checkpoint = Checkpoint { origin: self.origin(), size: self.next, root: self.tree.root() };
        let note = record::note::sign(&checkpoint, &[&self.epoch]);
        self.pending.extend_from_slice(&record::checkpoint_line(&note));
        self.pending.push(b'\n');
        self.flush();
        let published = record::note::sign(&checkpoint, &[&self.log_key]);
        fs::write(self.path().with_file_name("checkpoint"), published).expect("written");
    }

    /// Writes what is pending without a checkpoint.
    pub(crate) fn flush(&mut self) {
        let path = self.path();
        fs::create_dir_all(path.parent().expect("folder")).expect("folder");
        let mut file = fs::OpenOptions::new().create(true).append(true).open(path).expect("segment");
        file.write_all(&std::mem::take(&mut self.pending)).expect("written");
    }

    pub(crate) fn next_segment(&mut self) {
        self.segment = self.next;
    }

    pub(crate) fn next_generation(&mut self) {
        (self.generation, self.segment, self.next) = (self.generation + 1, 0, 0);
        self.tree = Frontier::new();
    }
}

pub(crate) fn pseudonym(number: u64) -> String {
    format!("hmac-sha256:1:{}", Digest::of(&number.to_be_bytes()))
}

fn encoded(head: record::EventHead) -> String {
    String::from_utf8(record::Head::Event(head).encode()).expect("text")
}
