//! One request read again from the log, and its forms: a table's row, a JSON object, a CSV line.

use serde::Serialize;

use crate::index::{AsOf, Row, View};
use crate::record::{CompletionHead, DecisionHead, Head, Line, SignedNote};
use crate::types::{NONE, Status};

use super::super::table::{Column, Table, csv_line};
use super::args::Format;
use super::identity::short;
use super::{Console, Failure};

/// A request as the log has it now.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) index: u64,
    pub(super) decision: DecisionHead,
    /// The decision head's bytes.
    decision_json: String,
    pub(super) completion: Option<CompletionHead>,
    /// The completion head's bytes.
    completion_json: Option<String>,
}

/// Reads a row's records again; `Err` says in one line why they are not what was indexed.
pub(super) fn read_again(view: &View, row: &Row) -> Result<Request, String> {
    let why = |what: &str| format!("record #{} of generation {}: {what}", row.index, row.place.generation);
    let fetched = view.fetch(row).map_err(|error| why(&error.to_string()))?;
    if !fetched.unchanged {
        return Err(why("the log is not what was indexed; run `sealgate records verify`"));
    }
    let (head, decision_json) = head(&fetched.decision).map_err(|error| why(&error))?;
    let Head::Decision(decision) = head else { return Err(why("not a decision")) };
    let mut request = Request { index: row.index, decision, decision_json, completion: None, completion_json: None };
    if let Some((line, _)) = &fetched.completion {
        let (head, json) = self::head(line).map_err(|error| why(&error))?;
        match head {
            Head::Completion(head) if head.decision == row.index && head.request == request.decision.request => {
                (request.completion, request.completion_json) = (Some(head), Some(json));
            }
            _ => return Err(why("its completion is of another request")),
        }
    }
    Ok(request)
}

/// A record line's head, read strictly, and its bytes.
pub(super) fn head(line: &[u8]) -> Result<(Head, String), String> {
    match Line::parse(line) {
        Ok(Line::Record(record)) => {
            let bytes = line.get(record.head_bytes.clone()).unwrap_or_default();
            Ok((record.head, String::from_utf8_lossy(bytes).into_owned()))
        }
        Ok(_) => Err("not a record line".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

impl Request {
    /// The decision head's fields, then `completion` with that head's.
    pub(super) fn json(&self) -> String {
        match &self.completion_json {
            Some(completion) => {
                let open = self.decision_json.strip_suffix('}').unwrap_or(&self.decision_json);
                format!("{open},\"completion\":{completion}}}")
            }
            None => self.decision_json.clone(),
        }
    }

    fn status(&self) -> &'static str {
        self.completion.as_ref().map_or(crate::index::OPEN, |completion| completion.status.as_str())
    }

    /// Status, or the reason where the reason says more.
    fn result(&self) -> String {
        match &self.completion {
            Some(completion) if completion.status == Status::Completed => completion.status.to_string(),
            Some(completion) if completion.status == Status::Denied => self.decision.reason.to_string(),
            _ => self.status().to_owned(),
        }
    }

    fn outcome(&self) -> String {
        let answer = self.completion.as_ref().map(|completion| completion.outcome.as_str());
        match answer {
            Some(answer @ ("redacted" | "cut" | "withheld")) => format!("{}/{answer}", self.decision.outcome),
            _ => self.decision.outcome.to_string(),
        }
    }

    fn classes(&self) -> String {
        let answer = self.completion.iter().flat_map(|completion| &completion.classes);
        let mut all: Vec<&str> = self.decision.classes.iter().chain(answer).map(|class| class.as_str()).collect();
        all.sort_unstable();
        all.dedup();
        all.join(" ")
    }

    /// Cells of [`COLUMNS`].
    pub(super) fn cells(&self) -> Vec<String> {
        let head = &self.decision;
        let time = head.time.to_string();
        let actor = if &*head.actor == NONE { String::new() } else { format!("→{}", short(&head.actor)) };
        vec![
            self.index.to_string(),
            time.get(..19).unwrap_or(&time).replace('T', " "),
            format!("{}{actor}", short(&head.subject)),
            head.vendor.to_string(),
            head.model.to_string(),
            self.outcome(),
            self.result(),
            head.label.to_string(),
            self.classes(),
            head.route.to_string(),
            head.tenant.to_string(),
            format!("{}@{}", head.policy.name, head.policy.version),
            head.operation.to_string(),
            head.request.to_string(),
        ]
    }

    /// The CSV line.
    pub(super) fn csv_line(&self) -> String {
        csv_line(self.csv_cells())
    }

    /// Cells of [`CSV_COLUMNS`].
    fn csv_cells(&self) -> Vec<String> {
        let d = &self.decision;
        let c = self.completion.as_ref();
        let text = |of: fn(&CompletionHead) -> String| c.map(of).unwrap_or_default();
        let tokens = |n: Option<u64>| n.map(|n| n.to_string()).unwrap_or_default();
        let rules: Vec<&str> = d.rules.iter().map(|rule| &**rule).collect();
        vec![
            self.index.to_string(),
            d.request.to_string(),
            d.time.to_string(),
            d.subject.to_string(),
            d.actor.to_string(),
            d.principal.to_string(),
            d.tenant.to_string(),
            d.route.to_string(),
            d.vendor.to_string(),
            d.model.to_string(),
            d.operation.to_string(),
            d.label.to_string(),
            self.classes(),
            d.coverage.to_string(),
            d.outcome.to_string(),
            d.reason.to_string(),
            d.policy.name.to_string(),
            d.policy.version.to_string(),
            d.policy.digest.to_string(),
            rules.join(" "),
            self.status().to_owned(),
            text(|c| c.outcome.to_string()),
            text(|c| c.reason.to_string()),
            text(|c| c.http_status.to_string()),
            text(|c| c.model_served.to_string()),
            text(|c| c.bytes.forwarded.to_string()),
            text(|c| c.bytes.delivered.to_string()),
            tokens(c.and_then(|c| c.usage.input)),
            tokens(c.and_then(|c| c.usage.output)),
            text(|c| c.micros.total.to_string()),
        ]
    }
}

/// Prints requests one after another.
pub(super) fn print(
    requests: &[Request],
    format: Format,
    as_of: &AsOf,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    match format {
        Format::Table => {
            let mut table = Table::new(COLUMNS);
            requests.iter().for_each(|request| table.row(request.cells()));
            console.out.write_all(table.render(console.width).as_bytes())?;
        }
        Format::Jsonl => {
            for request in requests {
                writeln!(console.out, "{}", request.json())?;
            }
        }
        Format::Json => {
            let all: Vec<String> = requests.iter().map(Request::json).collect();
            let as_of = serde_json::to_string(&covered(as_of)).unwrap_or_default();
            writeln!(console.out, "{{\"as_of\":{as_of},\"requests\":[{}]}}", all.join(","))?;
        }
        Format::Csv => {
            console.out.write_all(csv_heading().as_bytes())?;
            for request in requests {
                console.out.write_all(request.csv_line().as_bytes())?;
            }
        }
    }
    Ok(())
}

/// The names of the CSV columns.
pub(super) fn csv_heading() -> String {
    csv_line(CSV_COLUMNS)
}

/// What an answer covers, for JSON.
#[derive(Debug, Default, Serialize)]
pub(super) struct Covered {
    origin: String,
    root: String,
    size: u64,
    time: String,
}

/// The checkpoint an answer covers; its signature is the verifier's business.
pub(super) fn covered(as_of: &AsOf) -> Covered {
    let checkpoint = SignedNote::parse(&as_of.note).map(|note| note.checkpoint);
    let time = as_of.time.map(|time| time.to_string()).unwrap_or_default();
    match checkpoint {
        Ok(checkpoint) => {
            Covered { origin: checkpoint.origin, root: checkpoint.root.to_string(), size: checkpoint.size, time }
        }
        Err(_) => Covered { size: as_of.size, time, ..Covered::default() },
    }
}

/// The last line of an answer: on standard output below a table, else on standard error.
pub(super) fn say_as_of(as_of: &AsOf, format: Format, extra: &str, console: &mut Console<'_>) -> Result<(), Failure> {
    let covered = covered(as_of);
    let root = covered.root.get(..12).unwrap_or("none");
    let time = covered.time.get(..19).map_or_else(|| "no time".to_owned(), |time| time.replace('T', " "));
    let line = format!("{extra}as of {} records, root {root}, {time} UTC", covered.size);
    if format == Format::Table {
        writeln!(console.out, "{line}")?;
    } else {
        console.say(&line);
    }
    Ok(())
}

const fn column(name: &'static str, width_min: usize, rank: u8) -> Column {
    Column { name, width_min, rank, right: false }
}

/// A table whose columns do not depend on its rows: for lists that grow.
pub(super) fn steady_table() -> Table {
    Table::new(COLUMNS).at_least(&TYPICAL)
}

/// Widths of [`COLUMNS`] in a list that grows.
const TYPICAL: [&str; 13] = [
    "1234567",
    "2026-11-22 08:00:00",
    "1:01234567",
    "anthropic",
    "claude-sonnet-4-5",
    "redacted",
    "client_aborted",
    "confidential",
    "pii.email pci.pan",
    "anthropic",
    "default",
    "default@1",
    "chat",
];

/// Columns of lists; at 80 characters those up to RESULT are shown.
const COLUMNS: &[Column] = &[
    Column { name: "INDEX", width_min: 5, rank: 0, right: true },
    column("TIME (UTC)", 19, 1),
    column("IDENTITY", 10, 2),
    column("VENDOR", 6, 4),
    column("MODEL", 8, 6),
    column("OUTCOME", 8, 3),
    column("RESULT", 9, 5),
    column("LABEL", 8, 7),
    column("CLASSES", 9, 8),
    column("ROUTE", 6, 10),
    column("TENANT", 7, 11),
    column("POLICY", 9, 9),
    column("OPERATION", 9, 13),
    column("REQUEST", 36, 12),
];

const CSV_COLUMNS: [&str; 30] = [
    "index",
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
    "label",
    "classes",
    "coverage",
    "outcome",
    "reason",
    "policy_name",
    "policy_version",
    "policy_digest",
    "rules",
    "status",
    "answer_outcome",
    "answer_reason",
    "http_status",
    "model_served",
    "bytes_forwarded",
    "bytes_delivered",
    "tokens_input",
    "tokens_output",
    "micros_total",
];
