use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, LazyLock};

use cedar_policy::{PolicySet as CedarSet, Request, Schema};
use proptest::prelude::*;

use super::cases::{CaseFacts, Subject};
use super::engine::Asked;
use super::rules::SCHEMA;
use super::vars::{AnswerVars, Question, RequestVars, Side, Vars};
use super::*;
use crate::types::{AnswerVerdict, Class, Coverage, Fact, Label, PrincipalKind, Reason, RequestVerdict, Timestamp};

/// The default bundle, loaded once; tests of the memo load their own.
fn default_set() -> &'static PolicySet {
    static SET: LazyLock<PolicySet> = LazyLock::new(fresh_set);
    &SET
}

fn many_rules() -> &'static PolicySet {
    static SET: LazyLock<PolicySet> = LazyLock::new(|| PolicySet::load(&ruled(MANY)).expect("loads"));
    &SET
}

fn fresh_set() -> PolicySet {
    PolicySet::load(&Bundle::embedded()).unwrap_or_else(|faults| panic!("{}", PolicyFaults(faults)))
}

/// The default bundle with some files put in place of its own.
fn bundle_with(files: &[(&str, &str)]) -> Bundle {
    let mut all = Bundle::embedded().files().clone();
    for (path, text) in files {
        all.insert((*path).to_owned(), text.as_bytes().to_vec());
    }
    Bundle::of(all)
}

/// The default bundle with these rules instead of its own, and no cases.
fn ruled(rules: &str) -> Bundle {
    let mut all = Bundle::embedded().files().clone();
    all.retain(|path, _| !path.ends_with(".cedar") && !path.starts_with("cases/"));
    all.insert("rules.cedar".to_owned(), rules.as_bytes().to_vec());
    Bundle::of(all)
}

fn faults(bundle: &Bundle) -> Vec<PolicyFault> {
    PolicySet::load(bundle).expect_err("a fault")
}

fn class(text: &str) -> Class {
    Class::new(text).expect("a class")
}

const PERMIT: &str = "@id(\"all\")\npermit (principal, action, resource);\n";

#[test]
fn the_default_bundle_passes_its_cases() {
    let results = default_set().run_cases();
    assert!(results.len() >= 25);
    let failed: Vec<_> = results.iter().filter(|result| !result.passed).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

#[test]
fn every_rule_decides_in_one_case_and_not_in_another() {
    let set = default_set();
    let mut seen: BTreeMap<Arc<str>, BTreeSet<bool>> = BTreeMap::new();
    for placed in set.cases().expect("cases") {
        let came = set.put(&placed.case);
        for rule in set.rules() {
            seen.entry(rule.id.clone()).or_default().insert(came.rules.contains(&rule.id));
        }
    }
    let one_sided: Vec<_> = seen.iter().filter(|(_, sides)| sides.len() < 2).collect();
    assert!(one_sided.is_empty(), "{one_sided:?}");
}

#[test]
fn the_embedded_bundle_is_the_folder() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("policies/default");
    let read = Bundle::read(&folder).expect("a bundle");
    assert_eq!(read.files().keys().collect::<Vec<_>>(), Bundle::embedded().files().keys().collect::<Vec<_>>());
    assert_eq!(read.digest(), Bundle::embedded().digest());
}

#[test]
fn the_digest_is_of_the_listing_that_sha256sum_prints() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("bundle");
    Bundle::embedded().write_to(&folder).expect("written");
    fs::write(folder.join("bundle.sig"), "not part of it").expect("written");
    let command = "find . -type f ! -path ./bundle.sig | sed 's,^\\./,,' | LC_ALL=C sort | xargs sha256sum | sha256sum";
    let output = std::process::Command::new("sh").args(["-c", command]).current_dir(&folder).output().expect("runs");
    let printed = String::from_utf8(output.stdout).expect("utf-8");
    assert_eq!(printed.split(' ').next(), Some(Bundle::embedded().digest().to_string().as_str()));
    assert_eq!(Bundle::read(&folder).expect("reads").digest(), Bundle::embedded().digest());
    Bundle::embedded().write_to(&folder).expect("is there already");
    assert!(bundle_with(&[("labels.toml", "")]).write_to(&folder).is_err(), "another content is not written over it");
}

#[test]
fn links_and_odd_names_are_no_part_of_a_bundle() {
    let dir = tempfile::tempdir().expect("a folder");
    let folder = dir.path().join("bundle");
    Bundle::embedded().write_to(&folder).expect("written");
    std::os::unix::fs::symlink("labels.toml", folder.join("more.toml")).expect("linked");
    assert!(Bundle::read(&folder).expect_err("a fault").message.contains("links"));
    fs::remove_file(folder.join("more.toml")).expect("removed");
    fs::write(folder.join("labels.toml~"), "").expect("written");
    assert!(Bundle::read(&folder).expect_err("a fault").message.contains("A-Za-z0-9"));
}

#[test]
fn a_policy_folder_is_a_bundle_or_holds_bundles() {
    let dir = tempfile::tempdir().expect("a folder");
    let open = |dir: &Path| PolicyConfig { dir: Some(dir.to_owned()) }.open();
    let digest = Bundle::embedded().digest();
    fs::create_dir(dir.path().join("packs")).expect("made");
    assert!(open(dir.path()).expect_err("none").message.contains("bundles here: none"));
    Bundle::embedded().write_to(&dir.path().join("strict")).expect("written");
    assert_eq!(open(dir.path()).expect("the only one").digest(), digest);
    assert_eq!(open(&dir.path().join("strict")).expect("itself").digest(), digest);
    Bundle::embedded().write_to(&dir.path().join("lax")).expect("written");
    assert!(open(dir.path()).expect_err("two").message.contains("`lax`, `strict`"));
    Bundle::embedded().write_to(&dir.path().join("default")).expect("written");
    assert_eq!(open(dir.path()).expect("the one named default").digest(), digest);
    assert_eq!(Bundle::list(dir.path()).expect("lists").len(), 3);
    assert_eq!(PolicyConfig::default().open().expect("embedded").digest(), digest);
    assert!(open(&dir.path().join("nowhere")).expect_err("not there").message.contains("cannot be read"));
}

#[test]
fn a_bad_rule_is_told_with_its_place() {
    let table: &[(&str, (usize, usize), &str)] = &[
        ("@id(\"a\")\npermit (principal, action, resource)\n", (2, 37), "unexpected end"),
        ("permit (principal, action, resource);", (1, 1), "needs an `@id"),
        (
            "@id(\"a\")\npermit (principal, action, resource);\n  @id(\"a\")\npermit (principal, action, resource);",
            (3, 3),
            "is taken by the rule at rules.cedar:1",
        ),
        ("@id(\"A b\")\npermit (principal, action, resource);", (1, 1), "[a-z0-9._-]"),
        ("@id(\"a\")\nforbid (principal, action, resource);", (1, 1), "needs a `@reason"),
        (
            "@id(\"a\")\n@reason(\"because\")\nforbid (principal, action, resource);",
            (1, 1),
            "`because` is none of: ok,",
        ),
        ("@id(\"a\")\n@resaon(\"dlp.pan\")\npermit (principal, action, resource);", (1, 1), "`@resaon` is none of"),
        ("@id(\"a\")\n@control(\"what ever\")\npermit (principal, action, resource);", (1, 1), "`@control`"),
        (
            "@id(\"a\")\npermit (principal, action == Action::\"send\", resource)\nwhen { context.lable == \"public\" };",
            (3, 8),
            "lable",
        ),
        ("@id(\"a\")\npermit (principal, action == Action::\"sned\", resource);", (2, 30), "sned"),
        ("@id(\"a\")\npermit (principal == ?principal, action, resource);", (0, 0), "template"),
        ("@id(\"a\")\npermit (principal, action, resource in Vendor::\"nobody\");", (1, 1), "not in `vendors.toml`"),
        (
            "@id(\"a\")\npermit (principal, action == Action::\"send\", resource)\nwhen { context.hour == \"9\" };",
            (3, 8),
            "types",
        ),
    ];
    for (rules, place, word) in table {
        let found = faults(&ruled(rules));
        assert!(
            found.iter().any(|f| (f.line, f.column) == *place && f.message.contains(word) && !f.message.contains('\n')),
            "{rules}\n{}",
            PolicyFaults(found)
        );
    }
}

#[test]
fn bad_settings_are_told_with_their_place() {
    let table: &[(&str, &str, usize, &str)] = &[
        (
            "bundle.toml",
            "name = \"x\"\nversion = \"1\"\nowner = \"\"\nvalid_from = \"2026\"\nvalid_until = \"2025\"\n",
            5,
            "never be valid",
        ),
        (
            "bundle.toml",
            "name = \"packs\"\nversion = \"1\"\nowner = \"\"\nvalid_from = \"2026\"\nvalid_until = \"2027\"\n",
            1,
            "not `packs`",
        ),
        (
            "bundle.toml",
            "name = \"x\"\nversion = \"1\"\nowner = \"\"\nvalid_from = \"2026\"\nvalid_until = \"2027\"\nzone = \"Mars\"",
            6,
            "fixed offset",
        ),
        ("bundle.toml", "name = \"x\"\nversoin = \"1\"\n", 2, "unknown field `versoin`"),
        ("labels.toml", "[labels]\npii = \"secretish\"\n", 2, "none of: public"),
        ("labels.toml", "[labels]\n\"PII\" = \"restricted\"\n", 2, "not a class"),
        ("labels.toml", "[labels]\npii = \"unclassified\"\n", 2, "not scanned"),
        (
            "vendors.toml",
            "[[vendor]]\nid = \"a\"\napproved = true\nceiling = \"high\"\nmodels = []\n",
            4,
            "none of: public",
        ),
        (
            "vendors.toml",
            "[[vendor]]\nid = \"A B\"\napproved = true\nceiling = \"internal\"\nmodels = []\n",
            1,
            "lower-case",
        ),
        (
            "vendors.toml",
            "[[vendor]]\nid = \"a\"\napproved = true\nceiling = \"internal\"\nmodels = [\"\"]\n",
            5,
            "printable",
        ),
        ("cases/requests.toml", "[[case]]\nname = \"x\"\nexpect = { verdict = \"send\", becuase = 1 }\n", 3, "becuase"),
    ];
    for (file, text, line, word) in table {
        let found = faults(&bundle_with(&[(file, text)]));
        assert!(
            found.iter().any(|f| f.file == *file && f.line == *line && f.message.contains(word)),
            "{file} {text}\n{}",
            PolicyFaults(found)
        );
    }
}

#[test]
fn a_rule_nested_without_end_is_a_fault_and_no_crash() {
    let rule =
        |body: &str| format!("@id(\"a\")\npermit (principal, action == Action::\"send\", resource) when {{ {body} }};");
    let brackets = |depth: usize| rule(&format!("{}context.streamed{}", "(".repeat(depth), ")".repeat(depth)));
    let chain = |length: usize| rule(&vec!["context.streamed"; length].join(" && "));
    let ifs = |depth: usize| rule(&format!("{}true", "if context.streamed then true else ".repeat(depth)));
    let quoted = format!("// {0}\n{1}", "(".repeat(40), rule(&format!("context.model == \"{}\\\"\"", "(".repeat(40))));
    for good in [brackets(30), chain(85), ifs(120), quoted] {
        let loaded = PolicySet::load(&ruled(&good)).unwrap_or_else(|faults| panic!("{good}\n{}", PolicyFaults(faults)));
        loaded.request(&loaded.request_facts(&CaseFacts::default()));
    }
    for (bad, word) in [(brackets(20_000), "brackets"), (chain(20_000), "operators"), (ifs(20_000), "operators")] {
        let found = faults(&ruled(&bad));
        assert!(found[0].message.contains(word) && found[0].line == 2, "{}", found[0]);
    }
}

#[test]
fn all_faults_are_told_at_once() {
    let found = faults(&bundle_with(&[("labels.toml", "x"), ("bundle.toml", "x"), ("answers.cedar", "x")]));
    let files: Vec<&str> = found.iter().map(|fault| fault.file.as_str()).collect();
    for file in ["answers.cedar", "bundle.toml", "labels.toml"] {
        assert!(files.contains(&file), "{files:?}");
    }
    let mut lacking = Bundle::embedded().files().clone();
    lacking.remove("detectors.toml");
    assert!(faults(&Bundle::of(lacking))[0].message.contains("lacks"));
    let table =
        [("more/rules.cedar", "move this file up"), ("case/more.toml", "`cases/`"), ("vendor.toml", "vendors.toml")];
    for (path, word) in table {
        assert!(faults(&bundle_with(&[(path, PERMIT)]))[0].message.contains(word), "{path}");
    }
    PolicySet::load(&bundle_with(&[("README.md", "ours"), ("dictionaries/names.txt", "a\nb\n")]))
        .expect("other files may be there");
}

/// A forbid that cannot be evaluated: an integer overflow at run time, which validation cannot see.
const OVERFLOWS: &str = "@id(\"b.overflow\")\n@reason(\"dlp.other\")\nforbid (principal, action == Action::\"send\", resource)\nwhen { context.attachmentCount + 9223372036854775807 > 0 };\n";

#[test]
fn a_rule_that_cannot_be_evaluated_denies() {
    let set = PolicySet::load(&ruled(&format!("{PERMIT}{OVERFLOWS}"))).expect("loads");
    let plain = set.request_facts(&CaseFacts::default());
    assert_eq!(set.request(&plain).verdict, RequestVerdict::SendRedacted, "it forbids sending as it is");
    let failing = set.request_facts(&CaseFacts { attachments: vec!["image".into()], ..CaseFacts::default() });
    let decision = set.request(&failing);
    assert_eq!((decision.verdict, decision.reason), (RequestVerdict::Deny, Reason::PolicyError));
    assert_eq!(decision.rules, ["b.overflow".into()], "and sendRedacted, which is permitted, is not asked after it");
    assert_eq!(set.request(&failing), decision, "the same from the memo");
}

#[test]
fn a_failing_permit_denies_too() {
    let rules = OVERFLOWS.replace("forbid", "permit").replace("@reason(\"dlp.other\")\n", "");
    let set = PolicySet::load(&ruled(&format!("{PERMIT}{rules}"))).expect("loads");
    let failing = set.request_facts(&CaseFacts { attachments: vec!["image".into()], ..CaseFacts::default() });
    assert_eq!(set.request(&failing).reason, Reason::PolicyError);
}

#[test]
fn nothing_permitted_is_denied_by_default() {
    let set =
        PolicySet::load(&ruled("@id(\"a\")\npermit (principal in Role::\"chief\", action, resource);")).expect("loads");
    let facts = set.request_facts(&CaseFacts::default());
    let decision = set.request(&facts);
    assert_eq!((decision.verdict, decision.reason), (RequestVerdict::Deny, Reason::PolicyNoMatch));
    assert!(decision.rules.is_empty());
    let chief = set.request_facts(&CaseFacts { roles: vec!["chief".into()], ..CaseFacts::default() });
    assert_eq!(set.request(&chief).verdict, RequestVerdict::Send);
}

#[test]
fn tokenizing_is_asked_before_redacting_and_only_where_it_can_be_done() {
    let set = default_set();
    let facts = |tokenizable, redactable| {
        let case = CaseFacts { classes: vec![class("pii.email")], tokenizable, redactable, ..CaseFacts::default() };
        set.request(&set.request_facts(&case)).verdict
    };
    assert_eq!(facts(true, true), RequestVerdict::SendTokenized);
    assert_eq!(facts(false, true), RequestVerdict::SendRedacted);
    assert_eq!(facts(false, false), RequestVerdict::Deny);
}

#[test]
fn a_rule_may_name_a_caller_and_then_the_memo_tells_them_apart() {
    let rules =
        format!("{PERMIT}@id(\"one\")\n@reason(\"authz.role\")\nforbid (principal == User::\"p1\", action, resource);");
    let set = PolicySet::load(&ruled(&rules)).expect("loads");
    let who =
        |subject: &str| set.request(&set.request_facts(&CaseFacts { subject: subject.into(), ..CaseFacts::default() }));
    assert_eq!(who("p1").verdict, RequestVerdict::Deny);
    assert_eq!(who("p2").verdict, RequestVerdict::Send);
    assert_eq!(who("p1").reason, Reason::AuthzRole);
    assert!(!format!("{:?}", who("p1").facts).contains("p1"), "a caller is no fact");
    let again = set.reperform(&who("p1").facts, "p1").expect("reperforms");
    assert_eq!(again, Reperformed::Request(who("p1")));
}

#[test]
fn an_expired_assurance_report_denies_and_an_absent_date_is_not_enforced() {
    let vendors = "[[vendor]]\nid = \"demo\"\napproved = true\nceiling = \"internal\"\nmodels = [\"*\"]\nassurance_expires = \"2026-06-01\"\n";
    let set = PolicySet::load(&bundle_with(&[("vendors.toml", vendors)])).expect("loads");
    let at = |time: &str| {
        let time = Some(time.parse::<Timestamp>().expect("a time"));
        set.request(&set.request_facts(&CaseFacts { time, ..CaseFacts::default() }))
    };
    assert_eq!(at("2026-05-31T23:59:59Z").verdict, RequestVerdict::Send);
    let late = at("2026-06-01");
    assert_eq!((late.verdict, late.reason), (RequestVerdict::Deny, Reason::VendorAssuranceExpired));
    assert_eq!(late.rules, ["vendor.assurance_expired".into()]);
    assert_eq!(late.facts.get("assurance_valid"), Some(&Fact::Flag(false)));
    assert!(default_set().vendor("openai").expect("registered").assurance_expires.is_none());
}

#[test]
fn a_ceiling_moves_what_is_redacted() {
    let vendors = "[[vendor]]\nid = \"demo\"\napproved = true\nceiling = \"confidential\"\nmodels = [\"demo-*\"]\n";
    let set = PolicySet::load(&bundle_with(&[("vendors.toml", vendors)])).expect("loads");
    assert!(!set.redacts(&class("pii.email"), "demo"));
    assert!(set.redacts(&class("pii.national_id"), "demo"));
    assert!(set.redacts(&class("pci.pan"), "demo"), "never passes");
    assert!(set.redacts(&class("pii.email"), "elsewhere"), "an unknown vendor's ceiling is public");
    let email = set.request_facts(&CaseFacts { classes: vec![class("pii.email")], ..CaseFacts::default() });
    assert_eq!(set.request(&email).verdict, RequestVerdict::Send);
    assert!(set.registers_model("demo", "demo-1") && !set.registers_model("demo", "gpt-4o"));
}

#[test]
fn labels_come_from_the_longest_prefix() {
    let set = default_set();
    let label = |classes: &[&str]| {
        set.label(&classes.iter().map(|text| class(text)).collect::<Vec<_>>(), Label::Internal, Coverage::Full)
    };
    assert_eq!(label(&[]), Label::Internal);
    assert_eq!(label(&["pii.email"]), Label::Confidential);
    assert_eq!(label(&["pii.national_id"]), Label::Restricted);
    assert_eq!(label(&["pii.national_id.de"]), Label::Restricted);
    assert_eq!(label(&["piix"]), Label::Confidential, "unknown: the default");
    assert_eq!(label(&["pii.email", "secret.api_key"]), Label::Restricted);
    assert_eq!(set.label(&[], Label::Public, Coverage::None), Label::Unclassified);
    assert_eq!(set.label(&[], Label::Public, Coverage::Partial), Label::Public);
}

#[test]
fn a_pattern_matches_plain_names_only() {
    let set = default_set();
    for good in ["gpt-4o", "claude-3-5-sonnet-20241022", "meta-llama/Llama-3:8b", "anthropic.claude-v2:1"] {
        assert_eq!(set.model("openai", good), Registration::Pattern, "{good}");
    }
    for bad in ["", "a b", "a@b", "naïve", "a\n", &"x".repeat(97)] {
        assert_eq!(set.model("openai", bad), Registration::Absent, "{bad}");
    }
    assert!(!set.registers_model("elsewhere", "gpt-4o"));
    assert!(!set.registers_tool("lookup"), "no tool is registered by default");
    let table = [
        ("*", "", true),
        ("a*", "ab", true),
        ("a*", "ba", false),
        ("*a", "ba", true),
        ("a*b*c", "axxbyyc", true),
        ("a*b*c", "acb", false),
        ("ab*ba", "aba", false),
    ];
    for (pattern, text, matches) in table {
        assert_eq!(super::vendors::glob(pattern, text), matches, "{pattern} {text}");
    }
}

#[test]
fn names_nobody_registered_are_no_facts() {
    let set = default_set();
    let case = CaseFacts {
        model: "ask jane@example.com".into(),
        model_served: "4111 1111 1111 1111".into(),
        tools: vec!["call_jane".into()],
        ..CaseFacts::default()
    };
    let request = set.request(&set.request_facts(&case));
    let answer = set.answer(&set.answer_facts(&case));
    let all = format!("{:?}{:?}", request.facts, answer.facts);
    assert!(!all.contains("jane") && !all.contains("4111"), "{all}");
    assert_eq!(request.facts.get("model"), Some(&Fact::from("unlisted")));
    assert_eq!(answer.facts.get("model_served"), Some(&Fact::from("unlisted")));
    let mut found = set.request_facts(&CaseFacts::default());
    found.model_registered = false; // the scanner found something in it
    assert_eq!(set.request(&found).reason, Reason::ModelNotApproved);
}

#[test]
fn too_many_tools_are_denied_before_the_rules() {
    let vendors = "[tools]\nregistered = [\"*\"]\n[[vendor]]\nid = \"demo\"\napproved = true\nceiling = \"internal\"\nmodels = [\"*\"]\n";
    let set = PolicySet::load(&bundle_with(&[("vendors.toml", vendors)])).expect("loads");
    let tools = |count: usize| {
        let tools = (0..count).map(|n| format!("tool-{n}").into()).collect();
        set.request(&set.request_facts(&CaseFacts { tools, ..CaseFacts::default() }))
    };
    assert_eq!(tools(TOOLS_MAX).verdict, RequestVerdict::Send);
    let over = tools(TOOLS_MAX + 1);
    assert_eq!((over.verdict, over.reason), (RequestVerdict::Deny, Reason::ToolNotAllowed));
}

#[test]
fn the_zone_moves_hour_and_weekday() {
    let toml = |zone: &str| {
        format!(
            "name = \"x\"\nversion = \"1\"\nowner = \"\"\nvalid_from = \"2026\"\nvalid_until = \"2099\"\nzone = \"{zone}\"\n"
        )
    };
    let facts = |zone: &str| {
        let set = PolicySet::load(&bundle_with(&[("bundle.toml", &toml(zone))])).expect("loads");
        let time = Some("2026-11-22T23:30:00Z".parse().expect("a time")); // a Sunday
        set.request(&set.request_facts(&CaseFacts { time, ..CaseFacts::default() })).facts
    };
    assert_eq!(
        (facts("UTC").get("hour"), facts("UTC").get("weekday")),
        (Some(&Fact::Number(23)), Some(&Fact::Number(7)))
    );
    let east = facts("+01:00");
    assert_eq!((east.get("hour"), east.get("weekday")), (Some(&Fact::Number(0)), Some(&Fact::Number(1))));
    assert_eq!(facts("-03:30").get("hour"), Some(&Fact::Number(20)));
}

#[test]
fn validity_and_suspension_come_before_the_memo() {
    let set = fresh_set();
    let mut facts = set.request_facts(&CaseFacts::default());
    assert_eq!(set.request(&facts).verdict, RequestVerdict::Send);
    facts.suspended = true;
    assert_eq!(set.request(&facts).reason, Reason::PolicySuspended);
    facts.suspended = false;
    facts.time = set.manifest().valid_until;
    assert_eq!(set.request(&facts).reason, Reason::PolicyExpired);
    assert_eq!(set.memo().len(), 1, "only the first was kept");
}

#[test]
fn the_memo_keeps_its_bound_and_its_answers() {
    let set = fresh_set();
    let decide = |n: usize| {
        let route: Arc<str> = format!("route-{n}").into();
        set.request(&set.request_facts(&CaseFacts { route, ..CaseFacts::default() }))
    };
    let first = decide(0);
    let mut question = set.request_question(&set.request_facts(&CaseFacts::default()));
    let decided = Arc::new(set.evaluate(&question));
    for n in 0..MEMO_ENTRIES_MAX + 100 {
        question.vars.route = format!("r{n}").into();
        set.memo().keep(question.clone(), decided.clone());
        if n % 512 == 0 {
            assert_eq!(decide(0), first);
        }
    }
    assert!(set.memo().len() <= MEMO_ENTRIES_MAX, "{}", set.memo().len());
    assert_eq!(decide(0), first);
}

#[test]
fn what_the_rules_see_fits_the_schema() {
    let set = default_set();
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).expect("a schema");
    for placed in set.cases().expect("cases") {
        let question = match placed.case.ask {
            Subject::Request => set.request_question(&set.request_facts(&placed.case.facts)),
            Subject::Answer => set.answer_question(&set.answer_facts(&placed.case.facts)),
            Subject::Admin => continue,
        };
        let action = if matches!(question.side, Side::Request(_)) { "send" } else { "release" };
        let ask = question.ask(set.engine()).expect("an ask");
        let action = cedar_policy::EntityUid::from_str(&format!("Action::\"{action}\"")).expect("a name");
        Request::new(ask.principal, action, ask.resource, ask.context, Some(&schema)).expect("fits the schema");
        cedar_policy::Entities::from_entities(ask.entities.iter().cloned(), Some(&schema)).expect("fit the schema");
    }
}

#[test]
fn the_actions_are_the_schemas() {
    let (schema, _) = Schema::from_cedarschema_str(SCHEMA).expect("a schema");
    let groups: BTreeSet<String> = schema.action_groups().map(ToString::to_string).collect();
    let asked: BTreeSet<String> =
        schema.actions().map(ToString::to_string).filter(|name| !groups.contains(name)).collect();
    assert_eq!(asked, Action::ALL.iter().map(|action| format!("Action::\"{action}\"")).collect());
    assert_eq!(groups.len(), 3);
}

#[test]
fn the_facts_of_a_usual_request_stay_small() {
    let set = default_set();
    let facts = set.request(&set.request_facts(&CaseFacts::default())).facts;
    let bytes = serde_json::to_string(&facts).expect("writes").len();
    assert!(bytes < 1024, "{bytes} bytes in every record");
}

#[test]
fn the_vendors_of_the_embedded_configuration_are_registered() {
    let usual = "openai anthropic azure gemini vertex bedrock mistral cohere groq openrouter deepseek ollama vllm llamacpp together xai demo";
    for id in usual.split(' ') {
        let vendor = default_set().vendor(id).unwrap_or_else(|| panic!("{id}"));
        assert!(vendor.approved && vendor.ceiling == Label::Internal && vendor.models == ["*"], "{id}");
        assert!(id == "demo" || vendor.missing().len() == 4, "{id}: nobody here can know these");
    }
    assert!(!default_set().permits_observe());
}

#[test]
fn every_variable_of_the_rules_is_a_fact() {
    let set = default_set();
    let request = set.request(&set.request_facts(&CaseFacts::default()));
    let names: BTreeSet<&str> = request.facts.keys().map(String::as_str).collect();
    let expected: BTreeSet<&str> = Vars::NAMES.iter().chain(RequestVars::NAMES).copied().collect();
    assert_eq!(names, expected);
    let answer = set.answer(&set.answer_facts(&CaseFacts::default()));
    let names: BTreeSet<&str> = answer.facts.keys().map(String::as_str).collect();
    let expected: BTreeSet<&str> = Vars::NAMES.iter().chain(AnswerVars::NAMES).copied().collect();
    assert_eq!(names, expected);
}

#[test]
fn bundles_are_compared_by_rules_register_and_decisions() {
    let strict = Bundle::embedded().file("requests.cedar").map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let strict = strict.expect("rules").replace(
        "action == Action::\"send\", resource)\nwhen { context.classes.contains(\"pci\") }",
        "action in Action::\"request\", resource)\nwhen { context.classes.contains(\"pci\") }",
    );
    let later = PolicySet::load(&bundle_with(&[("requests.cedar", &strict)])).expect("loads");
    let changes = default_set().changes(&later);
    assert_eq!(changes.rules, [("request.pan".into(), RuleChange::Changed)]);
    assert_eq!(changes.files, [("requests.cedar".to_owned(), RuleChange::Changed)]);
    assert!(changes.vendors.is_empty());
    assert!(
        changes
            .decisions
            .iter()
            .any(|(name, _, now)| name == "a card number is replaced" && now.starts_with("deny dlp.pan"))
    );
    assert_eq!(default_set().changes(default_set()), Changes::default());
    assert!(later.run_cases().iter().any(|result| !result.passed && result.line > 0));
}

#[test]
fn the_rules_are_explained_action_by_action() {
    let (came, steps) = default_set().explain_case("an e-mail address is replaced").expect("a case");
    assert!(came.starts_with("send_redacted dlp.pii ["), "{came}");
    let words: Vec<_> = steps.iter().map(|step| (step.action, matches!(step.asked, Asked::Permitted(_)))).collect();
    assert_eq!(words, [(Action::Send, false), (Action::SendTokenized, false), (Action::SendRedacted, true)]);
    assert_eq!(steps[1].asked, Asked::NotOffered);
}

/// Rules over routes, actions, groups, vendors and roles, one of which fails for three attachments.
const MANY: &str = r#"
@id("p1") permit (principal, action in Action::"request", resource);
@id("p2") permit (principal is Agent, action == Action::"sendRedacted", resource == Route::"a");
@id("p3") permit (principal, action in [Action::"release", Action::"releaseRedacted"], resource in Vendor::"demo");
@id("f1") @reason("authz.role") forbid (principal, action, resource == Route::"a") unless { principal in Role::"user" };
@id("f2") @reason("dlp.pan") forbid (principal, action == Action::"send", resource == Route::"b") when { context.classes.contains("pci") };
@id("f3") @reason("dlp.other") forbid (principal, action in Action::"request", resource in Vendor::"openai") when { context.labelRank > 1 };
@id("f4") @reason("tool.not_allowed") forbid (principal is Service, action in [Action::"sendRedacted", Action::"answer"], resource is Route) when { context.onBehalfOf };
@id("f5") @reason("dlp.secret") forbid (principal, action == Action::"sendRedacted", resource == Route::"a") when { context.attachmentCount + 9223372036854775805 > 9223372036854775806 };
"#;

fn some_facts() -> impl Strategy<Value = CaseFacts> {
    let kinds = prop::sample::select(PrincipalKind::ALL);
    let roles = prop::collection::vec(prop::sample::select(vec!["user", "chief"]), 0..2);
    let routes = prop::sample::select(vec!["a", "b", "c"]);
    let vendors = prop::sample::select(vec!["demo", "openai", "elsewhere"]);
    let classes =
        prop::collection::vec(prop::sample::select(vec!["pci.pan", "pii.email", "secret.api_key", "custom.x"]), 0..3);
    let coverage = prop::sample::select(Coverage::ALL);
    let floor = prop::sample::select(vec![Label::Public, Label::Internal, Label::Restricted]);
    let flags = any::<(bool, bool, bool, bool)>();
    (kinds, roles, routes, vendors, classes, coverage, floor, flags, 0usize..4).prop_map(
        |(kind, roles, route, vendor, classes, coverage, floor, flags, attachments)| CaseFacts {
            kind,
            roles: roles.into_iter().map(Into::into).collect(),
            route: route.into(),
            vendor: vendor.into(),
            classes: classes.into_iter().map(class).collect(),
            coverage,
            floor,
            redactable: flags.0,
            on_behalf_of: flags.1,
            streamed: flags.1,
            tokenizable: flags.2,
            suspended: flags.3 && flags.2,
            attachments: vec!["image".into(); attachments],
            ..CaseFacts::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_slice_answers_as_the_whole_set(facts in some_facts(), own in any::<bool>()) {
        let set = if own { default_set() } else { many_rules() };
        let whole = CedarSet::from_policies(
            set.rules().map(|rule| cedar_policy::Policy::parse(Some(cedar_policy::PolicyId::new(&*rule.id)), &*rule.text).expect("parses")),
        ).expect("a set");
        let questions = [
            (set.request_question(&set.request_facts(&facts)), &Action::ALL[..3]),
            (set.answer_question(&set.answer_facts(&facts)), &Action::ALL[3..5]),
        ];
        for (question, actions) in questions {
            let ask = question.ask(set.engine()).expect("an ask");
            for action in actions {
                prop_assert_eq!(
                    set.engine().ask(*action, &question.vars.route, &ask),
                    set.engine().put(*action, &whole, &ask),
                    "{} {:?}", action, question
                );
            }
        }
    }

    #[test]
    fn a_decision_can_be_made_again_from_its_facts(facts in some_facts(), own in any::<bool>()) {
        let set = if own { default_set() } else { many_rules() };
        let request = set.request(&set.request_facts(&facts));
        let recorded: BTreeMap<String, Fact> =
            serde_json::from_str(&serde_json::to_string(&request.facts).expect("writes")).expect("reads");
        prop_assert_eq!(set.reperform(&recorded, "nobody").expect("reperforms"), Reperformed::Request(request.clone()));
        let (line, _) = set.explain_facts(&recorded, "nobody").expect("explains");
        prop_assert!(line.starts_with(request.verdict.as_str()));
        prop_assert_eq!(set.request(&set.request_facts(&facts)), request, "the same from the memo");
        let answer = set.answer(&set.answer_facts(&facts));
        prop_assert_eq!(set.reperform(&answer.facts, "nobody").expect("reperforms"), Reperformed::Answer(answer));
    }

    #[test]
    fn nothing_that_never_passes_goes_out_unredacted(facts in some_facts()) {
        let set = default_set();
        let request = set.request(&set.request_facts(&facts));
        let never = facts.classes.iter().any(|class| set.redacts(class, &facts.vendor));
        prop_assert!(!(never && request.verdict == RequestVerdict::Send));
        let answer = set.answer(&set.answer_facts(&facts));
        prop_assert!(!(never && answer.verdict == AnswerVerdict::Release));
    }
}

#[test]
fn facts_that_are_not_whole_are_refused() {
    let set = default_set();
    let mut facts = set.request(&set.request_facts(&CaseFacts::default())).facts;
    facts.remove("label");
    assert!(set.reperform(&facts, "x").expect_err("lacks").contains("`label`"));
    facts.insert("label".to_owned(), Fact::Flag(true));
    assert!(set.reperform(&facts, "x").expect_err("not of its kind").contains("`label`"));
    assert!(Question::read(&BTreeMap::new(), "x".into()).is_err());
}
