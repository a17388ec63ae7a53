//! Reads whole answers of OpenAI-compatible servers, errors included.

use crate::json::{Kind, Value};
use crate::record::Usage;

use super::super::Operation;
use super::super::text::{is, is_present, text};
use super::super::view::AnswerView;
use super::request::{called_tools, message_parts};

/// What the record wants to know of an answer.
pub(super) fn view(operation: &Operation, root: Value<'_, '_>) -> AnswerView {
    let mut view = AnswerView { is_error: is_error(root), ..AnswerView::default() };
    if operation.reads_body {
        note(&mut view, root, "message");
    }
    view
}

/// Adds what an answer or an event says; `message` is the name of a choice's content.
pub(super) fn note(view: &mut AnswerView, root: Value<'_, '_>, message: &str) {
    if view.model.is_none() {
        view.model = text(root, "model");
    }
    usage(&mut view.usage, root);
    for choice in root.get("choices").into_iter().flat_map(|choices| choices.items()) {
        if view.finish.is_none() {
            view.finish = text(choice, "finish_reason");
        }
        let Some(message) = choice.get(message) else { continue };
        let mut tools = Vec::new();
        called_tools(message, &mut tools);
        tools.iter().for_each(|name| view.add_tool(name));
    }
}

/// The counts where they are given: at the root, or where Groq puts them in streams.
fn usage(usage: &mut Usage, root: Value<'_, '_>) {
    let own = root.get("usage").filter(|usage| usage.kind() == Kind::Object);
    let Some(counts) = own.or_else(|| root.get("x_groq")?.get("usage")) else { return };
    let count = |name: &str| counts.get(name).and_then(|count| count.as_u64());
    usage.input = count("prompt_tokens").or(usage.input);
    usage.output = count("completion_tokens").or(usage.output);
}

/// Whether a body or an event reports an error. `error` is an object with most servers, a string with some; older
/// vLLM says `"object":"error"`, OpenRouter ends a choice with `"error"`, Gemini's copy wraps errors in an array.
pub(super) fn is_error(root: Value<'_, '_>) -> bool {
    let choices = || root.get("choices").into_iter().flat_map(|choices| choices.items());
    is_present(root.get("error"))
        || is(root.get("object"), "error")
        || is(root.get("type"), "error")
        || choices().any(|choice| is(choice.get("finish_reason"), "error"))
        || root.items().next().is_some_and(|first| is_present(first.get("error")))
}

/// The text parts of the choices, in document order.
pub(super) fn text_parts<'d, 'a>(root: Value<'d, 'a>, parts: &mut Vec<Value<'d, 'a>>) {
    for choice in root.get("choices").into_iter().flat_map(|choices| choices.items()) {
        if let Some(message) = choice.get("message") {
            message_parts(message, parts);
        }
    }
}
