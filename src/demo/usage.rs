//! Token counts: a token is four characters here, rounded up.

use serde_json::Value;

/// Characters in one token.
const CHARS_PER_TOKEN: usize = 4;

/// Tokens of a text.
pub(super) fn tokens(text: &str) -> u64 {
    text.chars().count().div_ceil(CHARS_PER_TOKEN) as u64
}

/// Tokens of all strings of a value, keys apart.
pub(super) fn tokens_of(value: &Value) -> u64 {
    match value {
        Value::String(text) => tokens(text),
        Value::Array(items) => items.iter().map(tokens_of).sum(),
        Value::Object(members) => members.values().map(tokens_of).sum(),
        _ => 0,
    }
}
