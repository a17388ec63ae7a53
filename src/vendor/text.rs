//! Which strings of a conversation are text parts: what a person or model wrote, or a tool was given or answered.
//!
//! Structural: inside a content value every string is a part unless its name says it is a reference, a type or bytes;
//! so a content block invented tomorrow has its parts covered.

use std::borrow::Cow;

use crate::json::{Kind, Value};

/// Members of content blocks that hold no text.
const NOT_TEXT: &[&str] = &[
    "cache_control",
    "data",
    "detail",
    "encrypted_content",
    "encrypted_index",
    "file_data",
    "file_id",
    "format",
    "id",
    "image_url",
    "media_type",
    "name",
    "role",
    "signature",
    "tool_use_id",
    "type",
    "url",
];

/// Adds the text parts of a content value: a string, a block, or a list of either.
pub(super) fn content<'d, 'a>(value: Value<'d, 'a>, parts: &mut Vec<Value<'d, 'a>>) {
    match value.kind() {
        Kind::String => parts.push(value),
        Kind::Array => value.items().for_each(|item| content(item, parts)),
        Kind::Object => {
            let is_text_source = is(value.get("type"), "text");
            for (key, member) in value.entries() {
                match name(key).as_ref() {
                    // Arguments of a tool are the model's own names and values.
                    "input" => strings(member, parts),
                    "data" if is_text_source => strings(member, parts),
                    name if NOT_TEXT.contains(&name) => {}
                    _ => content(member, parts),
                }
            }
        }
        _ => {}
    }
}

/// Adds every string below a value.
pub(super) fn strings<'d, 'a>(value: Value<'d, 'a>, parts: &mut Vec<Value<'d, 'a>>) {
    parts.extend(value.leaves().filter(|leaf| leaf.kind() == Kind::String));
}

/// The text of a member that is a string and not empty.
pub(super) fn text(value: Value<'_, '_>, name: &str) -> Option<String> {
    value.get(name)?.as_str().filter(|text| !text.is_empty()).map(|text| text.into_owned())
}

/// Whether a value is there and not `null`.
pub(super) fn is_present(value: Option<Value<'_, '_>>) -> bool {
    value.is_some_and(|value| value.kind() != Kind::Null)
}

/// The name of a member, unescaped.
pub(super) fn name<'a>(key: Value<'_, 'a>) -> Cow<'a, str> {
    key.as_str().unwrap_or_default()
}

/// Whether a value is that word, however it is escaped.
pub(super) fn is(value: Option<Value<'_, '_>>, word: &str) -> bool {
    value.is_some_and(|value| value.kind() == Kind::String && value.as_str().as_deref() == Some(word))
}

/// Whether an event's data ends an OpenAI stream: SDKs stop at anything that begins so.
pub(super) fn is_done(data: &str) -> bool {
    data.trim_start().starts_with("[DONE]")
}
