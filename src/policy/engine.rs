//! The rules, sliced by action and route, and one question put to a slice.
//!
//! A rule whose scope cannot match is left out at load. That changes nothing: in Cedar a rule applies only if its scope
//! holds, and a scope cannot fail; a property test compares each slice with the whole set.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::{
    ActionConstraint, Authorizer, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy,
    PolicySet as CedarSet, Request, ResourceConstraint,
};

use super::rules::{Rule, Rules};
use crate::types::spelled;

spelled! {
    /// What policy can be asked for.
    Action {
        /// Send the request as it is.
        Send = "send",
        /// Send it with placeholders.
        SendTokenized = "sendTokenized",
        /// Send it with findings replaced.
        SendRedacted = "sendRedacted",
        /// Deliver the answer as it is.
        Release = "release",
        /// Deliver it with findings replaced.
        ReleaseRedacted = "releaseRedacted",
        /// Read record heads.
        ReadRecords = "readRecords",
        /// See who is behind a pseudonym.
        ReadIdentity = "readIdentity",
        /// Take records out.
        ExportRecords = "exportRecords",
        /// Destroy data keys.
        EraseRecords = "eraseRecords",
        /// Put another bundle into force.
        ActivatePolicy = "activatePolicy",
    }
}

/// What came of one action: ids of the rules that said it, sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asked {
    /// These permit it, and none forbids it.
    Permitted(Vec<Arc<str>>),
    /// These forbid it.
    Forbidden(Vec<Arc<str>>),
    /// No rule speaks of it.
    NoMatch,
    /// These could not be evaluated.
    Failed(Vec<Arc<str>>),
    /// It cannot be done here, so it was not asked.
    NotOffered,
}

/// One question, in Cedar's terms.
pub(crate) struct Ask {
    pub(crate) principal: EntityUid,
    pub(crate) resource: EntityUid,
    pub(crate) context: cedar_policy::Context,
    pub(crate) entities: Entities,
}

struct Slice {
    general: CedarSet,
    /// The general rules and those that name this route, for each route that a rule names.
    by_route: HashMap<Arc<str>, CedarSet>,
}

pub(crate) struct Engine {
    authorizer: Authorizer,
    rules: BTreeMap<Arc<str>, Arc<Rule>>,
    uids: BTreeMap<Action, EntityUid>,
    slices: BTreeMap<Action, Slice>,
    pub(crate) types: Types,
    /// The actions with the groups they are in, for `action in`.
    actions: BTreeMap<Action, Entity>,
    /// Whether some rule names a caller, so that decisions depend on who asks.
    pub(crate) names_callers: bool,
}

/// Entity type names, parsed once.
pub(crate) struct Types {
    pub(crate) user: EntityTypeName,
    pub(crate) service: EntityTypeName,
    pub(crate) agent: EntityTypeName,
    pub(crate) anonymous: EntityTypeName,
    pub(crate) role: EntityTypeName,
    pub(crate) tenant: EntityTypeName,
    pub(crate) vendor: EntityTypeName,
    pub(crate) route: EntityTypeName,
    action: EntityTypeName,
}

impl Types {
    fn new() -> Result<Self, String> {
        let name = |text: &str| EntityTypeName::from_str(text).map_err(|error| error.to_string());
        Ok(Types {
            user: name("User")?,
            service: name("Service")?,
            agent: name("Agent")?,
            anonymous: name("Anonymous")?,
            role: name("Role")?,
            tenant: name("Tenant")?,
            vendor: name("Vendor")?,
            route: name("Route")?,
            action: name("Action")?,
        })
    }
}

/// An entity's name.
pub(crate) fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

impl Engine {
    pub(crate) fn new(rules: Rules) -> Result<Self, String> {
        let types = Types::new()?;
        let actions = rules.schema.action_entities().map_err(|error| error.to_string())?;
        let uids: BTreeMap<Action, EntityUid> =
            Action::ALL.iter().map(|action| (*action, uid(&types.action, action.as_str()))).collect();
        let mut slices = BTreeMap::new();
        for (action, name) in &uids {
            let fitting: Vec<&Policy> =
                rules.policies.iter().filter(|policy| speaks_of(policy, name, &actions)).collect();
            slices.insert(*action, Slice::new(&fitting, &types)?);
        }
        let callers = [&types.user, &types.service, &types.agent, &types.anonymous];
        let names_callers = rules
            .policies
            .iter()
            .any(|policy| policy.entity_literals().iter().any(|uid| callers.contains(&uid.type_name())));
        let actions = uids.iter().filter_map(|(action, name)| Some((*action, actions.get(name)?.clone()))).collect();
        Ok(Engine { authorizer: Authorizer::new(), rules: rules.by_id, uids, slices, types, actions, names_callers })
    }

    /// Puts one action to the rules that can speak of it on `route`.
    pub(crate) fn ask(&self, action: Action, route: &str, ask: &Ask) -> Asked {
        match self.slices.get(&action) {
            Some(slice) => self.put(action, slice.by_route.get(route).unwrap_or(&slice.general), ask),
            None => Asked::Failed(Vec::new()),
        }
    }

    pub(crate) fn put(&self, action: Action, rules: &CedarSet, ask: &Ask) -> Asked {
        let Some(name) = self.uids.get(&action) else { return Asked::Failed(Vec::new()) };
        let (principal, resource) = (ask.principal.clone(), ask.resource.clone());
        let Ok(request) = Request::new(principal, name.clone(), resource, ask.context.clone(), None) else {
            return Asked::Failed(Vec::new());
        };
        let response = self.authorizer.is_authorized(&request, rules, &ask.entities);
        let failed: Vec<&str> = response.diagnostics().errors().map(failing_rule).collect();
        if !failed.is_empty() {
            return Asked::Failed(self.ids(failed.into_iter()));
        }
        let deciding = self.ids(response.diagnostics().reason().map(AsRef::as_ref));
        match response.decision() {
            Decision::Allow => Asked::Permitted(deciding),
            Decision::Deny if deciding.is_empty() => Asked::NoMatch,
            Decision::Deny => Asked::Forbidden(deciding),
        }
    }

    fn ids<'a>(&self, names: impl Iterator<Item = &'a str>) -> Vec<Arc<str>> {
        let mut ids: Vec<Arc<str>> =
            names.filter_map(|name| self.rules.get_key_value(name)).map(|(id, _)| id.clone()).collect();
        ids.sort();
        ids
    }

    pub(crate) fn rules(&self) -> &BTreeMap<Arc<str>, Arc<Rule>> {
        &self.rules
    }

    /// The actions that will be asked (only those: it is done for each question) and these entities.
    pub(crate) fn entities(&self, asked: &[Action], more: Vec<Entity>) -> Result<Entities, String> {
        let actions = asked.iter().filter_map(|action| self.actions.get(action)).cloned();
        Entities::from_entities(actions.chain(more), None).map_err(|error| error.to_string())
    }
}

fn failing_rule(error: &cedar_policy::AuthorizationError) -> &str {
    match error {
        cedar_policy::AuthorizationError::PolicyEvaluationError(error) => error.policy_id().as_ref(),
    }
}

/// Whether a rule's scope can hold for this action.
fn speaks_of(policy: &Policy, action: &EntityUid, actions: &Entities) -> bool {
    let within = |group: &EntityUid| group == action || actions.is_ancestor_of(group, action);
    match policy.action_constraint() {
        ActionConstraint::Any => true,
        ActionConstraint::Eq(only) => only == *action,
        ActionConstraint::In(groups) => groups.iter().any(within),
    }
}

impl Slice {
    fn new(policies: &[&Policy], types: &Types) -> Result<Self, String> {
        let mut general = Vec::new();
        let mut named: BTreeMap<String, Vec<&Policy>> = BTreeMap::new();
        for policy in policies {
            match policy.resource_constraint() {
                ResourceConstraint::Eq(route) if *route.type_name() == types.route => {
                    named.entry(route.id().unescaped().to_owned()).or_default().push(policy);
                }
                _ => general.push(*policy),
            }
        }
        let set = |some: &mut dyn Iterator<Item = &Policy>| {
            CedarSet::from_policies(some.cloned()).map_err(|error| error.to_string())
        };
        let mut by_route = HashMap::new();
        for (route, own) in &named {
            let both = set(&mut general.iter().copied().chain(own.iter().copied()))?;
            by_route.insert(route.as_str().into(), both);
        }
        Ok(Slice { general: set(&mut general.iter().copied())?, by_route })
    }
}

/// The parents of an entity.
pub(crate) fn parents(of: impl IntoIterator<Item = EntityUid>) -> HashSet<EntityUid> {
    of.into_iter().collect()
}
