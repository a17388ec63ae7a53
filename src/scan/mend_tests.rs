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
    let watch = crate::env::Stopwatch::start();
    assert_eq!(scanner().text(&text).findings.len(), 4_000);
    let plain = watch.elapsed();
    let watch = crate::env::Stopwatch::start();
    assert_eq!(scanner().json_text(&json).findings.len(), 4_000);
    let nested = watch.elapsed();
    assert!(nested <= plain * 6, "{nested:?} in JSON, {plain:?} in text");
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
