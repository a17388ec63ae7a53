//! The OpenAI dialect: Chat Completions and Models, and the servers that copy them (Azure, Groq, Mistral, DeepSeek,
//! vLLM, llama.cpp, OpenRouter, …).

mod answer;
mod request;
mod stream;

use http::Method;

use crate::json::{Document, Value};
use crate::types::Direction;

use super::{AnswerView, Dialect, Operation, Refusal, RequestView, StreamReader, generic, operation, text};

/// The dialect; holds nothing.
pub(super) struct OpenAi;

impl Dialect for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn operation(&self, method: &Method, path: &str) -> Option<Operation> {
        match *method {
            Method::POST if operation::rest(path) == "/chat/completions" => Some(Operation::CHAT),
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
            (Operation::CHAT, Direction::Request) => request::text_parts(body.root(), &mut parts),
            (Operation::CHAT, Direction::Answer) => answer::text_parts(body.root(), &mut parts),
            _ => text::strings(body.root(), &mut parts),
        }
        parts
    }

    fn repeats_text(&self, body: &Document<'_>) -> bool {
        let choices = body.root().get("choices").into_iter().flat_map(|choices| choices.items());
        choices.filter_map(|choice| choice.get("logprobs")).any(|logprobs| logprobs.leaves().next().is_some())
    }

    fn stream(&self, operation: &Operation) -> Box<dyn StreamReader> {
        if *operation == Operation::CHAT { Box::<stream::Chat>::default() } else { Box::<generic::Generic>::default() }
    }

    fn refusal(&self, refusal: &Refusal) -> Vec<u8> {
        refusal.openai().to_string().into_bytes()
    }

    fn stream_refusal(&self, refusal: &Refusal) -> Vec<u8> {
        format!("data: {}\n\n", refusal.openai()).into_bytes()
    }

    fn request_id_header(&self) -> &'static str {
        "x-request-id"
    }
}
