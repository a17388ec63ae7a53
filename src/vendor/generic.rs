//! The stream reader for operations no dialect knows: it joins what looks like one text going on.
//!
//! A string continues a channel when the same field (its path without array positions, with every index-like member
//! on the way and the event's type) held a string before. References, types and bytes stand for themselves.

use crate::json::{Document, Kind, Value};

use super::StreamReader;
use super::channels::Channels;
use super::text::{self, is_done, name};
use super::view::{AnswerView, Delta, DeltaForm, EventView};

/// Members that number their object among its siblings.
const INDEXES: &[&str] = &["index", "output_index", "content_index", "summary_index", "choice_index", "item_id"];

/// Members that never continue a text.
const LABELS: &[&str] = &[
    "data",
    "encrypted_content",
    "fingerprint",
    "finish_reason",
    "format",
    "id",
    "model",
    "name",
    "obfuscation",
    "object",
    "role",
    "service_tier",
    "severity",
    "signature",
    "status",
    "stop_reason",
    "system_fingerprint",
    "thoughtSignature",
    "type",
];

/// Whether a string member of that name stands for itself in every event.
pub(super) fn is_label(name: &str, value: Value<'_, '_>) -> bool {
    value.kind() == Kind::String && (LABELS.contains(&name) || name.ends_with("_id") || name.ends_with("Id"))
}

/// Joins by field path; knows no vendor.
#[derive(Debug, Default)]
pub(super) struct Generic {
    channels: Channels,
    view: AnswerView,
}

impl StreamReader for Generic {
    fn event(&mut self, event: Option<&str>, document: Option<&Document<'_>>, data: &str) -> EventView {
        let mut seen = EventView { terminal: is_done(data), ..EventView::default() };
        let Some(root) = document.map(|document| document.root()) else { return seen };
        seen.error =
            event == Some("error") || text::is_present(root.get("error")) || text::is(root.get("type"), "error");
        self.view.is_error |= seen.error;
        if self.view.model.is_none() {
            self.view.model = text::text(root, "model");
        }
        let mut path = text::text(root, "type").unwrap_or_default();
        self.walk(root, &mut path, &mut seen);
        seen.overflow = self.channels.take_unjoined();
        seen
    }

    fn view(&self) -> &AnswerView {
        &self.view
    }
}

impl Generic {
    fn walk(&mut self, value: Value<'_, '_>, path: &mut String, seen: &mut EventView) {
        let len = path.len();
        match value.kind() {
            Kind::Object => {
                for index in INDEXES.iter().filter_map(|name| value.get(name)) {
                    path.push('#');
                    path.push_str(index.raw());
                }
                let base = path.len();
                for (key, member) in value.entries().filter(|(key, value)| !is_label(&name(*key), *value)) {
                    path.push('/');
                    path.push_str(&name(key));
                    self.walk(member, path, seen);
                    path.truncate(base);
                }
            }
            Kind::Array => value.items().for_each(|item| self.walk(item, path, seen)),
            Kind::String if !value.raw().is_empty() => {
                let channel = self.channels.at(0, path);
                let delta = |channel| Delta { channel, node: value.id(), form: DeltaForm::Text };
                seen.deltas.extend(channel.map(delta));
            }
            _ => {}
        }
        path.truncate(len);
    }
}
