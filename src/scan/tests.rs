use std::sync::OnceLock;

use super::*;

/// The scanner of every embedded pack, and the packs' own examples.
fn scanner() -> &'static Arc<Scanner> {
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

type Short = (usize, usize, String);

fn short(findings: &[Finding]) -> Vec<Short> {
    findings.iter().map(|f| (f.start, f.end, f.detector.to_string())).collect()
}

/// Streams a text in the given pieces; checks what is released on the way.
fn streamed(text: &str, cuts: &[usize], form: Form) -> Vec<Short> {
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

fn borders(text: &str) -> Vec<usize> {
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
