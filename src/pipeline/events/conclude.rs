//! What is said of a stream once it has ended.

use bytes::Bytes;

use crate::record::commitments::Body;
use crate::types::{AnswerOutcome, AnswerVerdict};

use super::super::forward::Exchange;
use super::super::inspect::{Ending, ask};
use super::super::sections::{AnswerParts, FindingNote};
use super::Events;

impl Events {
    /// Fills in what the completion says, and gives what is left to deliver once it is durable. Nothing is left for a
    /// caller that is `gone`.
    pub(in crate::pipeline) fn conclude(
        mut self,
        exchange: &Exchange,
        ending: &mut Ending,
        media: Option<String>,
        gone: bool,
    ) -> Vec<Bytes> {
        let looked = self.looked(exchange);
        if !self.is_cut() && !gone {
            self.ruling = ask(exchange, &looked, true, self.delivered_bytes > 0);
        }
        ending.ruled(&self.ruling);
        ending.outcome = if self.changed { AnswerOutcome::Redacted } else { AnswerOutcome::Released };
        let mut tail = std::mem::take(&mut self.tail);
        if self.is_cut() {
            ending.outcome = AnswerOutcome::Cut;
            let rules = self.ruling.rules.join(", ");
            let message = format!("the rest of this answer was withheld by policy (rules: {rules})");
            let refusal = exchange.case.refusal_of(self.ruling.reason, message);
            tail = vec![exchange.case.dialect.stream_refusal(&refusal).into()];
        }
        if gone {
            tail.clear();
        }
        tail.iter().for_each(|piece| self.delivered(piece));
        ending.label = looked.label;
        ending.classes = looked.classes;
        ending.coverage = looked.coverage;
        ending.findings = self.told();
        ending.view = self.reader.view().clone();
        ending.answered_bytes = self.answered_bytes;
        ending.delivered_bytes = self.delivered_bytes;
        ending.parts = self.commit(media, gone);
        tail
    }

    /// The findings with what was done about each.
    fn told(&mut self) -> Vec<FindingNote> {
        let act = self.ruling.act;
        let told = std::mem::take(&mut self.notes).into_iter().map(|(note, redact)| {
            let action = match act {
                AnswerVerdict::ReleaseRedacted if redact => "redacted",
                AnswerVerdict::Withhold => "cut",
                _ => "none",
            };
            FindingNote { action, ..note }
        });
        told.collect()
    }

    /// Commitments. Of a caller that went away only the answer is known, not how much of it was read; of a stream that
    /// was cut, what was delivered is known as bytes only.
    fn commit(mut self, media: Option<String>, gone: bool) -> AnswerParts {
        let whole = !gone && !self.is_cut();
        if self.changed || !whole {
            self.texts.commit(&mut self.answered, false);
            self.commitments.set(Body::Answered, self.answered.finish());
        }
        if whole {
            self.texts.commit(&mut self.delivered, self.changed);
        }
        if !gone {
            self.commitments.set(Body::Delivered, self.delivered.finish());
        }
        AnswerParts { section: Some(self.commitments.finish()), count: self.texts.count(), media, stream: true }
    }
}
