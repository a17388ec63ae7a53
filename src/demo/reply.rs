//! What to say: the echo, a structured value, or a tool call. Shared by both shapes.

use serde_json::Value;

use super::sample::sample;

/// What the model "says".
#[derive(Debug, PartialEq)]
pub(super) enum Reply {
    /// A text.
    Text(String),
    /// A call of one tool with its arguments.
    Call {
        /// The tool.
        name: String,
        /// An object that fits the tool's schema, with the user's text in its strings.
        arguments: Value,
    },
}

/// A tool on offer.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    /// Its name.
    pub(super) name: String,
    /// JSON Schema of its arguments.
    pub(super) schema: Value,
}

/// What a conversation asks for, the same for both shapes.
#[derive(Debug, Default)]
pub(super) struct Ask {
    /// The last text a user wrote.
    pub(super) user: String,
    /// What a tool answered, where that came last.
    pub(super) tool_result: Option<String>,
    /// Tools on offer.
    pub(super) tools: Vec<Tool>,
    /// Whether a tool must be called (`Some("")`: any; else that one).
    pub(super) forced: Option<String>,
    /// Whether no tool may be called.
    pub(super) forbidden: bool,
    /// Schema of a structured answer; `null` schema: any object.
    pub(super) schema: Option<Value>,
}

/// Decides what to say.
pub(super) fn reply(ask: &Ask) -> Reply {
    if let Some(tool) = tool(ask) {
        return Reply::Call { name: tool.name.clone(), arguments: sample(&tool.schema, &ask.user) };
    }
    let echo = match &ask.tool_result {
        Some(result) => format!("You said: {}\nThe tool said: {result}", ask.user),
        None => format!("You said: {}", ask.user),
    };
    match &ask.schema {
        Some(schema) => Reply::Text(sample(schema, &echo).to_string()),
        None => Reply::Text(echo),
    }
}

/// The tool to call: the one demanded, or on "call …" the one named there, or the first.
fn tool(ask: &Ask) -> Option<&Tool> {
    let named = |name: &str| ask.tools.iter().find(|tool| tool.name == name);
    if ask.forbidden {
        return None;
    }
    if let Some(name) = &ask.forced {
        return named(name).or_else(|| ask.tools.first());
    }
    if ask.tool_result.is_some() {
        return None;
    }
    let lower = ask.user.get(..5).map(str::to_ascii_lowercase);
    let wanted = ask.user.get(5..).filter(|_| lower.as_deref() == Some("call "))?;
    let word = wanted.split_whitespace().next().unwrap_or("");
    named(word).or_else(|| ask.tools.first())
}

/// Cuts a text into pieces of `chars` characters.
pub(super) fn pieces(text: &str, chars: usize) -> Vec<String> {
    let all: Vec<char> = text.chars().collect();
    all.chunks(chars.max(1)).map(|piece| piece.iter().collect()).collect()
}

/// The strings of a content value: itself, or the texts of its blocks, joined by line feeds.
pub(super) fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => {
            let texts: Vec<&str> = blocks.iter().filter_map(|block| block.get("text")?.as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}
