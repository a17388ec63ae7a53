//! The Anthropic dialect: Messages and Models.

mod answer;
mod request;
mod stream;

use http::Method;

use crate::json::{Document, Value};
use crate::types::Direction;

use super::{AnswerView, Dialect, Operation, Refusal, RequestView, StreamReader, generic, operation, text};

/// The dialect; holds nothing.
pub(super) struct Anthropic;

impl Dialect for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn operation(&self, method: &Method, path: &str) -> Option<Operation> {
        match *method {
            Method::POST if operation::rest(path) == "/messages" => Some(Operation::MESSAGES),
            Method::GET => operation::models(path),
            _ => None,
        }
    }

    fn request(&self, _: &Operation, body: Option<&Document<'_>>) -> RequestView {
        body.map(|body| request::view(body.root())).unwrap_or_default()
    }

    fn answer(&self, operation: &Operation, body: &Document<'_>) -> AnswerView {
        answer::view(operation, body.root())
    }

    fn text_parts<'d, 'a>(&self, op: &Operation, way: Direction, body: &'d Document<'a>) -> Vec<Value<'d, 'a>> {
        let mut parts = Vec::new();
        match (*op, way) {
            (Operation::MESSAGES, Direction::Request) => request::text_parts(body.root(), &mut parts),
            (Operation::MESSAGES, Direction::Answer) => {
                body.root().get("content").into_iter().for_each(|content| text::content(content, &mut parts));
            }
            _ => text::strings(body.root(), &mut parts),
        }
        parts
    }

    fn stream(&self, operation: &Operation) -> Box<dyn StreamReader> {
        match *operation {
            Operation::MESSAGES => Box::<stream::Messages>::default(),
            _ => Box::<generic::Generic>::default(),
        }
    }

    fn refusal(&self, refusal: &Refusal) -> Vec<u8> {
        refusal.anthropic().to_string().into_bytes()
    }

    fn stream_refusal(&self, refusal: &Refusal) -> Vec<u8> {
        format!("event: error\ndata: {}\n\n", refusal.anthropic()).into_bytes()
    }

    fn request_id_header(&self) -> &'static str {
        "request-id"
    }
}
