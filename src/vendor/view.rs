//! What a dialect tells the pipeline of a request, an answer, and one event of a stream.

use crate::record::Usage;

/// What policy and record want to know of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestView {
    /// The model asked for, as the caller wrote it.
    pub model: Option<String>,
    /// Whether a streamed answer is asked for.
    pub stream: bool,
    /// Every tool named: defined, chosen, or called earlier in the conversation. Sorted, each once.
    pub tools: Vec<String>,
    /// Everything that is not text, in document order.
    pub attachments: Vec<Attachment>,
}

/// An image, sound, file or reference in a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// `image`, `audio`, `video`, `document`, `file`, `url` (fetched by the vendor), `file_id` (kept by the vendor),
    /// `opaque` (vendor-encrypted) or `other`.
    pub kind: &'static str,
    /// Size in bytes once decoded; 0 where it is not in the request.
    pub bytes: u64,
    /// Whether the structural scan of the request's strings covers it.
    pub scannable: bool,
}

/// What the record wants to know of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnswerView {
    /// The model the vendor says it served.
    pub model: Option<String>,
    /// Tokens counted by the vendor. `input` covers cached tokens too, for both dialects.
    pub usage: Usage,
    /// Why the model stopped (of the first choice that says).
    pub finish: Option<String>,
    /// Tools the model called, sorted, each once.
    pub tools: Vec<String>,
    /// Whether it is an error body or holds an error event.
    pub is_error: bool,
}

/// What form the joined deltas of a channel have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeltaForm {
    /// Plain text.
    Text,
    /// The text of a JSON value (tool arguments): it must stay valid JSON when joined.
    Json,
}

/// A string of an event that continues a channel's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delta {
    /// Numbered from 0 in order of first use; never used again after it ended.
    pub channel: u32,
    /// `Value::id` of the string in the event's document.
    pub node: usize,
    /// The same for all deltas of a channel.
    pub form: DeltaForm,
}

/// What one event of a stream means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventView {
    /// In document order; strings that are not named here stand for themselves.
    pub deltas: Vec<Delta>,
    /// Channels of a choice or block in which another field now goes on: nothing should wait for more of them.
    pub superseded: Vec<u32>,
    /// Channels that end with this event, after its deltas.
    pub ended: Vec<u32>,
    /// Whether this is the dialect's last event, which a client waits for.
    pub terminal: bool,
    /// Whether the vendor reports an error.
    pub error: bool,
    /// Whether a delta could not be joined to the text before it (too many channels, or a choice or block goes on
    /// after its end): a value cut there can be missed, so coverage is partial.
    pub overflow: bool,
}

impl AnswerView {
    /// Adds a tool the model called.
    pub(super) fn add_tool(&mut self, name: &str) {
        insert_sorted(&mut self.tools, name);
    }
}

/// Adds `name` at its place unless it is there or empty.
fn insert_sorted(names: &mut Vec<String>, name: &str) {
    if let Err(at) = names.binary_search_by(|known| known.as_str().cmp(name))
        && !name.is_empty()
        && names.len() < TOOLS_MAX
    {
        names.insert(at, name.to_owned());
    }
}

/// Most tools of an answer that are kept, by name.
const TOOLS_MAX: usize = 1024;
