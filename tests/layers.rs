//! Holds the walls of DESIGN section 3: a module names only modules of strictly lower rank.

#![expect(clippy::expect_used, reason = "a test stops at what it cannot read")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Every module and its rank. `json` stands beside `env` and `telemetry`: both `scan` and `vendor` read JSON.
const RANKS: &[(&str, u8)] = &[
    ("main", 10),
    ("cli", 10),
    ("app", 9),
    ("config", 8),
    ("serve", 7),
    ("admin", 7),
    ("demo", 7),
    ("pipeline", 6),
    ("identity", 5),
    ("vendor", 5),
    ("scan", 5),
    ("policy", 5),
    ("upstream", 5),
    ("anchor", 5),
    ("evidence", 5),
    ("ledger", 4),
    ("index", 4),
    ("store", 3),
    ("egress", 3),
    ("record", 2),
    ("env", 1),
    ("telemetry", 1),
    ("json", 1),
    ("types", 0),
];

/// Who may name `egress`: nothing else opens a connection.
const EGRESS_USERS: &[&str] = &["egress", "upstream", "identity", "anchor", "admin"];

fn sources() -> Vec<(String, PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("src is readable") {
            let path = entry.expect("entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let relative = path.strip_prefix(&root).expect("below src");
                let first = relative.components().next().expect("a name").as_os_str().to_string_lossy();
                let module = first.trim_end_matches(".rs").to_owned();
                if module != "lib" {
                    let text = fs::read_to_string(&path).expect("utf-8");
                    files.push((module, path.clone(), text));
                }
            }
        }
    }
    assert!(files.len() > 5, "found only {} source files", files.len());
    files
}

/// The code before the tests, comments taken out line by line.
fn code(text: &str) -> String {
    let body = text.split("#[cfg(test)]\nmod ").next().unwrap_or(text);
    body.lines().map(|l| l.split("//").next().unwrap_or("")).collect::<Vec<_>>().join("\n")
}

/// Top-level modules named as `crate::x` or in `use crate::{x, y}` (and `sealgate::` in the binary).
fn named(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for prefix in ["crate::", "sealgate::"] {
        for (at, _) in code.match_indices(prefix) {
            let rest = &code[at + prefix.len()..];
            if let Some(list) = rest.strip_prefix('{') {
                let (mut depth, mut word) = (0, String::new());
                for c in list.chars() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => found.extend(first_word(&std::mem::take(&mut word))),
                        _ => {}
                    }
                    if depth == 0 && c != ',' {
                        word.push(c);
                    }
                }
                found.extend(first_word(&word));
            } else {
                found.extend(first_word(rest));
            }
        }
    }
    found
}

fn first_word(text: &str) -> Option<String> {
    let word: String = text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    (!word.is_empty()).then_some(word)
}

#[test]
fn modules_name_only_lower_ranks() {
    let ranks: BTreeMap<_, _> = RANKS.iter().copied().collect();
    let mut faults = Vec::new();
    for (module, path, text) in sources() {
        let Some(&own) = ranks.get(module.as_str()) else {
            faults.push(format!("{}: module `{module}` has no rank", path.display()));
            continue;
        };
        for other in named(&code(&text)) {
            match ranks.get(other.as_str()) {
                Some(_) if other == module => {}
                Some(&rank) if rank < own => {}
                Some(rank) if module == "main" && *rank == 10 => {}
                Some(_) => faults.push(format!("{}: `{module}` names `{other}`", path.display())),
                None => {}
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn only_the_named_modules_open_connections() {
    for (module, path, text) in sources() {
        if !EGRESS_USERS.contains(&module.as_str()) {
            assert!(!named(&code(&text)).contains("egress"), "{} names egress", path.display());
        }
        if module != "pipeline" && module != "upstream" {
            assert!(!code(&text).contains("upstream::send"), "{} names upstream::send", path.display());
        }
    }
}

#[test]
fn files_and_functions_keep_their_size() {
    for (_, path, text) in sources() {
        assert!(
            text.trim_start().starts_with("//!") || path.ends_with("tests.rs"),
            "{}: no module doc",
            path.display()
        );
        if !path.ends_with("tests.rs") {
            let lines = text.split("#[cfg(test)]\nmod ").next().unwrap_or("").lines().count();
            assert!(lines <= 400, "{}: {lines} lines", path.display());
        }
    }
}

#[test]
fn the_reader_of_uses_sees_lists() {
    let found = named("use crate::{types::{A, B}, record, env::Clock};\nfn f() { crate::scan::g(); }");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["env", "record", "scan", "types"]);
}
