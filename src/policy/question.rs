//! From facts to a [`Question`], and from a question to Cedar's principal, resource and context.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use cedar_policy::{Context, Entity, EntityTypeName, RestrictedExpression as Value};

use super::engine::{Action, Ask, Engine, parents, uid};
use super::facts::{AdminFacts, AnswerFacts, RequestFacts, TOOLS_MAX};
use super::labels::prefixes;
use super::set::PolicySet;
use super::vars::{AnswerVars, Question, RequestVars, Side, Vars};
use super::vendors::TrainingUse;
use crate::types::{Class, Coverage, Label, Mode, NONE, PrincipalKind, Timestamp, UNLISTED};

/// The entity id of every caller where no rule names one.
const ANYBODY: &str = "anybody";

/// What both directions know.
struct Common<'a> {
    subject: &'a Arc<str>,
    kind: PrincipalKind,
    roles: &'a [Arc<str>],
    tenant: &'a Arc<str>,
    route: &'a Arc<str>,
    mode: Mode,
    risk: &'a Arc<str>,
    vendor: &'a Arc<str>,
    model: &'a Arc<str>,
    model_registered: bool,
    operation: &'a Arc<str>,
    operation_known: bool,
    tools: &'a [Arc<str>],
    label: Label,
    floor: Label,
    classes: &'a [Class],
    coverage: Coverage,
    redactable: bool,
    time: Timestamp,
    on_behalf_of: bool,
}

macro_rules! common {
    ($facts:expr, $registered:expr) => {
        Common {
            subject: &$facts.subject,
            kind: $facts.kind,
            roles: &$facts.roles,
            tenant: &$facts.tenant,
            route: &$facts.route,
            mode: $facts.mode,
            risk: &$facts.risk,
            vendor: &$facts.vendor,
            model: &$facts.model,
            model_registered: $registered,
            operation: &$facts.operation,
            operation_known: $facts.operation_known,
            tools: &$facts.tools,
            label: $facts.label,
            floor: $facts.floor,
            classes: &$facts.classes,
            coverage: $facts.coverage,
            redactable: $facts.redactable,
            time: $facts.time,
            on_behalf_of: $facts.on_behalf_of,
        }
    };
}

impl PolicySet {
    pub(crate) fn request_question(&self, facts: &RequestFacts) -> Question {
        let (subject, vars) = self.common(&common!(facts, facts.model_registered));
        let side = Side::Request(RequestVars {
            attachment_count: facts.attachments.len() as u64,
            attachments: sorted(facts.attachments.iter()),
            streamed: facts.streamed,
            suspended: facts.suspended,
            tokenizable: facts.tokenizable,
            too_many_tools: vars.tools.len() > TOOLS_MAX,
        });
        Question { subject, vars, side }
    }

    pub(crate) fn answer_question(&self, facts: &AnswerFacts) -> Question {
        let (subject, vars) = self.common(&common!(facts, true));
        let (served, listed) = self.model_shown(&facts.vendor, &facts.model_served, true);
        let side = Side::Answer(AnswerVars {
            in_stream: facts.in_stream,
            model_served: served,
            model_served_listed: listed,
            sent: facts.sent,
        });
        Question { subject, vars, side }
    }

    fn common(&self, facts: &Common<'_>) -> (Arc<str>, Vars) {
        let vendor = self.vendor(facts.vendor);
        let (model, model_listed) = self.model_shown(facts.vendor, facts.model, facts.model_registered);
        let local = self.manifest().local(facts.time);
        let vars = Vars {
            assurance_valid: vendor.and_then(|v| v.assurance_expires).is_none_or(|until| facts.time < until),
            bundle_validity: self.validity(facts.time),
            classes: sorted(facts.classes.iter()),
            coverage: facts.coverage,
            hour: u64::from(local.hour()),
            label: facts.label,
            mode: facts.mode,
            model,
            model_listed,
            on_behalf_of: facts.on_behalf_of,
            operation: facts.operation.clone(),
            operation_known: facts.operation_known,
            over_ceiling: sorted(facts.classes.iter().filter(|class| self.redacts(class, facts.vendor))),
            principal_kind: facts.kind,
            redactable: facts.redactable,
            residual_label: self.residual(facts),
            risk: facts.risk.clone(),
            roles: sorted(facts.roles.iter()),
            route: facts.route.clone(),
            tenant: facts.tenant.clone(),
            tools: self.tools_shown(facts.tools),
            vendor: facts.vendor.clone(),
            vendor_approved: vendor.is_some_and(|v| v.approved),
            vendor_ceiling: self.ceiling(facts.vendor),
            vendor_contract: vendor.is_some_and(|v| v.contract.is_some()),
            vendor_dpa: vendor.is_some_and(|v| v.dpa.is_some()),
            vendor_region: vendor.map_or_else(|| "unknown".into(), |v| v.region.clone()),
            vendor_training_use: vendor.map_or(TrainingUse::Unknown, |v| v.training_use),
            weekday: u64::from(local.weekday()),
        };
        (self.entity(facts.subject), vars)
    }

    /// The caller's entity id, as far as it can matter.
    pub(crate) fn entity(&self, subject: &str) -> Arc<str> {
        if self.engine().names_callers { subject.into() } else { ANYBODY.into() }
    }

    /// The label of what is left when everything that must be replaced is.
    fn residual(&self, facts: &Common<'_>) -> Label {
        let rest: Vec<Class> =
            facts.classes.iter().filter(|class| !self.redacts(class, facts.vendor)).cloned().collect();
        self.label(&rest, facts.floor, facts.coverage)
    }

    /// A model's name as it may stand in facts, and whether it is a registered one's.
    fn model_shown(&self, vendor: &str, model: &Arc<str>, clean: bool) -> (Arc<str>, bool) {
        match &**model {
            NONE => (NONE.into(), false),
            UNLISTED => (UNLISTED.into(), false),
            name if clean && self.registers_model(vendor, name) => (model.clone(), true),
            _ => (UNLISTED.into(), false),
        }
    }

    fn tools_shown(&self, tools: &[Arc<str>]) -> Vec<Arc<str>> {
        let shown = |tool: &Arc<str>| if self.registers_tool(tool) { tool.clone() } else { UNLISTED.into() };
        tools.iter().map(shown).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

impl Question {
    /// In Cedar's terms.
    pub(crate) fn ask(&self, engine: &Engine) -> Result<Ask, String> {
        let vars = &self.vars;
        let principal = caller(engine, vars.principal_kind, &self.subject, &vars.roles, &vars.tenant)?;
        let types = &engine.types;
        let resource = uid(&types.route, &vars.route);
        let above = parents([uid(&types.vendor, &vars.vendor), uid(&types.tenant, &vars.tenant)]);
        let route = Entity::new(resource.clone(), self.route(), above).map_err(|error| error.to_string())?;
        let context = Context::from_pairs(self.context()).map_err(|error| error.to_string())?;
        let ask = principal.uid();
        let asked: &[Action] = match self.side {
            Side::Request(_) => &[Action::Send, Action::SendTokenized, Action::SendRedacted],
            Side::Answer(_) => &[Action::Release, Action::ReleaseRedacted],
        };
        Ok(Ask { principal: ask, resource, context, entities: engine.entities(asked, vec![principal, route])? })
    }

    fn route(&self) -> HashMap<String, Value> {
        let vars = &self.vars;
        HashMap::from([
            pair("name", text(&vars.route)),
            pair("risk", text(&vars.risk)),
            pair("mode", text(vars.mode.as_str())),
            pair("vendor", text(&vars.vendor)),
            pair("approved", Value::new_bool(vars.vendor_approved)),
            pair("ceiling", text(vars.vendor_ceiling.as_str())),
            pair("ceilingRank", rank(vars.vendor_ceiling)),
            pair("trainingUse", text(vars.vendor_training_use.as_str())),
            pair("contract", Value::new_bool(vars.vendor_contract)),
            pair("dpa", Value::new_bool(vars.vendor_dpa)),
        ])
    }

    fn context(&self) -> Vec<(String, Value)> {
        let vars = &self.vars;
        let mut pairs = vec![
            pair("label", text(vars.label.as_str())),
            pair("labelRank", rank(vars.label)),
            pair("residualLabel", text(vars.residual_label.as_str())),
            pair("residualRank", rank(vars.residual_label)),
            pair("classes", families(&vars.classes)),
            pair("overCeiling", families(&vars.over_ceiling)),
            pair("coverage", text(vars.coverage.as_str())),
            pair("model", text(&vars.model)),
            pair("modelListed", Value::new_bool(vars.model_listed)),
            pair("operation", text(&vars.operation)),
            pair("operationKnown", Value::new_bool(vars.operation_known)),
            pair("tools", texts(&vars.tools)),
            pair("redactable", Value::new_bool(vars.redactable)),
            pair("region", text(&vars.vendor_region)),
            pair("assuranceValid", Value::new_bool(vars.assurance_valid)),
            pair("hour", number(vars.hour)),
            pair("weekday", number(vars.weekday)),
            pair("onBehalfOf", Value::new_bool(vars.on_behalf_of)),
        ];
        match &self.side {
            Side::Request(side) => pairs.extend([
                pair("attachments", texts(&side.attachments)),
                pair("attachmentCount", number(side.attachment_count)),
                pair("streamed", Value::new_bool(side.streamed)),
                pair("tokenizable", Value::new_bool(side.tokenizable)),
            ]),
            Side::Answer(side) => pairs.extend([
                pair("modelServed", text(&side.model_served)),
                pair("modelServedListed", Value::new_bool(side.model_served_listed)),
                pair("inStream", Value::new_bool(side.in_stream)),
                pair("sent", Value::new_bool(side.sent)),
            ]),
        }
        pairs
    }
}

/// An admin's question in Cedar's terms.
pub(crate) fn admin_ask(engine: &Engine, action: Action, facts: &AdminFacts, local: Timestamp) -> Result<Ask, String> {
    let roles = sorted(facts.roles.iter());
    let principal = caller(engine, facts.kind, &facts.subject, &roles, &facts.tenant)?;
    let resource = uid(&engine.types.tenant, &facts.of_tenant);
    let pairs = [pair("hour", number(local.hour().into())), pair("weekday", number(local.weekday().into()))];
    let context = Context::from_pairs(pairs).map_err(|error| error.to_string())?;
    let ask = principal.uid();
    Ok(Ask { principal: ask, resource, context, entities: engine.entities(&[action], vec![principal])? })
}

fn caller(
    engine: &Engine,
    kind: PrincipalKind,
    subject: &str,
    roles: &[Arc<str>],
    tenant: &str,
) -> Result<Entity, String> {
    let types = &engine.types;
    let name: &EntityTypeName = match kind {
        PrincipalKind::Human => &types.user,
        PrincipalKind::Service => &types.service,
        PrincipalKind::Agent => &types.agent,
        PrincipalKind::Unauthenticated => &types.anonymous,
    };
    let above = roles.iter().map(|role| uid(&types.role, role)).chain([uid(&types.tenant, tenant)]);
    Entity::new(uid(name, subject), HashMap::from([pair("tenant", text(tenant))]), parents(above))
        .map_err(|error| error.to_string())
}

pub(crate) fn sorted<'a, T: Clone + Ord + 'a>(items: impl Iterator<Item = &'a T>) -> Vec<T> {
    items.cloned().collect::<BTreeSet<_>>().into_iter().collect()
}

/// Each class and everything above it.
fn families(classes: &[Class]) -> Value {
    let all: BTreeSet<&str> = classes.iter().flat_map(|class| prefixes(class.as_str())).collect();
    Value::new_set(all.into_iter().map(text))
}

fn pair(name: &str, value: Value) -> (String, Value) {
    (name.to_owned(), value)
}

fn text(value: &str) -> Value {
    Value::new_string(value.to_owned())
}

fn texts(values: &[Arc<str>]) -> Value {
    Value::new_set(values.iter().map(|value| text(value)))
}

fn number(value: u64) -> Value {
    Value::new_long(i64::try_from(value).unwrap_or(i64::MAX))
}

fn rank(label: Label) -> Value {
    Value::new_long(i64::from(label.rank()))
}
