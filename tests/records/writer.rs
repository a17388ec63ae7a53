//! A small writer of logs for tests: fixed keys, ids, times and salts, so that the same calls give the same bytes.

use std::collections::BTreeMap;

use sealgate::record::event::{self, By, Stamp};
use sealgate::record::section::{self, DataKey, IdentitySection, Sealed};
use sealgate::record::tree::Frontier;
use sealgate::record::verify::{Verdict, Verifier, VerifyOptions};
use sealgate::record::{
    Bytes, Checkpoint, CompletionHead, DecisionHead, Draft, Head, Kind, Micros, Retention, Signer, Usage, VERSION,
    VerifierKey, checkpoint_line, handover_input, leaf_hash, note, record_line, sections_line, signing_input,
};
use sealgate::types::{
    AnswerOutcome, AnswerVerdict, AuthMethod, Class, Coverage, Digest, Fact, Label, Mode, PolicyRef, PrincipalKind,
    Reason, RecordId, RequestId, RequestOutcome, RequestVerdict, Status, Timestamp,
};

pub(crate) const ORIGIN: &str = "gate.example/1";
/// 2026-11-22T00:00:00Z.
pub(crate) const START: i64 = 1_795_305_600_000_000;

/// One line and what it is.
pub(crate) struct Written {
    pub(crate) record: Vec<u8>,
    pub(crate) sections: Option<Vec<u8>>,
}

pub(crate) struct Log {
    pub(crate) log_key: Signer,
    pub(crate) epoch: Signer,
    epochs: u8,
    ids: u8,
    groups: u64,
    pub(crate) tree: Frontier,
    /// Records and checkpoints in order.
    pub(crate) written: Vec<Written>,
}

impl Log {
    pub(crate) fn new() -> Self {
        let key = |seed: u8| Signer::from_seed(&[seed; 32]).expect("a seed gives a key");
        let tree = Frontier::new();
        Log { log_key: key(1), epoch: key(100), epochs: 100, ids: 0, groups: 0, tree, written: Vec::new() }
    }

    /// Id and time of the next record.
    pub(crate) fn stamp(&mut self) -> Stamp {
        self.ids += 1;
        let time = Timestamp::from_micros(START + i64::from(self.ids) * 1_000_001);
        Stamp { id: RecordId::new(time.unix_millis(), [self.ids; 10]), time }
    }

    pub(crate) fn event(&mut self, make: impl FnOnce(Stamp) -> sealgate::record::EventHead) -> u64 {
        let stamp = self.stamp();
        self.push(Draft::bare(Head::Event(make(stamp))))
    }

    /// Signs and appends a record; its index.
    pub(crate) fn push(&mut self, mut draft: Draft) -> u64 {
        draft.head.set_groups(self.groups);
        let index = self.tree.len();
        let kind = draft.head.kind();
        let head = draft.head.encode();
        let signer = if kind == Kind::KeyCertified { &self.log_key } else { &self.epoch };
        let signature = signer.sign(&signing_input(ORIGIN, index, &head));
        let record = record_line(&head, &signer.public().id(), &signature);
        self.tree.append(leaf_hash(&record));
        let sections = (!draft.sections.is_empty()).then(|| sections_line(index, &draft.sections));
        self.written.push(Written { record, sections });
        index
    }

    /// `key.certified` of a boot, and `boot`.
    pub(crate) fn boot(&mut self) {
        let previous = (!self.tree.is_empty()).then(|| self.head());
        self.epochs += 1;
        self.epoch = Signer::from_seed(&[self.epochs; 32]).expect("a seed gives a key");
        let public = self.epoch.public().clone();
        self.event(|stamp| event::key_certified(stamp, &public, None));
        let fleet = ["gate.example".to_owned()];
        self.event(|stamp| event::boot(stamp, "0.1.0", &Digest::of(b"config"), &fleet, previous.as_ref()));
    }

    /// A live rotation: begins a group.
    pub(crate) fn rotate(&mut self) {
        self.epochs += 1;
        let next = Signer::from_seed(&[self.epochs; 32]).expect("a seed gives a key");
        let handover = self.epoch.sign(&handover_input(ORIGIN, self.tree.len(), next.public().raw()));
        let public = next.public().clone();
        self.event(|stamp| event::key_certified(stamp, &public, Some(&handover)));
        self.epoch = next;
    }

    pub(crate) fn shutdown(&mut self) {
        self.event(|stamp| event::shutdown(stamp, "signal", 1, 0));
        self.checkpoint();
    }

    /// Origin, size and root as they are.
    pub(crate) fn head(&self) -> Checkpoint {
        Checkpoint { origin: ORIGIN.to_owned(), size: self.tree.len(), root: self.tree.root() }
    }

    /// Closes the group.
    pub(crate) fn checkpoint(&mut self) {
        self.groups += 1;
        let line = checkpoint_line(&note::sign(&self.head(), &[&self.epoch]));
        self.written.push(Written { record: line, sections: None });
    }

    pub(crate) fn published(&self) -> String {
        note::sign(&self.head(), &[&self.log_key])
    }

    pub(crate) fn vkey(&self) -> VerifierKey {
        VerifierKey { name: ORIGIN.to_owned(), key: self.log_key.public().clone() }
    }

    /// A decision with identity and commitments sections; its index.
    pub(crate) fn decision(&mut self, request: u8) -> u64 {
        let stamp = self.stamp();
        let head = decision_head(stamp, request);
        let sealed = sealed_sections(stamp.id, request);
        self.push(Draft::new(Head::Decision(head), sealed))
    }

    /// The completion of a decision, with a content section; its index.
    pub(crate) fn completion(&mut self, decision: u64, request: u8, status: Status) -> u64 {
        let stamp = self.stamp();
        let content = section::ContentSection {
            finish: Some("stop".to_owned()),
            parts: 1,
            salt: format!("{request:032x}"),
            ..Default::default()
        };
        let sealed = section::seal(ORIGIN, stamp.id, section::CONTENT, &content, &data_key(3)).expect("seals");
        let head = Head::Completion(completion_head(stamp, decision, request, status));
        self.push(Draft::new(head, [(section::CONTENT, sealed)]))
    }

    /// All lines, each with its newline.
    pub(crate) fn lines(&self) -> Vec<Vec<u8>> {
        let lines = self.written.iter().flat_map(|w| std::iter::once(&w.record).chain(w.sections.as_ref()));
        lines.map(|line| [line.as_slice(), b"\n"].concat()).collect()
    }

    /// Options of somebody who holds the log key and the published checkpoint.
    pub(crate) fn options(&self) -> VerifyOptions {
        VerifyOptions {
            origin: Some(ORIGIN.to_owned()),
            log_key: Some(self.vkey()),
            key_from_outside: true,
            published: Some(self.published()),
            store_lock_free: true,
            threads: 1,
        }
    }
}

/// Verifies one segment.
pub(crate) fn verify(bytes: &[u8], options: VerifyOptions) -> Verdict {
    let mut verifier = Verifier::new(options);
    verifier.feed_segment("000000000000.jsonl", bytes, true).expect("memory reads");
    verifier.finish()
}

pub(crate) fn data_key(number: u8) -> DataKey {
    DataKey { id: [number; 16], key: [number + 100; 32] }
}

fn sealed_sections(record: RecordId, request: u8) -> Vec<(&'static str, Sealed)> {
    let identity = IdentitySection {
        actor: None,
        address: Some("192.0.2.0/24".to_owned()),
        credential: "t-1".to_owned(),
        display: Some("Testing Person".to_owned()),
        groups: vec![],
        issuer: "sealgate".to_owned(),
        roles: vec!["developer".to_owned()],
        salt: format!("{request:032x}"),
        subject: format!("person-{request}"),
    };
    let mut commitments =
        sealgate::record::commitments::Commitments::with_key(&[request; 32], format!("{request:032x}"));
    let mut body = commitments.body();
    body.update(br#"{"messages":[{"role":"user","content":"hello"}]}"#);
    body.part("/messages/0/content", "hello");
    let done = body.finish();
    commitments.set(sealgate::record::commitments::Body::Received, done);
    let identity = section::seal(ORIGIN, record, section::IDENTITY, &identity, &data_key(1)).expect("seals");
    let commitments = section::seal(ORIGIN, record, section::COMMITMENTS, &commitments.finish(), &data_key(2));
    vec![(section::IDENTITY, identity), (section::COMMITMENTS, commitments.expect("seals"))]
}

pub(crate) fn policy() -> PolicyRef {
    PolicyRef { digest: Digest::of(b"bundle"), name: "default".into(), version: "1".into() }
}

fn request_id(number: u8) -> RequestId {
    RequestId::new(1_795_305_600_000, [number; 10])
}

pub(crate) fn subject(request: u8) -> String {
    sealgate::record::pseudonym(&[5; 32], 1, "sealgate", &format!("person-{request}"))
}

fn decision_head(stamp: Stamp, request: u8) -> DecisionHead {
    DecisionHead {
        actor: "none".into(),
        auth: AuthMethod::Token,
        classes: vec![Class::new("pii.email").expect("a class")],
        coverage: Coverage::Full,
        detectors: Digest::of(b"detectors"),
        durability: "sync".into(),
        facts: BTreeMap::from([
            ("hour".to_owned(), Fact::Number(0)),
            ("tools".to_owned(), Fact::List(vec![Fact::from("search")])),
            ("valid".to_owned(), Fact::Flag(true)),
        ]),
        id: stamp.id,
        kind: Kind::Decision,
        label: Label::Confidential,
        mode: Mode::Enforce,
        model: "demo-1".into(),
        operation: "chat".into(),
        outcome: RequestOutcome::Redacted,
        policy: policy(),
        principal: PrincipalKind::Human,
        reason: Reason::DlpPii,
        request: request_id(request),
        retention: Retention { class: "standard".into(), until: stamp.time.plus_days(365) },
        roles: vec!["developer".into()],
        route: "demo".into(),
        rules: vec!["send-redacted".into()],
        sections: BTreeMap::new(),
        subject: subject(request).into(),
        synthetic: false,
        tenant: "default".into(),
        time: stamp.time,
        trace: Some("0af7651916cd43dd8448eb211c80319c".to_owned()),
        truncated: 0,
        v: VERSION,
        vendor: "demo".into(),
        verdict: RequestVerdict::SendRedacted,
    }
}

fn completion_head(stamp: Stamp, decision: u64, request: u8, status: Status) -> CompletionHead {
    CompletionHead {
        bytes: Bytes { answered: 10, delivered: 10, forwarded: 48, received: 48 },
        classes: vec![],
        coverage: Coverage::Full,
        decision,
        detectors: Digest::of(b"detectors"),
        facts: BTreeMap::new(),
        http_status: 200,
        id: stamp.id,
        kind: Kind::Completion,
        label: Label::Internal,
        micros: Micros { decide: 1, identify: 2, read: 3, record: 4, scan: 5, total: 21, upstream: 6 },
        mode: Mode::Enforce,
        model_served: "demo-1".into(),
        outcome: AnswerOutcome::Released,
        policy: policy(),
        reason: Reason::Ok,
        request: request_id(request),
        rules: vec!["release".into()],
        sections: BTreeMap::new(),
        status,
        time: stamp.time,
        truncated: 0,
        usage: Usage { input: Some(9), output: None },
        v: VERSION,
        verdict: AnswerVerdict::Release,
    }
}

/// Twelve records: a boot, three requests of which one stays an orphan, a live rotation, a heartbeat, a shutdown.
pub(crate) fn twelve_records() -> Log {
    let mut log = Log::new();
    log.boot();
    log.checkpoint();
    let (first, second) = (log.decision(1), log.decision(2));
    log.checkpoint();
    log.completion(second, 2, Status::Completed);
    let third = log.decision(3);
    log.checkpoint();
    log.rotate();
    log.completion(first, 1, Status::ClientAborted);
    log.checkpoint();
    let clock = event::ClockState { source: "system", sync: "synchronised", offset_micros: Some(-12) };
    log.event(|stamp| event::heartbeat(stamp, 1, Some(third), &clock));
    log.completion(third, 3, Status::Orphan);
    log.checkpoint();
    log.event(|stamp| event::config_changed(stamp, &Digest::of(b"a"), &Digest::of(b"b")));
    log.shutdown();
    log
}

pub(crate) fn operator() -> By<'static> {
    By::Operator
}
