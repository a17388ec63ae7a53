use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};

use super::*;
use crate::json::Document;
use crate::vendor::{DialectId, Operation, dialect, sse::Framer};

struct Got {
    status: u16,
    headers: hyper::HeaderMap,
    body: Vec<u8>,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).expect("json")
    }
}

async fn call(h2: bool, address: SocketAddr, path: &str, headers: &[(&str, &str)], body: Option<Value>) -> Got {
    let client: Client<HttpConnector, Full<bytes::Bytes>> =
        Client::builder(TokioExecutor::new()).http2_only(h2).build(HttpConnector::new());
    let mut request = Request::builder().uri(format!("http://{address}{path}"));
    request = request.method(if body.is_some() { "POST" } else { "GET" });
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = body.map(|body| match body {
        Value::String(raw) => raw,
        other => other.to_string(),
    });
    let request = request.body(Full::from(body.unwrap_or_default())).expect("request");
    let response = client.request(request).await.expect("answer");
    let (head, body) = response.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_else(|_| b"BROKEN".to_vec());
    Got { status: head.status.as_u16(), headers: head.headers, body }
}

/// The events of a stream, read by the vendor room's own framer and readers.
fn events(dialect_id: DialectId, operation: Operation, body: &[u8]) -> (Vec<Value>, crate::vendor::AnswerView, bool) {
    let mut framer = Framer::new();
    framer.push(body);
    let mut reader = dialect(dialect_id).stream(&operation);
    let (mut seen, mut terminal) = (Vec::new(), false);
    while let Some(frame) = framer.next_frame().expect("short") {
        let document = Document::parse(frame.data.as_bytes()).ok();
        terminal |= reader.event(frame.event.as_deref(), document.as_ref(), &frame.data).terminal;
        seen.extend(serde_json::from_str::<Value>(&frame.data));
    }
    (seen, reader.view().clone(), terminal)
}

fn chat(text: &str) -> Value {
    json!({"model": "any/model", "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": text}]})
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

fn tool() -> Value {
    let schema = json!({"type": "object", "properties": {"query": {"type": "string"}, "count": {"type": "integer"}}});
    json!([{"type": "function", "function": {"name": "look_up", "parameters": schema}}])
}

#[tokio::test]
async fn echoes_as_openai_over_both_protocols() {
    let (address, _handle) = start().await.expect("starts");
    for h2 in [false, true] {
        let got = call(h2, address, "/v1/chat/completions", &[], Some(chat("hé llo"))).await;
        assert_eq!(got.status, 200);
        assert!(got.headers["x-request-id"].to_str().expect("ascii").starts_with("req_"));
        let body = got.json();
        assert_eq!(body["choices"][0]["message"]["content"], "You said: hé llo");
        assert_eq!(body["model"], "any/model");
        assert!(body["usage"]["prompt_tokens"].as_u64() > Some(0));
    }
    let list = call(false, address, "/v1/models", &[], None).await.json();
    assert_eq!(list["object"], "list");
    let model = call(false, address, "/v1/models/org%2Fx", &[], None).await.json();
    assert_eq!(model["id"], "org/x");
}

#[tokio::test]
async fn streams_openai_text_and_tools() {
    let (address, _handle) = start().await.expect("starts");
    let options = json!({"include_usage": true});
    let body = with(with(chat("one two three"), "stream", json!(true)), "stream_options", options);
    let got = call(false, address, "/v1/chat/completions", &[], Some(body)).await;
    let (chunks, view, terminal) = events(DialectId::OpenAi, Operation::CHAT, &got.body);
    let text: String = chunks.iter().filter_map(|c| c["choices"][0]["delta"]["content"].as_str()).collect();
    assert_eq!(text, "You said: one two three");
    assert!(terminal && chunks.len() > 6);
    assert_eq!((view.finish.as_deref(), view.usage.output), (Some("stop"), Some(6)));

    let body = with(with(chat("call look_up for \"x\""), "stream", json!(true)), "tools", tool());
    let got = call(false, address, "/v1/chat/completions", &[], Some(body)).await;
    let (chunks, view, _) = events(DialectId::OpenAi, Operation::CHAT, &got.body);
    let joined: String = chunks
        .iter()
        .filter_map(|c| c["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str())
        .collect();
    let arguments: Value = serde_json::from_str(&joined).expect("valid");
    assert_eq!(arguments, json!({"query": "call look_up for \"x\"", "count": 1}));
    assert_eq!((view.finish.as_deref(), view.tools), (Some("tool_calls"), vec!["look_up".to_owned()]));
}

#[tokio::test]
async fn structured_answers_fit_their_schema() {
    let (address, _handle) = start().await.expect("starts");
    let schema = json!({"type": "object", "$defs": {"N": {"type": "object", "properties": {"s": {"type": "string"}}}},
        "properties": {"n": {"$ref": "#/$defs/N"}, "list": {"type": "array", "items": {"type": "boolean"}},
        "e": {"enum": ["a", "b"]}, "o": {"anyOf": [{"type": "null"}, {"type": "number"}]}}});
    let format = json!({"type": "json_schema", "json_schema": {"name": "x", "schema": schema}});
    let body = with(chat("hi"), "response_format", format);
    let got = call(false, address, "/v1/chat/completions", &[], Some(body)).await.json();
    let content: Value =
        serde_json::from_str(got["choices"][0]["message"]["content"].as_str().expect("text")).expect("json");
    assert_eq!(content, json!({"n": {"s": "You said: hi"}, "list": [true], "e": "a", "o": 1}));
    let body = with(chat("hi"), "response_format", json!({"type": "json_object"}));
    let got = call(false, address, "/v1/chat/completions", &[], Some(body)).await.json();
    assert_eq!(got["choices"][0]["message"]["content"], r#"{"text":"You said: hi"}"#);
}

#[tokio::test]
async fn speaks_anthropic() {
    let (address, _handle) = start().await.expect("starts");
    let version = [("anthropic-version", "2023-06-01")];
    let ask = json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]});
    let got = call(false, address, "/v1/messages?beta=true", &version, Some(ask.clone())).await;
    assert!(got.headers.contains_key("request-id"));
    assert_eq!(got.json()["content"][0]["text"], "You said: hi");

    let thinking = with(with(ask.clone(), "stream", json!(true)), "thinking", json!({"type": "enabled"}));
    let got = call(false, address, "/v1/messages", &version, Some(thinking)).await;
    let (seen, view, terminal) = events(DialectId::Anthropic, Operation::MESSAGES, &got.body);
    let text: String = seen.iter().filter_map(|e| e["delta"]["text"].as_str()).collect();
    assert_eq!((text.as_str(), terminal), ("You said: hi", true));
    assert_eq!(view.finish.as_deref(), Some("end_turn"));
    assert!(seen.iter().any(|e| e["delta"]["type"] == "signature_delta"));

    let tools = json!([{"name": "f", "input_schema": {"type": "object", "properties": {"q": {"type": "string"}}}}]);
    let forced = with(with(ask, "tools", tools), "tool_choice", json!({"type": "any"}));
    let got = call(false, address, "/v1/messages", &version, Some(with(forced, "stream", json!(true)))).await;
    let (seen, view, _) = events(DialectId::Anthropic, Operation::MESSAGES, &got.body);
    let joined: String = seen.iter().filter_map(|e| e["delta"]["partial_json"].as_str()).collect();
    assert_eq!((joined.as_str(), view.tools), (r#"{"q":"hi"}"#, vec!["f".to_owned()]));

    let list = call(false, address, "/v1/models", &version, None).await.json();
    assert_eq!(list["has_more"], false);
}

#[tokio::test]
async fn errors_have_the_vendors_shape() {
    let (address, _handle) = start().await.expect("starts");
    let version = [("anthropic-version", "2023-06-01")];
    for body in [json!("{"), json!({}), json!({"model": "m"}), json!({"model": "m", "messages": []}), json!([1])] {
        let got = call(false, address, "/v1/chat/completions", &[], Some(body.clone())).await;
        assert_eq!((got.status, &got.json()["error"]["type"]), (400, &json!("invalid_request_error")));
        let got = call(false, address, "/v1/messages", &version, Some(body)).await;
        let error = got.json();
        assert_eq!(
            (got.status, &error["type"], &error["error"]["type"]),
            (400, &json!("error"), &json!("invalid_request_error"))
        );
    }
    assert_eq!(call(false, address, "/v1/embeddings", &[], Some(json!({}))).await.status, 404);
    let limited = call(false, address, "/v1/chat/completions", &[("demo-fault", "429")], Some(chat("x"))).await;
    assert_eq!((limited.status, limited.headers["retry-after"].to_str().expect("ascii")), (429, "1"));
    let stream = with(chat("some text"), "stream", json!(true));
    let got =
        call(false, address, "/v1/chat/completions", &[("demo-fault", "stream-error")], Some(stream.clone())).await;
    let (_, view, terminal) = events(DialectId::OpenAi, Operation::CHAT, &got.body);
    assert_eq!((view.is_error, terminal), (true, false));
    let got = call(false, address, "/v1/chat/completions", &[("demo-fault", "break")], Some(stream)).await;
    assert_eq!((got.status, got.body), (200, b"BROKEN".to_vec()));
}

#[tokio::test]
async fn a_dropped_handle_closes_the_port() {
    let (address, handle) = start().await.expect("starts");
    drop(handle);
    for _ in 0..100 {
        if tokio::net::TcpStream::connect(address).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the port is still open");
}
