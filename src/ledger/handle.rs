//! What the pipeline holds: submits records and waits until they are durable.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use crate::env::Stopwatch;
use crate::record::{CompletionHead, Draft, Head, LINE_RECORD_MAX, check_canonical};

use super::config::Durability;
use super::error::LedgerError;
use super::events::OpenDecision;
use super::group::ReplyTo;
use super::receipt::{Open, Receipt, Sealed};
use super::sealer::Sections;
use super::shared::Shared;

/// A record on its way to the seal thread, its head already in canonical bytes.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) head: Vec<u8>,
    pub(super) sections: Sections,
}

/// What callers ask of the seal thread.
#[derive(Debug)]
pub(super) enum Submission {
    Decision {
        record: Encoded,
        open: OpenDecision,
        to: ReplyTo<(Receipt, Open)>,
        since: Stopwatch,
    },
    Completion {
        decision: u64,
        record: Encoded,
        to: ReplyTo<Sealed>,
        since: Stopwatch,
    },
    Refusal {
        decision: Encoded,
        completion: Box<CompletionHead>,
        sections: Sections,
        to: ReplyTo<Sealed>,
        since: Stopwatch,
    },
    /// Written on the seal thread, which alone knows how many groups are before it.
    Event {
        head: Box<Head>,
        sections: Sections,
        to: ReplyTo<Sealed>,
        since: Stopwatch,
    },
}

/// The ledger, as everybody but its own threads sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(super) queue: mpsc::Sender<Submission>,
    pub(super) shared: Arc<Shared>,
    pub(super) origin: Arc<str>,
    pub(super) durability: Durability,
    pub(super) wait: Duration,
}

impl Ledger {
    /// Makes a decision durable. The receipt is the right to send, the open decision the duty to complete.
    ///
    /// A caller that is dropped while it waits leaves no open decision: the ledger closes it as `not_sent`.
    ///
    /// # Errors
    /// When it is not durable: nothing may be sent.
    pub async fn decide(&self, draft: Draft) -> Result<(Receipt, Open), LedgerError> {
        let since = Stopwatch::start();
        let (record, open) = self.decision(draft)?;
        self.submit(|to| Submission::Decision { record, open, to, since }, || ()).await
    }

    /// Makes a refused decision and its completion durable in one commit; gives the decision's place.
    ///
    /// # Errors
    /// When they are not durable.
    pub async fn refuse(&self, decision: Draft, completion: Draft) -> Result<Sealed, LedgerError> {
        let since = Stopwatch::start();
        let (decision, open) = self.decision(decision)?;
        let Draft { head: Head::Completion(head), sections } = completion else {
            return Err(LedgerError::Misuse("a refusal needs a completion"));
        };
        if head.request != open.request {
            return Err(LedgerError::Misuse("the completion belongs to another request"));
        }
        let completion = Box::new(head);
        self.submit(|to| Submission::Refusal { decision, completion, sections, to, since }, || ()).await
    }

    /// Makes a completion durable; the decision's index is written into its head.
    ///
    /// # Errors
    /// When it is not durable: the end of the answer may not be delivered.
    pub async fn complete(&self, open: Open, draft: Draft) -> Result<Sealed, LedgerError> {
        let since = Stopwatch::start();
        let Draft { head: Head::Completion(mut head), sections } = draft else {
            return Err(LedgerError::Misuse("a decision is completed by a completion"));
        };
        if head.request != open.request() {
            return Err(LedgerError::Misuse("the completion belongs to another request"));
        }
        let decision = open.decision();
        head.decision = decision;
        let record = encode(&Head::Completion(head), sections)?;
        let queued = move || open.hand_over();
        self.submit(|to| Submission::Completion { decision, record, to, since }, queued).await
    }

    /// Makes any other record durable.
    ///
    /// # Errors
    /// When it is not durable.
    pub async fn append(&self, draft: Draft) -> Result<Sealed, LedgerError> {
        let since = Stopwatch::start();
        if !matches!(draft.head, Head::Event(_)) {
            return Err(LedgerError::Misuse("decisions and completions have their own ways in"));
        }
        let record = encode(&draft.head, draft.sections)?;
        let (head, sections) = (Box::new(draft.head), record.sections);
        self.submit(|to| Submission::Event { head, sections, to, since }, || ()).await
    }

    /// The log's name: `<gateway name>/<generation>`.
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether records survive a power cut, as every decision says.
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// Whether a write or sync has failed: nothing is recorded any more.
    pub fn is_poisoned(&self) -> bool {
        self.shared.poisoned().is_some()
    }

    /// Why nothing can be decided now, if so: poisoned, full, or shutting down.
    pub fn obstacle(&self) -> Option<LedgerError> {
        let closed = self.queue.is_closed().then_some(LedgerError::Closed);
        self.shared.poisoned().or_else(|| self.shared.is_full().then(|| self.shared.full_error())).or(closed)
    }

    /// Durable records.
    pub fn size(&self) -> u64 {
        *self.shared.size.borrow()
    }

    /// Follows the number of durable records.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.shared.size.subscribe()
    }

    /// Decisions without a completion.
    pub fn open_count(&self) -> u64 {
        self.shared.open_count()
    }

    fn decision(&self, draft: Draft) -> Result<(Encoded, OpenDecision), LedgerError> {
        let Draft { head: Head::Decision(mut head), sections } = draft else {
            return Err(LedgerError::Misuse("only a decision can be decided"));
        };
        // The ledger knows how durable a record is; nobody else says so.
        head.durability = self.durability.as_str().into();
        let head = Head::Decision(head);
        let open = OpenDecision::of(&head).ok_or(LedgerError::Misuse("only a decision can be decided"))?;
        Ok((encode(&head, sections)?, open))
    }

    /// Queues a submission and waits for its answer, both together no longer than the limit.
    async fn submit<T>(
        &self,
        submission: impl FnOnce(ReplyTo<T>) -> Submission,
        queued: impl FnOnce(),
    ) -> Result<T, LedgerError> {
        if let Some(error) = self.shared.poisoned() {
            return Err(error);
        }
        let waited = timeout(self.wait, async {
            let permit = self.queue.reserve().await.map_err(|_| self.gone())?;
            let (to, answer) = oneshot::channel();
            permit.send(submission(to));
            queued();
            answer.await.map_err(|_| self.gone())?
        });
        waited.await.unwrap_or_else(|_| Err(LedgerError::Slow(self.wait.as_secs())))
    }

    fn gone(&self) -> LedgerError {
        self.shared.poisoned().unwrap_or(LedgerError::Closed)
    }
}

fn encode(head: &Head, sections: Sections) -> Result<Encoded, LedgerError> {
    let head_bytes = head.encode();
    // Whatever a caller or vendor made of its numbers: no head that a reader would refuse is ever signed.
    if check_canonical(&head_bytes).is_err() {
        return Err(LedgerError::Misuse("the head is not canonical JSON"));
    }
    // `Draft::new` cuts records to size; this one did not go through it.
    if head_bytes.len() > LINE_RECORD_MAX - FRAME_ROOM {
        return Err(LedgerError::Misuse("the head does not fit a line"));
    }
    if head.sections().len() != sections.len() {
        return Err(LedgerError::Misuse("the head names other sections than there are"));
    }
    Ok(Encoded { head: head_bytes, sections })
}

/// What a record line adds to its head, the decision's index in a completion, `groups` in an event: under 256 bytes.
const FRAME_ROOM: usize = 256;
