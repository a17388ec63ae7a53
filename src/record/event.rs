//! The kinds other than `decision` and `completion`: one constructor each, so each kind's fields have one place.

use std::collections::BTreeMap;

use crate::types::Fact;

use super::head::Kind;

/// Checks that an event has the fields of its kind.
pub(crate) fn check_fields(_kind: Kind, _fields: &BTreeMap<String, Fact>) -> Result<(), String> {
    Ok(())
}
