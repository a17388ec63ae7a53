//! What `sealgate policy …` and the cases of `sealgate check` print: pure functions from results to text.
//!
//! The first line of a verdict is its word (`OK`, `FAIL`, `SAME`, `DIFFERENT`, `INVALID`); the caller makes the exit code
//! of it (DESIGN section 6). JSON forms have sorted keys and stay as they are.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::policy::{Asked, Bundle, CaseResult, Changes, PolicyFault, PolicySet, Rule, RuleChange, Step, Vendor};
use crate::types::{Fact, Timestamp};

/// One bundle of `sealgate policy list`.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Where it was found: a path, or `embedded`.
    pub place: String,
    /// Whether the gateway would use it.
    pub active: bool,
    /// Content digest.
    pub digest: String,
    /// Its name and version, where it can be loaded.
    pub name: String,
    /// Its owner's name for this state of it.
    pub version: String,
    /// `valid`, `not_yet_valid`, `expired`, `faulty (3)` with the number of faults; of a kept bundle also `changed`
    /// (not what its folder's name says) or `unreadable`.
    pub state: String,
}

impl Listed {
    /// Loads a bundle to see what it is.
    pub fn new(place: &str, bundle: &Bundle, active: bool, now: Timestamp) -> Self {
        let (name, version, state) = match PolicySet::load(bundle) {
            Ok(set) => {
                let reference = set.reference();
                (reference.name.to_string(), reference.version.to_string(), set.validity(now).to_string())
            }
            Err(faults) => ("-".to_owned(), "-".to_owned(), format!("faulty ({})", faults.len())),
        };
        Listed { place: place.to_owned(), active, digest: bundle.digest().to_string(), name, version, state }
    }

    /// A kept bundle that no longer reads as one; `digest` is what its folder is called.
    pub fn unreadable(place: &str, digest: &str) -> Self {
        let none = || "-".to_owned();
        let (name, version, state) = (none(), none(), "unreadable".to_owned());
        Listed { place: place.to_owned(), active: false, digest: digest.to_owned(), name, version, state }
    }

    fn cells(&self) -> Vec<String> {
        let mark = if self.active { "*" } else { "" };
        let short = self.digest.get(..12).unwrap_or(&self.digest).to_owned();
        vec![mark.to_owned(), self.name.clone(), self.version.clone(), short, self.state.clone(), self.place.clone()]
    }

    fn fact(&self) -> Fact {
        object([
            ("active", Fact::Flag(self.active)),
            ("digest", Fact::from(self.digest.as_str())),
            ("name", Fact::from(self.name.as_str())),
            ("place", Fact::from(self.place.as_str())),
            ("state", Fact::from(self.state.as_str())),
            ("version", Fact::from(self.version.as_str())),
        ])
    }
}

/// `sealgate policy list`.
pub fn list(bundles: &[Listed]) -> String {
    columns(&["", "NAME", "VERSION", "DIGEST", "STATE", "PLACE"], bundles.iter().map(Listed::cells))
}

/// `sealgate policy list --format json`.
pub fn list_json(bundles: &[Listed]) -> String {
    json(&Fact::List(bundles.iter().map(Listed::fact).collect()))
}

/// `sealgate policy show`.
pub fn show(set: &PolicySet, now: Timestamp) -> String {
    let (reference, manifest) = (set.reference(), set.manifest());
    let mut out = format!("{} {}\n", reference.name, reference.version);
    let observe = if set.permits_observe() { "routes may observe" } else { "every route enforces" };
    let lines = [
        ("digest", reference.digest.to_string()),
        ("owner", manifest.owner.clone()),
        ("valid", format!("{} to {} ({} now)", manifest.valid_from, manifest.valid_until, set.validity(now))),
        ("mode", observe.to_owned()),
        ("files", set.bundle().files().len().to_string()),
    ];
    for (name, value) in lines {
        let _ = writeln!(out, "{name:<8}{value}");
    }
    out.push_str("\nRULES\n");
    out.push_str(&columns(&["ID", "EFFECT", "REASON", "CONTROLS", "PLACE"], set.rules().map(|rule| rule_cells(rule))));
    out.push_str("\nVENDORS\n");
    let heads = ["ID", "APPROVED", "CEILING", "REGION", "TRAINING", "MODELS", "TO BE FILLED IN"];
    out.push_str(&columns(&heads, set.vendors().map(vendor_cells)));
    out
}

/// `sealgate policy show --format json`.
pub fn show_json(set: &PolicySet, now: Timestamp) -> String {
    let (reference, manifest) = (set.reference(), set.manifest());
    let rules = set.rules().map(|rule| {
        object([
            ("controls", Fact::List(rule.controls.iter().map(|c| Fact::from(&**c)).collect())),
            ("file", Fact::from(&*rule.file)),
            ("id", Fact::from(&*rule.id)),
            ("line", Fact::from(rule.line as u64)),
            ("permits", Fact::Flag(rule.permits)),
            ("reason", Fact::from(rule.reason.as_str())),
        ])
    });
    let vendors = set.vendors().map(|vendor| {
        object([
            ("approved", Fact::Flag(vendor.approved)),
            ("ceiling", Fact::from(vendor.ceiling.as_str())),
            ("id", Fact::from(&*vendor.id)),
            ("missing", Fact::List(vendor.missing().into_iter().map(Fact::from).collect())),
            ("models", Fact::List(vendor.models.iter().map(|model| Fact::from(model.as_str())).collect())),
            ("region", Fact::from(&*vendor.region)),
            ("training_use", Fact::from(vendor.training_use.as_str())),
        ])
    });
    json(&object([
        ("digest", Fact::from(reference.digest.to_string())),
        ("name", Fact::from(&*reference.name)),
        ("observe", Fact::Flag(set.permits_observe())),
        ("owner", Fact::from(manifest.owner.as_str())),
        ("rules", Fact::List(rules.collect())),
        ("validity", Fact::from(set.validity(now).as_str())),
        ("valid_from", Fact::from(manifest.valid_from.to_string())),
        ("valid_until", Fact::from(manifest.valid_until.to_string())),
        ("vendors", Fact::List(vendors.collect())),
        ("version", Fact::from(&*reference.version)),
    ]))
}

/// `sealgate policy test`, and the cases of `sealgate check`: the word, then every case that failed (with `all`, every case).
pub fn cases(set: &PolicySet, results: &[CaseResult], all: bool) -> String {
    let failed = results.iter().filter(|result| !result.passed).count();
    let (word, reference) = (if failed == 0 { "OK" } else { "FAIL" }, set.reference());
    let (count, digest) = (results.len(), reference.digest.to_string());
    let short = digest.get(..12).unwrap_or(&digest);
    let mut out = format!("{word} policy {} {} ({short}): ", reference.name, reference.version);
    let _ = match failed {
        0 => writeln!(out, "{count} cases passed"),
        _ => writeln!(out, "{failed} of {count} cases failed"),
    };
    for result in results.iter().filter(|result| all || !result.passed) {
        let (word, CaseResult { file, line, name, .. }) = (if result.passed { "ok  " } else { "FAIL" }, result);
        let _ = writeln!(out, "{word} {file}:{line} {name}");
        if !result.passed {
            let _ = writeln!(out, "     expected {}\n     got      {}", result.expected, result.got);
        }
    }
    out
}

/// `sealgate policy test --format json`.
pub fn cases_json(results: &[CaseResult]) -> String {
    let one = |result: &CaseResult| {
        object([
            ("expected", Fact::from(result.expected.as_str())),
            ("file", Fact::from(result.file.as_str())),
            ("got", Fact::from(result.got.as_str())),
            ("line", Fact::from(result.line as u64)),
            ("name", Fact::from(result.name.as_str())),
            ("passed", Fact::Flag(result.passed)),
        ])
    };
    json(&Fact::List(results.iter().map(one).collect()))
}

/// A bundle that cannot be loaded: the word, then each fault with its place below `folder`.
pub fn faults(folder: &str, faults: &[PolicyFault]) -> String {
    let mut out = format!("INVALID policy in {folder}: {} to mend\n", counted(faults.len(), "fault"));
    for fault in faults {
        let _ = writeln!(out, "{fault}");
    }
    out
}

/// `sealgate policy explain`: the decision, then each action asked with the rules that spoke.
pub fn explain(set: &PolicySet, decision: &str, steps: &[Step]) -> String {
    let mut out = format!("{decision}\n");
    if steps.is_empty() {
        out.push_str("no rule was asked: the bundle's validity, a suspension or a limit decided\n");
    }
    for step in steps {
        let (word, rules) = match &step.asked {
            Asked::Permitted(rules) => ("permitted by", rules.as_slice()),
            Asked::Forbidden(rules) => ("forbidden by", rules.as_slice()),
            Asked::Failed(rules) => ("denied, these cannot be evaluated:", rules.as_slice()),
            Asked::NoMatch => ("permitted by no rule", &[][..]),
            Asked::NotOffered => ("not offered: it cannot be done here", &[][..]),
        };
        let _ = writeln!(out, "\n{} {word}", step.action);
        for rule in rules.iter().filter_map(|id| set.rules().find(|rule| rule.id == *id)) {
            let controls = rule.controls.join(", ");
            let _ = writeln!(out, "  {} ({}:{})  {}  {controls}", rule.id, rule.file, rule.line, rule.reason);
        }
    }
    out
}

/// `sealgate policy diff`: the word, then files, rules, vendors, and the cases decided differently.
pub fn diff(first: &PolicySet, second: &PolicySet) -> String {
    let changes = first.changes(second);
    let name = |set: &PolicySet| {
        let digest = set.reference().digest.to_string();
        format!("{} {} ({})", set.reference().name, set.reference().version, digest.get(..12).unwrap_or_default())
    };
    if changes == Changes::default() {
        return format!("SAME {} and {}\n", name(first), name(second));
    }
    let mut out = format!("DIFFERENT {} and {}\n", name(first), name(second));
    part(&mut out, "FILES", changes.files.iter().map(|(path, change)| (path.as_str(), change)));
    part(&mut out, "RULES", changes.rules.iter().map(|(id, change)| (&**id, change)));
    for (id, _) in &changes.rules {
        for (sign, set) in [('-', first), ('+', second)] {
            let text = set.rules().find(|rule| rule.id == *id).map(|rule| rule.text.clone()).unwrap_or_default();
            text.lines().for_each(|line| out.push_str(&format!("    {sign} {line}\n")));
        }
    }
    part(&mut out, "VENDORS", changes.vendors.iter().map(|(id, change)| (&**id, change)));
    if !changes.decisions.is_empty() {
        out.push_str("\nCASES DECIDED DIFFERENTLY\n");
    }
    for (name, before, after) in &changes.decisions {
        let _ = writeln!(out, "  {name}\n    - {before}\n    + {after}");
    }
    out
}

fn part<'a>(out: &mut String, head: &str, changes: impl Iterator<Item = (&'a str, &'a RuleChange)>) {
    let mut changes = changes.peekable();
    if changes.peek().is_some() {
        let _ = writeln!(out, "\n{head}");
    }
    for (name, change) in changes {
        let word = match change {
            RuleChange::Added => "added",
            RuleChange::Removed => "removed",
            RuleChange::Changed => "changed",
        };
        let _ = writeln!(out, "  {word:<8} {name}");
    }
}

fn rule_cells(rule: &Rule) -> Vec<String> {
    let effect = if rule.permits { "permit" } else { "forbid" };
    let place = format!("{}:{}", rule.file, rule.line);
    vec![rule.id.to_string(), effect.to_owned(), rule.reason.to_string(), rule.controls.join(","), place]
}

fn vendor_cells(vendor: &Vendor) -> Vec<String> {
    vec![
        vendor.id.to_string(),
        if vendor.approved { "yes" } else { "no" }.to_owned(),
        vendor.ceiling.to_string(),
        vendor.region.to_string(),
        vendor.training_use.to_string(),
        vendor.models.join(","),
        vendor.missing().join(","),
    ]
}

/// Left-aligned columns, two spaces between them; the last is as wide as it is.
fn columns(heads: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut all: Vec<Vec<String>> = vec![heads.iter().map(|head| (*head).to_owned()).collect()];
    all.extend(rows);
    let width =
        |at: usize| all.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..heads.len()).map(width).collect();
    let mut out = String::new();
    for row in &all {
        let cells: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        let _ = writeln!(out, "{}", cells.join("  ").trim_end());
    }
    out
}

fn counted(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

fn object<const N: usize>(members: [(&str, Fact); N]) -> Fact {
    Fact::Map(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect::<BTreeMap<_, _>>())
}

fn json(fact: &Fact) -> String {
    serde_json::to_string(fact).unwrap_or_default() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set() -> PolicySet {
        PolicySet::load(&Bundle::embedded()).expect("loads")
    }

    fn now() -> Timestamp {
        "2026-11-22".parse().expect("a time")
    }

    #[test]
    fn the_word_of_a_test_is_on_its_first_line() {
        let set = set();
        let mut results = set.run_cases();
        assert!(cases(&set, &results, false).starts_with("OK policy default 1 ("));
        assert_eq!(cases(&set, &results, false).lines().count(), 1);
        assert_eq!(cases(&set, &results, true).lines().count(), results.len() + 1);
        results[0].passed = false;
        let text = cases(&set, &results, false);
        assert!(text.starts_with("FAIL policy default 1 (") && text.contains("1 of "), "{text}");
        assert_eq!(text.lines().count(), 4);
        assert!(cases_json(&results).contains("\"passed\":false"));
    }

    #[test]
    fn a_bundle_is_shown_with_what_is_to_be_filled_in() {
        let text = show(&set(), now());
        assert!(
            text.contains("request.secret") && text.contains("legal_entity,contract,dpa,assurance_report"),
            "{text}"
        );
        serde_json::from_str::<Fact>(&show_json(&set(), now())).expect("canonical");
    }

    #[test]
    fn bundles_are_listed_faulty_ones_too() {
        let mut files = Bundle::embedded().files().clone();
        files.insert("labels.toml".to_owned(), b"x".to_vec());
        let bad = Listed::new("./bad", &Bundle::of(files), false, now());
        let good = Listed::new("embedded", &Bundle::embedded(), true, now());
        let gone = Listed::unreadable("./gone", "0123456789abcdef");
        let text = list(&[good.clone(), bad.clone(), gone]);
        assert!(text.contains("0123456789ab  unreadable  ./gone"), "{text}");
        assert!(text.contains("*  default  1") && text.contains("faulty (1)"), "{text}");
        assert!(list_json(&[good, bad]).starts_with("[{\"active\":true,\"digest\":\""));
    }

    #[test]
    fn an_explanation_names_rules_and_their_places() {
        let set = set();
        let (came, steps) = set.explain_case("a card number is replaced").expect("a case");
        let text = explain(&set, &came, &steps);
        assert!(text.starts_with("send_redacted dlp.pan ["), "{text}");
        assert!(text.contains("send forbidden by\n") && text.contains("request.pan (requests.cedar:"), "{text}");
        assert!(text.contains("sendTokenized not offered") && text.contains("sendRedacted permitted by"), "{text}");
    }

    #[test]
    fn a_difference_shows_rules_and_decisions() {
        let mut files = Bundle::embedded().files().clone();
        let rules = String::from_utf8(files["answers.cedar"].clone()).expect("utf-8");
        files.insert("answers.cedar".to_owned(), rules.replace("contains(\"pci\")", "contains(\"pcx\")").into_bytes());
        let later = PolicySet::load(&Bundle::of(files)).expect("loads");
        let text = diff(&set(), &later);
        assert!(text.starts_with("DIFFERENT default 1 ("), "{text}");
        assert!(text.contains("changed  answer.pan") && text.contains("CASES DECIDED DIFFERENTLY"), "{text}");
        assert!(diff(&later, &later).starts_with("SAME"));
    }

    #[test]
    fn faults_come_one_a_line_under_the_word() {
        let mut files = Bundle::embedded().files().clone();
        files.insert("admin.cedar".to_owned(), b"permit(".to_vec());
        let found = PolicySet::load(&Bundle::of(files)).expect_err("a fault");
        let text = faults("./policy", &found);
        assert!(text.starts_with("INVALID policy in ./policy: 1 fault to mend\nadmin.cedar:1:"), "{text}");
    }
}
