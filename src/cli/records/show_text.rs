//! How `records show` prints: aligned lines for people, or JSON.

use serde::Serialize;

use crate::record::Head;
use crate::types::Fact;

use super::super::table::plain;
use super::args::Format;
use super::show::Shown;
use super::{Console, Failure};

/// For people.
pub(super) fn text(records: &[Shown], console: &mut Console<'_>) -> Result<(), Failure> {
    for (at, record) in records.iter().enumerate() {
        if at > 0 {
            writeln!(console.out)?;
        }
        let title = match &record.head {
            Head::Decision(_) => "decision",
            Head::Completion(_) => "completion",
            Head::Event(event) => event.kind.as_str(),
        };
        let (generation, segment) = (record.generation, record.segment);
        writeln!(console.out, "{title} #{}  in log/{generation}/{segment:012}.jsonl", record.index)?;
        line(console, "leaf", &record.leaf)?;
        line(console, "signed by", &record.key)?;
        line(console, "signature", &record.signature.text())?;
        for (name, value) in fields(&record.json) {
            if name != "sections" && name != "kind" {
                line(console, &name, &value)?;
            }
        }
        for (name, state, content) in &record.sections {
            line(console, &format!("[{name}]"), state)?;
            if let Some(Fact::Map(members)) = content {
                for (name, value) in members.iter().filter(|(name, _)| *name != "salt") {
                    line(console, &format!("  {name}"), &spelled(value))?;
                }
            }
        }
    }
    Ok(())
}

fn line(console: &mut Console<'_>, name: &str, value: &str) -> Result<(), Failure> {
    writeln!(console.out, "  {name:<14} {}", plain(value))?;
    Ok(())
}

/// A head's fields: who and what first, then the rest by name.
fn fields(json: &str) -> Vec<(String, String)> {
    let Ok(Fact::Map(members)) = serde_json::from_str::<Fact>(json) else { return Vec::new() };
    let rank = |name: &str| FIRST.iter().position(|first| *first == name).unwrap_or(FIRST.len());
    let mut fields: Vec<(String, String)> =
        members.iter().map(|(name, value)| (name.clone(), spelled(value))).collect();
    fields.sort_by_key(|(name, _)| rank(name));
    fields
}

fn spelled(value: &Fact) -> String {
    match value {
        Fact::Text(text) => text.to_string(),
        Fact::List(items) if items.is_empty() => "none".to_owned(),
        Fact::List(items) if items.iter().all(|item| matches!(item, Fact::Text(_))) => {
            items.iter().map(spelled).collect::<Vec<_>>().join(" ")
        }
        other => serde_json::to_string(other).unwrap_or_default(),
    }
}

#[derive(Serialize)]
struct RecordJson<'a> {
    generation: u32,
    head: &'a serde_json::value::RawValue,
    index: u64,
    key: &'a str,
    leaf: &'a str,
    sections: std::collections::BTreeMap<&'a str, SectionJson<'a>>,
    segment: String,
    signature: String,
}

#[derive(Serialize)]
struct SectionJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a Fact>,
    state: &'a str,
}

/// One JSON document: `{"records":[…]}`.
pub(super) fn json(records: &[Shown], console: &mut Console<'_>) -> Result<(), Failure> {
    let mut all = Vec::new();
    for record in records {
        let head: &serde_json::value::RawValue = serde_json::from_str(&record.json)
            .map_err(|error| Failure::Io(format!("record #{}: {error}", record.index)))?;
        let sections = record.sections.iter().map(|(name, state, content)| {
            (name.as_str(), SectionJson { content: content.as_ref(), state: state.as_str() })
        });
        let record = RecordJson {
            generation: record.generation,
            head,
            index: record.index,
            key: &record.key,
            leaf: &record.leaf,
            sections: sections.collect(),
            segment: format!("{:012}.jsonl", record.segment),
            signature: record.signature.text(),
        };
        all.push(serde_json::to_string(&record).unwrap_or_default());
    }
    writeln!(console.out, "{{\"records\":[{}]}}", all.join(","))?;
    Ok(())
}

/// The verdict on a `sealgate-record` value whose leaf is not the record's: its word first.
pub(super) fn mismatch(index: u64, format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    let why = format!(
        "record #{index} has another leaf hash than `sealgate-record` says: it is not the one that was answered"
    );
    match format {
        Format::Table => writeln!(console.out, "MISMATCH {why}")?,
        _ => {
            writeln!(console.out, "{{\"index\":{index},\"records\":[],\"verdict\":\"MISMATCH\"}}")?;
            console.say(&why);
        }
    }
    Ok(())
}

/// Fields a person asks for first.
const FIRST: [&str; 17] = [
    "request",
    "time",
    "subject",
    "actor",
    "principal",
    "tenant",
    "route",
    "vendor",
    "model",
    "operation",
    "outcome",
    "verdict",
    "status",
    "reason",
    "label",
    "classes",
    "coverage",
];
