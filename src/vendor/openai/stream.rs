//! Reads Chat Completions streams: `data:` lines of JSON, `[DONE]` at the end.
//!
//! Every string below `choices[].delta` continues a channel keyed by the choice's `index` and the field's path, with
//! tool calls keyed by their own `index`; types, roles, names, references and encoded bytes stand for themselves.
//! Array positions without an `index` are left out of the path: clients join such pieces too.

use crate::json::{Document, Kind, Value};

use super::super::StreamReader;
use super::super::channels::Channels;
use super::super::generic::is_label;
use super::super::text::{is_done, name, text};
use super::super::view::{AnswerView, Delta, DeltaForm, EventView};
use super::answer;

/// The reader; state of one stream.
#[derive(Debug, Default)]
pub(super) struct Chat {
    channels: Channels,
    view: AnswerView,
    /// By choice: the id of the tool call last begun, for servers that give no `index`.
    last_call: std::collections::BTreeMap<u64, String>,
}

impl StreamReader for Chat {
    fn event(&mut self, event: Option<&str>, document: Option<&Document<'_>>, data: &str) -> EventView {
        let mut seen = EventView { terminal: is_done(data), ..EventView::default() };
        seen.error = event == Some("error");
        if let Some(root) = document.map(|document| document.root()) {
            seen.error |= answer::is_error(root);
            answer::note(&mut self.view, root, "delta");
            let choices = root.get("choices").into_iter().flat_map(|choices| choices.items());
            for (position, choice) in choices.enumerate() {
                let index = choice.get("index").and_then(|index| index.as_u64()).unwrap_or(position as u64);
                self.choice(index, choice, &mut seen);
            }
        }
        seen.superseded = self.channels.take_superseded();
        seen.overflow = self.channels.take_unjoined();
        self.view.is_error |= seen.error;
        seen
    }

    fn view(&self) -> &AnswerView {
        &self.view
    }
}

impl Chat {
    fn choice(&mut self, index: u64, choice: Value<'_, '_>, seen: &mut EventView) {
        let mut path = String::new();
        for (key, value) in choice.entries() {
            // `text` is the older completions' field, which some servers still send.
            if matches!(name(key).as_ref(), "delta" | "text") {
                path.push_str(&name(key));
                self.walk(index, value, &mut path, seen);
                path.clear();
            }
        }
        // Some servers put an empty string into every chunk.
        if text(choice, "finish_reason").is_some() {
            seen.ended.extend(self.channels.end(index));
            self.last_call.remove(&index);
        }
    }

    fn walk(&mut self, index: u64, value: Value<'_, '_>, path: &mut String, seen: &mut EventView) {
        let len = path.len();
        match value.kind() {
            Kind::Object => {
                let of_call = path.contains("/tool_calls") || path.ends_with("/function_call");
                for (key, member) in value.entries().filter(|(key, value)| !stands_alone(&name(*key), *value, of_call))
                {
                    path.push('/');
                    path.push_str(&name(key));
                    self.walk(index, member, path, seen);
                    path.truncate(len);
                }
            }
            Kind::Array => {
                let is_calls = path.ends_with("/tool_calls");
                for (position, item) in value.items().enumerate() {
                    self.push_key(index, item, is_calls.then_some(position), path);
                    self.walk(index, item, path, seen);
                    path.truncate(len);
                }
            }
            Kind::String if !value.raw().is_empty() => self.delta(index, value, path, seen),
            _ => {}
        }
    }

    /// Adds what tells an array's elements apart: their `index`, else for tool calls their id, the last id, the position.
    fn push_key(&mut self, choice: u64, item: Value<'_, '_>, position: Option<usize>, path: &mut String) {
        if let Some(index) = item.get("index").and_then(|index| index.as_u64()) {
            path.push_str(&format!("/{index}"));
        } else if let Some(position) = position {
            if let Some(id) = text(item, "id") {
                self.last_call.insert(choice, id);
            }
            match self.last_call.get(&choice) {
                Some(id) => path.push_str(&format!("/id:{id}")),
                None => path.push_str(&format!("/at:{position}")),
            }
        }
    }

    fn delta(&mut self, index: u64, value: Value<'_, '_>, path: &str, seen: &mut EventView) {
        let form = if path.ends_with("/arguments") { DeltaForm::Json } else { DeltaForm::Text };
        let channel = self.channels.at(index, path);
        seen.deltas.extend(channel.map(|channel| Delta { channel, node: value.id(), form }));
    }
}

/// Whether a member stands for itself in every event. Clients join names and ids of calls like any other string.
fn stands_alone(member: &str, value: Value<'_, '_>, of_call: bool) -> bool {
    !(of_call && matches!(member, "name" | "id")) && is_label(member, value)
}
