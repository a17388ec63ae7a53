//! The Anthropic shape: messages whole and streamed, thinking, tools, models, errors.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::env::random_hex;

use super::DemoConfig;
use super::reply::{Ask, Reply, Tool, content_text, pieces, reply};
use super::route::{Answer, Fail};
use super::usage::tokens_of;

/// The models listed; any name is accepted.
const MODELS: &[&str] = &["demo", "demo-mini"];
/// A signature as opaque as the real ones.
const SIGNATURE: &str = "ZGVtbyBzaWduYXR1cmU=";

/// Answers `POST /v1/messages`.
pub(super) fn messages(body: &[u8], config: DemoConfig) -> Result<Answer, Fail> {
    let body: Value =
        serde_json::from_slice(body).map_err(|_| Fail::invalid("the request body is not valid JSON", None))?;
    let model = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty());
    let model = model.ok_or_else(|| Fail::invalid("model: Field required", None))?;
    if body.get("max_tokens").and_then(Value::as_u64).is_none_or(|max| max == 0) {
        return Err(Fail::invalid("max_tokens: Field required", None));
    }
    let messages = body.get("messages").and_then(Value::as_array).filter(|list| !list.is_empty());
    let messages = messages.ok_or_else(|| Fail::invalid("messages: at least one message is required", None))?;
    let ask = ask(&body, messages);
    let reply = reply(&ask);
    let thinks = matches!(body.pointer("/thinking/type").and_then(Value::as_str), Some("enabled" | "adaptive"));
    let blocks = blocks(&reply, thinks.then(|| format!("The user said: {}", ask.user)));
    let message = json!({
        "id": format!("msg_{}", random_hex::<12>()),
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": blocks,
        "stop_reason": if matches!(reply, Reply::Call { .. }) { "tool_use" } else { "end_turn" },
        "stop_sequence": null,
        "usage": usage(&body, messages, &blocks),
    });
    if body.get("stream") == Some(&Value::Bool(true)) {
        return Ok(Answer::Events(events(&message, &blocks, config.chunk_chars)));
    }
    Ok(Answer::Whole(message))
}

/// Answers `GET /v1/models` and `GET /v1/models/{id}`.
pub(super) fn models(id: Option<String>) -> Answer {
    let model = |id: &str| json!({"type": "model", "id": id, "display_name": id, "created_at": "2026-01-01T00:00:00Z"});
    Answer::Whole(match id {
        Some(id) => model(&id),
        None => json!({
            "data": MODELS.iter().map(|id| model(id)).collect::<Vec<_>>(),
            "has_more": false,
            "first_id": MODELS.first(),
            "last_id": MODELS.last(),
        }),
    })
}

/// The error body.
pub(super) fn error(fail: &Fail, id: &str) -> Value {
    json!({"type": "error", "error": {"type": fail.kind, "message": fail.message}, "request_id": id})
}

fn ask(body: &Value, messages: &[Value]) -> Ask {
    let content = |message: &Value| message.get("content").cloned().unwrap_or(Value::Null);
    let users = messages.iter().rev().filter(|message| message.get("role").and_then(Value::as_str) == Some("user"));
    let user = users.map(|message| content_text(&content(message))).find(|text| !text.is_empty());
    let choice = body.get("tool_choice");
    let kind = choice.and_then(|choice| choice.get("type")?.as_str());
    let named = choice.and_then(|choice| choice.get("name")?.as_str());
    let schema = ["/output_config/format/schema", "/output_format/schema"];
    Ask {
        user: user.unwrap_or_default(),
        tool_result: messages.last().and_then(|message| tool_result(&content(message))),
        tools: body.get("tools").and_then(Value::as_array).into_iter().flatten().filter_map(tool).collect(),
        forced: named.map(str::to_owned).or_else(|| (kind == Some("any")).then(String::new)),
        forbidden: kind == Some("none"),
        schema: schema.iter().find_map(|pointer| body.pointer(pointer).cloned()),
    }
}

/// The texts of the tool results of a message, where there are any.
fn tool_result(content: &Value) -> Option<String> {
    let blocks = content.as_array()?.iter();
    let results = blocks.filter(|block| block.get("type").and_then(Value::as_str) == Some("tool_result"));
    let texts: Vec<String> = results.map(|block| block.get("content").map(content_text).unwrap_or_default()).collect();
    (!texts.is_empty()).then(|| texts.join("\n"))
}

fn tool(tool: &Value) -> Option<Tool> {
    let schema = tool.get("input_schema").cloned().unwrap_or(Value::Null);
    Some(Tool { name: tool.get("name")?.as_str()?.to_owned(), schema })
}

fn blocks(reply: &Reply, thinking: Option<String>) -> Vec<Value> {
    let thinking = thinking.map(|text| json!({"type": "thinking", "thinking": text, "signature": SIGNATURE}));
    let said = match reply {
        Reply::Text(text) => json!({"type": "text", "text": text}),
        Reply::Call { name, arguments } => {
            json!({"type": "tool_use", "id": format!("toolu_{}", random_hex::<12>()), "name": name, "input": arguments})
        }
    };
    thinking.into_iter().chain([said]).collect()
}

fn usage(body: &Value, messages: &[Value], blocks: &[Value]) -> Value {
    let prompt = messages.iter().filter_map(|message| message.get("content")).chain(body.get("system"));
    let output: u64 = blocks.iter().map(tokens_of).sum();
    json!({
        "input_tokens": prompt.map(tokens_of).sum::<u64>(),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "output_tokens": output.max(1),
        "service_tier": "standard",
    })
}

fn events(message: &Value, blocks: &[Value], chunk_chars: usize) -> Vec<Bytes> {
    let mut start = message.clone();
    if let Some(members) = start.as_object_mut() {
        members.insert("content".to_owned(), json!([]));
        members.insert("stop_reason".to_owned(), Value::Null);
    }
    if let Some(tokens) = start.pointer_mut("/usage/output_tokens") {
        *tokens = json!(1);
    }
    let mut events = vec![event(json!({"type": "message_start", "message": start}))];
    for (index, block) in blocks.iter().enumerate() {
        let (opening, deltas) = grow(block, chunk_chars);
        events.push(event(json!({"type": "content_block_start", "index": index, "content_block": opening})));
        if index == 0 {
            events.push(event(json!({"type": "ping"})));
        }
        let deltas = deltas.into_iter();
        events
            .extend(deltas.map(|delta| event(json!({"type": "content_block_delta", "index": index, "delta": delta}))));
        events.push(event(json!({"type": "content_block_stop", "index": index})));
    }
    let delta = json!({"stop_reason": message["stop_reason"], "stop_sequence": null});
    let usage = json!({"output_tokens": message["usage"]["output_tokens"]});
    events.push(event(json!({"type": "message_delta", "delta": delta, "usage": usage})));
    events.push(event(json!({"type": "message_stop"})));
    events
}

/// A block as it opens, and the deltas that make it whole.
fn grow(block: &Value, chunk_chars: usize) -> (Value, Vec<Value>) {
    let text = |name: &str| block.get(name).and_then(Value::as_str).unwrap_or_default();
    match text("type") {
        "thinking" => {
            let words = pieces(text("thinking"), chunk_chars).into_iter();
            let deltas = words.map(|piece| json!({"type": "thinking_delta", "thinking": piece}));
            let signed = json!({"type": "signature_delta", "signature": text("signature")});
            (json!({"type": "thinking", "thinking": "", "signature": ""}), deltas.chain([signed]).collect())
        }
        "tool_use" => {
            let input = block.get("input").map(Value::to_string).unwrap_or_default();
            let fragments = std::iter::once(String::new()).chain(pieces(&input, chunk_chars));
            let deltas = fragments.map(|piece| json!({"type": "input_json_delta", "partial_json": piece})).collect();
            (json!({"type": "tool_use", "id": text("id"), "name": text("name"), "input": {}}), deltas)
        }
        _ => {
            let words = pieces(text("text"), chunk_chars).into_iter();
            let deltas = words.map(|piece| json!({"type": "text_delta", "text": piece})).collect();
            (json!({"type": "text", "text": ""}), deltas)
        }
    }
}

fn event(value: Value) -> Bytes {
    let name = value.get("type").and_then(Value::as_str).unwrap_or("ping");
    Bytes::from(format!("event: {name}\ndata: {value}\n\n"))
}
