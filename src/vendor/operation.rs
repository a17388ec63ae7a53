//! Operations: the closed list of what a request can be, and how paths are matched against it.
//!
//! A path matches only as it is written: nothing is normalised, because the vendor sees the bytes we saw. One leading
//! `/v1` may be missing, for routes whose vendor url ends in it.

/// One operation of a dialect; equal by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    /// The name in records and policy.
    pub name: &'static str,
    /// Whether a JSON body is expected.
    pub reads_body: bool,
    /// Whether a dialect knows it.
    pub known: bool,
}

impl Operation {
    /// Anything that no dialect of the route knows.
    pub const UNKNOWN: Operation = Operation { name: "unknown", reads_body: true, known: false };
    /// OpenAI Chat Completions.
    pub const CHAT: Operation = Operation { name: "chat", reads_body: true, known: true };
    /// Anthropic Messages.
    pub const MESSAGES: Operation = Operation { name: "messages", reads_body: true, known: true };
    /// The list of models.
    pub const MODELS_LIST: Operation = Operation { name: "models.list", reads_body: false, known: true };
    /// One model's description.
    pub const MODELS_GET: Operation = Operation { name: "models.get", reads_body: false, known: true };
    /// Every operation there is.
    pub const ALL: &'static [Operation] =
        &[Self::CHAT, Self::MESSAGES, Self::MODELS_LIST, Self::MODELS_GET, Self::UNKNOWN];
}

/// The path without its query and without one leading `/v1`.
pub(super) fn rest(path: &str) -> &str {
    let path = path.split(['?', '#']).next().unwrap_or(path);
    match path.strip_prefix("/v1") {
        Some(rest) if rest.starts_with('/') => rest,
        _ => path,
    }
}

/// Models operations, alike in both dialects; `GET` only.
pub(super) fn models(path: &str) -> Option<Operation> {
    if rest(path) == "/models" {
        return Some(Operation::MODELS_LIST);
    }
    model_id(path).map(|_| Operation::MODELS_GET)
}

/// The model id of `/models/{id}`, percent-decoded. Ids may hold slashes (`owner/model`), but no segment that a
/// server could read as a step to another path.
pub(super) fn model_id(path: &str) -> Option<String> {
    let id = percent_decode(rest(path).strip_prefix("/models/")?)?;
    let plain = |segment: &str| !segment.is_empty() && !segment.bytes().all(|b| b == b'.');
    let safe = id.split('/').all(plain) && !id.contains(|c: char| c.is_control() || matches!(c, '\\' | '%'));
    safe.then_some(id)
}

/// Decodes `%XX`; `None` where that is malformed or gives no UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digits = after.get(..2)?;
            let digit = |byte: u8| char::from(byte).to_digit(16);
            bytes.push(u8::try_from(digit(digits[0])? << 4 | digit(digits[1])?).ok()?);
            rest = after.get(2..)?;
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).ok()
}
