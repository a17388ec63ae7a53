//! The OpenAI shape: chat completions whole and streamed, models, errors.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::env::{Clock, random_hex};

use super::DemoConfig;
use super::reply::{Ask, Reply, Tool, content_text, pieces, reply};
use super::route::{Answer, Fail};
use super::usage::{tokens, tokens_of};

/// Most choices (`n`) given.
const CHOICES_MAX: u64 = 8;
/// When the demo models were made, in Unix seconds: 2026-01-01.
const MODELS_CREATED: u64 = 1_767_225_600;
/// The models listed; any name is accepted.
const MODELS: &[&str] = &["demo", "demo-mini", "gpt-4o-mini"];

/// What all chunks of one answer share.
struct Completion {
    id: String,
    created: i64,
    model: String,
    usage: Value,
    chunk_chars: usize,
}

/// Answers `POST /v1/chat/completions`.
pub(super) fn chat(body: &[u8], config: DemoConfig) -> Result<Answer, Fail> {
    let body: Value = serde_json::from_slice(body)
        .map_err(|_| Fail::invalid("we could not parse the JSON body of your request", None))?;
    let model = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| Fail::invalid("you must provide a model parameter", Some("model")))?;
    let messages = body.get("messages").and_then(Value::as_array).filter(|list| !list.is_empty());
    let messages = messages.ok_or_else(|| {
        Fail::invalid("missing required parameter: 'messages' must be a non-empty array", Some("messages"))
    })?;
    let reply = reply(&ask(&body, messages));
    let completion = Completion {
        id: format!("chatcmpl-{}", random_hex::<12>()),
        created: Clock::system().now().micros() / 1_000_000,
        model: model.to_owned(),
        usage: usage(messages, &reply),
        chunk_chars: config.chunk_chars,
    };
    let choices = body.get("n").and_then(Value::as_u64).unwrap_or(1).clamp(1, CHOICES_MAX);
    if body.get("stream") == Some(&Value::Bool(true)) {
        let with_usage = body.pointer("/stream_options/include_usage") == Some(&Value::Bool(true));
        return Ok(Answer::Events(completion.events(&reply, choices, with_usage)));
    }
    Ok(Answer::Whole(completion.whole(&reply, choices)))
}

/// Answers `GET /v1/models` and `GET /v1/models/{id}`.
pub(super) fn models(id: Option<String>) -> Answer {
    let model = |id: &str| json!({"id": id, "object": "model", "created": MODELS_CREATED, "owned_by": "sealgate-demo"});
    Answer::Whole(match id {
        Some(id) => model(&id),
        None => json!({"object": "list", "data": MODELS.iter().map(|id| model(id)).collect::<Vec<_>>()}),
    })
}

/// The error body.
pub(super) fn error(fail: &Fail) -> Value {
    json!({"error": {"message": fail.message, "type": fail.kind, "param": fail.param, "code": fail.code}})
}

fn ask(body: &Value, messages: &[Value]) -> Ask {
    let role = |message: &&Value, role: &str| message.get("role").and_then(Value::as_str) == Some(role);
    let text = |message: &Value| message.get("content").map(content_text).unwrap_or_default();
    let choice = body.get("tool_choice");
    let named = choice.and_then(|choice| choice.pointer("/function/name")?.as_str());
    let word = choice.and_then(Value::as_str);
    let format = body.get("response_format");
    let kind = format.and_then(|format| format.get("type")?.as_str());
    Ask {
        user: messages.iter().rev().find(|message| role(message, "user")).map(text).unwrap_or_default(),
        tool_result: messages.last().filter(|message| role(message, "tool")).map(text),
        tools: body.get("tools").and_then(Value::as_array).into_iter().flatten().filter_map(tool).collect(),
        forced: named.map(str::to_owned).or_else(|| (word == Some("required")).then(String::new)),
        forbidden: word == Some("none"),
        schema: match kind {
            Some("json_schema") => format.and_then(|format| format.pointer("/json_schema/schema").cloned()),
            Some("json_object") => Some(Value::Null),
            _ => None,
        },
    }
}

fn tool(tool: &Value) -> Option<Tool> {
    let function = tool.get("function")?;
    let schema = function.get("parameters").cloned().unwrap_or(Value::Null);
    Some(Tool { name: function.get("name")?.as_str()?.to_owned(), schema })
}

fn usage(messages: &[Value], reply: &Reply) -> Value {
    let input: u64 = messages.iter().filter_map(|message| message.get("content")).map(tokens_of).sum();
    let output = match reply {
        Reply::Text(text) => tokens(text),
        Reply::Call { name, arguments } => tokens(name).saturating_add(tokens(&arguments.to_string())),
    };
    json!({
        "prompt_tokens": input,
        "completion_tokens": output,
        "total_tokens": input.saturating_add(output),
        "prompt_tokens_details": {"cached_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0},
    })
}

impl Completion {
    fn whole(&self, reply: &Reply, choices: u64) -> Value {
        let choice = |index: u64| {
            let (message, finish) = match reply {
                Reply::Text(text) => (json!({"role": "assistant", "content": text, "refusal": null}), "stop"),
                Reply::Call { name, arguments } => {
                    let function = json!({"name": name, "arguments": arguments.to_string()});
                    let call = json!({"id": call_id(), "type": "function", "function": function});
                    let message = json!({"role": "assistant", "content": null, "refusal": null, "tool_calls": [call]});
                    (message, "tool_calls")
                }
            };
            json!({"index": index, "message": message, "logprobs": null, "finish_reason": finish})
        };
        json!({
            "id": self.id,
            "object": "chat.completion",
            "created": self.created,
            "model": self.model,
            "choices": (0..choices).map(choice).collect::<Vec<_>>(),
            "usage": self.usage,
            "system_fingerprint": "fp_demo",
        })
    }

    fn events(&self, reply: &Reply, choices: u64, with_usage: bool) -> Vec<Bytes> {
        let none = with_usage.then_some(Value::Null);
        let (deltas, finish) = self.deltas(reply);
        let mut events = Vec::new();
        // Choices come interleaved, as they do from the real one.
        for delta in &deltas {
            for index in 0..choices {
                let choice = json!({"index": index, "delta": delta, "logprobs": null, "finish_reason": null});
                events.push(self.chunk(vec![choice], none.clone()));
            }
        }
        for index in 0..choices {
            let last = json!({"index": index, "delta": {}, "logprobs": null, "finish_reason": finish});
            events.push(self.chunk(vec![last], none.clone()));
        }
        if with_usage {
            events.push(self.chunk(Vec::new(), Some(self.usage.clone())));
        }
        events.push(Bytes::from_static(b"data: [DONE]\n\n"));
        events
    }

    /// The deltas of one choice and its finish reason.
    fn deltas(&self, reply: &Reply) -> (Vec<Value>, &'static str) {
        match reply {
            Reply::Text(text) => {
                let first = json!({"role": "assistant", "content": "", "refusal": null});
                let rest = pieces(text, self.chunk_chars).into_iter().map(|piece| json!({ "content": piece }));
                (std::iter::once(first).chain(rest).collect(), "stop")
            }
            Reply::Call { name, arguments } => {
                let function = json!({"name": name, "arguments": ""});
                let call = json!({"index": 0, "id": call_id(), "type": "function", "function": function});
                let first = json!({"role": "assistant", "content": null, "tool_calls": [call]});
                let fragments = pieces(&arguments.to_string(), self.chunk_chars).into_iter();
                let rest =
                    fragments.map(|piece| json!({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}));
                (std::iter::once(first).chain(rest).collect(), "tool_calls")
            }
        }
    }

    fn chunk(&self, choices: Vec<Value>, usage: Option<Value>) -> Bytes {
        let mut chunk = json!({
            "id": self.id,
            "object": "chat.completion.chunk",
            "created": self.created,
            "model": self.model,
            "system_fingerprint": "fp_demo",
            "choices": choices,
        });
        if let (Some(usage), Some(members)) = (usage, chunk.as_object_mut()) {
            members.insert("usage".to_owned(), usage);
        }
        Bytes::from(format!("data: {chunk}\n\n"))
    }
}

fn call_id() -> String {
    format!("call_{}", random_hex::<12>())
}
