//! Sections that are not there, and the predicates that allow it.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::record::event::Predicate;
use crate::types::RecordId;

use super::verdict::{Fault, Place};

/// Whose record it is, as predicates see it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Owner {
    /// Pseudonym of the decision's subject, or an event's `subject`, or `none`.
    pub(super) subject: Arc<str>,
    /// The decision's retention class, or `none`.
    pub(super) class: Arc<str>,
}

/// One absent section.
#[derive(Clone, Debug)]
struct Absent {
    index: u64,
    record: RecordId,
    place: Place,
}

/// Absent sections by owner and name (the first and the last of each), and all predicates.
#[derive(Clone, Debug, Default)]
pub(super) struct AbsentSections {
    spans: BTreeMap<(Owner, String), (Absent, Absent)>,
    predicates: Vec<Predicate>,
}

impl AbsentSections {
    /// Notes that a section of a record is not there.
    pub(super) fn add(&mut self, owner: &Owner, name: &str, index: u64, record: RecordId, place: &Place) {
        let absent = Absent { index, record, place: place.clone() };
        let span =
            self.spans.entry((owner.clone(), name.to_owned())).or_insert_with(|| (absent.clone(), absent.clone()));
        span.1 = absent;
    }

    /// Notes what an `erasure` or `retention.pruned` record allows.
    pub(super) fn allow(&mut self, predicate: Predicate) {
        self.predicates.push(predicate);
    }

    /// The earliest absent section that no predicate covers.
    ///
    /// A predicate covers a prefix of an owner's records, so one that covers the last of a span covers it all.
    pub(super) fn uncovered(&self) -> Option<Fault> {
        let covered = |owner: &Owner, name: &str, absent: &Absent| {
            self.predicates.iter().any(|p| p.covers(absent.index, &owner.subject, &owner.class, name))
        };
        let bad = self.spans.iter().filter_map(|((owner, name), (first, last))| {
            let absent = match (covered(owner, name, first), covered(owner, name, last)) {
                (_, true) => return None,
                (false, false) => first,
                (true, false) => last,
            };
            Some((absent, name))
        });
        let (absent, name) = bad.min_by_key(|(absent, _)| absent.index)?;
        Some(Fault {
            place: absent.place.clone(),
            index: Some(absent.index),
            record: Some(absent.record),
            why: format!("its section `{name}` is missing, and no erasure or retention record covers that"),
        })
    }
}
