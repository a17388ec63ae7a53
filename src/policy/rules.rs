//! `*.cedar`: rules, parsed, checked and validated against Sealgate's schema.
//!
//! Cedar names the policies of a text `policy0`, `policy1`, … and leaves `@id` an annotation like any other: the ids of
//! a record come from here.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{Effect, Policy, PolicyId, PolicySet as CedarSet, Schema, ValidationMode, Validator};

use super::bounds;
use super::fault::{PolicyFault, position};
use crate::types::Reason;

/// Sealgate's schema, as text.
pub(crate) const SCHEMA: &str = include_str!("schema.cedarschema");

/// Annotations a rule may carry.
const ANNOTATIONS: &[&str] = &["id", "reason", "control", "note"];

/// What a record, a person and a diff want to know of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its `@id`, unique in the bundle.
    pub id: Arc<str>,
    /// Whether it permits; else it forbids.
    pub permits: bool,
    /// Its `@reason`; `ok` for a permit.
    pub reason: Reason,
    /// Its `@control`s, such as `ISO27001:A.8.12`.
    pub controls: Vec<Arc<str>>,
    /// The file it stands in.
    pub file: Arc<str>,
    /// The line it begins at.
    pub line: usize,
    /// Its text.
    pub text: Arc<str>,
}

/// Every rule of a bundle.
pub(crate) struct Rules {
    pub(crate) by_id: BTreeMap<Arc<str>, Arc<Rule>>,
    pub(crate) policies: Vec<Policy>,
    pub(crate) schema: Schema,
}

impl Rules {
    /// Reads every file; `vendors` are the ids a rule may name.
    pub(crate) fn parse<'a>(
        files: impl Iterator<Item = (&'a str, &'a str)>,
        vendors: &BTreeSet<&str>,
    ) -> Result<Self, Vec<PolicyFault>> {
        let schema = match Schema::from_cedarschema_str(SCHEMA) {
            Ok((schema, _)) => schema,
            Err(error) => return Err(vec![PolicyFault::whole("schema.cedarschema", error.to_string())]),
        };
        let mut rules = Rules { by_id: BTreeMap::new(), policies: Vec::new(), schema };
        let validator = Validator::new(rules.schema.clone());
        let mut faults = Vec::new();
        for (file, text) in files {
            if let Some(fault) = bounds::check(file, text) {
                faults.push(fault);
                continue;
            }
            match CedarSet::from_str(text) {
                Ok(parsed) => rules.file(file, text, &parsed, vendors, &validator, &mut faults),
                Err(errors) => faults.extend(errors.iter().map(|error| PolicyFault::cedar(file, text, error))),
            }
        }
        if faults.is_empty() { Ok(rules) } else { Err(faults) }
    }

    fn file(
        &mut self,
        file: &str,
        text: &str,
        parsed: &CedarSet,
        vendors: &BTreeSet<&str>,
        validator: &Validator,
        faults: &mut Vec<PolicyFault>,
    ) {
        if parsed.templates().next().is_some() {
            faults
                .push(PolicyFault::whole(file, "a rule with `?principal` or `?resource` is a template: write it out"));
        }
        let mut named = CedarSet::new();
        for (policy, offset) in in_order(parsed, text) {
            match self.rule(file, text, policy, offset, vendors) {
                Ok(rule) => {
                    let policy = policy.new_id(PolicyId::new(&*rule.id));
                    self.by_id.insert(rule.id.clone(), Arc::new(rule));
                    if let Err(error) = named.add(policy.clone()) {
                        faults.push(PolicyFault::at(file, text, offset, error.to_string()));
                    }
                    self.policies.push(policy);
                }
                Err(message) => faults.push(PolicyFault::at(file, text, offset, message)),
            }
        }
        let result = validator.validate(&named, ValidationMode::default());
        faults.extend(result.validation_errors().map(|error| PolicyFault::cedar(file, text, error)));
        if !result.validation_passed() {
            return; // warnings would only repeat it: a rule that speaks of nothing known can never apply
        }
        faults.extend(result.validation_warnings().map(|warning| PolicyFault::cedar(file, text, warning)));
    }

    fn rule(
        &self,
        file: &str,
        text: &str,
        policy: &Policy,
        offset: usize,
        vendors: &BTreeSet<&str>,
    ) -> Result<Rule, String> {
        if let Some((key, _)) = policy.annotations().find(|(key, _)| !ANNOTATIONS.contains(key)) {
            return Err(format!("`@{key}` is none of: @{}", ANNOTATIONS.join(", @")));
        }
        let id = policy.annotation("id").ok_or("a rule needs an `@id(\"…\")`, unique in the bundle")?;
        check_id(id)?;
        if let Some(first) = self.by_id.get(id) {
            return Err(format!("`@id(\"{id}\")` is taken by the rule at {}:{}", first.file, first.line));
        }
        let stranger = policy
            .entity_literals()
            .into_iter()
            .find(|uid| uid.type_name().to_string() == "Vendor" && !vendors.contains(uid.id().unescaped()));
        if let Some(uid) = stranger {
            return Err(format!("`{uid}` is not in `vendors.toml`"));
        }
        Ok(Rule {
            id: id.into(),
            permits: policy.effect() == Effect::Permit,
            reason: reason_of(policy)?,
            controls: controls_of(policy.annotation("control"))?,
            file: file.into(),
            line: position(text, offset).0,
            text: policy.to_string().into(),
        })
    }
}

/// The policies of a text as they stand in it, each with its byte offset.
fn in_order<'a>(parsed: &'a CedarSet, text: &str) -> Vec<(&'a Policy, usize)> {
    let number = |policy: &Policy| policy.id().to_string().trim_start_matches("policy").parse::<usize>().unwrap_or(0);
    let mut policies: Vec<&Policy> = parsed.policies().collect();
    policies.sort_by_key(|policy| number(policy));
    let mut from = 0;
    let mut placed = Vec::with_capacity(policies.len());
    for policy in policies {
        let own = policy.to_string();
        let offset = text.get(from..).and_then(|rest| rest.find(&own)).map_or(from, |at| from + at);
        from = (offset + own.len()).min(text.len());
        placed.push((policy, offset));
    }
    placed
}

fn check_id(id: &str) -> Result<(), String> {
    let good = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
    if !id.is_empty() && id.len() <= 64 && id.bytes().all(good) {
        Ok(())
    } else {
        Err("an `@id` is 1 to 64 of `[a-z0-9._-]`: it goes into records".to_owned())
    }
}

fn reason_of(policy: &Policy) -> Result<Reason, String> {
    match (policy.effect(), policy.annotation("reason")) {
        (_, Some(text)) => text.parse().map_err(|error| format!("`@reason`: {error}")),
        (Effect::Permit, None) => Ok(Reason::Ok),
        (Effect::Forbid, None) => Err("a forbid needs a `@reason(\"…\")`: callers and records are told it".to_owned()),
    }
}

fn controls_of(annotation: Option<&str>) -> Result<Vec<Arc<str>>, String> {
    let good = |b: u8| b.is_ascii_alphanumeric() || b":._-/()".contains(&b);
    annotation
        .into_iter()
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .map(|control| {
            if !control.is_empty() && control.len() <= 64 && control.bytes().all(good) {
                Ok(control.into())
            } else {
                Err("a `@control` is a list like `ISO27001:A.8.12,PCIDSS:3.4`".to_owned())
            }
        })
        .collect()
}
