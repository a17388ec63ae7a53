//! Reads whole answers of the Messages API, errors included, and the pieces streams share with them.

use crate::json::{Kind, Value};
use crate::record::Usage;

use super::super::Operation;
use super::super::text::{is, is_present, text};
use super::super::view::AnswerView;

/// What the record wants to know of an answer.
pub(super) fn view(operation: &Operation, root: Value<'_, '_>) -> AnswerView {
    let mut view = AnswerView { is_error: is_error(root), ..AnswerView::default() };
    if operation.reads_body {
        message(&mut view, root);
    }
    view
}

/// Adds what a message object says.
pub(super) fn message(view: &mut AnswerView, message: Value<'_, '_>) {
    if view.model.is_none() {
        view.model = text(message, "model");
    }
    view.finish = text(message, "stop_reason").or(view.finish.take());
    if let Some(counts) = message.get("usage") {
        usage(&mut view.usage, counts);
    }
    message.get("content").into_iter().flat_map(|content| content.items()).for_each(|block| called(view, block));
}

/// Adds the tool that a content block calls.
pub(super) fn called(view: &mut AnswerView, block: Value<'_, '_>) {
    if text(block, "type").is_some_and(|kind| kind.ends_with("tool_use"))
        && let Some(name) = text(block, "name")
    {
        view.add_tool(&name);
    }
}

/// Adds the counts; input is what was read, from the cache or not, or written to it.
pub(super) fn usage(usage: &mut Usage, counts: Value<'_, '_>) {
    let count = |name: &str| counts.get(name).and_then(|count| count.as_u64());
    if let Some(input) = count("input_tokens") {
        let cached = ["cache_creation_input_tokens", "cache_read_input_tokens"].iter().filter_map(|name| count(name));
        usage.input = Some(cached.fold(input, u64::saturating_add));
    }
    usage.output = count("output_tokens").or(usage.output);
}

/// Whether a body or an event reports an error.
pub(super) fn is_error(root: Value<'_, '_>) -> bool {
    let is_error_type = is(root.get("type"), "error");
    is_error_type || (root.kind() == Kind::Object && is_present(root.get("error")))
}
