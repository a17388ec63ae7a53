//! The variables a decision is a function of: what the rules see, what the memo compares, what the record keeps.
//!
//! One list of fields gives all three, so that nothing can be read by a rule and missing from the record.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::set::Validity;
use super::vendors::TrainingUse;
use crate::types::{Class, Coverage, Fact, Label, Mode, PrincipalKind};

/// A value that can stand in `facts` and be read back from there.
pub(crate) trait Var: Sized {
    fn to_fact(&self) -> Fact;
    fn of(fact: &Fact) -> Option<Self>;
}

macro_rules! vars {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub(crate) struct $name { $(pub(crate) $field: $type,)+ }

        impl $name {
            pub(crate) fn write(&self, facts: &mut BTreeMap<String, Fact>) {
                $(facts.insert(stringify!($field).to_owned(), self.$field.to_fact());)+
            }

            pub(crate) fn read(facts: &BTreeMap<String, Fact>) -> Result<Self, String> {
                Ok($name { $($field: field(facts, stringify!($field))?,)+ })
            }

            #[cfg(test)]
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($field),)+];
        }
    };
}

vars! {
    /// Of both directions.
    Vars {
        assurance_valid: bool,
        bundle_validity: Validity,
        classes: Vec<Class>,
        coverage: Coverage,
        hour: u64,
        label: Label,
        mode: Mode,
        model: Arc<str>,
        model_listed: bool,
        on_behalf_of: bool,
        operation: Arc<str>,
        operation_known: bool,
        over_ceiling: Vec<Class>,
        principal_kind: PrincipalKind,
        redactable: bool,
        residual_label: Label,
        risk: Arc<str>,
        roles: Vec<Arc<str>>,
        route: Arc<str>,
        tenant: Arc<str>,
        tools: Vec<Arc<str>>,
        vendor: Arc<str>,
        vendor_approved: bool,
        vendor_ceiling: Label,
        vendor_contract: bool,
        vendor_dpa: bool,
        vendor_region: Arc<str>,
        vendor_training_use: TrainingUse,
        weekday: u64,
    }
}

vars! {
    /// Of requests only.
    RequestVars {
        attachment_count: u64,
        attachments: Vec<Arc<str>>,
        streamed: bool,
        suspended: bool,
        tokenizable: bool,
        too_many_tools: bool,
    }
}

vars! {
    /// Of answers only.
    AnswerVars {
        in_stream: bool,
        model_served: Arc<str>,
        model_served_listed: bool,
        sent: bool,
    }
}

/// What a question is about, with the variables of its direction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Request(RequestVars),
    Answer(AnswerVars),
}

/// Everything a decision on traffic is a function of, but for the bundle.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    /// The caller's entity id: only where a rule of the bundle names a caller, else the same for everybody.
    pub(crate) subject: Arc<str>,
    pub(crate) vars: Vars,
    pub(crate) side: Side,
}

impl Question {
    /// The facts of the record.
    pub(crate) fn facts(&self) -> BTreeMap<String, Fact> {
        let mut facts = BTreeMap::new();
        self.vars.write(&mut facts);
        match &self.side {
            Side::Request(vars) => vars.write(&mut facts),
            Side::Answer(vars) => vars.write(&mut facts),
        }
        facts
    }

    /// Reads the facts of a record back.
    pub(crate) fn read(facts: &BTreeMap<String, Fact>, subject: Arc<str>) -> Result<Self, String> {
        let vars = Vars::read(facts)?;
        let side = if facts.contains_key("model_served") {
            Side::Answer(AnswerVars::read(facts)?)
        } else {
            Side::Request(RequestVars::read(facts)?)
        };
        Ok(Question { subject, vars, side })
    }
}

fn field<V: Var>(facts: &BTreeMap<String, Fact>, name: &str) -> Result<V, String> {
    let fact = facts.get(name).ok_or_else(|| format!("the facts hold no `{name}`"))?;
    V::of(fact).ok_or_else(|| format!("the fact `{name}` is not of its kind"))
}

impl Var for bool {
    fn to_fact(&self) -> Fact {
        Fact::Flag(*self)
    }
    fn of(fact: &Fact) -> Option<Self> {
        if let Fact::Flag(flag) = fact { Some(*flag) } else { None }
    }
}

impl Var for u64 {
    fn to_fact(&self) -> Fact {
        Fact::from(*self)
    }
    fn of(fact: &Fact) -> Option<Self> {
        if let Fact::Number(number) = fact { u64::try_from(*number).ok() } else { None }
    }
}

impl Var for Arc<str> {
    fn to_fact(&self) -> Fact {
        Fact::Text(self.clone())
    }
    fn of(fact: &Fact) -> Option<Self> {
        if let Fact::Text(text) = fact { Some(text.clone()) } else { None }
    }
}

impl Var for Class {
    fn to_fact(&self) -> Fact {
        Fact::from(self.as_str())
    }
    fn of(fact: &Fact) -> Option<Self> {
        if let Fact::Text(text) = fact { Class::new(text).ok() } else { None }
    }
}

impl<V: Var> Var for Vec<V> {
    fn to_fact(&self) -> Fact {
        Fact::List(self.iter().map(Var::to_fact).collect())
    }
    fn of(fact: &Fact) -> Option<Self> {
        if let Fact::List(items) = fact { items.iter().map(V::of).collect() } else { None }
    }
}

macro_rules! spelled_var {
    ($($type:ty),+) => {
        $(impl Var for $type {
            fn to_fact(&self) -> Fact {
                Fact::from(self.as_str())
            }
            fn of(fact: &Fact) -> Option<Self> {
                if let Fact::Text(text) = fact { text.parse().ok() } else { None }
            }
        })+
    };
}

spelled_var!(Coverage, Label, Mode, PrincipalKind, TrainingUse, Validity);
