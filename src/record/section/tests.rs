use super::*;
use crate::record::commitments::{Body, Commitments};

fn key() -> DataKey {
    DataKey { id: [7; 16], key: [9; 32] }
}

fn record() -> RecordId {
    RecordId::new(1_790_000_000_000, [1; 10])
}

fn identity() -> IdentitySection {
    IdentitySection {
        actor: Some(ActorInfo { issuer: "i".into(), subject: "s".into() }),
        address: Some("192.0.2.0/24".into()),
        credential: "t1".into(),
        display: Some("Zoë \u{1} \"quoted\" \u{1F600}".into()),
        groups: vec!["g".into()],
        issuer: "sealgate".into(),
        roles: vec!["developer".into()],
        salt: "0123456789abcdef0123456789abcdef".into(),
        subject: "someone@example.com".into(),
    }
}

#[test]
fn opens_only_with_its_key_log_record_and_name() {
    let sealed = seal("a/1", record(), IDENTITY, &identity(), &key()).expect("seals");
    let opened = open("a/1", record(), IDENTITY, &sealed.reference, &sealed.bytes, &key()).expect("opens");
    assert_eq!(serde_json::to_string(&opened).expect("writes"), serde_json::to_string(&identity()).expect("writes"));
    let other = DataKey { id: [7; 16], key: [8; 32] };
    for result in [
        open("a/2", record(), IDENTITY, &sealed.reference, &sealed.bytes, &key()),
        open("a/1", RecordId::new(1, [1; 10]), IDENTITY, &sealed.reference, &sealed.bytes, &key()),
        open("a/1", record(), CONTENT, &sealed.reference, &sealed.bytes, &key()),
        open("a/1", record(), IDENTITY, &sealed.reference, &sealed.bytes, &other),
    ] {
        assert_eq!(result, Err(SectionError::Key));
    }
    let mut changed = sealed.bytes.clone();
    changed[0] ^= 1;
    assert_eq!(open("a/1", record(), IDENTITY, &sealed.reference, &changed, &key()), Err(SectionError::Sealed));
}

#[test]
fn every_section_is_written_canonically() {
    let mut commitments = Commitments::new();
    let mut body = commitments.body();
    body.update(b"{}");
    body.part("/messages/0/content", "hello");
    let done = body.finish();
    commitments.set(Body::Received, done.clone());
    commitments.set(Body::Forwarded, done.clone());
    commitments.set(Body::Answered, done.clone());
    commitments.set(Body::Delivered, done);
    let content = ContentSection {
        attachments: vec![Attachment { bytes: 1, kind: "image".into(), scanned: false }],
        findings: vec![Finding {
            action: "redacted".into(),
            class: crate::types::Class::new("pii.email").expect("class"),
            count: 1,
            detector: "email".into(),
            likelihood: 4,
            pointer: "/messages/0/content".into(),
            validated: true,
        }],
        finish: Some("stop".into()),
        media: Some("application/json".into()),
        model_raw: Some("m".into()),
        parts: 1,
        salt: new_salt(),
        stream: false,
        tools_raw: vec!["t".into()],
        truncated: 0,
        vendor_request_id: Some("r".into()),
    };
    for bytes in [
        serde_json::to_vec(&identity()).expect("writes"),
        serde_json::to_vec(&content).expect("writes"),
        serde_json::to_vec(&commitments.finish()).expect("writes"),
    ] {
        assert_eq!(check_canonical(&bytes), Ok(()));
        let value: serde_json::Value = serde_json::from_slice(&bytes).expect("reads");
        assert_eq!(serde_json_canonicalizer::to_vec(&value).expect("canonicalises"), bytes);
    }
}

#[test]
fn free_text_is_cut_at_a_character() {
    assert_eq!(cut(&"é".repeat(100)).len(), 128);
    assert_eq!(cut(&format!("x{}", "é".repeat(100))).len(), 127);
    assert_eq!(cut("short"), "short");
}
