//! What differs between two bundles: files, rules, register, and the cases they decide differently.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::rules::Rule;
use super::set::PolicySet;

/// How something changed from one bundle to the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleChange {
    /// Only in the second.
    Added,
    /// Only in the first.
    Removed,
    /// In both, and not the same.
    Changed,
}

/// What differs between two bundles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Files, by path.
    pub files: Vec<(String, RuleChange)>,
    /// Rules, by id.
    pub rules: Vec<(Arc<str>, RuleChange)>,
    /// Vendors of the register, by id.
    pub vendors: Vec<(Arc<str>, RuleChange)>,
    /// Cases of either bundle that the two decide differently: name, decision of the first, of the second.
    pub decisions: Vec<(String, String, String)>,
}

impl PolicySet {
    /// What differs between this bundle and a later one.
    pub fn changes(&self, later: &PolicySet) -> Changes {
        let files = |set: &PolicySet| set.bundle().files().clone();
        let rules = |set: &PolicySet| -> BTreeMap<Arc<str>, Arc<Rule>> {
            set.rules()
                .map(|rule| (rule.id.clone(), Arc::new(Rule { line: 0, file: "".into(), ..(**rule).clone() })))
                .collect()
        };
        let vendors = |set: &PolicySet| {
            set.vendors().map(|vendor| (vendor.id.clone(), vendor.clone())).collect::<BTreeMap<_, _>>()
        };
        Changes {
            files: differing(&files(self), &files(later)),
            rules: differing(&rules(self), &rules(later)),
            vendors: differing(&vendors(self), &vendors(later)),
            decisions: self.decided_differently(later),
        }
    }

    fn decided_differently(&self, later: &PolicySet) -> Vec<(String, String, String)> {
        let mut seen = BTreeSet::new();
        let mut differing = Vec::new();
        for placed in [self, later].into_iter().filter_map(|set| set.cases().ok()).flatten() {
            let (first, second) = (self.put(&placed.case), later.put(&placed.case));
            let line = (placed.case.name, first.to_string(), second.to_string());
            if line.1 != line.2 && seen.insert(line.clone()) {
                differing.push(line);
            }
        }
        differing
    }
}

fn differing<K: Ord + Clone, V: PartialEq>(first: &BTreeMap<K, V>, second: &BTreeMap<K, V>) -> Vec<(K, RuleChange)> {
    let keys: BTreeSet<&K> = first.keys().chain(second.keys()).collect();
    let change = |key: &K| match (first.get(key), second.get(key)) {
        (None, _) => Some(RuleChange::Added),
        (_, None) => Some(RuleChange::Removed),
        (Some(a), Some(b)) => (a != b).then_some(RuleChange::Changed),
    };
    keys.into_iter().filter_map(|key| change(key).map(|change| (key.clone(), change))).collect()
}
