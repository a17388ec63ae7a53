//! `cases/*.toml`: facts and the decision they must lead to, run by `sealgate check` and `sealgate policy test`.
//!
//! A fact that a case does not name has the default of [`CaseFacts`]: an authenticated person, the vendor `demo`, a chat
//! without findings, the first instant of the bundle's validity.

use std::sync::Arc;

use serde::Deserialize;

use super::decide::{Step, answer_decision, barred, request_decision};
use super::engine::{Action, Asked};
use super::facts::{AdminFacts, AnswerFacts, RequestFacts};
use super::fault::PolicyFault;
use super::set::{PolicySet, text};
use super::vars::Question;
use crate::types::{Class, Coverage, Label, Mode, PrincipalKind, Reason, Timestamp};

/// What a case asks about.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Subject {
    Request,
    Answer,
    Admin,
}

/// What came of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseResult {
    /// The file it stands in.
    pub file: String,
    /// The line it begins at.
    pub line: usize,
    /// Its name.
    pub name: String,
    /// Whether the decision was the expected one.
    pub passed: bool,
    /// What was expected, in a line.
    pub expected: String,
    /// What came, in a line.
    pub got: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseFile {
    #[serde(default)]
    case: Vec<toml::Spanned<Case>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    #[serde(default = "request")]
    pub(crate) ask: Subject,
    #[serde(default)]
    pub(crate) facts: CaseFacts,
    expect: Expect,
}

fn request() -> Subject {
    Subject::Request
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    verdict: String,
    reason: Option<Reason>,
    rules: Option<Vec<String>>,
}

/// The facts of a case.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CaseFacts {
    pub(crate) subject: Arc<str>,
    pub(crate) kind: PrincipalKind,
    pub(crate) roles: Vec<Arc<str>>,
    pub(crate) tenant: Arc<str>,
    /// Of an admin's wish: whose records.
    pub(crate) of_tenant: Option<Arc<str>>,
    /// Of an admin's wish: what.
    pub(crate) action: Option<Action>,
    pub(crate) route: Arc<str>,
    pub(crate) mode: Mode,
    pub(crate) risk: Arc<str>,
    pub(crate) vendor: Arc<str>,
    pub(crate) suspended: bool,
    /// In place of what the register says.
    pub(crate) assurance_valid: Option<bool>,
    /// `none`: the operation names none.
    pub(crate) model: Arc<str>,
    pub(crate) model_served: Arc<str>,
    pub(crate) operation: Arc<str>,
    pub(crate) operation_known: bool,
    pub(crate) tools: Vec<Arc<str>>,
    pub(crate) floor: Label,
    pub(crate) classes: Vec<Class>,
    pub(crate) coverage: Coverage,
    pub(crate) attachments: Vec<Arc<str>>,
    pub(crate) redactable: bool,
    pub(crate) tokenizable: bool,
    pub(crate) time: Option<Timestamp>,
    pub(crate) on_behalf_of: bool,
    pub(crate) streamed: bool,
    pub(crate) in_stream: bool,
    pub(crate) sent: bool,
}

impl Default for CaseFacts {
    fn default() -> Self {
        CaseFacts {
            subject: "somebody".into(),
            kind: PrincipalKind::Human,
            roles: vec!["user".into()],
            tenant: "default".into(),
            of_tenant: None,
            action: None,
            route: "demo".into(),
            mode: Mode::Enforce,
            risk: "unassessed".into(),
            vendor: "demo".into(),
            suspended: false,
            assurance_valid: None,
            model: "demo-1".into(),
            model_served: "demo-1".into(),
            operation: "chat".into(),
            operation_known: true,
            tools: Vec::new(),
            floor: Label::Internal,
            classes: Vec::new(),
            coverage: Coverage::Full,
            attachments: Vec::new(),
            redactable: true,
            tokenizable: false,
            time: None,
            on_behalf_of: false,
            streamed: false,
            in_stream: false,
            sent: false,
        }
    }
}

/// What a decision comes to, whoever was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) verdict: &'static str,
    pub(crate) reason: Reason,
    pub(crate) rules: Vec<Arc<str>>,
}

impl std::fmt::Display for Came {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} [{}]", self.verdict, self.reason, self.rules.join(", "))
    }
}

impl PolicySet {
    /// Runs every case of the bundle, in the order of files and lines.
    pub fn run_cases(&self) -> Vec<CaseResult> {
        self.cases().map(|all| all.iter().map(|case| self.run(case)).collect()).unwrap_or_default()
    }

    /// What is wrong with the case files themselves.
    pub(crate) fn case_faults(&self) -> Vec<PolicyFault> {
        self.cases().err().unwrap_or_default()
    }

    /// Every case with its place.
    pub(crate) fn cases(&self) -> Result<Vec<Placed>, Vec<PolicyFault>> {
        let mut placed = Vec::new();
        let mut faults = Vec::new();
        for file in self.bundle().files().keys().filter(|file| file.starts_with("cases/") && file.ends_with(".toml")) {
            let text = text(self.bundle(), file)?;
            match toml::from_str::<CaseFile>(text) {
                Ok(cases) => placed.extend(cases.case.into_iter().map(|case| Placed::new(file, text, case))),
                Err(error) => faults.push(PolicyFault::toml(file, text, &error)),
            }
        }
        for case in
            placed.iter().filter(|placed| placed.case.ask == Subject::Admin && placed.case.facts.action.is_none())
        {
            let message = "a case with `ask = \"admin\"` needs `facts.action`";
            faults.push(PolicyFault { file: case.file.clone(), line: case.line, column: 0, message: message.into() });
        }
        if faults.is_empty() { Ok(placed) } else { Err(faults) }
    }

    /// Puts a case to this set.
    pub(crate) fn put(&self, case: &Case) -> Came {
        let Some(question) = self.question(case) else {
            let action = case.facts.action.unwrap_or(Action::ReadRecords);
            let decision = self.admin(action, &self.admin_facts(&case.facts));
            let verdict = if decision.allowed { "allow" } else { "deny" };
            return Came { verdict, reason: decision.reason, rules: decision.rules };
        };
        let decided = self.decide(question);
        let verdict = match case.ask {
            Subject::Answer => answer_decision(&decided).verdict.as_str(),
            _ => request_decision(&decided).verdict.as_str(),
        };
        Came { verdict, reason: decided.reason, rules: decided.rules.clone() }
    }

    /// What a case asks; nothing where it asks about an admin's wish.
    fn question(&self, case: &Case) -> Option<Question> {
        let mut question = match case.ask {
            Subject::Request => self.request_question(&self.request_facts(&case.facts)),
            Subject::Answer => self.answer_question(&self.answer_facts(&case.facts)),
            Subject::Admin => return None,
        };
        if let Some(valid) = case.facts.assurance_valid {
            question.vars.assurance_valid = valid;
        }
        Some(question)
    }

    /// What came of a case of this bundle, by its name: the decision in a line, and each action asked.
    pub fn explain_case(&self, name: &str) -> Option<(String, Vec<Step>)> {
        let cases = self.cases().ok()?;
        let case = &cases.iter().find(|placed| placed.case.name == name)?.case;
        let came = self.put(case);
        let steps = match self.question(case) {
            Some(question) if barred(&question).is_some() => Vec::new(),
            Some(question) => self.steps(&question),
            None => {
                let rules = came.rules.clone();
                let asked = if came.verdict == "allow" { Asked::Permitted(rules) } else { Asked::Forbidden(rules) };
                vec![Step { action: case.facts.action?, asked }]
            }
        };
        Some((came.to_string(), steps))
    }

    fn run(&self, placed: &Placed) -> CaseResult {
        let came = self.put(&placed.case);
        let expect = &placed.case.expect;
        let same_rules = expect.rules.as_ref().is_none_or(|rules| {
            let mut rules: Vec<&str> = rules.iter().map(String::as_str).collect();
            rules.sort_unstable();
            rules.iter().copied().eq(came.rules.iter().map(|id| &**id))
        });
        let passed =
            expect.verdict == came.verdict && expect.reason.is_none_or(|reason| reason == came.reason) && same_rules;
        let mut expected = expect.verdict.clone();
        if let Some(reason) = expect.reason {
            expected.push_str(&format!(" {reason}"));
        }
        if let Some(rules) = &expect.rules {
            expected.push_str(&format!(" [{}]", rules.join(", ")));
        }
        let (file, line, name) = (placed.file.clone(), placed.line, placed.case.name.clone());
        CaseResult { file, line, name, passed, expected, got: came.to_string() }
    }

    pub(crate) fn request_facts(&self, case: &CaseFacts) -> RequestFacts {
        RequestFacts {
            subject: case.subject.clone(),
            kind: case.kind,
            roles: case.roles.clone(),
            tenant: case.tenant.clone(),
            route: case.route.clone(),
            mode: case.mode,
            risk: case.risk.clone(),
            vendor: case.vendor.clone(),
            suspended: case.suspended,
            model: case.model.clone(),
            model_registered: true,
            operation: case.operation.clone(),
            operation_known: case.operation_known,
            tools: case.tools.clone(),
            label: self.label(&case.classes, case.floor, case.coverage),
            floor: case.floor,
            classes: case.classes.clone(),
            coverage: case.coverage,
            attachments: case.attachments.clone(),
            redactable: case.redactable,
            tokenizable: case.tokenizable,
            time: case.time.unwrap_or(self.manifest().valid_from),
            on_behalf_of: case.on_behalf_of,
            streamed: case.streamed,
        }
    }

    pub(crate) fn answer_facts(&self, case: &CaseFacts) -> AnswerFacts {
        let request = self.request_facts(case);
        AnswerFacts {
            subject: request.subject,
            kind: request.kind,
            roles: request.roles,
            tenant: request.tenant,
            route: request.route,
            mode: request.mode,
            risk: request.risk,
            vendor: request.vendor,
            model: request.model,
            model_served: case.model_served.clone(),
            operation: request.operation,
            operation_known: request.operation_known,
            tools: request.tools,
            label: request.label,
            floor: request.floor,
            classes: request.classes,
            coverage: request.coverage,
            redactable: request.redactable,
            time: request.time,
            on_behalf_of: request.on_behalf_of,
            in_stream: case.in_stream,
            sent: case.sent,
        }
    }

    fn admin_facts(&self, case: &CaseFacts) -> AdminFacts {
        AdminFacts {
            subject: case.subject.clone(),
            kind: case.kind,
            roles: case.roles.clone(),
            tenant: case.tenant.clone(),
            of_tenant: case.of_tenant.clone().unwrap_or_else(|| case.tenant.clone()),
            time: case.time.unwrap_or(self.manifest().valid_from),
        }
    }
}

/// A case and where it stands.
pub(crate) struct Placed {
    pub(crate) file: String,
    pub(crate) line: usize,
    pub(crate) case: Case,
}

impl Placed {
    fn new(file: &str, text: &str, case: toml::Spanned<Case>) -> Self {
        let (line, _) = super::fault::position(text, case.span().start);
        Placed { file: file.to_owned(), line, case: case.into_inner() }
    }
}
