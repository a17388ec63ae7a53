//! Re-performing a decision: the facts of a record, put to the rules again.

use std::collections::BTreeMap;

use super::decide::{AnswerDecision, Decided, RequestDecision, Step, answer_decision, barred, request_decision};
use super::set::PolicySet;
use super::vars::{Question, Side};
use crate::types::Fact;

/// A decision made again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reperformed {
    /// On a request.
    Request(RequestDecision),
    /// On an answer.
    Answer(AnswerDecision),
}

impl PolicySet {
    /// Decides again on a record's `facts`, which say by themselves whether of a request or an answer, without the memo.
    /// `subject` is the head's pseudonym: it matters only where a rule names a caller.
    pub fn reperform(&self, facts: &BTreeMap<String, Fact>, subject: &str) -> Result<Reperformed, String> {
        let question = Question::read(facts, self.entity(subject))?;
        let decided = match barred(&question) {
            Some(reason) => Decided { winner: None, reason, rules: Vec::new(), facts: question.facts() },
            None => self.evaluate(&question),
        };
        Ok(match question.side {
            Side::Request(_) => Reperformed::Request(request_decision(&decided)),
            Side::Answer(_) => Reperformed::Answer(answer_decision(&decided)),
        })
    }

    /// The decision on a record's `facts` in a line, and what the rules say to each action.
    pub fn explain_facts(&self, facts: &BTreeMap<String, Fact>, subject: &str) -> Result<(String, Vec<Step>), String> {
        let question = Question::read(facts, self.entity(subject))?;
        let steps = if barred(&question).is_some() { Vec::new() } else { self.steps(&question) };
        let line = match self.reperform(facts, subject)? {
            Reperformed::Request(d) => format!("{} {} [{}]", d.verdict, d.reason, d.rules.join(", ")),
            Reperformed::Answer(d) => format!("{} {} [{}]", d.verdict, d.reason, d.rules.join(", ")),
        };
        Ok((line, steps))
    }
}
