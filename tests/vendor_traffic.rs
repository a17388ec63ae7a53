//! The dialects against recorded vendor traffic (`../shared/data`, not part of this project): framing byte for byte,
//! and model, usage, finish, tools, deltas and errors compared with a plain reading of the same bytes.

#![expect(clippy::expect_used, reason = "a test stops at what it cannot read")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use flate2::read::{GzDecoder, MultiGzDecoder};
use http::Method;
use sealgate::json::{Document, Kind};
use sealgate::types::Direction;
use sealgate::vendor::sse::Framer;
use sealgate::vendor::{AnswerView, DeltaForm, Dialect, DialectId, Operation, dialect};
use serde_json::Value;

/// One recorded exchange.
struct Exchange {
    method: String,
    path: String,
    request: String,
    media: String,
    stream: bool,
    answer: Vec<u8>,
}

/// The recorded exchanges, or `None` where the data is not there.
fn exchanges() -> Option<Vec<Exchange>> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let folder = std::env::var_os("SEALGATE_TEST_DATA").map_or(beside, PathBuf::from);
    let Ok(file) = std::fs::File::open(folder.join("vendor-traffic.jsonl.gz")) else {
        eprintln!("left out: no vendor-traffic.jsonl.gz in {}", folder.display());
        return None;
    };
    let lines = BufReader::new(MultiGzDecoder::new(file)).lines();
    Some(lines.map(|line| exchange(&serde_json::from_str(&line.expect("line")).expect("json"))).collect())
}

fn exchange(row: &Value) -> Exchange {
    let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
    let uri: http::Uri = text("uri").parse().expect("uri");
    let bytes = base64::engine::general_purpose::STANDARD.decode(text("response_base64")).expect("base64");
    let mut answer = Vec::new();
    match text("content_encoding").as_str() {
        "gzip" => drop(GzDecoder::new(&bytes[..]).read_to_end(&mut answer).expect("gzip")),
        _ => answer = bytes,
    }
    Exchange {
        method: text("method").to_uppercase(),
        path: uri.path().to_owned(),
        request: text("request_body"),
        media: text("content_type"),
        stream: row["stream"] == true,
        answer,
    }
}

/// What the dialect that serves this path makes of it; prefixes are the vendor url's, so they are cut off here.
fn operation(exchange: &Exchange) -> Option<(&'static dyn Dialect, Operation)> {
    let method: Method = exchange.method.parse().expect("method");
    let tail = ["/chat/completions", "/messages"].into_iter().find(|tail| exchange.path.ends_with(tail))?;
    let id = if tail == "/messages" { DialectId::Anthropic } else { DialectId::OpenAi };
    // The threads of OpenAI's Assistants also end in `/messages`.
    let is_ours = !exchange.path.contains("/threads/");
    let found = dialect(id).operation(&method, tail).filter(|_| is_ours)?;
    Some((dialect(id), found))
}

/// The `data` of each event, read in the simplest way.
fn plain_events(answer: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(answer).replace("\r\n", "\n");
    let event = |block: &str| {
        let lines = block.lines().filter_map(|line| line.strip_prefix("data:"));
        lines.map(|line| line.strip_prefix(' ').unwrap_or(line)).collect::<Vec<_>>().join("\n")
    };
    text.split("\n\n").map(event).filter(|data| !data.is_empty()).collect()
}

#[test]
fn framing_is_byte_exact_on_every_recorded_stream() {
    let Some(exchanges) = exchanges() else { return };
    let mut streams = 0;
    for exchange in exchanges.iter().filter(|e| e.media.starts_with("text/event-stream")) {
        streams += 1;
        let expected = plain_events(&exchange.answer);
        for size in [1, 37, 4096] {
            let (mut framer, mut raw, mut data) = (Framer::new(), Vec::new(), Vec::new());
            for chunk in exchange.answer.chunks(size) {
                framer.push(chunk);
                while let Some(frame) = framer.next_frame().expect("short") {
                    raw.extend_from_slice(&frame.raw);
                    let at = frame.data.find("\":").unwrap_or(0);
                    if !frame.data.is_empty() {
                        assert_eq!(frame.raw[frame.map.source(at)], frame.data.as_bytes()[at]);
                    }
                    data.extend((!frame.data.is_empty()).then_some(frame.data));
                }
            }
            let rest = framer.finish();
            raw.extend(rest.iter().flat_map(|frame| frame.raw.to_vec()));
            data.extend(rest.map(|frame| frame.data).filter(|data| !data.is_empty()));
            assert!(raw == exchange.answer, "bytes differ in {} by {size}", exchange.path);
            assert_eq!(data, expected, "{} by {size}", exchange.path);
        }
    }
    eprintln!("{streams} streams framed three ways");
    assert!(streams > 150, "only {streams} streams");
}

/// What a plain reading of the whole answer or all events gives: model, usage, finish, tools.
fn plain_view(anthropic: bool, values: &[Value]) -> AnswerView {
    let mut view = AnswerView::default();
    let mut tools = BTreeSet::new();
    let number = |value: &Value| value.as_u64();
    for value in values {
        let message = if value["type"] == "message_start" { &value["message"] } else { value };
        if view.model.is_none() {
            view.model = message["model"].as_str().filter(|model| !model.is_empty()).map(str::to_owned);
        }
        if anthropic {
            let usage = &message["usage"];
            if let Some(input) = number(&usage["input_tokens"]) {
                let cached = |name: &str| number(&usage[name]).unwrap_or(0);
                view.usage.input =
                    Some(input + cached("cache_creation_input_tokens") + cached("cache_read_input_tokens"));
            }
            view.usage.output = number(&usage["output_tokens"]).or(view.usage.output);
            let reason = message["stop_reason"].as_str().or(message["delta"]["stop_reason"].as_str());
            view.finish = reason.map(str::to_owned).or(view.finish);
            let blocks = message["content"].as_array().into_iter().flatten().chain([&message["content_block"]]);
            let calls = blocks.filter(|block| block["type"] == "tool_use");
            tools.extend(calls.filter_map(|block| block["name"].as_str()));
        } else {
            let usage = if value["usage"].is_object() { &value["usage"] } else { &value["x_groq"]["usage"] };
            view.usage.input = number(&usage["prompt_tokens"]).or(view.usage.input);
            view.usage.output = number(&usage["completion_tokens"]).or(view.usage.output);
            for choice in value["choices"].as_array().into_iter().flatten() {
                let reason = choice["finish_reason"].as_str().filter(|_| view.finish.is_none());
                view.finish = reason.map(str::to_owned).or(view.finish);
                for message in [&choice["message"], &choice["delta"]] {
                    let calls = message["tool_calls"].as_array().into_iter().flatten();
                    tools.extend(calls.filter_map(|call| call["function"]["name"].as_str()));
                    tools.extend(message["function_call"]["name"].as_str());
                }
            }
        }
        view.is_error |= !value["error"].is_null() || value["type"] == "error";
    }
    view.tools = tools.into_iter().filter(|name| !name.is_empty()).map(str::to_owned).collect();
    view
}

#[test]
fn whole_answers_and_requests_read_as_a_plain_reading_does() {
    let Some(exchanges) = exchanges() else { return };
    let (mut answers, mut parts, mut errors) = (0, 0, 0);
    for exchange in exchanges.iter().filter(|e| !e.stream && e.media.starts_with("application/json")) {
        let Some((dialect, operation)) = operation(exchange) else { continue };
        let Ok(document) = Document::parse(&exchange.answer) else { continue };
        let value: Value = serde_json::from_slice(&exchange.answer).expect("json");
        let view = dialect.answer(&operation, &document);
        assert_eq!(view, plain_view(dialect.name() == "anthropic", &[value]), "{}", exchange.path);
        answers += 1;
        errors += usize::from(view.is_error);
        let request = Document::parse(exchange.request.as_bytes()).expect("request");
        let plain: Value = serde_json::from_str(&exchange.request).expect("json");
        let view = dialect.request(&operation, Some(&request));
        assert_eq!(view.model.as_deref(), plain["model"].as_str());
        let found = dialect.text_parts(&operation, Direction::Request, &request);
        assert!(found.windows(2).all(|pair| pair[0].id() < pair[1].id()) && !found.is_empty());
        assert!(found.iter().all(|part| part.kind() == Kind::String));
        let messages = plain["messages"].as_array().expect("messages");
        for text in messages.iter().filter_map(|message| message["content"].as_str()) {
            assert!(found.iter().any(|part| part.as_str().as_deref() == Some(text)));
        }
        parts += found.len();
    }
    eprintln!("{answers} answers, {errors} of them errors, {parts} request parts");
    assert!(answers > 200 && errors > 2, "{answers} answers, {errors} errors");
}

/// Joined deltas of a stream by a plain reading: (choice or block, field) to text.
fn plain_texts(anthropic: bool, events: &[Value]) -> BTreeMap<(u64, String), String> {
    let mut texts = BTreeMap::<(u64, String), String>::new();
    let mut add = |index: &Value, field: String, text: &Value| {
        if let Some(text) = text.as_str().filter(|text| !text.is_empty()) {
            texts.entry((index.as_u64().unwrap_or(0), field)).or_default().push_str(text);
        }
    };
    for event in events {
        for field in ["text", "thinking", "partial_json"].into_iter().filter(|_| anthropic) {
            add(&event["index"], field.to_owned(), &event["content_block"][field]);
            add(&event["index"], field.to_owned(), &event["delta"][field]);
        }
        for choice in event["choices"].as_array().into_iter().flatten() {
            let delta = &choice["delta"];
            add(&choice["index"], "content".to_owned(), &delta["content"]);
            for call in delta["tool_calls"].as_array().into_iter().flatten() {
                add(&choice["index"], format!("json {}", call["index"]), &call["function"]["arguments"]);
                add(&choice["index"], format!("id {}", call["index"]), &call["id"]);
                add(&choice["index"], format!("name {}", call["index"]), &call["function"]["name"]);
            }
        }
    }
    texts
}

#[test]
fn streams_read_as_a_plain_reading_does() {
    let Some(exchanges) = exchanges() else { return };
    let (mut streams, mut json_channels, mut deltas) = (0, 0, 0);
    for exchange in exchanges.iter().filter(|e| e.stream && e.media.starts_with("text/event-stream")) {
        let Some((dialect, operation)) = operation(exchange) else { continue };
        let anthropic = dialect.name() == "anthropic";
        let mut framer = Framer::new();
        framer.push(&exchange.answer);
        let mut reader = dialect.stream(&operation);
        let (mut values, mut joined, mut json) = (Vec::new(), BTreeMap::<u32, String>::new(), BTreeSet::new());
        let (mut terminals, mut ended, mut errors) = (0, BTreeSet::new(), 0);
        while let Some(frame) = framer.next_frame().expect("short") {
            assert_eq!(frame.side, "", "{}", exchange.path);
            let document = Document::parse(frame.data.as_bytes()).ok();
            let view = reader.event(frame.event.as_deref(), document.as_ref(), &frame.data);
            for delta in &view.deltas {
                let leaves = document.as_ref().expect("parsed").leaves();
                let leaf = leaves.into_iter().find(|leaf| leaf.id() == delta.node).expect("a leaf");
                assert!(!ended.contains(&delta.channel), "a delta after its channel's end");
                joined.entry(delta.channel).or_default().push_str(&leaf.as_str().expect("text"));
                if delta.form == DeltaForm::Json {
                    json.insert(delta.channel);
                }
                deltas += 1;
            }
            ended.extend(view.ended);
            terminals += usize::from(view.terminal);
            errors += usize::from(view.error);
            values.extend(serde_json::from_str::<Value>(&frame.data));
        }
        assert!(framer.finish().is_none());
        assert_eq!((terminals, errors), (1, 0), "{}", exchange.path);
        assert_eq!(reader.view(), &plain_view(anthropic, &values), "{}", exchange.path);
        let mut ours: Vec<&String> = joined.values().collect();
        let plain = plain_texts(anthropic, &values);
        let mut theirs: Vec<&String> = plain.values().collect();
        ours.sort_unstable();
        theirs.sort_unstable();
        assert_eq!(ours, theirs, "{}", exchange.path);
        assert_eq!(ended.len(), joined.len(), "{}: a channel did not end", exchange.path);
        for channel in &json {
            serde_json::from_str::<Value>(&joined[channel]).expect("joined arguments are JSON");
        }
        json_channels += json.len();
        streams += 1;
    }
    eprintln!("{streams} streams, {deltas} deltas, {json_channels} channels of tool arguments");
    assert!(streams > 100 && json_channels > 20, "{streams} streams, {json_channels} channels");
}
