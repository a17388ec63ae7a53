//! What the whole-product tests share: a real gateway process on real files and sockets, a scripted vendor, a client
//! that sees raw bytes, and the log as an auditor reads it.

#![allow(dead_code, unused_imports, reason = "each test binary uses its own part of the harness")]
#![allow(clippy::expect_used, reason = "a test stops at what it cannot do")]
#![allow(clippy::disallowed_methods, reason = "tests measure with the real clock")]

mod client;
mod gateway;
mod log;
mod vendor;

use std::time::{Duration, Instant};

pub(crate) use client::{Answer, Call, Connection, Framing};
pub(crate) use gateway::{Gateway, Ran, Site};
pub(crate) use log::{Entry, Log};
pub(crate) use vendor::{Next, Seen, Vendor, json_answer, openai_events, sse_answer};

/// A published test card number (counts as real), spaced and bare.
pub(crate) const CARD: &str = "4111 1111 1111 1111";
/// The same without spaces.
pub(crate) const CARD_BARE: &str = "4111111111111111";
/// An address in a domain reserved for examples.
pub(crate) const EMAIL: &str = "jane.forbidden@example.com";

/// A key of the right form that nobody issued, put together here so that no scanner takes this file for a leak.
pub(crate) fn aws_key() -> String {
    format!("{}{}", "AK", "IAQ2W3E4R5T6Y7U2P3")
}

/// An OpenAI chat request.
pub(crate) fn chat(text: &str, stream: bool) -> Vec<u8> {
    let text = serde_json::to_string(text).expect("text");
    format!(r#"{{"model":"gpt-4o-mini","stream":{stream},"messages":[{{"role":"user","content":{text}}}]}}"#)
        .into_bytes()
}

/// An Anthropic request.
pub(crate) fn messages(text: &str, stream: bool) -> Vec<u8> {
    let text = serde_json::to_string(text).expect("text");
    format!(
        r#"{{"model":"claude-sonnet-4","max_tokens":64,"stream":{stream},"messages":[{{"role":"user","content":{text}}}]}}"#
    )
    .into_bytes()
}

/// Polls until `done` gives something, for ten seconds.
pub(crate) fn wait_for<T>(what: &str, mut done: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = done() {
            return found;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The position of `needle` in `hay`.
pub(crate) fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    memchr::memmem::find(hay, needle)
}

/// Every file below a folder with its bytes.
pub(crate) fn files(folder: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).expect("folder").map(|entry| entry.expect("entry")) {
        let kind = entry.file_type().expect("kind");
        if kind.is_dir() {
            found.extend(files(&entry.path()));
        } else if kind.is_file() {
            found.push((entry.path(), std::fs::read(entry.path()).unwrap_or_default()));
        }
    }
    found.sort();
    found
}

/// Whether `strace` is there. Where CI runs it must be; elsewhere what needs it is left out, and said so.
pub(crate) fn has_strace() -> bool {
    let found = std::process::Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success());
    if !found {
        assert!(std::env::var_os("CI").is_none(), "strace is missing: .ci/run installs it");
        println!("left out: strace is not installed");
    }
    found
}
