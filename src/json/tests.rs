use super::*;

#[test]
fn leaves_have_ranges_and_pointers() {
    let source = br#"{"a":[1,{"b/c":"x\ny"}],"d":"z"}"#;
    let document = Document::parse(source).expect("valid");
    let leaves: Vec<_> = document.leaves().map(|l| (l.kind(), l.raw().to_owned(), l.pointer())).collect();
    assert_eq!(leaves[1], (Kind::Number, "1".into(), "/a/0".into()));
    assert_eq!(leaves[3], (Kind::String, "x\\ny".into(), "/a/1/b~1c".into()));
    assert_eq!(document.at("/a/1/b~1c").and_then(|v| v.as_str()).as_deref(), Some("x\ny"));
    assert_eq!(document.root().get("d").and_then(|v| v.as_str()).as_deref(), Some("z"));
    assert_eq!(document.root().entries().count(), 2);
}

#[test]
fn refuses_what_parsers_disagree_about() {
    let deep = "[".repeat(10_000);
    let many: String = (0..40).map(|i| format!("\"k{i}\":0,")).collect();
    let many = format!("{{{many}\"k3\":1}}");
    for (text, fault) in [
        (&br#"{"a":1,"\u0061":2}"#[..], Fault::DuplicateKey),
        (many.as_bytes(), Fault::DuplicateKey),
        (deep.as_bytes(), Fault::TooDeep),
        (b"{\"a\":\"\xff\"}", Fault::InvalidUtf8),
        (br#"{"a":"b"#, Fault::Truncated),
        (br#"{"a":tr"#, Fault::Truncated),
        (b"", Fault::Truncated),
        (br#"{"a":1,}"#, Fault::Unexpected),
        (b"[1,]", Fault::Unexpected),
        (b"[,1]", Fault::Unexpected),
        (b"01", Fault::Trailing),
        (b"1.", Fault::Truncated),
        (b"{} {}", Fault::Trailing),
        (b"\"a\nb\"", Fault::Unexpected),
    ] {
        assert_eq!(
            Document::parse(text).map(|_| ()).map_err(|e| e.fault),
            Err(fault),
            "{}",
            String::from_utf8_lossy(&text[..text.len().min(40)])
        );
    }
}

#[test]
fn agrees_with_serde_json_on_what_is_json() {
    for text in [
        "null",
        "-0.5e+3",
        " [1 , 2 ] ",
        "{\"a\":{\"b\":[]}}",
        "\"\\ud83d\\ude00\"",
        "-",
        "[1 2]",
        "{\"a\" 1}",
        "{1:2}",
        "tru",
        "\"\\x\"",
        "1e",
        "+1",
        "[]]",
    ] {
        let ours = Document::parse(text.as_bytes()).is_ok();
        assert_eq!(ours, serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}");
    }
}

#[test]
fn a_long_pointer_keeps_its_end() {
    let source = format!(r#"{{"{}":{{"b":[1]}}}}"#, "k".repeat(10_000));
    let document = Document::parse(source.as_bytes()).expect("valid");
    let number = document.leaves().last().expect("a number");
    assert_eq!(number.pointer_within(100), "/…/b/0");
    assert_eq!(number.pointer().len(), 10_005);
}

#[test]
fn decoded_offsets_lead_back() {
    let raw = r"a\u00e9b\ud83d\ude00c\n";
    let decoded = decode(raw);
    assert_eq!(decoded.text, "aéb😀c\n");
    for (derived, source) in [(0, 0), (1, 1), (3, 7), (4, 8), (8, 20), (9, 21), (10, 23)] {
        assert_eq!(decoded.map.source(derived), source, "{derived}");
    }
    assert_eq!(decode(r"\ud800x").text, "\u{fffd}x");
}
