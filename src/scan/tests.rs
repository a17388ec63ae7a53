use std::sync::OnceLock;

use super::*;

/// The scanner of every embedded pack, and the packs' own examples.
pub(super) fn scanner() -> &'static Arc<Scanner> {
    static SCANNER: OnceLock<Arc<Scanner>> = OnceLock::new();
    SCANNER.get_or_init(|| {
        let source = Source { packs: embedded_packs(), bundle: Vec::new() };
        match Scanner::build(&source) {
            Ok(scanner) => Arc::new(scanner),
            Err(faults) => panic!("{}", faults.iter().map(|f| format!("{f}\n")).collect::<String>()),
        }
    })
}

fn catalogue() -> pack::Catalogue {
    pack::read(&Source { packs: embedded_packs(), bundle: Vec::new() }).expect("packs read")
}

/// Spells out `{{a:36}}`: made-up characters, the same on every run.
fn spelled(example: &str) -> String {
    let mut out = String::new();
    let mut rest = example;
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    while let Some((before, after)) = rest.split_once("{{") {
        let (generator, after) = after.split_once("}}").expect("closed");
        let (kind, count) = generator.split_once(':').expect("kind:count");
        out.push_str(before);
        let alphabet: &[u8] = match kind {
            "a" => b"q7Rt2WzK9mLx4BvN8cJd3HfG6sPy5TkD1wQb0ZnV",
            "A" => b"Q7RT2WZK9MLX4BVN8CJD3HFG6SPY5",
            "B" => b"Q7RT2WZKMLX4BVNCJD3HFG6SPY5",
            "h" => b"0f3a9c7e5b1d8642",
            "d" => b"7350918264",
            "s" => b"q7Rt2WzK9mLx4+vN8cJd3Hf/6sPy5TkD1w",
            "u" => b"q7Rt2WzK9mLx4-vN8cJd3Hf_6sPy5TkD1w",
            "e" => b"q7Rt2WzK9mLx4BvN8cJd3HfG6sPy5TkD1wQb",
            "l" => b"qRtWzKmLxBvNcJdHfGsPyTkDwQbZnV",
            "k" => b"q7rt2wzk9mlx4bvn8cjd3hfg6spy5",
            _ => panic!("no generator {kind}"),
        };
        for _ in 0..count.parse::<usize>().expect("a count") {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            out.push(alphabet[(seed % alphabet.len() as u64) as usize] as char);
        }
        rest = after;
    }
    out + rest
}

pub(super) type Short = (usize, usize, String);

pub(super) fn short(findings: &[Finding]) -> Vec<Short> {
    findings.iter().map(|f| (f.start, f.end, f.detector.to_string())).collect()
}

/// Streams a text in the given pieces; checks what is released on the way.
pub(super) fn streamed(text: &str, cuts: &[usize], form: Form) -> Vec<Short> {
    let mut stream = StreamScan::new(Arc::clone(scanner()));
    let (mut at, mut released, mut found) = (0, 0, Vec::new());
    for cut in cuts.iter().copied().chain([text.len()]) {
        stream.push(0, form, &text[at..cut]);
        at = cut;
        for finding in stream.take() {
            assert!(
                finding.start >= released,
                "a finding of {} began before what was released: {text:?}",
                finding.detector
            );
            found.push((finding.start, finding.end, finding.detector.to_string()));
        }
        let now = stream.released(0);
        assert!(now >= released && now <= at);
        assert!(found.iter().all(|f| f.1 <= now), "a finding is reported before it is released");
        released = now;
    }
    stream.end_all();
    for finding in stream.take() {
        assert!(
            finding.start >= released,
            "a finding of {} began before what was released: {text:?}",
            finding.detector
        );
        found.push((finding.start, finding.end, finding.detector.to_string()));
    }
    assert_eq!(stream.released(0), text.len());
    found
}

pub(super) fn borders(text: &str) -> Vec<usize> {
    text.char_indices().map(|(i, _)| i).skip(1).collect()
}

#[test]
fn every_detector_has_examples_and_keeps_them() {
    let mut faults = Vec::new();
    for placed in catalogue().detectors {
        let id = placed.spec.id.get_ref();
        if placed.spec.positive.len() < 2 || placed.spec.negative.len() < 2 {
            faults.push(format!("{id}: needs two examples of each kind"));
        }
        for example in &placed.spec.positive {
            let found = scanner().text(&spelled(example)).findings;
            if !found.iter().any(|f| *f.detector == **id) {
                faults.push(format!("{id}: not found in {example:?}: {:?}", short(&found)));
            }
        }
        for example in &placed.spec.negative {
            if scanner().text(&spelled(example)).findings.iter().any(|f| *f.detector == **id) {
                faults.push(format!("{id}: found in {example:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn examples_are_found_for_every_split() {
    for placed in catalogue().detectors {
        for example in placed.spec.positive.iter().chain(&placed.spec.negative) {
            let text = format!("so: {} then", spelled(example));
            let whole = short(&scanner().text(&text).findings);
            assert_eq!(streamed(&text, &borders(&text), Form::Text), whole, "one at a time: {text:?}");
            for cut in borders(&text) {
                assert_eq!(streamed(&text, &[cut], Form::Text), whole, "cut at {cut}: {text:?}");
            }
        }
    }
}

pub(super) fn document(source: &str) -> Scan {
    scanner().document(&crate::json::Document::parse(source.as_bytes()).expect("JSON"))
}

/// A document with findings in every kind of place; `n` picks what is hidden in it.
fn hiding(secret: &str) -> String {
    let text = format!("so {secret} then");
    let inner = serde_json::json!({ "deep": text, "list": [text, 1] }).to_string();
    let inner2 = serde_json::json!({ "deeper": inner, "n": 2 }).to_string();
    let escaped: String = text.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
    let own =
        serde_json::to_string(&serde_json::json!({ "a": text, "b": [inner, inner2], "c": text })).expect("writes");
    format!("{{\"escaped\":\"{escaped}\",\"own\":{own}}}")
}

#[test]
fn documents_and_json_streams_agree_on_every_example() {
    for placed in catalogue().detectors {
        let example = placed.spec.positive.first().map(|e| spelled(e)).unwrap_or_default();
        let source = hiding(&example);
        let whole = document(&source).findings;
        let id = placed.spec.id.get_ref();
        let times = whole.iter().filter(|f| *f.detector == **id).count();
        assert!(times >= 6, "{id}: {times} of 6 in {source}");
        let borders = borders(&source);
        assert_eq!(streamed(&source, &borders, Form::Json), short(&whole), "{source}");
        for step in [2, 3, 7, 16, 61] {
            let cuts: Vec<usize> = borders.iter().copied().step_by(step).collect();
            assert_eq!(streamed(&source, &cuts, Form::Json), short(&whole), "every {step}: {source}");
        }
        let all: Vec<&Finding> = whole.iter().filter(|f| f.is_redactable()).collect();
        let redacted = String::from_utf8(redact(source.as_bytes(), &all)).expect("UTF-8");
        crate::json::Document::parse(redacted.as_bytes()).unwrap_or_else(|e| panic!("{e}: {redacted}"));
        let left = document(&redacted).findings;
        assert!(!left.iter().any(|f| *f.detector == **id), "{id} is left: {redacted}");
    }
}

#[test]
fn sites_and_ranges_in_json() {
    let source = r#"{"4111111111111111":"x","n":4111111111111111,"neg":-4111111111111111,"s":"a\u0034111 1111 1111 1111",
        "in":"{\"n\": 4111111111111111, \"4111111111111111\": \"\\u0034111111111111111\", \"d\":\"[5555555555554444]\"}"}"#;
    let scan = document(source);
    let seen: Vec<(&str, &str, Site)> =
        scan.findings.iter().map(|f| (f.pointer.as_str(), &source[f.start..f.end], f.site)).collect();
    assert_eq!(
        seen,
        [
            ("/4111111111111111", "4111111111111111", Site::Key),
            ("/n", "4111111111111111", Site::Number),
            ("/neg", "-4111111111111111", Site::Number),
            ("/in", "4111111111111111", Site::NestedNumber(1)),
            ("/in", "4111111111111111", Site::NestedKey(1)),
            ("/in", r"\\u0034111111111111111", Site::NestedString(1)),
            ("/in", "5555555555554444", Site::NestedNumber(2)),
        ]
    );
    let redactable: Vec<&Finding> = scan.findings.iter().filter(|f| f.is_redactable()).collect();
    let redacted = String::from_utf8(redact(source.as_bytes(), &redactable)).expect("UTF-8");
    let value: serde_json::Value = serde_json::from_str(&redacted).expect("JSON");
    let inner: serde_json::Value = serde_json::from_str(value["in"].as_str().expect("a string")).expect("inner JSON");
    assert_eq!(inner["n"], "[redacted:pci.pan]");
    assert_eq!(inner["d"], "[\"[redacted:pci.pan]\"]");
}

#[test]
fn a_redacted_json_stream_stays_json() {
    let text = r#"{"card":4111111111111111,"neg":-4111111111111111,"s":"mail a@example.com","in":"{\"x\":[5555555555554444,1]}"}"#;
    let mut stream = StreamScan::new(Arc::clone(scanner()));
    text.char_indices().for_each(|(i, c)| stream.push(3, Form::Json, &text[i..i + c.len_utf8()]));
    stream.end_all();
    let (mut out, mut at) = (String::new(), 0);
    for finding in stream.take() {
        assert_eq!(finding.quoted, !finding.replacement.contains('"'), "{finding:?}");
        out.push_str(&text[at..finding.start]);
        out.push_str(&finding.replacement);
        at = finding.end;
    }
    out.push_str(&text[at..]);
    let value: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(value["card"], "[redacted:pci.pan]");
    assert_eq!(value["neg"], "[redacted:pci.pan]");
    assert_eq!(value["s"], "mail [redacted:pii.email]");
    let inner: serde_json::Value = serde_json::from_str(value["in"].as_str().expect("a string")).expect("inner JSON");
    assert_eq!(inner["x"][0], "[redacted:pci.pan]");
}

#[test]
fn no_digit_of_a_card_is_released_before_it_is_decided() {
    for card in ["4111111111111111", "4111 1111 1111 1111", "3782-822463-10005", "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"] {
        for form in [Form::Text, Form::Json] {
            let text = match form {
                Form::Text => format!("The number is {card}, keep it"),
                Form::Json => format!("{{\"note\":\"The number is {card}, keep it\",\"x\":1}}"),
            };
            let begin = text.find(card).expect("there");
            for cuts in [borders(&text)].into_iter().chain(borders(&text).into_iter().map(|cut| vec![cut])) {
                let mut stream = StreamScan::new(Arc::clone(scanner()));
                let (mut at, mut found) = (0, false);
                for cut in cuts.into_iter().chain([text.len()]) {
                    stream.push(0, form, &text[at..cut]);
                    at = cut;
                    found |= !stream.take().is_empty();
                    let released = stream.released(0);
                    assert!(found || released <= begin, "{released} bytes of {text:?} are out at {at}");
                }
                assert!(found, "{text:?}");
            }
        }
    }
}

const PROSE: &str = "Yesterday, about 40 people (most of them new) came to see us; \"it was fine\", they said! In 2023 we sold 1,200 \
    units at 3.50 EUR each: see the secret plan, the token list and the password rules. Does it work? Yes - mostly. \
    let x = foo(bar[3], baz.qux()) + 17 * y; // 99% of `code` reads like this\n# Heading\n- item one\n- item two: 12:30:45\n";

#[test]
fn clean_prose_flows() {
    assert!(scanner().is_clean(PROSE), "{:?}", scanner().text(PROSE).findings);
    let mut stream = StreamScan::new(Arc::clone(scanner()));
    let mut longest = 0;
    for (i, c) in PROSE.char_indices() {
        stream.push(0, Form::Text, &PROSE[i..i + c.len_utf8()]);
        let held = &PROSE[stream.released(0)..=i];
        longest = longest.max(held.len());
        assert!(held.len() <= 16, "holds {held:?}");
    }
    assert!(longest > 0);
    for text in ["Hello world, ", "It is done! ", "one two three ", "(see below) ", "a: b; c? "] {
        let mut stream = StreamScan::new(Arc::clone(scanner()));
        stream.push(0, Form::Text, text);
        assert_eq!(stream.held(0), 0, "{text:?}");
    }
}

#[test]
fn identifiers_of_all_kinds_are_clean() {
    for text in [
        "550e8400-e29b-41d4-a716-446655440000",
        "chatcmpl-9XkQpR7sT2vWyZ1aBcDeFgHiJkLmN",
        "chatcmpl-ChZGrWePAKduzUEk8i6v9utQc14XI",
        "msg_01XFDUDYJgAACzvnptvVoYEL toolu_01A09q90qw90lq917835lq9",
        "req_011CSHoEeqs5C35K2UUqR7Fy call_62136354 fp_50906f2aac",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "d41d8cd98f00b204e9800998ecf8427e",
        "2026-11-22T04:14:16.123456Z 1764499721 1764499721123 1764499721123456 1764499721123456789",
        "0.0123456789012345, -0.4111111111111111, 4.111111111111111e15, 3.14159265358979",
        "v1.2.3-beta.4+build.5 10.0.19041.1 192.168.0.1 2001:db8::1",
        "commit 8a6e6fe3b1c09e41d2c5f7a8b9c0d1e2f3a4b5c6",
        "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "fn main() { let token = self.token(); let password = config.password.clone(); }",
        "password: Option<String>, api_key: &str, secret_key = os.environ[\"AWS_SECRET\"]",
        "https://example.com/a/b?id=12345678901234567890&x=y#frag",
        "price 1,234,567.89 and 12,345,678,901,234,567",
    ] {
        assert!(scanner().is_clean(text), "{text}: {:?}", short(&scanner().text(text).findings));
    }
}

#[test]
fn folded_characters_are_seen_through() {
    for text in [
        "４１１１ １１１１ １１１１ １１１１",
        "𝟒𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏𝟏",
        "४१११११११११११११११",
        "4111\u{a0}1111\u{2007}1111\u{202f}1111",
        "4111\u{2012}1111\u{2013}1111\u{2014}1111",
        "4\u{200b}1\u{200c}1\u{200d}1\u{2060}1\u{feff}111 1111 1111",
        "4\u{301}111111111111111",
        "4111 | 1111 | 1111 | 1111",
        "卡号4111111111111111。",
    ] {
        let found = scanner().text(text).findings;
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert_eq!(found[0].class.as_str(), "pci.pan");
        let redacted = String::from_utf8(redact(text.as_bytes(), &[&found[0]])).expect("UTF-8");
        assert!(redacted.contains("[redacted:pci.pan]") && scanner().is_clean(&redacted), "{redacted}");
    }
    let token = spelled("gһp_{{a:36}}");
    assert_eq!(scanner().text(&token).findings.len(), 1, "a Cyrillic letter in a token");
}

#[test]
fn a_long_or_dense_text_is_partial_never_silent() {
    let key = format!(
        "-----BEGIN PRIVATE KEY-----\n{}",
        "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n".repeat(400)
    );
    let scan = scanner().text(&key);
    assert_eq!((scan.coverage, scan.findings.len()), (Coverage::Partial, 1));
    let mut stream = StreamScan::new(Arc::clone(scanner()));
    key.as_bytes().chunks(20).for_each(|c| stream.push(0, Form::Text, std::str::from_utf8(c).expect("ASCII")));
    assert_eq!(stream.coverage(), Coverage::Partial);
    assert_eq!(stream.take().len(), 1);
    let zero_width = format!("4{}111111111111111", "\u{200b}".repeat(100_000));
    assert_eq!(scanner().text(&zero_width).findings.len(), 1);
    let dense = "-----BEGIN PRIVATE KEY-----".repeat(20_000);
    assert_eq!(scanner().text(&dense).coverage, Coverage::Partial);
}

#[test]
fn a_key_is_withheld_from_its_first_line() {
    let key = format!(
        "Here: -----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY----- done",
        spelled("{{s:64}}\n{{s:64}}\n{{s:64}}")
    );
    let (begin, end) = (6, key.len() - 5);
    let mut stream = StreamScan::new(Arc::clone(scanner()));
    for (i, c) in key.char_indices() {
        stream.push(0, Form::Text, &key[i..i + c.len_utf8()]);
        assert!(stream.released(0) <= begin || i + 1 >= end, "{}", stream.released(0));
    }
    stream.end_all();
    let found = stream.take();
    assert_eq!((found.len(), found[0].start, found[0].end), (1, begin, end));
}

#[test]
fn faults_name_file_and_line() {
    let bad = "\n[[detector]]\nid = \"x\"\nclass = \"custom.x\"\nlikelihood = 4\npattern = 'a+'\nleft = \"none\"\npositive=['a','b']\nnegative=['c','d']\n";
    for (text, line, part) in [
        (bad, 3, "bounded"),
        ("\n\nfoo = 1\n", 3, "unknown field"),
        ("[packs]\noff = ['nope']\n", 1, "no pack"),
        ("[[detector]]\nid = 'x'\nclass = 'X'\nlikelihood = 4\npattern = 'a'\n", 2, "not a class"),
        ("[[detector]]\nid = 'x'\nclass = 'x'\nlikelihood = 4\npattern = 'a('\n", 2, "unclosed group"),
        ("[[detector]]\nid = 'x'\nclass = 'x'\nlikelihood = 9\npattern = 'a'\n", 2, "1 to 5"),
        ("[[detector]]\nid = 'payment.card'\nclass = 'x'\nlikelihood = 3\npattern = 'a'\n", 2, "has this id"),
        ("[[detector]]\nid = 'x'\nclass = 'x'\nlikelihood = 3\npattern = 'a'\nvalidator = 'nope'\n", 2, "no validator"),
    ] {
        let faults = Scanner::build(&Source { packs: embedded_packs(), bundle: text.into() }).expect_err(text);
        assert_eq!((faults[0].file.as_str(), faults[0].line), ("detectors.toml", line), "{faults:?}");
        assert!(faults[0].message.contains(part), "{faults:?}");
    }
}

#[test]
fn the_bundle_switches_and_adds_detectors() {
    let bundle = "threshold = 2\n[packs]\noff = ['contact']\n[detectors]\noff = ['payment.card']\n[[detector]]\nid = 'custom.project'\n\
        class = 'custom.project'\nlikelihood = 3\nanchors = ['BLUEBIRD-']\npattern = 'BLUEBIRD-\\d{4}'\n";
    let own = Scanner::build(&Source { packs: embedded_packs(), bundle: bundle.into() }).expect("builds");
    let scan = own.text("BLUEBIRD-1234 for a@example.com 4111111111111111 at 198.51.100.23");
    assert_eq!(scan.findings.iter().map(|f| &*f.detector).collect::<Vec<_>>(), ["custom.project", "network.ipv4"]);
    assert_ne!(own.digest(), scanner().digest());
}

mod split {
    use super::*;
    use proptest::prelude::*;

    /// Fragments that detectors react to, glued at random.
    fn fragment() -> impl Strategy<Value = String> {
        let pieces = [
            "4111",
            " 1111",
            "1111",
            "-",
            " ",
            ".",
            "4111111111111111",
            "a@b.com",
            "@",
            "ssn ",
            "078-05-1120",
            "password=",
            "\"",
            "\\",
            "{",
            "[",
            "}",
            "]",
            ":",
            ",",
            "\\u0034",
            "\\ud83d",
            "\\ude00",
            "é",
            "\u{200b}",
            "４",
            "-----BEGIN PRIVATE KEY-----",
            "\n",
            "sk-ant-api03-",
            "A1b2C3d4E5f6G7h8I9j0K1l2",
            "postgres://u:pw12@h",
            "+1 415 555 2671",
            "DE89 3704 0044 0532 0130 00",
            "xx",
            "_",
            "\u{e0041}",
            "卡",
            "phone",
            "\"phone\":",
            "7012345678",
            "2024-01-02",
            "https://",
            "ghp_",
        ];
        prop::collection::vec(prop::sample::select(pieces.to_vec()), 1..24).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_text_in_any_pieces(text in fragment(), cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8), json: bool) {
            let borders = borders(&text);
            let mut cuts: Vec<usize> = cuts.iter().filter(|_| !borders.is_empty()).map(|i| borders[i.index(borders.len())]).collect();
            cuts.sort();
            cuts.dedup();
            let (form, whole) = if json { (Form::Json, scanner().json_text(&text)) } else { (Form::Text, scanner().text(&text)) };
            prop_assert_eq!(streamed(&text, &cuts, form), short(&whole.findings));
            prop_assert_eq!(streamed(&text, &borders, form), short(&whole.findings));
        }
    }
}
