//! Evidence work: reading, exporting, populations, samples, erasure and retention.

use std::collections::BTreeMap;

use crate::record::head::{EventHead, Kind};
use crate::types::{Digest, Fact, Timestamp};

use super::{By, Stamp, map, texts};

/// What somebody read.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// The command, from a closed list (`list`, `show`, `count`, `tail`, `stats`, `export`, …).
    pub command: &'a str,
    /// Keyed digest of the filter (a filter may name a person), or that of nothing.
    pub filter: &'a Digest,
    /// Records shown.
    pub rows: u64,
    /// The checkpoint the answer covers.
    pub size: u64,
}

fn access(stamp: Stamp, kind: Kind, what: &Access<'_>, by: By<'_>) -> EventHead {
    stamp
        .event(kind)
        .with("command", what.command)
        .with("filter", what.filter.to_string())
        .with("rows", what.rows)
        .with("size", what.size)
        .with("by", by)
}

/// `access.query`: `command`, `filter` (keyed digest), `rows`, `size`, `by`.
pub fn access_query(stamp: Stamp, what: &Access<'_>, by: By<'_>) -> EventHead {
    access(stamp, Kind::AccessQuery, what, by)
}

/// `access.export`: as `access.query`, and `format`, `digest` (SHA-256 of what was exported), `disclosed[]`
/// (section names that were decrypted).
pub fn access_export(
    stamp: Stamp,
    what: &Access<'_>,
    format: &'static str,
    digest: &Digest,
    disclosed: &[&str],
    by: By<'_>,
) -> EventHead {
    access(stamp, Kind::AccessExport, what, by)
        .with("format", format)
        .with("digest", digest.to_string())
        .with("disclosed", texts(disclosed))
}

/// A population fixed for sampling.
#[derive(Clone, Debug)]
pub struct Population {
    /// Digest of the exact filter.
    pub filter: Digest,
    /// First instant.
    pub from: Timestamp,
    /// First instant no longer in it.
    pub to: Timestamp,
    /// Requests in it.
    pub count: u64,
    /// Requests left out, by a closed list of causes.
    pub excluded: BTreeMap<&'static str, u64>,
    /// The checkpoint it was taken from.
    pub size: u64,
    /// Root of the log at `size`.
    pub root: Digest,
}

/// `population.frozen`: `filter`, `from`, `to`, `count`, `excluded` {cause: count}, `size`, `root`, `by`.
pub fn population_frozen(stamp: Stamp, what: &Population, by: By<'_>) -> EventHead {
    let excluded = what.excluded.iter().map(|(cause, count)| ((*cause).to_owned(), Fact::from(*count))).collect();
    stamp
        .event(Kind::PopulationFrozen)
        .with("filter", what.filter.to_string())
        .with("from", what.from.to_string())
        .with("to", what.to.to_string())
        .with("count", what.count)
        .with("excluded", Fact::Map(excluded))
        .with("size", what.size)
        .with("root", what.root.to_string())
        .with("by", by)
}

/// A sample drawn from a frozen population.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Index of the `population.frozen` record.
    pub population: u64,
    /// Requests drawn.
    pub n: u64,
    /// SHA-256 of the seed the auditor gave.
    pub seed: Digest,
    /// SHA-256 of the drawn indexes in decimal, one a line.
    pub drawn: Digest,
}

/// `sample.drawn`: `population` (index), `n`, `seed` (digest), `drawn` (digest), `by`.
pub fn sample_drawn(stamp: Stamp, what: &Sample, by: By<'_>) -> EventHead {
    stamp
        .event(Kind::SampleDrawn)
        .with("population", what.population)
        .with("n", what.n)
        .with("seed", what.seed.to_string())
        .with("drawn", what.drawn.to_string())
        .with("by", by)
}

/// Which sections may be missing, or can no longer be opened: those named, of the records with an index up to
/// `up_to` that have this subject and this retention class, where one is given.
///
/// A completion counts with its decision's subject and class; an event with its own `subject`, class `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Predicate {
    /// Pseudonym; `None` = everybody's.
    pub subject: Option<String>,
    /// Section names.
    pub sections: Vec<String>,
    /// Retention class; `None` = every.
    pub class: Option<String>,
    /// Last index covered; below the index of the record that carries the predicate.
    pub up_to: u64,
}

impl Predicate {
    /// As it stands in a head, with the fields `class?, sections, subject?, up_to`.
    pub fn to_fact(&self) -> Fact {
        let Fact::Map(mut members) = map([("sections", texts(&self.sections)), ("up_to", Fact::from(self.up_to))])
        else {
            return Fact::Flag(false);
        };
        let optional = [("subject", &self.subject), ("class", &self.class)];
        for (name, value) in optional {
            if let Some(value) = value {
                members.insert(name.to_owned(), Fact::from(value.as_str()));
            }
        }
        Fact::Map(members)
    }

    /// Reads a predicate; `None` for anything but exactly those fields.
    pub fn from_fact(fact: &Fact) -> Option<Self> {
        let Fact::Map(members) = fact else { return None };
        let mut read = Predicate { subject: None, sections: Vec::new(), class: None, up_to: 0 };
        let (mut has_sections, mut has_up_to) = (false, false);
        for (name, value) in members {
            match (name.as_str(), value) {
                ("subject", Fact::Text(text)) => read.subject = Some(text.to_string()),
                ("class", Fact::Text(text)) => read.class = Some(text.to_string()),
                ("sections", Fact::List(items)) => {
                    has_sections = true;
                    for item in items {
                        let Fact::Text(text) = item else { return None };
                        read.sections.push(text.to_string());
                    }
                }
                ("up_to", Fact::Number(number)) => {
                    has_up_to = true;
                    read.up_to = u64::try_from(*number).ok()?;
                }
                _ => return None,
            }
        }
        (has_sections && has_up_to).then_some(read)
    }

    /// Whether it covers a section of a record.
    pub fn covers(&self, index: u64, subject: &str, class: &str, section: &str) -> bool {
        index <= self.up_to
            && self.subject.as_deref().is_none_or(|own| own == subject)
            && self.class.as_deref().is_none_or(|own| own == class)
            && self.sections.iter().any(|own| own == section)
    }
}

/// `erasure`: `predicate` {`class?, sections[], subject?, up_to`}, `keys` (data keys destroyed), `by`.
pub fn erasure(stamp: Stamp, predicate: &Predicate, keys: u64, by: By<'_>) -> EventHead {
    stamp.event(Kind::Erasure).with("predicate", predicate.to_fact()).with("keys", keys).with("by", by)
}

/// `retention.pruned`: as `erasure`, for data keys whose time is over.
pub fn retention_pruned(stamp: Stamp, predicate: &Predicate, keys: u64, by: By<'_>) -> EventHead {
    stamp.event(Kind::RetentionPruned).with("predicate", predicate.to_fact()).with("keys", keys).with("by", by)
}
