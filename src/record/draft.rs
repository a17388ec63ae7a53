//! A record before the ledger has numbered and signed it, already inside the limits of its lines.

use std::collections::BTreeMap;

use crate::types::Fact;

use super::codec::Head;
use super::line::{LINE_RECORD_MAX, LINE_SECTIONS_MAX, RECORD_LINE_OVERHEAD, is_section_name};
use super::section::Sealed;

/// Room kept free in the head for the decision's index, which the ledger writes later.
const INDEX_ROOM: usize = 32;
/// `{"sections":{` … `,"index":<16 digits>}}`.
const SECTIONS_OVERHEAD: usize = 64;

/// A record that waits for its index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The head, its `sections` filled.
    pub head: Head,
    /// Ciphertext and tag by section name.
    pub sections: BTreeMap<String, Vec<u8>>,
}

impl Draft {
    /// Puts sealed sections into the head and cuts what would not fit a line: first whole sections, in the order
    /// given from the last (each counted in `truncated`), then list tails and facts of the head.
    pub fn new<'a>(mut head: Head, sections: impl IntoIterator<Item = (&'a str, Sealed)>) -> Self {
        let (mut kept, mut size, mut dropped) = (BTreeMap::new(), SECTIONS_OVERHEAD, 0);
        head.sections_mut().clear();
        for (name, sealed) in sections {
            let cost = name.len() + 6 + sealed.bytes.len().div_ceil(3) * 4;
            if !is_section_name(name) || size + cost > LINE_SECTIONS_MAX {
                dropped += 1;
                continue;
            }
            size += cost;
            head.sections_mut().insert(name.to_owned(), sealed.reference);
            kept.insert(name.to_owned(), sealed.bytes);
        }
        head.add_truncated(dropped);
        head.fit();
        Draft { head, sections: kept }
    }

    /// A record without sections.
    pub fn bare(head: Head) -> Self {
        Self::new(head, [])
    }
}

impl Head {
    fn add_truncated(&mut self, more: u64) {
        match self {
            Head::Decision(head) => head.truncated += more,
            Head::Completion(head) => head.truncated += more,
            Head::Event(head) if more > 0 => {
                let before = match head.fields.get("truncated") {
                    Some(Fact::Number(number)) => u64::try_from(*number).unwrap_or(0),
                    _ => 0,
                };
                head.fields.insert("truncated".to_owned(), Fact::from(before + more));
            }
            Head::Event(_) => {}
        }
    }

    /// Cuts the head until its record line fits; each value cut is counted.
    fn fit(&mut self) {
        while self.encode().len() + RECORD_LINE_OVERHEAD + INDEX_ROOM > LINE_RECORD_MAX {
            let cut = match self {
                Head::Decision(head) => {
                    let lists = [cut_tail(&mut head.classes), cut_tail(&mut head.rules), cut_tail(&mut head.roles)];
                    lists.iter().sum::<u64>() + cut_facts(&mut head.facts)
                }
                Head::Completion(head) => {
                    cut_tail(&mut head.classes) + cut_tail(&mut head.rules) + cut_facts(&mut head.facts)
                }
                Head::Event(head) => cut_facts(&mut head.fields),
            };
            if cut == 0 {
                return;
            }
            self.add_truncated(cut);
        }
    }
}

/// Drops the second half of a long list; how many.
fn cut_tail<T>(list: &mut Vec<T>) -> u64 {
    let keep = if list.len() > 16 { list.len() / 2 } else { list.len() };
    let cut = list.len() - keep;
    list.truncate(keep);
    cut as u64
}

/// Shortens the longest fact: a list or map to its first half, a text to nothing.
fn cut_facts(facts: &mut BTreeMap<String, Fact>) -> u64 {
    let Some(longest) = facts.values_mut().max_by_key(|fact| size(fact)) else { return 0 };
    if size(longest) < 64 {
        return 0;
    }
    match longest {
        Fact::List(items) if !items.is_empty() => {
            let keep = items.len() / 2;
            let cut = items.len() - keep;
            items.truncate(keep);
            cut as u64
        }
        Fact::Map(members) if !members.is_empty() => {
            let keep = members.len() / 2;
            let cut = members.len() - keep;
            while members.len() > keep {
                members.pop_last();
            }
            cut as u64
        }
        other => {
            *other = Fact::from("");
            1
        }
    }
}

/// Rough size of a fact in bytes.
fn size(fact: &Fact) -> usize {
    match fact {
        Fact::Text(text) => text.len(),
        Fact::Number(_) | Fact::Flag(_) => 8,
        Fact::List(items) => items.iter().map(|item| size(item) + 3).sum(),
        Fact::Map(members) => members.iter().map(|(key, value)| key.len() + size(value) + 6).sum(),
    }
}
