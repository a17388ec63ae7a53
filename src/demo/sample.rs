//! A value that fits a JSON Schema (the common part of draft 2020-12): strings hold the given text.

use serde_json::{Map, Value, json};

/// Deepest nesting built; deeper schemas get `null` there.
const DEPTH_MAX: usize = 12;

/// A value for `schema`; a schema that says nothing gets `{"text": …}`.
pub(super) fn sample(schema: &Value, text: &str) -> Value {
    let value = build(schema, schema, text, DEPTH_MAX);
    match value {
        Value::Object(members) if members.is_empty() => json!({ "text": text }),
        Value::Null => json!({ "text": text }),
        other => other,
    }
}

fn build(root: &Value, schema: &Value, text: &str, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else { return Value::Null };
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or(Value::Null, |target| build(root, target, text, depth));
    }
    if let Some(fixed) = schema.get("const").or_else(|| schema.get("enum")?.as_array()?.first()) {
        return fixed.clone();
    }
    for several in ["anyOf", "oneOf", "allOf"] {
        let options = schema.get(several).and_then(Value::as_array);
        let option = options.and_then(|list| list.iter().find(|option| type_of(option) != Some("null")));
        if let Some(option) = option {
            return build(root, option, text, depth);
        }
    }
    match type_of(schema) {
        Some("string") => string(schema, text),
        Some("integer" | "number") => schema.get("minimum").cloned().unwrap_or(json!(1)),
        Some("boolean") => json!(true),
        Some("array") => {
            let item = schema.get("items").map(|item| build(root, item, text, depth));
            Value::Array(item.into_iter().collect())
        }
        Some("object") => object(root, schema, text, depth),
        None if schema.get("properties").is_some() => object(root, schema, text, depth),
        _ => Value::Null,
    }
}

fn object(root: &Value, schema: &Value, text: &str, depth: usize) -> Value {
    let properties = schema.get("properties").and_then(Value::as_object);
    let members = properties.into_iter().flatten();
    Value::Object(members.map(|(name, of)| (name.clone(), build(root, of, text, depth))).collect::<Map<_, _>>())
}

/// The type; of a list of types the first that is not `null`.
fn type_of(schema: &Value) -> Option<&str> {
    match schema.get("type")? {
        Value::String(name) => Some(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        _ => None,
    }
}

/// A string, in the format asked for where it is a common one.
fn string(schema: &Value, text: &str) -> Value {
    match schema.get("format").and_then(Value::as_str) {
        Some("date") => json!("2026-01-01"),
        Some("date-time") => json!("2026-01-01T00:00:00Z"),
        Some("time") => json!("00:00:00Z"),
        Some("uuid") => json!("00000000-0000-4000-8000-000000000000"),
        Some("uri") => json!("https://example.com/"),
        Some("email") => json!("user@example.com"),
        _ => json!(text),
    }
}
