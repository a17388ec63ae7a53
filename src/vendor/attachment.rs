//! Attachments: what a request carries or points to that is not text.
//!
//! Content blocks are found by their `type`, at any depth. A type that is not known here counts as `other`, not
//! scannable: policy decides on it. Sizes are those of the decoded bytes.

use crate::json::{Kind, Value};

use super::view::Attachment;

/// Block types whose strings are all there is to them: the structural scan covers them.
const TEXT_BLOCKS: &[&str] = &[
    "text",
    "input_text",
    "output_text",
    "refusal",
    "thinking",
    "reasoning",
    "search_result",
    "tool_use",
    "tool_result",
    "server_tool_use",
    "mcp_tool_use",
    "mcp_tool_result",
    "web_search_tool_result",
    "web_fetch_tool_result",
    "tool_search_tool_result",
    "code_execution_tool_result",
    "bash_code_execution_tool_result",
    "text_editor_code_execution_tool_result",
    "tool_reference",
];

/// Adds the attachments of a content value: a block or a list of blocks.
pub(super) fn content(value: Value<'_, '_>, found: &mut Vec<Attachment>) {
    match value.kind() {
        Kind::Array => value.items().for_each(|item| content(item, found)),
        Kind::Object => {
            let kind = value.get("type").and_then(|kind| kind.as_str()).unwrap_or_default();
            block(&kind, value, found);
            if let Some(inner) = value.get("content") {
                content(inner, found);
            }
        }
        _ => {}
    }
}

fn block(kind: &str, value: Value<'_, '_>, found: &mut Vec<Attachment>) {
    match kind {
        "image_url" | "video_url" | "document_url" | "audio_url" => {
            let member = value.get(kind);
            let url =
                member.and_then(|inner| if inner.kind() == Kind::Object { inner.get("url") } else { Some(inner) });
            found.push(url_attachment(word(kind), url));
        }
        "input_image" => found.push(url_attachment("image", value.get("image_url"))),
        "input_audio" => found.push(inline("audio", value.get("input_audio").and_then(|inner| inner.get("data")))),
        "file" | "input_file" => found.push(file(value.get("file").unwrap_or(value))),
        "image" | "document" => source(word(kind), value.get("source"), found),
        "container_upload" => found.push(absent("file_id")),
        "redacted_thinking" | "compaction" => found.push(inline("opaque", value.get("data"))),
        known if TEXT_BLOCKS.contains(&known) => {}
        // A member that merely has no type is no block: its strings are scanned.
        "" => {}
        _ => found.push(absent("other")),
    }
}

/// The word of the closed list for a block type.
fn word(kind: &str) -> &'static str {
    match kind {
        "image_url" | "image" => "image",
        "video_url" => "video",
        "audio_url" => "audio",
        _ => "document",
    }
}

/// A `file` object of OpenAI: bytes or an id.
fn file(value: Value<'_, '_>) -> Attachment {
    match value.get("file_data") {
        Some(data) => url_attachment("file", Some(data)),
        None if super::text::is_present(value.get("file_url")) => absent("url"),
        None => absent("file_id"),
    }
}

/// A `source` object of Anthropic.
fn source(kind: &'static str, source: Option<Value<'_, '_>>, found: &mut Vec<Attachment>) {
    let Some(source) = source else { return found.push(absent(kind)) };
    match source.get("type").and_then(|kind| kind.as_str()).as_deref() {
        Some("base64") => found.push(inline(kind, source.get("data"))),
        Some("text") => {
            let bytes = source.get("data").map_or(0, |data| data.raw().len() as u64);
            found.push(Attachment { kind, bytes, scannable: true });
        }
        Some("content") => {
            if let Some(inner) = source.get("content") {
                content(inner, found);
            }
        }
        Some("url") => found.push(absent("url")),
        Some("file") => found.push(absent("file_id")),
        _ => found.push(absent(kind)),
    }
}

/// A `data:` URL (RFC 2397) holds the bytes; any other URL is fetched by the vendor.
fn url_attachment(kind: &'static str, url: Option<Value<'_, '_>>) -> Attachment {
    let Some(raw) = url.map(|url| url.raw()) else { return absent(kind) };
    let is_data = raw.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"));
    match raw.split_once(',') {
        Some((_, data)) if is_data => Attachment { kind, bytes: base64_len(data), scannable: false },
        _ if raw.contains("://") || raw.contains(":\\/") => absent("url"),
        _ => Attachment { kind, bytes: base64_len(raw), scannable: false },
    }
}

/// Base64 bytes in a string.
fn inline(kind: &'static str, data: Option<Value<'_, '_>>) -> Attachment {
    Attachment { kind, bytes: data.map_or(0, |data| base64_len(data.raw())), scannable: false }
}

/// Bytes that are not in the request.
fn absent(kind: &'static str) -> Attachment {
    Attachment { kind, bytes: 0, scannable: false }
}

/// How many bytes a base64 text decodes to.
fn base64_len(text: &str) -> u64 {
    let digits = text.trim_end_matches('=').len() as u64;
    digits / 4 * 3 + (digits % 4) * 3 / 4
}
