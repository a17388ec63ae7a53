//! The kinds other than `decision` and `completion`: one constructor each, so each kind's fields have one place.
//!
//! What the reader may rely on: no constructor takes text a caller or vendor chose. Names of routes, vendors and
//! tenants come from the configuration, models and classes from the bundle, people as pseudonyms (`subject`) or as
//! the `by` of [`By`]; a token is named by its id. Absent values are left out, never null.
//!
//! Every head also has `id, kind, sections, time, v`, and, but for `key.certified`, `groups`: how many checkpoint
//! lines its generation has before it (written by the ledger). `truncated` appears where something was cut. Readers accept further fields in these kinds, so that a later
//! release may add some; what the verifier evaluates (`key.certified`, the predicates, `boot.previous`) is strict.

mod change;
mod evidence;
mod life;

use std::collections::BTreeMap;
use std::fmt;

use crate::env::random_array;
use crate::types::{Fact, RecordId, Timestamp};

use super::head::{EventHead, Kind};

pub use change::{
    PolicyFault, SuspendScope, Token, alert_sent, anomaly_raised, anomaly_resolved, config_changed, model_first_seen,
    policy_activated, policy_rejected, suspend_off, suspend_on, token_created, token_revoked, vendor_first_seen,
};
pub use evidence::{
    Access, Population, Predicate, Sample, access_export, access_query, erasure, population_frozen, retention_pruned,
    sample_drawn,
};
pub use life::{
    ClockState, Previous, Recovered, boot, clock_stepped, heartbeat, key_certified, key_retired, log_full, recovered,
    refusals, shutdown,
};

/// Id and time of a new event.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// The record's id.
    pub id: RecordId,
    /// The one clock reading of this record.
    pub time: Timestamp,
}

impl Stamp {
    /// A fresh id at `time`.
    pub fn new(time: Timestamp) -> Self {
        Stamp { id: RecordId::new(time.unix_millis(), random_array()), time }
    }

    fn event(self, kind: Kind) -> EventHead {
        EventHead::new(kind, self.id, self.time)
    }
}

/// Who caused an event; `by` in its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By<'a> {
    /// The gateway itself.
    System,
    /// Whoever may open the control socket or the data directory: the operating system's account.
    Operator,
    /// An authenticated person or program, as pseudonym.
    Subject(&'a str),
}

impl fmt::Display for By<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            By::System => "system",
            By::Operator => "operator",
            By::Subject(pseudonym) => pseudonym,
        })
    }
}

impl From<By<'_>> for Fact {
    fn from(by: By<'_>) -> Self {
        Fact::from(by.to_string())
    }
}

impl EventHead {
    /// Adds one field where there is a value.
    #[must_use]
    pub fn with_some(self, name: &str, value: Option<impl Into<Fact>>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// A text field.
    pub fn text(&self, name: &str) -> Option<&str> {
        match self.fields.get(name) {
            Some(Fact::Text(text)) => Some(text),
            _ => None,
        }
    }
}

/// A list of texts.
fn texts<T: fmt::Display>(items: &[T]) -> Fact {
    Fact::List(items.iter().map(|item| Fact::from(item.to_string())).collect())
}

/// A map of members.
fn map<const N: usize>(members: [(&str, Fact); N]) -> Fact {
    Fact::Map(members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<BTreeMap<_, _>>())
}

/// A signed number inside the limits.
fn number(value: i64) -> Fact {
    const MOST: i64 = crate::types::FACT_LIMIT - 1;
    Fact::Number(value.clamp(-MOST, MOST))
}
