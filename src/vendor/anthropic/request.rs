//! Reads a Messages request.

use std::collections::BTreeSet;

use crate::json::{Kind, Value};

use super::super::text::{content, name, text};
use super::super::view::RequestView;
use super::super::{Attachment, attachment};

/// Model, stream flag, tools and attachments.
pub(super) fn view(root: Value<'_, '_>) -> RequestView {
    let mut tools = BTreeSet::new();
    let mut attachments = Vec::new();
    for name in ["tools", "mcp_servers"] {
        let list = root.get(name).into_iter().flat_map(|list| list.items());
        list.for_each(|tool| tools.extend(text(tool, "name").or_else(|| text(tool, "type"))));
    }
    tools.extend(root.get("tool_choice").and_then(|choice| text(choice, "name")));
    conversation(root, &mut tools, &mut attachments);
    RequestView {
        model: text(root, "model"),
        stream: root.get("stream").and_then(|stream| stream.as_bool()) == Some(true),
        tools: tools.into_iter().collect(),
        attachments,
    }
}

/// Tools called and things attached in the messages and the system prompt.
fn conversation(root: Value<'_, '_>, tools: &mut BTreeSet<String>, attachments: &mut Vec<Attachment>) {
    let messages = root.get("messages").into_iter().flat_map(|messages| messages.items());
    for value in root.get("system").into_iter().chain(messages.filter_map(|message| message.get("content"))) {
        attachment::content(value, attachments);
        called_tools(value, tools);
    }
}

/// Tools called in a content value, at any depth of `content`.
fn called_tools(value: Value<'_, '_>, tools: &mut BTreeSet<String>) {
    if value.kind() == Kind::Array {
        return value.items().for_each(|item| called_tools(item, tools));
    }
    if text(value, "type").is_some_and(|kind| kind.ends_with("tool_use")) {
        tools.extend(text(value, "name"));
    }
    if let Some(inner) = value.get("content") {
        called_tools(inner, tools);
    }
}

/// The text parts of system prompt and messages, in document order.
pub(super) fn text_parts<'d, 'a>(root: Value<'d, 'a>, parts: &mut Vec<Value<'d, 'a>>) {
    for (key, value) in root.entries() {
        match name(key).as_ref() {
            "system" => content(value, parts),
            "messages" => {
                value.items().filter_map(|message| message.get("content")).for_each(|inner| content(inner, parts));
            }
            _ => {}
        }
    }
}
