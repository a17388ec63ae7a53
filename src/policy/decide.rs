//! From a question to a decision: the actions in their order, the first permitted wins, else it is denied.
//!
//! Before the rules (and the memo): a bundle outside its validity, a suspension, and limits deny by themselves.
//! **Reason** of a decision: of the forbids that decided, the first in [`PRIORITY`]. **Rules** of a denial: the forbids
//! of the widest action offered (those stood in every way), or of the ones before it where it simply matched no rule;
//! of anything else: the permits that won, and the forbids that closed the less intrusive ways.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::engine::{Action, Asked, Engine};
use super::facts::{AdminFacts, AnswerFacts, RequestFacts};
use super::question::admin_ask;
use super::set::{PolicySet, Validity};
use super::vars::{Question, Side};
use crate::types::{AnswerVerdict, Fact, Reason, RequestVerdict};

/// Which reason is told where several hold: who asks, where it goes, what is asked for, what it holds, how high it ranks.
/// Reasons not named here come after, in their order of declaration.
pub(crate) const PRIORITY: &[Reason] = &[
    Reason::PolicyError,
    Reason::PolicyNotYetValid,
    Reason::PolicyExpired,
    Reason::PolicySuspended,
    Reason::IdentityMissing,
    Reason::IdentityInvalid,
    Reason::IdentityExpired,
    Reason::IdentityConflict,
    Reason::AuthzTenant,
    Reason::AuthzRole,
    Reason::VendorNotApproved,
    Reason::VendorAssuranceExpired,
    Reason::VendorNoCredential,
    Reason::RouteUnknown,
    Reason::OperationUnknown,
    Reason::ModelNotApproved,
    Reason::ToolNotAllowed,
    Reason::DlpSecret,
    Reason::DlpPan,
    Reason::DlpPii,
    Reason::DlpOther,
    Reason::RequestUnscannable,
    Reason::AnswerUnscannable,
    Reason::ClassOverCeiling,
];

/// One action and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was asked for.
    pub action: Action,
    /// What the rules said.
    pub asked: Asked,
}

/// What policy concluded about a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestDecision {
    /// How it may go out, if at all.
    pub verdict: RequestVerdict,
    /// The most important reason; `ok` where nothing stood in the way.
    pub reason: Reason,
    /// Ids of the deciding rules, sorted.
    pub rules: Vec<Arc<str>>,
    /// Every non-personal variable the rules could read.
    pub facts: BTreeMap<String, Fact>,
}

/// What policy concluded about an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AnswerDecision {
    /// How it may be delivered, if at all.
    pub verdict: AnswerVerdict,
    /// The most important reason; `ok` where nothing stood in the way.
    pub reason: Reason,
    /// Ids of the deciding rules, sorted.
    pub rules: Vec<Arc<str>>,
    /// Every non-personal variable the rules could read.
    pub facts: BTreeMap<String, Fact>,
}

/// What policy concluded about an admin's wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AdminDecision {
    /// Whether it may be done.
    pub allowed: bool,
    /// The most important reason; `ok` where it may be done, `authz.role` where no rule permits it.
    pub reason: Reason,
    /// Ids of the deciding rules, sorted.
    pub rules: Vec<Arc<str>>,
}

/// What the rules concluded: kept by the memo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) winner: Option<Action>,
    pub(crate) reason: Reason,
    pub(crate) rules: Vec<Arc<str>>,
    pub(crate) facts: BTreeMap<String, Fact>,
}

impl PolicySet {
    /// Decides on a request.
    pub fn request(&self, facts: &RequestFacts) -> RequestDecision {
        request_decision(&self.decide(self.request_question(facts)))
    }

    /// Decides on an answer, or on what of a stream has arrived.
    pub fn answer(&self, facts: &AnswerFacts) -> AnswerDecision {
        answer_decision(&self.decide(self.answer_question(facts)))
    }

    /// Decides on an admin's wish.
    pub fn admin(&self, action: Action, facts: &AdminFacts) -> AdminDecision {
        let denied = |reason| AdminDecision { allowed: false, reason, rules: Vec::new() };
        if let Some(reason) = self.validity(facts.time).fault() {
            return denied(reason);
        }
        let Ok(ask) = admin_ask(self.engine(), action, facts, self.manifest().local(facts.time)) else {
            return denied(Reason::PolicyError);
        };
        let asked = self.engine().ask(action, "", &ask);
        let (winner, reason, rules) = fold(self.engine(), &[Step { action, asked }]);
        let reason = if reason == Reason::PolicyNoMatch { Reason::AuthzRole } else { reason };
        AdminDecision { allowed: winner.is_some(), reason, rules }
    }

    /// Every action asked about a request, in order, and what the rules said to it.
    pub fn explain_request(&self, facts: &RequestFacts) -> Vec<Step> {
        self.steps(&self.request_question(facts))
    }

    /// Every action asked about an answer, in order, and what the rules said to it.
    pub fn explain_answer(&self, facts: &AnswerFacts) -> Vec<Step> {
        self.steps(&self.answer_question(facts))
    }

    pub(crate) fn decide(&self, question: Question) -> Arc<Decided> {
        if let Some(reason) = barred(&question) {
            return Arc::new(Decided { winner: None, reason, rules: Vec::new(), facts: question.facts() });
        }
        if let Some(found) = self.memo().find(&question) {
            return found;
        }
        let decided = Arc::new(self.evaluate(&question));
        self.memo().keep(question, decided.clone());
        decided
    }

    /// Without the memo.
    pub(crate) fn evaluate(&self, question: &Question) -> Decided {
        let (winner, reason, rules) = fold(self.engine(), &self.steps(question));
        Decided { winner, reason, rules, facts: question.facts() }
    }

    pub(crate) fn steps(&self, question: &Question) -> Vec<Step> {
        let offers = offers(question);
        let Ok(ask) = question.ask(self.engine()) else {
            return vec![Step { action: offers[0].0, asked: Asked::Failed(Vec::new()) }];
        };
        let mut steps = Vec::with_capacity(offers.len());
        for (action, offered) in offers {
            let asked = if offered { self.engine().ask(action, &question.vars.route, &ask) } else { Asked::NotOffered };
            let last = matches!(asked, Asked::Permitted(_) | Asked::Failed(_));
            steps.push(Step { action, asked });
            if last {
                break;
            }
        }
        steps
    }
}

/// What denies before any rule is asked.
pub(crate) fn barred(question: &Question) -> Option<Reason> {
    if let Some(reason) = question.vars.bundle_validity.fault() {
        return Some(reason);
    }
    match &question.side {
        Side::Request(vars) if vars.suspended => Some(Reason::PolicySuspended),
        Side::Request(vars) if vars.too_many_tools => Some(Reason::ToolNotAllowed),
        _ => None,
    }
}

/// The actions in order, least intrusive first, and whether each can be done.
fn offers(question: &Question) -> Vec<(Action, bool)> {
    let redactable = question.vars.redactable;
    match &question.side {
        Side::Request(vars) => {
            vec![(Action::Send, true), (Action::SendTokenized, vars.tokenizable), (Action::SendRedacted, redactable)]
        }
        Side::Answer(_) => vec![(Action::Release, true), (Action::ReleaseRedacted, redactable)],
    }
}

/// What the steps come to: the winning action, the reason, the deciding rules.
pub(crate) fn fold(engine: &Engine, steps: &[Step]) -> (Option<Action>, Reason, Vec<Arc<str>>) {
    let mut forbids: Vec<&[Arc<str>]> = Vec::new();
    for step in steps {
        match &step.asked {
            Asked::Failed(rules) => return (None, Reason::PolicyError, rules.clone()),
            Asked::Permitted(permits) => {
                let closed: BTreeSet<Arc<str>> = forbids.concat().into_iter().collect();
                let deciding = if closed.is_empty() { permits } else { &closed.iter().cloned().collect() };
                let reason = first_reason(engine, deciding).unwrap_or(Reason::Ok);
                let rules: BTreeSet<Arc<str>> = closed.into_iter().chain(permits.iter().cloned()).collect();
                return (Some(step.action), reason, rules.into_iter().collect());
            }
            Asked::Forbidden(rules) => forbids.push(rules),
            Asked::NoMatch | Asked::NotOffered => {}
        }
    }
    let last = steps.iter().rev().find(|step| step.asked != Asked::NotOffered);
    let rules = match last.map(|step| &step.asked) {
        Some(Asked::Forbidden(rules)) => rules.clone(),
        _ => forbids.concat().into_iter().collect::<BTreeSet<_>>().into_iter().collect(),
    };
    let reason = first_reason(engine, &rules).unwrap_or(Reason::PolicyNoMatch);
    (None, reason, rules)
}

/// The most important reason among these rules.
fn first_reason(engine: &Engine, rules: &[Arc<str>]) -> Option<Reason> {
    let weight =
        |reason: &Reason| (PRIORITY.iter().position(|named| named == reason).unwrap_or(PRIORITY.len()), *reason);
    rules.iter().filter_map(|id| engine.rules().get(id)).map(|rule| rule.reason).min_by_key(weight)
}

pub(crate) fn request_decision(decided: &Decided) -> RequestDecision {
    let verdict = match decided.winner {
        Some(Action::Send) => RequestVerdict::Send,
        Some(Action::SendTokenized) => RequestVerdict::SendTokenized,
        Some(Action::SendRedacted) => RequestVerdict::SendRedacted,
        _ => RequestVerdict::Deny,
    };
    let Decided { reason, rules, facts, .. } = decided.clone();
    RequestDecision { verdict, reason, rules, facts }
}

pub(crate) fn answer_decision(decided: &Decided) -> AnswerDecision {
    let verdict = match decided.winner {
        Some(Action::Release) => AnswerVerdict::Release,
        Some(Action::ReleaseRedacted) => AnswerVerdict::ReleaseRedacted,
        _ => AnswerVerdict::Withhold,
    };
    let Decided { reason, rules, facts, .. } = decided.clone();
    AnswerDecision { verdict, reason, rules, facts }
}

impl Validity {
    /// Why this denies.
    pub(crate) fn fault(self) -> Option<Reason> {
        match self {
            Validity::Valid => None,
            Validity::NotYetValid => Some(Reason::PolicyNotYetValid),
            Validity::Expired => Some(Reason::PolicyExpired),
        }
    }
}
