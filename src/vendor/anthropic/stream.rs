//! Reads Messages streams: typed events, content blocks that open, grow and stop, `message_stop` at the end.
//!
//! Every string of a `content_block_delta` continues a channel keyed by the block's index and the field, as does the
//! text a block starts with; `partial_json` builds a JSON text. Types, references, citations (each whole) and
//! signatures (which any change breaks) stand for themselves.

use crate::json::{Document, Kind, Value};

use super::super::StreamReader;
use super::super::channels::Channels;
use super::super::generic::is_label;
use super::super::text::{name, text};
use super::super::view::{AnswerView, Delta, DeltaForm, EventView};
use super::answer;

/// The reader; state of one stream.
#[derive(Debug, Default)]
pub(super) struct Messages {
    channels: Channels,
    view: AnswerView,
}

impl StreamReader for Messages {
    fn event(&mut self, event: Option<&str>, document: Option<&Document<'_>>, _: &str) -> EventView {
        // SDKs go by the `event` field or by `type`: either counts.
        let mut seen = EventView { error: event == Some("error"), ..EventView::default() };
        seen.terminal = event == Some("message_stop");
        if let Some(root) = document.map(|document| document.root()) {
            let kind = text(root, "type").or_else(|| event.map(str::to_owned)).unwrap_or_default();
            seen.error |= answer::is_error(root);
            seen.terminal |= kind == "message_stop";
            self.read(&kind, root, &mut seen);
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

impl Messages {
    fn read(&mut self, kind: &str, root: Value<'_, '_>, seen: &mut EventView) {
        let block = root.get("index").and_then(|index| index.as_u64()).unwrap_or(0);
        match kind {
            "message_start" => {
                if let Some(message) = root.get("message") {
                    answer::message(&mut self.view, message);
                }
            }
            "content_block_start" => {
                let Some(start) = root.get("content_block") else { return };
                answer::called(&mut self.view, start);
                for field in ["text", "thinking"] {
                    if let Some(value) = start.get(field) {
                        self.delta(block, value, &format!("/{field}"), seen);
                    }
                }
            }
            "content_block_stop" => seen.ended = self.channels.end(block),
            "message_delta" => {
                let reason = root.get("delta").and_then(|delta| text(delta, "stop_reason"));
                self.view.finish = reason.or(self.view.finish.take());
                if let Some(counts) = root.get("usage") {
                    answer::usage(&mut self.view.usage, counts);
                }
            }
            _ => {
                if let Some(delta) = root.get("delta") {
                    self.walk(block, delta, &mut String::new(), seen);
                }
            }
        }
    }

    fn walk(&mut self, block: u64, value: Value<'_, '_>, path: &mut String, seen: &mut EventView) {
        let len = path.len();
        match value.kind() {
            Kind::Object => {
                let stands_alone = |name: &str, value| name == "citation" || is_label(name, value);
                for (key, member) in value.entries().filter(|(key, value)| !stands_alone(&name(*key), *value)) {
                    path.push('/');
                    path.push_str(&name(key));
                    self.walk(block, member, path, seen);
                    path.truncate(len);
                }
            }
            Kind::Array => value.items().for_each(|item| self.walk(block, item, path, seen)),
            Kind::String => self.delta(block, value, path, seen),
            _ => {}
        }
    }

    fn delta(&mut self, block: u64, value: Value<'_, '_>, path: &str, seen: &mut EventView) {
        if value.kind() != Kind::String || value.raw().is_empty() {
            return;
        }
        let form = if path.ends_with("/partial_json") { DeltaForm::Json } else { DeltaForm::Text };
        let channel = self.channels.at(block, path);
        seen.deltas.extend(channel.map(|channel| Delta { channel, node: value.id(), form }));
    }
}
