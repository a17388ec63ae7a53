//! Dialects: what vendors' requests, answers, streams and errors look like.
//!
//! What the reader may rely on:
//! 1. An [`Operation`] is known only when method and path match a dialect's closed list exactly; everything else is
//!    [`Operation::UNKNOWN`], which is still read structurally.
//! 2. A stream reader names, for each event, which strings continue an earlier text (deltas, by channel). Every other
//!    string stands for itself. Nothing is left out: the caller scans all strings, dialects only join them.
//! 3. [`sse::Framer`] loses no byte: the frames' raw bytes, joined, are the input.
//! 4. A refusal is in the vendor's own error shape, on one line, with reason code and request id, and holds nothing
//!    that a caller chose.
//!
//! Sources: OpenAI API reference (Chat, Models, streaming), Anthropic API reference (Messages, streaming, errors),
//! WHATWG HTML section 9.2 (server-sent events), RFC 9110. Not here: HTTP clients, scanning, policy.

mod anthropic;
mod attachment;
mod channels;
mod generic;
pub mod headers;
mod openai;
mod operation;
mod refusal;
pub mod sse;
mod text;
mod view;

use http::Method;

use crate::json::{Document, Value};
use crate::types::{Direction, spelled};

pub use operation::Operation;
pub use refusal::Refusal;
pub use view::{AnswerView, Attachment, Delta, DeltaForm, EventView, RequestView};

spelled! {
    /// The dialects there are.
    DialectId {
        /// OpenAI Chat Completions and Models, and every server compatible with them.
        OpenAi = "openai",
        /// Anthropic Messages and Models.
        Anthropic = "anthropic",
    }
}

/// One vendor family's wire shapes. Implementations hold no state and never fail: what they do not recognise they
/// leave out of a view, and the structural scan sees it anyway.
pub trait Dialect: Send + Sync {
    /// The name used in the configuration.
    fn name(&self) -> &'static str;

    /// The operation for a method and the path after the route's prefix; `None` where it is not one of this dialect.
    fn operation(&self, method: &Method, path: &str) -> Option<Operation>;

    /// The model named in the path, for operations that put it there.
    fn path_model(&self, operation: &Operation, path: &str) -> Option<String> {
        (*operation == Operation::MODELS_GET).then(|| operation::model_id(path)).flatten()
    }

    /// What policy and record want to know of a request; of an operation without a body with `None`.
    fn request(&self, operation: &Operation, body: Option<&Document<'_>>) -> RequestView;

    /// What the record wants to know of a whole answer, error bodies included.
    fn answer(&self, operation: &Operation, body: &Document<'_>) -> AnswerView;

    /// The text parts of a body in document order, for commitments: strings only, each with its pointer.
    fn text_parts<'d, 'a>(
        &self,
        operation: &Operation,
        direction: Direction,
        body: &'d Document<'a>,
    ) -> Vec<Value<'d, 'a>>;

    /// Whether this answer, or event of one, holds its text a second time in a form that cannot be redacted
    /// (log probabilities: tokens and their bytes).
    fn repeats_text(&self, _body: &Document<'_>) -> bool {
        false
    }

    /// A reader for one streamed answer.
    fn stream(&self, operation: &Operation) -> Box<dyn StreamReader>;

    /// The JSON body of a refusal.
    fn refusal(&self, refusal: &Refusal) -> Vec<u8>;

    /// The event that tells of a refusal after the stream has begun; nothing may follow it.
    fn stream_refusal(&self, refusal: &Refusal) -> Vec<u8>;

    /// The answer header that carries the vendor's own request id.
    fn request_id_header(&self) -> &'static str;
}

/// Reads the events of one stream, in order.
pub trait StreamReader: Send {
    /// Reads one event: its `event:` field, its data parsed (where it is JSON) and as text.
    fn event(&mut self, event: Option<&str>, document: Option<&Document<'_>>, data: &str) -> EventView;

    /// What the events so far said of the answer.
    fn view(&self) -> &AnswerView;
}

/// The dialect of that name.
pub fn dialect(id: DialectId) -> &'static dyn Dialect {
    match id {
        DialectId::OpenAi => &openai::OpenAi,
        DialectId::Anthropic => &anthropic::Anthropic,
    }
}

/// The operation for a method and path under a list of dialects: the first that knows it, else the first of the list
/// with [`Operation::UNKNOWN`]. An empty list is read as OpenAI.
pub fn resolve(dialects: &[DialectId], method: &Method, path: &str) -> (&'static dyn Dialect, Operation) {
    let known = dialects.iter().find_map(|&id| dialect(id).operation(method, path).map(|found| (dialect(id), found)));
    known.unwrap_or_else(|| (dialect(dialects.first().copied().unwrap_or(DialectId::OpenAi)), Operation::UNKNOWN))
}

#[cfg(test)]
mod tests;
