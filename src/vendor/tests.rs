use std::collections::BTreeMap;

use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use proptest::prelude::*;

use super::sse::{FRAME_BYTES_MAX, FrameTooLong, Framer};
use super::*;
use crate::types::{Reason, RequestId};

const OPENAI: &dyn Dialect = &openai::OpenAi;
const ANTHROPIC: &dyn Dialect = &anthropic::Anthropic;

fn document(text: &str) -> Document<'_> {
    Document::parse(text.as_bytes()).expect("valid")
}

#[test]
fn paths_match_as_written_with_or_without_v1() {
    for (method, path, openai, anthropic) in [
        (Method::POST, "/v1/chat/completions", "chat", "unknown"),
        (Method::POST, "/chat/completions", "chat", "unknown"),
        (Method::POST, "/v1/messages", "unknown", "messages"),
        (Method::POST, "/messages", "unknown", "messages"),
        (Method::POST, "/v1/messages?beta=true", "unknown", "messages"),
        (Method::GET, "/v1/models", "models.list", "models.list"),
        (Method::GET, "/models/gpt-4o", "models.get", "models.get"),
        (Method::GET, "/v1/models/org/name:free", "models.get", "models.get"),
        (Method::GET, "/v1/models/org%2Fname%3Afree", "models.get", "models.get"),
        (Method::GET, "/v1/models/../files", "unknown", "unknown"),
        (Method::GET, "/v1/models/%2e%2E/files", "unknown", "unknown"),
        (Method::GET, "/v1/models/a%252e", "unknown", "unknown"),
        (Method::GET, "/v1/models/", "unknown", "unknown"),
        (Method::GET, "/v1/models//x", "unknown", "unknown"),
        (Method::GET, "/v1/models/%zz", "unknown", "unknown"),
        (Method::DELETE, "/v1/models/x", "unknown", "unknown"),
        (Method::GET, "/v1/chat/completions", "unknown", "unknown"),
        (Method::POST, "/v1/chat/completions/", "unknown", "unknown"),
        (Method::POST, "/V1/chat/completions", "unknown", "unknown"),
        (Method::POST, "/v1/v1/chat/completions", "unknown", "unknown"),
        (Method::POST, "/v1//chat/completions", "unknown", "unknown"),
        (Method::POST, "/v1/chat%2Fcompletions", "unknown", "unknown"),
        (Method::POST, "/v1/messages/batches", "unknown", "unknown"),
        (Method::POST, "/v1/embeddings", "unknown", "unknown"),
        (Method::POST, "", "unknown", "unknown"),
    ] {
        let name = |id| resolve(&[id], &method, path).1.name;
        assert_eq!((name(DialectId::OpenAi), name(DialectId::Anthropic)), (openai, anthropic), "{method} {path}");
    }
    let both = [DialectId::OpenAi, DialectId::Anthropic];
    let (found, operation) = resolve(&both, &Method::POST, "/v1/messages");
    assert_eq!((found.name(), operation), ("anthropic", Operation::MESSAGES));
    assert_eq!(resolve(&both, &Method::POST, "/x").0.name(), "openai");
    let model = OPENAI.path_model(&Operation::MODELS_GET, "/v1/models/org%2Fname");
    assert_eq!(model.as_deref(), Some("org/name"));
}

#[test]
fn an_openai_request_shows_model_tools_parts_and_attachments() {
    let text = r#"{"model":"m","stream":true,"messages":[
        {"role":"system","content":"be brief"},
        {"role":"user","name":"n","content":[{"type":"text","text":"look"},
          {"type":"image_url","image_url":{"url":"data:image/png;base64,QUJD","detail":"low"}},
          {"type":"image_url","image_url":{"url":"https://example.com/a.png"}},
          {"type":"input_audio","input_audio":{"data":"QUI=","format":"wav"}},
          {"type":"file","file":{"file_id":"file-1"}},{"type":"file","file":{"file_data":"data:application/pdf;base64,QUJDRA=="}},
          {"type":"hologram","hologram":"x"}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"c1","type":"function","function":{"name":"called","arguments":"{\"a\":1}"}}]},
        {"role":"tool","tool_call_id":"c1","content":"result"}],
      "tools":[{"type":"function","function":{"name":"f","parameters":{}}},{"type":"custom","custom":{"name":"c"}},{"type":"web"}],
      "functions":[{"name":"old"}],"tool_choice":{"type":"function","function":{"name":"f"}}}"#;
    let document = document(text);
    let view = OPENAI.request(&Operation::CHAT, Some(&document));
    assert_eq!((view.model.as_deref(), view.stream), (Some("m"), true));
    assert_eq!(view.tools, ["c", "called", "f", "old", "web"]);
    let kinds: Vec<_> = view.attachments.iter().map(|a| (a.kind, a.bytes)).collect();
    let expected = [("image", 3), ("url", 0), ("audio", 2), ("file_id", 0), ("file", 4), ("other", 0)];
    assert_eq!(kinds, expected);
    let parts = OPENAI.text_parts(&Operation::CHAT, Direction::Request, &document);
    let parts: Vec<_> = parts.iter().map(|p| (p.pointer(), p.as_str().expect("text").into_owned())).collect();
    let expected = [
        ("/messages/0/content", "be brief"),
        ("/messages/1/content/0/text", "look"),
        ("/messages/1/content/6/hologram", "x"),
        ("/messages/2/tool_calls/0/function/arguments", "{\"a\":1}"),
        ("/messages/3/content", "result"),
    ];
    assert_eq!(parts, expected.map(|(p, t)| (p.to_owned(), t.to_owned())));
}

#[test]
fn an_anthropic_request_shows_model_tools_parts_and_attachments() {
    let text = r#"{"model":"c","max_tokens":5,"system":[{"type":"text","text":"sys","cache_control":{"type":"ephemeral"}}],
      "messages":[{"role":"user","content":"hi"},
        {"role":"assistant","content":[{"type":"thinking","thinking":"hm","signature":"c2ln"},
          {"type":"tool_use","id":"t","name":"used","input":{"name":"v1","deep":["v2"]}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"res"},
          {"type":"image","source":{"type":"base64","media_type":"image/png","data":"QUJD"}}]},
          {"type":"document","source":{"type":"text","media_type":"text/plain","data":"doc text"}},
          {"type":"document","source":{"type":"url","url":"https://example.com/x.pdf"}},
          {"type":"image","source":{"type":"file","file_id":"file_1"}}]}],
      "tools":[{"name":"f","input_schema":{}},{"type":"web_search_20250305","name":"web_search"}],
      "mcp_servers":[{"type":"url","url":"https://example.com","name":"remote"}]}"#;
    let document = document(text);
    let view = ANTHROPIC.request(&Operation::MESSAGES, Some(&document));
    assert_eq!((view.model.as_deref(), view.stream), (Some("c"), false));
    assert_eq!(view.tools, ["f", "remote", "used", "web_search"]);
    let kinds: Vec<_> = view.attachments.iter().map(|a| (a.kind, a.bytes, a.scannable)).collect();
    let expected = [("image", 3, false), ("document", 8, true), ("url", 0, false), ("file_id", 0, false)];
    assert_eq!(kinds, expected);
    let parts = ANTHROPIC.text_parts(&Operation::MESSAGES, Direction::Request, &document);
    let texts: Vec<_> = parts.iter().map(|p| p.as_str().expect("text").into_owned()).collect();
    assert_eq!(texts, ["sys", "hi", "hm", "v1", "v2", "res", "doc text"]);
}

#[test]
fn odd_shapes_give_empty_views_not_faults() {
    for text in [
        "null",
        "[]",
        "1",
        "\"x\"",
        "{}",
        r#"{"messages":1,"tools":{},"model":5,"stream":"yes"}"#,
        r#"{"messages":[1,null,{"content":{"type":5}}],"tool_choice":[],"choices":[null],"usage":[],"delta":[]}"#,
    ] {
        let document = document(text);
        for (dialect, operation) in
            [(OPENAI, Operation::CHAT), (ANTHROPIC, Operation::MESSAGES), (OPENAI, Operation::UNKNOWN)]
        {
            let view = dialect.request(&operation, Some(&document));
            assert_eq!((view.model, view.stream), (None, false), "{text}");
            assert!(!dialect.answer(&operation, &document).is_error);
            dialect.text_parts(&operation, Direction::Answer, &document);
            let seen = dialect.stream(&operation).event(None, Some(&document), text);
            assert!(!seen.terminal && !seen.error);
        }
    }
    assert_eq!(OPENAI.request(&Operation::MODELS_LIST, None), RequestView::default());
}

#[test]
fn answers_show_model_usage_finish_tools_and_errors() {
    let text = r#"{"model":"m-1","choices":[{"message":{"content":"x","tool_calls":[{"function":{"name":"f","arguments":"{}"}}]},
        "finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;
    let view = OPENAI.answer(&Operation::CHAT, &document(text));
    assert_eq!(
        (view.model.as_deref(), view.finish.as_deref(), view.is_error),
        (Some("m-1"), Some("tool_calls"), false)
    );
    assert_eq!((view.usage.input, view.usage.output, view.tools), (Some(3), Some(4), vec!["f".to_owned()]));
    let text = r#"{"type":"message","model":"c-1","content":[{"type":"tool_use","name":"g","input":{}}],"stop_reason":"tool_use",
        "usage":{"input_tokens":1,"cache_read_input_tokens":10,"cache_creation_input_tokens":100,"output_tokens":7}}"#;
    let view = ANTHROPIC.answer(&Operation::MESSAGES, &document(text));
    assert_eq!((view.usage.input, view.usage.output), (Some(111), Some(7)));
    assert_eq!((view.finish.as_deref(), view.tools), (Some("tool_use"), vec!["g".to_owned()]));
    for error in [r#"{"error":{"message":"m"}}"#, r#"{"error":"m"}"#, r#"[{"error":{}}]"#, r#"{"object":"err\u006fr"}"#]
    {
        assert!(OPENAI.answer(&Operation::CHAT, &document(error)).is_error, "{error}");
    }
    assert!(!OPENAI.answer(&Operation::CHAT, &document(r#"{"error":null}"#)).is_error);
    assert!(ANTHROPIC.answer(&Operation::MESSAGES, &document(r#"{"type":"error","error":{}}"#)).is_error);
}

/// Feeds events and joins each channel's text.
fn join(dialect: &dyn Dialect, operation: Operation, events: &[&str]) -> (BTreeMap<u32, String>, Vec<EventView>) {
    let mut reader = dialect.stream(&operation);
    let (mut joined, mut views) = (BTreeMap::<u32, String>::new(), Vec::new());
    for data in events {
        let document = Document::parse(data.as_bytes()).ok();
        let view = reader.event(None, document.as_ref(), data);
        for delta in &view.deltas {
            let document = document.as_ref().expect("parsed");
            let leaf = document.leaves().find(|leaf| leaf.id() == delta.node).expect("a leaf");
            joined.entry(delta.channel).or_default().push_str(&leaf.as_str().expect("text"));
        }
        views.push(view);
    }
    (joined, views)
}

#[test]
fn openai_deltas_are_joined_by_choice_field_and_tool_index() {
    let (joined, views) = join(
        OPENAI,
        Operation::CHAT,
        &[
            r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":"a","reasoning_content":"r"}},{"index":1,"delta":{"content":"B"}}]}"#,
            r#"{"choices":[{"index":1,"delta":{"content":"C"}}]}"#,
            r#"{"choices":[{"index":0,"d\u0065lta":{"content":"b","refusal":"n","tool_calls":[{"index":1,"id":"x","function":{"name":"f","arguments":"{1"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{0"}},{"index":1,"function":{"arguments":"1}"}}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"p"},{"type":"text","text":"q"}]}}]}"#,
            r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"late","function_call":{"arguments":"{"}}}]}"#,
            "[DONE]",
        ],
    );
    let texts: Vec<_> = joined.values().map(String::as_str).collect();
    assert_eq!(texts, ["ab", "r", "BC", "n", "x", "f", "{11}", "{0", "pq", "late", "{"]);
    let forms: Vec<_> = views[2].deltas.iter().map(|delta| delta.form).collect();
    assert_eq!(forms[2..], [DeltaForm::Text, DeltaForm::Text, DeltaForm::Json]);
    assert_eq!(views[3].superseded, [0, 3, 4, 5], "content, refusal, id and name go no further");
    assert_eq!(views[6].deltas[1].form, DeltaForm::Json);
    assert_eq!(views[5].ended.len(), 8);
    assert!(views[7].terminal && !views[6].terminal);
}

#[test]
fn tool_calls_without_an_index_are_told_apart_by_id() {
    let (joined, _) = join(
        OPENAI,
        Operation::CHAT,
        &[
            r#"{"choices":[{"delta":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":"{\"x\""}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"function":{"arguments":":1}"}}]}}]}"#,
            r#"{"choices":[{"delta":{"tool_calls":[{"id":"b","function":{"name":"f","arguments":"{}"}}]}}]}"#,
        ],
    );
    assert_eq!(joined.values().map(String::as_str).collect::<Vec<_>>(), ["a", "f", "{\"x\":1}", "b", "f", "{}"]);
}

#[test]
fn anthropic_deltas_are_joined_by_block() {
    let (joined, views) = join(
        ANTHROPIC,
        Operation::MESSAGES,
        &[
            r#"{"type":"message_start","message":{"model":"c","content":[],"usage":{"input_tokens":5,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":"4"}}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"111"}}"#,
            r#"{"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"citations_delta","citation":{"cited_text":"z"}}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"signature_delta","signature":"c2ln"}}"#,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"new_delta","novel":"text"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":9}}"#,
            r#"{"type":"message_stop"}"#,
        ],
    );
    assert_eq!(joined.values().map(String::as_str).collect::<Vec<_>>(), ["4111", "{", "text"]);
    assert_eq!(views[4].deltas[0].form, DeltaForm::Json);
    assert!(views[5].deltas.is_empty() && views[6].deltas.is_empty());
    assert_eq!(views[8].ended, [0]);
    assert!(views[10].terminal && views.iter().filter(|view| view.terminal).count() == 1);
}

#[test]
fn errors_inside_a_stream_are_seen() {
    let read = |dialect: &dyn Dialect, operation, event, data: &str| {
        let mut reader = dialect.stream(&operation);
        let seen = reader.event(event, Document::parse(data.as_bytes()).ok().as_ref(), data);
        seen.error && reader.view().is_error
    };
    for (event, data) in [
        (None, r#"{"error":{"message":"tool_use_failed"}}"#),
        (Some("error"), "not json"),
        (None, r#"{"error":"overloaded"}"#),
        (None, r#"{"choices":[{"delta":{"content":""},"finish_reason":"error"}]}"#),
    ] {
        assert!(read(OPENAI, Operation::CHAT, event, data), "{data}");
    }
    for (event, data) in [
        (Some("error"), r#"{"type":"error","error":{"type":"overloaded_error"}}"#),
        (None, r#"{"type":"error","error":{}}"#),
        (None, r#"{"error":{}}"#),
    ] {
        assert!(read(ANTHROPIC, Operation::MESSAGES, event, data), "{data}");
    }
}

#[test]
fn what_an_sdk_takes_for_the_end_is_the_end() {
    for data in ["[DONE]", " [DONE]", "[DONE] and more"] {
        assert!(OPENAI.stream(&Operation::CHAT).event(None, None, data).terminal, "{data}");
    }
    let stop = |event, data: &str| {
        let document = Document::parse(data.as_bytes()).ok();
        ANTHROPIC.stream(&Operation::MESSAGES).event(event, document.as_ref(), data).terminal
    };
    assert!(stop(Some("message_stop"), "{}") && stop(Some("ping"), r#"{"type":"message_stop"}"#));
    assert!(stop(Some("message_stop"), "") && !stop(Some("ping"), r#"{"type":"ping"}"#));
}

#[test]
fn a_flood_of_channels_is_told_not_followed() {
    let mut reader = OPENAI.stream(&Operation::CHAT);
    let mut overflowed = false;
    for index in 0..2000 {
        let data = format!(r#"{{"choices":[{{"index":{index},"delta":{{"content":"x"}}}}]}}"#);
        overflowed |= reader.event(None, Some(&document(&data)), &data).overflow;
    }
    assert!(overflowed);
}

#[test]
fn unknown_streams_are_joined_by_path() {
    let (joined, _) = join(
        OPENAI,
        Operation::UNKNOWN,
        &[
            r#"{"type":"response.output_text.delta","output_index":0,"item_id":"i","delta":"41"}"#,
            r#"{"type":"response.output_text.delta","output_index":1,"item_id":"i","delta":"other"}"#,
            r#"{"type":"response.output_text.delta","output_index":0,"item_id":"i","delta":"11"}"#,
        ],
    );
    assert_eq!(joined.values().map(String::as_str).collect::<Vec<_>>(), ["4111", "other"]);
}

fn refusal(reason: Reason) -> Refusal {
    Refusal::of(reason, RequestId::new(1_790_000_000_000, [1; 10]))
}

#[test]
fn refusals_have_the_vendors_shape_and_one_line() {
    for &reason in Reason::ALL {
        let refusal = refusal(reason).saying("two\nlines");
        for dialect in [OPENAI, ANTHROPIC] {
            let body: serde_json::Value = serde_json::from_slice(&dialect.refusal(&refusal)).expect("json");
            let message = body["error"]["message"].as_str().expect("text");
            assert!(!message.contains('\n') && message.contains(reason.as_str()), "{message}");
            assert!(message.contains(&refusal.request.to_string()));
            let mut framer = Framer::new();
            framer.push(&dialect.stream_refusal(&refusal));
            let frame = framer.next_frame().expect("short").expect("whole");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&frame.data).expect("json"), body);
            let operation = if dialect.name() == "openai" { Operation::CHAT } else { Operation::MESSAGES };
            let seen =
                dialect.stream(&operation).event(frame.event.as_deref(), Some(&document(&frame.data)), &frame.data);
            assert!(seen.error && framer.finish().is_none());
        }
    }
    let openai: serde_json::Value = serde_json::from_slice(&OPENAI.refusal(&refusal(Reason::DlpPan))).expect("json");
    assert_eq!((&openai["error"]["code"], &openai["error"]["type"]), (&"dlp.pan".into(), &"permission_error".into()));
    assert!(openai["error"]["param"].is_null());
    let anthropic: serde_json::Value =
        serde_json::from_slice(&ANTHROPIC.refusal(&refusal(Reason::IdentityMissing))).expect("json");
    assert_eq!((&anthropic["type"], &anthropic["error"]["type"]), (&"error".into(), &"authentication_error".into()));
    assert_eq!(anthropic["request_id"], refusal(Reason::Ok).request.to_string());
}

#[test]
fn refusal_statuses_keep_sdks_from_retrying_what_cannot_succeed() {
    for (reason, status) in [
        (Reason::IdentityExpired, 401),
        (Reason::AuthzTenant, 403),
        (Reason::DlpSecret, 403),
        (Reason::PolicyError, 403),
        (Reason::VendorNoCredential, 403),
        (Reason::AnswerUnscannable, 403),
        (Reason::RouteUnknown, 404),
        (Reason::RequestTooLarge, 413),
        (Reason::RequestMalformed, 422),
        (Reason::RequestUnscannable, 422),
        (Reason::QuotaRate, 429),
        (Reason::LedgerUnavailable, 503),
        (Reason::UpstreamRefused, 502),
        (Reason::UpstreamTimeout, 504),
    ] {
        assert_eq!(refusal(reason).status, status, "{reason}");
    }
}

#[test]
fn headers_are_narrowed_and_stripped() {
    for (value, stream, expected) in [
        (Some("gzip, deflate, br, zstd"), false, "gzip, deflate, br, zstd"),
        (Some("gzip;q=1.0, compress, *;q=0.5"), false, "gzip;q=1.0"),
        (Some("lzma"), false, "identity"),
        (Some("gzip"), true, "identity"),
        (Some(""), false, "identity"),
        (None, false, "identity"),
    ] {
        assert_eq!(headers::accept_encoding(value, stream), expected);
    }
    let mut map = HeaderMap::new();
    for (name, value) in [
        ("connection", "x-a, keep-alive"),
        ("x-a", "1"),
        ("x-b", "2"),
        ("te", "trailers"),
        ("host", "h"),
        ("sealgate-request", "r"),
        ("accept-encoding", "gzip"),
        ("accept-encoding", "snappy"),
    ] {
        map.append(name, HeaderValue::from_static(value));
    }
    let mut back = map.clone();
    headers::to_vendor(&mut map, false);
    headers::to_caller(&mut back);
    assert_eq!(back.get_all(ACCEPT_ENCODING).iter().count(), 2);
    assert!(!back.contains_key("sealgate-request") && !back.contains_key("x-a"));
    let mut left: Vec<_> = map.keys().map(|name| name.as_str()).collect();
    left.sort_unstable();
    assert_eq!(left, ["accept-encoding", "x-b"]);
    assert_eq!(map.get_all(ACCEPT_ENCODING).iter().count(), 1);
    assert_eq!(map[ACCEPT_ENCODING], "gzip");
}

/// Frames of a stream pushed in chunks of `size`, with what is left at the end.
fn frames(input: &[u8], size: usize) -> Vec<sse::Frame> {
    let mut framer = Framer::new();
    let mut out = Vec::new();
    for chunk in input.chunks(size.max(1)) {
        framer.push(chunk);
        while let Some(frame) = framer.next_frame().expect("short") {
            out.push(frame);
        }
    }
    out.extend(framer.finish());
    out
}

#[test]
fn frames_are_read_as_clients_read_them() {
    for (input, events) in [
        ("data: a\n\ndata: b\n\n", vec![(None, "a"), (None, "b")]),
        ("data: a\r\n\r\ndata: b\r\n\r\n", vec![(None, "a"), (None, "b")]),
        ("data: a\r\rdata: b\r\r", vec![(None, "a"), (None, "b")]),
        ("event: x\ndata:a\ndata: b\ndata\n\n", vec![(Some("x"), "a\nb\n")]),
        ("\u{feff}data: a\n\n", vec![(None, "a")]),
        (": ping\n\ndata: a\n\n", vec![(None, "a")]),
        ("\n\n\ndata: a\n\n", vec![(None, "a")]),
        ("data:  two\n\n", vec![(None, " two")]),
        ("id: 1\nretry: 5\ndata: a\n\n", vec![(None, "a")]),
        ("data: a", vec![(None, "a")]),
        ("data: a\n", vec![(None, "a")]),
        ("data: é\u{1f600}\n\n", vec![(None, "é\u{1f600}")]),
    ] {
        for size in 1..12 {
            let frames = frames(input.as_bytes(), size);
            let got: Vec<_> =
                frames.iter().filter(|f| !f.data.is_empty()).map(|f| (f.event.as_deref(), f.data.as_str())).collect();
            assert_eq!(got, events, "{input:?} by {size}");
            let raw: Vec<u8> = frames.iter().flat_map(|f| f.raw.to_vec()).collect();
            assert_eq!(raw, input.as_bytes());
        }
    }
}

#[test]
fn a_whole_event_is_never_held_back() {
    for input in ["data: a\n\n", "data: a\r\n\r\n", "data: a\r\r"] {
        let mut framer = Framer::new();
        framer.push(b"data: 0\r\r");
        framer.next_frame().expect("short");
        let mut framer = Framer::new();
        framer.push(input.as_bytes());
        assert!(framer.next_frame().expect("short").is_some(), "{input:?}");
        assert_eq!(framer.held(), 0);
    }
}

#[test]
fn data_offsets_lead_back_to_raw_bytes() {
    let input = b"event: x\ndata: ab\ndata:c\xffd\xc3\xa9!\n\n";
    let frame = frames(input, 7).remove(0);
    assert_eq!(frame.data, "ab\nc\u{fffd}d\u{e9}!");
    for (needle, at) in [("a", 15), ("b", 16), ("c", 23), ("d", 25), ("!", 28)] {
        let derived = frame.data.find(needle).expect("there");
        assert_eq!(frame.map.source(derived), at, "{needle}");
        assert_eq!(frame.raw[at], needle.as_bytes()[0]);
    }
}

#[test]
fn a_splice_leaves_everything_around_it() {
    let input = b": c\r\nevent:  x\r\ndata: {\"a\":\r\ndata: \"\xc3\xa9 4111\" }  \r\nid: 1\r\n\r\n";
    let frame = frames(input, 3).remove(0);
    let at = frame.data.find("4111").expect("there");
    let other = frame.data.find("\u{e9}").expect("there");
    let spliced = frame.splice(&[(other..other + 2, "e".to_owned()), (at..at + 4, "[redacted:pci.pan]".to_owned())]);
    let expected = b": c\r\nevent:  x\r\ndata: {\"a\":\r\ndata: \"e [redacted:pci.pan]\" }  \r\nid: 1\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&spliced), String::from_utf8_lossy(expected));
    assert_eq!(frame.splice(&[]), input);
    let key = frame.data.find("{\"a\":").expect("there");
    assert!(frame.splice(&[(key..key + 5, "{".to_owned())]).starts_with(b": c\r\nevent:  x\r\ndata: {\r\n"));
}

#[test]
fn an_empty_finish_reason_is_none() {
    let (joined, views) = join(
        OPENAI,
        Operation::CHAT,
        &[
            r#"{"choices":[{"index":0,"delta":{"content":"41"},"finish_reason":""}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"11"},"finish_reason":"stop"}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":""},"finish_reason":null}]}"#,
            r#"{"choices":[{"index":0,"delta":{"content":"more"}}]}"#,
        ],
    );
    assert_eq!(joined.values().map(String::as_str).collect::<Vec<_>>(), ["4111", "more"]);
    assert_eq!(views.iter().map(|view| view.overflow).collect::<Vec<_>>(), [false, false, false, true]);
}

#[test]
fn text_outside_of_data_is_shown() {
    let input = b": 4111 comment\nevent: odd 4111\nid: 77\nx: y\ndata: a\n\nevent: content_block_delta\ndata: b\n\n";
    let frames = frames(input, 5);
    assert_eq!(frames[0].side, ": 4111 comment\nodd 4111\nid: 77\nx: y");
    assert_eq!(frames[1].side, "");
}

#[test]
fn an_endless_event_is_refused() {
    let mut framer = Framer::new();
    framer.push(b"data: ");
    for _ in 0..=FRAME_BYTES_MAX / 65_536 {
        framer.push(&[b'x'; 65_536]);
    }
    assert_eq!(framer.next_frame(), Err(FrameTooLong));
}

/// The events a client sees, read as the specification's parsing steps say; a last event without blank line included.
fn specified(input: &[u8]) -> Vec<(Option<String>, String)> {
    let text = String::from_utf8_lossy(input.strip_prefix(b"\xef\xbb\xbf").unwrap_or(input)).into_owned();
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let (mut events, mut event, mut data) = (Vec::new(), None, String::new());
    for line in text.split('\n').chain([""]) {
        if line.is_empty() {
            if !data.is_empty() && data != "\n" {
                events.push((event.take(), data.trim_end_matches('\n').to_owned()));
            }
            (event, data) = (None, String::new());
            continue;
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => data.extend([value, "\n"]),
            "event" => event = Some(value.to_owned()),
            _ => {}
        }
    }
    events
}

/// Any JSON made of the members that dialects look for.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let words =
        vec!["type", "error", "text", "4111", "content_block_delta", "message_stop", "tool_use", "image", "", "base64"];
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        proptest::sample::select(words).prop_map(Into::into),
    ];
    leaf.prop_recursive(6, 60, 6, |inner| {
        let names = vec![
            "choices",
            "delta",
            "index",
            "content",
            "type",
            "text",
            "tool_calls",
            "function",
            "arguments",
            "name",
            "id",
            "messages",
            "error",
            "usage",
            "message",
            "content_block",
            "finish_reason",
            "source",
            "data",
            "tools",
            "input",
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
            proptest::collection::btree_map(proptest::sample::select(names), inner, 0..6).prop_map(|members| members
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .collect::<serde_json::Map<_, _>>()
                .into()),
        ]
    })
}

proptest! {
    #[test]
    fn framing_agrees_with_the_specification(
        pieces in proptest::collection::vec(proptest::sample::select(vec![
            "data", "data: a", "data:b", "event: e", ": c", "id: 1", "x", "\n", "\r", "\r\n", "\n\n", "\u{feff}", "\u{e9}",
        ]), 0..40),
        size in 1usize..9,
    ) {
        let input = pieces.concat().into_bytes();
        let ours: Vec<_> = frames(&input, size)
            .into_iter()
            .map(|frame| (frame.event, frame.data.trim_end_matches('\n').to_owned()))
            .filter(|(_, data)| !data.is_empty())
            .collect();
        let theirs: Vec<_> = specified(&input).into_iter().filter(|(_, data)| !data.is_empty()).collect();
        prop_assert_eq!(ours, theirs);
    }

    #[test]
    fn no_json_makes_a_reader_fail_or_name_a_node_twice(value in any_json()) {
        let text = value.to_string();
        let document = document(&text);
        for (dialect, operation) in [(OPENAI, Operation::CHAT), (ANTHROPIC, Operation::MESSAGES), (OPENAI, Operation::UNKNOWN)] {
            dialect.request(&operation, Some(&document));
            dialect.answer(&operation, &document);
            for way in [Direction::Request, Direction::Answer] {
                let parts: Vec<_> = dialect.text_parts(&operation, way, &document).iter().map(|part| part.id()).collect();
                prop_assert!(parts.windows(2).all(|pair| pair[0] < pair[1]));
            }
            let mut reader = dialect.stream(&operation);
            for _ in 0..2 {
                let seen = reader.event(None, Some(&document), &text);
                prop_assert!(seen.deltas.windows(2).all(|pair| pair[0].node < pair[1].node));
                let strings: Vec<_> = document.leaves().filter(|leaf| leaf.kind() == crate::json::Kind::String).map(|leaf| leaf.id()).collect();
                prop_assert!(seen.deltas.iter().all(|delta| strings.binary_search(&delta.node).is_ok()));
            }
        }
    }

    #[test]
    fn framing_loses_nothing_and_does_not_depend_on_chunks(
        input in proptest::collection::vec(proptest::sample::select(b"ab:\n\r \xff\xef\xbb\xbfdata: ".to_vec()), 0..80),
        size in 1usize..9,
    ) {
        let whole = frames(&input, input.len());
        let split = frames(&input, size);
        let raw: Vec<u8> = split.iter().flat_map(|frame| frame.raw.to_vec()).collect();
        prop_assert_eq!(&raw, &input);
        let data = |frames: &[sse::Frame]| frames.iter().map(|f| f.data.clone()).filter(|d| !d.is_empty()).collect::<Vec<_>>();
        prop_assert_eq!(data(&whole), data(&split));
    }
}
