//! What the index takes out of a record line: a few fields, read leniently and fast.
//!
//! Strictness lives elsewhere: every row shown is read again from the log and parsed by `record`'s strict
//! reader, and `records verify` recomputes everything.

use std::borrow::Cow;

use serde::Deserialize;

use crate::record::SectionRef;

/// The indexed fields of any head; empty where the kind has none.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Slim<'a> {
    #[serde(borrow)]
    pub(super) kind: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) request: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) time: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) tenant: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) route: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) vendor: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) model: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) model_served: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) subject: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) actor: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) label: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) outcome: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) reason: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) status: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) policy: SlimPolicy<'a>,
    pub(super) classes: Vec<String>,
    pub(super) decision: Option<u64>,
    pub(super) sections: SlimSections,
    #[serde(borrow)]
    pub(super) predicate: SlimPredicate<'a>,
}

/// Whose sections an `erasure` destroyed.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SlimPredicate<'a> {
    #[serde(borrow)]
    pub(super) subject: Cow<'a, str>,
}

/// Only the identity section's reference.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SlimSections {
    pub(super) identity: Option<SectionRef>,
}

/// The bundle that decided.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct SlimPolicy<'a> {
    #[serde(borrow)]
    pub(super) digest: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
    #[serde(borrow)]
    pub(super) version: Cow<'a, str>,
}

/// What every kind has: events may use the other names for values of other shapes.
#[derive(Deserialize)]
struct Common<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Outer<T> {
    head: T,
}

/// Reads the indexed fields; `None` for a line that is no record.
pub(super) fn slim(line: &[u8]) -> Option<Slim<'_>> {
    if let Ok(outer) = serde_json::from_slice::<Outer<Slim<'_>>>(line) {
        return Some(outer.head);
    }
    let common = serde_json::from_slice::<Outer<Common<'_>>>(line).ok()?.head;
    Some(Slim { kind: common.kind, time: common.time, ..Slim::default() })
}
