//! `labels.toml`: which label a data class has, and which classes never pass.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::fault::PolicyFault;
use crate::types::{Class, Coverage, Label};

/// Labels by class prefix.
#[derive(Clone, Debug)]
pub(crate) struct Labels {
    default: Label,
    by_prefix: BTreeMap<String, Label>,
    never_pass: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default = "confidential")]
    default: Label,
    #[serde(default)]
    never_pass: Vec<toml::Spanned<String>>,
    #[serde(default)]
    labels: BTreeMap<toml::Spanned<String>, toml::Spanned<Label>>,
}

fn confidential() -> Label {
    Label::Confidential
}

impl Labels {
    pub(crate) fn parse(file: &str, text: &str) -> Result<Self, Vec<PolicyFault>> {
        let raw: Raw = toml::from_str(text).map_err(|error| vec![PolicyFault::toml(file, text, &error)])?;
        let mut faults = Vec::new();
        let mut check = |spelled: &toml::Spanned<String>| {
            let prefix = spelled.get_ref().strip_suffix(".*").unwrap_or(spelled.get_ref()).to_owned();
            if let Err(message) = Class::new(&prefix) {
                faults.push(PolicyFault::at(file, text, spelled.span().start, message));
            }
            prefix
        };
        let never_pass = raw.never_pass.iter().map(&mut check).collect();
        let by_prefix = raw.labels.iter().map(|(class, label)| (check(class), *label.get_ref())).collect();
        for label in raw.labels.values().filter(|label| *label.get_ref() == Label::Unclassified) {
            let message = "`unclassified` is for what was not scanned, not for a class";
            faults.push(PolicyFault::at(file, text, label.span().start, message));
        }
        if raw.default == Label::Unclassified {
            faults.push(PolicyFault::whole(file, "`default` cannot be `unclassified`"));
        }
        if faults.is_empty() { Ok(Labels { default: raw.default, by_prefix, never_pass }) } else { Err(faults) }
    }

    /// The label of one class: its longest prefix decides.
    pub(crate) fn of(&self, class: &Class) -> Label {
        prefixes(class.as_str()).find_map(|prefix| self.by_prefix.get(prefix)).copied().unwrap_or(self.default)
    }

    /// Whether it is above every ceiling.
    pub(crate) fn never_passes(&self, class: &Class) -> bool {
        prefixes(class.as_str()).any(|prefix| self.never_pass.iter().any(|never| never == prefix))
    }

    /// The label of a body: the highest of the floor and its classes; not scanned at all, it is `unclassified`.
    pub(crate) fn body(&self, classes: &[Class], floor: Label, coverage: Coverage) -> Label {
        if coverage == Coverage::None {
            return Label::Unclassified;
        }
        classes.iter().map(|class| self.of(class)).fold(floor, |a, b| if b.rank() > a.rank() { b } else { a })
    }
}

/// A class and everything above it, longest first: `pii.national_id`, `pii`.
pub(crate) fn prefixes(class: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(class), |longer| longer.rsplit_once('.').map(|(shorter, _)| shorter))
}
