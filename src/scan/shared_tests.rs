//! Tests on data that nobody here wrote: they run where the folder `../shared/data` lies beside the project.

use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

/// The data folder, or a line that says what is left out.
fn data(file: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(file);
    if !path.exists() {
        eprintln!("left out: ../shared/data/{file} is absent");
    }
    path.exists().then_some(path)
}

fn scanner() -> Scanner {
    Scanner::build(&Source { packs: embedded_packs(), bundle: Vec::new() }).expect("builds")
}

#[test]
fn recorded_traffic_is_almost_clean() {
    let Some(path) = data("vendor-traffic.jsonl.gz") else { return };
    let scanner = scanner();
    let mut text = String::new();
    flate2::read::GzDecoder::new(std::fs::File::open(path).expect("opens")).read_to_string(&mut text).expect("reads");
    let (mut bytes, mut seen) = (0, std::collections::BTreeMap::new());
    for line in text.lines() {
        let exchange: Value = serde_json::from_str(line).expect("a line is JSON");
        let body = exchange["request_body"].as_str().unwrap_or_default();
        let scan = match crate::json::Document::parse(body.as_bytes()) {
            Ok(document) => scanner.document(&document),
            Err(_) => scanner.text(body),
        };
        let mut all = vec![(body.to_owned(), scan)];
        let encoded = exchange["response_base64"].as_str().unwrap_or_default();
        let raw = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, encoded).expect("base64");
        let mut answer = Vec::new();
        match exchange["content_encoding"].as_str() {
            Some("gzip") => _ = flate2::read::GzDecoder::new(raw.as_slice()).read_to_end(&mut answer),
            _ => answer = raw,
        }
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let scan = match crate::json::Document::parse(answer.as_bytes()) {
            Ok(document) => scanner.document(&document),
            Err(_) => scanner.text(&answer),
        };
        all.push((answer, scan));
        for (text, scan) in all {
            bytes += text.len();
            for f in scan.findings {
                let count = seen.entry(f.detector.to_string()).or_insert((0, String::new()));
                count.0 += 1;
                count.1 = text[f.start..f.end].chars().take(60).collect();
            }
        }
    }
    let total: usize = seen.values().map(|(n, _)| n).sum();
    eprintln!("{total} findings in {bytes} bytes: {seen:#?}");
    let secrets: usize = seen.iter().filter(|(k, _)| k.starts_with("secret.")).map(|(_, (n, _))| n).sum();
    assert!(secrets <= 40, "{secrets} secrets in recorded traffic");
}

#[test]
fn structured_kinds_of_a_published_set_are_found() {
    let Some(path) = data("pii-small.json") else { return };
    let scanner = scanner();
    let rows: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("reads")).expect("JSON");
    let mut missed = Vec::new();
    let (mut wanted, mut extra) = (std::collections::BTreeMap::<String, (u32, u32)>::new(), Vec::new());
    for row in rows.as_array().expect("rows") {
        let text = row["full_text"].as_str().expect("text");
        let found = scanner.text(text).findings;
        let mut spans = Vec::new();
        for span in row["spans"].as_array().expect("spans") {
            let at = |key: &str| {
                let chars = span[key].as_u64().expect("offset") as usize;
                text.char_indices().nth(chars).map_or(text.len(), |(i, _)| i)
            };
            let (start, end) = (at("start_position"), at("end_position"));
            let kind = span["entity_type"].as_str().expect("kind");
            spans.push((start, end, kind));
            let entry = wanted.entry(kind.to_owned()).or_default();
            entry.0 += 1;
            if found.iter().any(|f| f.start < end && start < f.end) {
                entry.1 += 1;
            } else if matches!(kind, "CREDIT_CARD" | "EMAIL_ADDRESS" | "US_SSN" | "IBAN_CODE" | "PHONE_NUMBER") {
                missed.push(format!("{kind}: {text}"));
            }
        }
        for f in &found {
            if !spans.iter().any(|s| f.start < s.1 && s.0 < f.end) {
                extra.push(format!("{} {:?} in {text}", f.detector, &text[f.start..f.end]));
            }
        }
    }
    eprintln!("{wanted:#?}\nmissed {missed:#?}\nextra {extra:#?}");
    assert!(!missed.iter().any(|m| !m.starts_with("PHONE")), "{missed:#?}");
    assert!(extra.len() <= 3, "{extra:#?}");
}

#[test]
fn most_published_examples_of_secrets_are_found() {
    let Some(path) = data("secret-examples.json") else { return };
    let scanner = scanner();
    let rules: Value = serde_json::from_str(&std::fs::read_to_string(path).expect("reads")).expect("JSON");
    let (mut all, mut hit, mut false_hits, mut negatives, mut missed) = (0, 0, 0, 0, Vec::new());
    for rule in rules.as_array().expect("rules") {
        let name = rule["rule"].as_str().expect("a name");
        for text in rule["ex"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            all += 1;
            if scanner.text(text).findings.is_empty() {
                missed.push(format!("{name}: {}", text.chars().take(110).collect::<String>()));
            } else {
                hit += 1;
            }
        }
        for text in rule["neg"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            negatives += 1;
            let found = scanner.text(text).findings;
            if let Some(f) = found.first() {
                false_hits += 1;
                eprintln!(
                    "false: {name} {}: {:?}",
                    f.detector,
                    text[f.start..f.end].chars().take(80).collect::<String>()
                );
            }
        }
    }
    eprintln!("{hit} of {all} found, {false_hits} of {negatives} negatives; missed:\n{}", missed.join("\n"));
    assert!(hit * 100 >= all * 50, "{hit} of {all}");
}

#[test]
fn speed_on_clean_text() {
    let scanner = scanner();
    let text = "Yesterday about 40 people came to see the new house, and most of them stayed for tea; in 2023 it was quieter. ".repeat(9_000);
    let watch = crate::env::Stopwatch::start();
    assert!(scanner.is_clean(&text));
    let one = watch.elapsed();
    let source =
        serde_json::json!({ "messages": [{ "role": "user", "content": text.replace(';', ";\n") }] }).to_string();
    let document = crate::json::Document::parse(source.as_bytes()).expect("JSON");
    let watch = crate::env::Stopwatch::start();
    assert!(scanner.document(&document).findings.is_empty());
    let two = watch.elapsed();
    eprintln!(
        "text {:.0} MB/s, document {:.0} MB/s",
        text.len() as f64 / one.as_secs_f64() / 1e6,
        source.len() as f64 / two.as_secs_f64() / 1e6
    );
}
