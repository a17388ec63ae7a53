//! `records count` and `records stats`: numbers from the index and its tail, for orientation, not evidence.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::index::Tally;

use super::super::table::{csv_line, cut, plain};
use super::access::record_query;
use super::args::{CountArgs, Format};
use super::format::{Covered, covered, say_as_of};
use super::identity::short;
use super::{Console, DataPaths, EXIT_OK, Failure, open_view};

/// Prints how many requests match.
pub(super) fn count(args: &CountArgs, paths: &DataPaths, console: &mut Console<'_>) -> Result<u8, Failure> {
    let view = open_view(paths, console)?;
    let query = args.filter.query(paths, &view)?;
    let count = view.count(&query)?;
    let asked = (args.filter.names(), &*args.filter.text());
    record_query(paths, "count", asked, (0, view.as_of().size), console);
    match args.format {
        Format::Table => writeln!(console.out, "{count}")?,
        Format::Csv => console.out.write_all(format!("count\r\n{count}\r\n").as_bytes())?,
        Format::Json | Format::Jsonl => {
            let as_of = serde_json::to_string(&covered(view.as_of())).unwrap_or_default();
            writeln!(console.out, "{{\"as_of\":{as_of},\"count\":{count}}}")?;
        }
    }
    if count == 0 {
        args.filter.hint(&view, &query, console)?;
    }
    // The number stands alone on standard output.
    say_as_of(view.as_of(), Format::Jsonl, "", console)?;
    Ok(EXIT_OK)
}

#[derive(Serialize)]
struct Stats<'a> {
    as_of: Covered,
    by: BTreeMap<&'a str, BTreeMap<&'a str, u64>>,
    requests: u64,
}

/// Prints counts by field and value.
pub(super) fn stats(args: &CountArgs, paths: &DataPaths, console: &mut Console<'_>) -> Result<u8, Failure> {
    let view = open_view(paths, console)?;
    let query = args.filter.query(paths, &view)?;
    let (requests, tally) = view.stats(&query)?;
    let asked = (args.filter.names(), &*args.filter.text());
    record_query(paths, "stats", asked, (0, view.as_of().size), console);
    match args.format {
        Format::Table => table(requests, &tally, console)?,
        Format::Csv => {
            console.out.write_all(csv_line(["field", "value", "requests"]).as_bytes())?;
            for (field, value, n) in flat(&tally) {
                console.out.write_all(csv_line([field, value, &n.to_string()]).as_bytes())?;
            }
        }
        Format::Json | Format::Jsonl => {
            let mut by: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
            for (field, value, n) in flat(&tally) {
                by.entry(field).or_default().insert(value, n);
            }
            let stats = Stats { as_of: covered(view.as_of()), by, requests };
            writeln!(console.out, "{}", serde_json::to_string(&stats).unwrap_or_default())?;
        }
    }
    if requests == 0 {
        args.filter.hint(&view, &query, console)?;
    }
    say_as_of(view.as_of(), args.format, "", console)?;
    Ok(EXIT_OK)
}

fn flat(tally: &Tally) -> impl Iterator<Item = (&str, &str, u64)> {
    tally.iter().flat_map(|(field, values)| values.iter().map(move |(value, n)| (*field, value.as_str(), *n)))
}

fn table(requests: u64, tally: &Tally, console: &mut Console<'_>) -> Result<(), Failure> {
    writeln!(console.out, "{requests} requests")?;
    for (field, heading) in SHOWN {
        let Some(values) = tally.get(field) else { continue };
        writeln!(console.out, "\n{heading}")?;
        for (value, n) in values.iter().take(VALUES_MAX) {
            let value = if field == "identity" { short(value) } else { plain(value).into_owned() };
            let share = n.saturating_mul(100).checked_div(requests).unwrap_or(0);
            writeln!(console.out, "  {:<40} {n:>9} {share:>3} %", cut(&value, 40))?;
        }
        if values.len() > VALUES_MAX {
            writeln!(console.out, "  and {} more", values.len() - VALUES_MAX)?;
        }
    }
    writeln!(console.out)?;
    Ok(())
}

/// Fields shown to people, in order.
const SHOWN: [(&str, &str); 12] = [
    ("outcome", "outcome of the request"),
    ("answer", "outcome of the answer"),
    ("status", "status"),
    ("reason", "reason"),
    ("label", "label of the request"),
    ("class", "class (request or answer)"),
    ("vendor", "vendor"),
    ("model", "model asked for"),
    ("policy", "policy"),
    ("route", "route"),
    ("tenant", "tenant"),
    ("identity", "identity"),
];

/// Values shown of each field.
const VALUES_MAX: usize = 10;
