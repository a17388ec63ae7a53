//! What a hostile reading of the scanner brought up, each kept from coming back.

use super::tests::{borders, document, scanner, short, streamed};
use super::*;

fn classes(scan: &Scan) -> Vec<&str> {
    scan.findings.iter().map(|f| f.class.as_str()).collect()
}

/// Scans a document whole and in pieces; the classes found.
fn in_json(source: &str) -> Vec<String> {
    let scan = document(source);
    assert_eq!(streamed(source, &borders(source), Form::Json), short(&scan.findings), "{source}");
    for cut in borders(source) {
        assert_eq!(streamed(source, &[cut], Form::Json), short(&scan.findings), "cut at {cut}: {source}");
    }
    classes(&scan).into_iter().map(str::to_owned).collect()
}

#[test]
fn context_stays_in_its_leaf() {
    for source in [
        r#"{"choices":[{"message":{"content":"check your phone."}}],"created":1700000000}"#,
        r#"{"choices":[{"message":{"content":"check your phone."}}],"created":7012345678}"#,
        r#"{"m":[{"c":"what phone should I buy? on mobile"}],"seed":7234567890}"#,
        r#"{"phone": null, "ts": 7012345678}"#,
        r#"{"phone": null, "ts": "7012345678"}"#,
        r#"{"phone": [{"ts": 7012345678}]}"#,
        r#"{"phone": "", "note": "id 7012345678"}"#,
        r#"["phone", 7012345678, "7012345678"]"#,
        r#"{"a":"{\"phone\": null, \"ts\": 7012345678}","phone":"","t":"{\"ts\": 7012345678}"}"#,
        r#"{"routing": "none", "order": 11000015, "n": "021000021"}"#,
    ] {
        assert!(in_json(source).is_empty(), "{source}: {:?}", in_json(source));
    }
}

#[test]
fn the_key_of_a_value_is_its_context() {
    for source in [
        r#"{"phone": 7012345678}"#,
        r#"{"phone" : -7012345678}"#,
        r#"{"phone":"7012345678"}"#,
        r#"{"user phone":"0151 23456789"}"#,
        r#"{"x":"my phone is 020 7946 0958"}"#,
        r#"{"a":"{\"phone\": 7012345678}"}"#,
        r#"{"a":"{\"phone\": \"7012345678\"}"}"#,
    ] {
        assert_eq!(in_json(source), ["pii.phone"], "{source}");
    }
}

#[test]
fn many_findings_cost_no_more_in_json_than_in_text() {
    let text = "jane.doe@example.com, ".repeat(4_000);
    let json = serde_json::json!({ "x": text }).to_string();
    let best = |scan: &dyn Fn() -> usize| {
        let time = |_| {
            let watch = crate::env::Stopwatch::start();
            assert_eq!(scan(), 4_000);
            watch.elapsed()
        };
        (0..3).map(time).min().expect("three")
    };
    let plain = best(&|| scanner().text(&text).findings.len());
    let nested = best(&|| scanner().json_text(&json).findings.len());
    eprintln!("{nested:?} in JSON, {plain:?} in text");
    assert!(nested <= plain * 4, "{nested:?} in JSON, {plain:?} in text");
}

#[test]
fn too_many_findings_are_cut_and_partial() {
    let text = "jane.doe@example.com, ".repeat(FINDINGS_MAX * 2);
    for scan in [scanner().text(&text), document(&serde_json::json!([text]).to_string())] {
        assert_eq!((scan.coverage, scan.findings.len()), (Coverage::Partial, FINDINGS_MAX));
    }
}

#[test]
fn windows_hide_nothing_at_their_borders() {
    for shift in (0..40).step_by(3) {
        let text = format!(
            "{}mail jane.doe@example.com or 4111 1111 1111 1111 now",
            "a b ".repeat(16 * 1024 - 12) + &" ".repeat(shift)
        );
        assert_eq!(classes(&scanner().text(&text)), ["pii.email", "pci.pan"], "{shift}");
    }
}

#[test]
fn a_bare_number_far_into_a_nested_list_gets_its_quotes_in_a_stream() {
    let source = format!(r#"{{"in":"[{}4111111111111111]"}}"#, "1, ".repeat(100));
    let mut stream = StreamScan::new(Arc::clone(scanner()));
    source.char_indices().for_each(|(i, c)| stream.push(0, Form::Json, &source[i..i + c.len_utf8()]));
    stream.end_all();
    let found = stream.take();
    assert_eq!((found.len(), found[0].quoted), (1, false));
}

#[test]
fn dates_identifiers_and_placeholders_are_clean() {
    for text in [
        "SELECT id, email, phone FROM users WHERE created_at > '2024-01-01'",
        "SELECT id, phone FROM t WHERE at > '2024-01-01 10:20:30'",
        "name,phone,created\nBob,,2024-01-02",
        "phone; x = 123 456 789",
        "{\"phone\": null, \"ts\": 1700000000}",
        "phone 2024-01-02T03:04:05Z",
        "postgres://user:password@localhost:5432/db",
        "redis://:secret@redis:6379/0",
        "postgresql://postgres:postgres@db:5432/app",
        "mysql://root:root@db.example.com/app",
        "mysql://root:<password>@db/app",
        "mysql://root:${PASSWORD}@db/app",
        "mysql://root:changeme@db/app",
        "mysql://root:xxxxxxxx@db/app",
        "mysql://root:***@db/app",
        "password=changeme password: xxxxxxxxxx",
        "ghp_000000000000000000000000000000000000",
        "npm_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "https://org@dev.azure.com/org/project/_git/repo",
        "https://key@o0.ingest.sentry.io/0",
        "let mrn: 123456; cvc: 000",
    ] {
        let found = scanner().text(text).findings;
        assert!(found.is_empty(), "{text}: {:?}", short(&found));
        assert_eq!(streamed(text, &borders(text), Form::Text), []);
    }
    for text in ["mysql://app:k9mQ2vLp@db/app", "+1700000000", "mail bob@example.org"] {
        assert_eq!(scanner().text(text).findings.len(), 1, "{text}");
    }
}

#[test]
fn published_test_cards_are_cards() {
    for card in [
        "4111111111111111",
        "4242424242424242",
        "5555555555554444",
        "378282246310005",
        "4000000000000002",
        "4012888888881881",
        "5105105105105100",
        "6011111111111117",
        "30569309025904",
        "3530111333300000",
        "6011000990139424",
        "371449635398431",
        "2223003122003222",
        "5200828282828210",
        "38520000023237",
    ] {
        assert_eq!(classes(&scanner().text(card)), ["pci.pan"], "{card}");
    }
}
