//! A canonical value: what may stand in a record head (DESIGN section 4): no floats, no nulls, no wide integers.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Integers in records lie strictly between `-FACT_LIMIT` and `FACT_LIMIT` (2^53, RFC 8785 section 3.2.2.3).
pub const FACT_LIMIT: i64 = 1 << 53;

/// One canonical value. Serialises to RFC 8785 bytes when written compactly and its keys are ASCII.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fact {
    /// A string.
    Text(Arc<str>),
    /// An integer inside the limits.
    Number(i64),
    /// A boolean.
    Flag(bool),
    /// An array.
    List(Vec<Fact>),
    /// An object with its keys in order.
    Map(BTreeMap<String, Fact>),
}

impl From<&str> for Fact {
    fn from(text: &str) -> Self {
        Fact::Text(text.into())
    }
}

impl From<String> for Fact {
    fn from(text: String) -> Self {
        Fact::Text(text.into())
    }
}

impl From<bool> for Fact {
    fn from(flag: bool) -> Self {
        Fact::Flag(flag)
    }
}

impl From<u64> for Fact {
    /// Values at or over the limit are cut to the largest that fits.
    fn from(number: u64) -> Self {
        Fact::Number(i64::try_from(number).unwrap_or(FACT_LIMIT).min(FACT_LIMIT - 1))
    }
}

impl Serialize for Fact {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self {
            Fact::Text(text) => s.serialize_str(text),
            Fact::Number(number) => s.serialize_i64(*number),
            Fact::Flag(flag) => s.serialize_bool(*flag),
            Fact::List(items) => {
                let mut list = s.serialize_seq(Some(items.len()))?;
                items.iter().try_for_each(|item| list.serialize_element(item))?;
                list.end()
            }
            Fact::Map(members) => {
                let mut map = s.serialize_map(Some(members.len()))?;
                members.iter().try_for_each(|(key, value)| map.serialize_entry(key, value))?;
                map.end()
            }
        }
    }
}

impl<'de> Deserialize<'de> for Fact {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(FactVisitor)
    }
}

struct FactVisitor;

impl<'de> Visitor<'de> for FactVisitor {
    type Value = Fact;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, integer, boolean, array or object")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Fact, E> {
        Ok(Fact::Text(text.into()))
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Fact, E> {
        Ok(Fact::Flag(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Fact, E> {
        if number.abs() < FACT_LIMIT { Ok(Fact::Number(number)) } else { Err(E::custom("integer at or over 2^53")) }
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Fact, E> {
        i64::try_from(number).map_err(|_| E::custom("integer at or over 2^53")).and_then(|n| self.visit_i64(n))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Fact, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Fact::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fact, A::Error> {
        let mut members = BTreeMap::new();
        while let Some((key, value)) = map.next_entry::<String, Fact>()? {
            if members.insert(key, value).is_some() {
                return Err(A::Error::custom("duplicate key"));
            }
        }
        Ok(Fact::Map(members))
    }
}

/// Names a policy bundle: its owner's name and version for it, and the digest of its content.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyRef {
    /// Content digest (DESIGN section 5).
    pub digest: super::Digest,
    /// The bundle's name.
    pub name: Arc<str>,
    /// Its owner's name for this state of it.
    pub version: Arc<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_is_not_canonical() {
        for bad in ["null", "1.5", "9007199254740992", "-9007199254740992", "{\"a\":1,\"a\":2}"] {
            assert!(serde_json::from_str::<Fact>(bad).is_err(), "{bad}");
        }
        let text = r#"{"a":[1,true,"x"],"b":{"c":-9007199254740991}}"#;
        let fact: Fact = serde_json::from_str(text).expect("canonical");
        assert_eq!(serde_json::to_string(&fact).expect("writes"), text);
    }
}
