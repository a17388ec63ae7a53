//! What a hostile reading of the scanner brought up, each kept from coming back.

use super::tests::{borders, document, short, streamed};
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
