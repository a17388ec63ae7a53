//! Reads a Chat Completions request.

use std::collections::BTreeSet;

use crate::json::{Kind, Value};

use super::super::attachment;
use super::super::text::{content, is_present, name, text};
use super::super::view::RequestView;

/// Model, stream flag, tools and attachments.
pub(super) fn view(root: Value<'_, '_>) -> RequestView {
    let mut tools = BTreeSet::new();
    let mut attachments = Vec::new();
    defined_tools(root, &mut tools);
    for message in root.get("messages").into_iter().flat_map(|messages| messages.items()) {
        called_tools(message, &mut tools);
        if matches!(text(message, "role").as_deref(), Some("tool" | "function")) {
            tools.extend(text(message, "name"));
        }
        if let Some(value) = message.get("content") {
            attachment::content(value, &mut attachments);
        }
        if is_present(message.get("audio")) {
            attachments.push(super::super::Attachment { kind: "file_id", bytes: 0, scannable: false });
        }
    }
    RequestView {
        model: text(root, "model"),
        stream: root.get("stream").and_then(|stream| stream.as_bool()) == Some(true),
        tools: tools.into_iter().collect(),
        attachments,
    }
}

/// Tools offered or demanded.
fn defined_tools(root: Value<'_, '_>, tools: &mut BTreeSet<String>) {
    for name in ["tools", "functions"] {
        root.get(name).into_iter().flat_map(|list| list.items()).for_each(|tool| tools.extend(tool_name(tool)));
    }
    for name in ["tool_choice", "function_call"] {
        let Some(choice) = root.get(name).filter(|choice| choice.kind() == Kind::Object) else { continue };
        let list = choice.get("allowed_tools").and_then(|allowed| allowed.get("tools"));
        match list {
            Some(list) => list.items().for_each(|tool| tools.extend(tool_name(tool))),
            None => tools.extend(tool_name(choice)),
        }
    }
    if is_present(root.get("web_search_options")) {
        tools.insert("web_search".to_owned());
    }
}

/// The name of a tool, wherever its kind puts it; a built-in tool has only its type.
fn tool_name(tool: Value<'_, '_>) -> Option<String> {
    let inner = ["function", "custom"].iter().find_map(|kind| tool.get(kind)?.get("name")?.as_str());
    inner.map(|name| name.into_owned()).or_else(|| text(tool, "name")).or_else(|| text(tool, "type"))
}

/// Tools called in one message or delta.
pub(super) fn called_tools(message: Value<'_, '_>, tools: &mut impl Extend<String>) {
    let calls = message.get("tool_calls").into_iter().flat_map(|calls| calls.items());
    for call in calls {
        let name = ["function", "custom"].iter().find_map(|kind| text(call.get(kind)?, "name"));
        tools.extend(name.or_else(|| text(call, "name")));
    }
    tools.extend(message.get("function_call").and_then(|call| text(call, "name")));
}

/// The text parts of the conversation, in document order.
pub(super) fn text_parts<'d, 'a>(root: Value<'d, 'a>, parts: &mut Vec<Value<'d, 'a>>) {
    for (key, value) in root.entries() {
        match name(key).as_ref() {
            "messages" => value.items().for_each(|message| message_parts(message, parts)),
            "prediction" => content(value, parts),
            _ => {}
        }
    }
}

/// The text parts of one message.
pub(super) fn message_parts<'d, 'a>(message: Value<'d, 'a>, parts: &mut Vec<Value<'d, 'a>>) {
    for (key, value) in message.entries() {
        match name(key).as_ref() {
            "content" | "refusal" | "reasoning_content" | "reasoning" | "thinking" => content(value, parts),
            "tool_calls" => value.items().for_each(|call| call_parts(call, parts)),
            "function_call" => parts.extend(value.get("arguments").filter(|v| v.kind() == Kind::String)),
            _ => {}
        }
    }
}

/// The arguments of one tool call.
fn call_parts<'d, 'a>(call: Value<'d, 'a>, parts: &mut Vec<Value<'d, 'a>>) {
    for (kind, field) in [("function", "arguments"), ("custom", "input")] {
        if let Some(arguments) = call.get(kind).and_then(|inner| inner.get(field)) {
            super::super::text::strings(arguments, parts);
        }
    }
}
