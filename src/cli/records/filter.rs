//! From arguments to a query, its digest for the access record, and a hint when nothing matches.

use std::collections::BTreeMap;

use crate::index::{Field, OPEN, Query, View};

use super::args::FilterArgs;
use super::{Console, DataPaths, Failure, identity};

impl FilterArgs {
    /// Values by option, as typed.
    fn used(&self) -> BTreeMap<&'static str, Vec<String>> {
        let mut used: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        used.insert("identity", self.identity.iter().cloned().collect());
        used.insert("from", self.from.iter().map(ToString::to_string).collect());
        used.insert("to", self.to.iter().map(ToString::to_string).collect());
        used.extend(self.listed().map(|(name, _, values)| (name, values.to_vec())));
        used.retain(|_, values| !values.is_empty());
        used
    }

    fn listed(&self) -> impl Iterator<Item = (&'static str, Field, &[String])> {
        [
            ("vendor", Field::Vendor, self.vendor.as_slice()),
            ("model", Field::Model, &self.model),
            ("policy", Field::Policy, &self.policy),
            ("outcome", Field::Outcome, &self.outcome),
            ("label", Field::Label, &self.label),
            ("class", Field::Class, &self.class),
            ("route", Field::Route, &self.route),
            ("tenant", Field::Tenant, &self.tenant),
            ("reason", Field::Reason, &self.reason),
            ("status", Field::Status, &self.status),
        ]
        .into_iter()
    }

    /// Names of the options used, for the access record: names only, never what was asked.
    pub(super) fn names(&self) -> Vec<&'static str> {
        self.used().into_keys().collect()
    }

    /// The options as canonical JSON.
    pub(super) fn text(&self) -> String {
        serde_json::to_string(&self.used()).unwrap_or_default()
    }

    /// The query; pseudonyms are looked up.
    pub(super) fn query(&self, paths: &DataPaths, view: &View) -> Result<Query, Failure> {
        let mut query = Query { from: self.from, to: self.to, fields: BTreeMap::new() };
        if let (Some(from), Some(to)) = (self.from, self.to)
            && from >= to
        {
            return Err(Failure::Usage("`--from` is not before `--to`".to_owned()));
        }
        for (_, field, values) in self.listed().filter(|(_, _, values)| !values.is_empty()) {
            query.fields.insert(field, values.to_vec());
        }
        if let Some(who) = &self.identity {
            query.fields.insert(Field::Identity, identity::resolve(paths, view, who)?);
        }
        Ok(query)
    }

    /// Says which value nothing in this log has; called when nothing matched.
    pub(super) fn hint(&self, view: &View, query: &Query, console: &mut Console<'_>) -> Result<(), Failure> {
        if query.fields.get(&Field::Identity).is_some_and(Vec::is_empty) {
            let who = self.identity.as_deref().unwrap_or_default().escape_debug().to_string();
            console.say(&format!("note: nobody in this log goes by `{who}`"));
        }
        for (name, field, values) in self.listed() {
            for value in values.iter().filter(|value| *value != OPEN) {
                let alone = Query { fields: BTreeMap::from([(field, vec![value.clone()])]), ..Query::default() };
                if view.count(&alone)? > 0 {
                    continue;
                }
                let there = view.values(field)?;
                let there: Vec<String> = there.iter().take(HINTS_MAX).map(|value| spelled(field, value)).collect();
                let there = if there.is_empty() { "none at all".to_owned() } else { there.join(", ") };
                let value = value.escape_debug();
                console.say(&format!("note: no request in this log has the {name} `{value}`; it has: {there}"));
            }
        }
        Ok(())
    }
}

/// A stored value as a person reads it: bundles are stored with digest, name and version.
fn spelled(field: Field, value: &str) -> String {
    let mut lines = value.split('\n');
    match (field, lines.next(), lines.next(), lines.next()) {
        (Field::Policy, Some(_), Some(name), Some(version)) => format!("{name}@{version}"),
        _ => super::super::table::plain(value).into_owned(),
    }
}

/// Values named in a hint.
const HINTS_MAX: usize = 12;
