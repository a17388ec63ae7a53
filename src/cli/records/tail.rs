//! `records tail`: the newest requests, oldest first; with `--follow` each further one when it completes.
//!
//! Following looks at the log four times a second. An open request comes when its completion is committed, so
//! each line is final; `records list --status open` shows what is still open. What comes within one second is
//! recorded together, before any of it is shown.

use std::thread;
use std::time::Duration;

use crate::env::Stopwatch;
use crate::index::{Page, Row, View};

use super::access::Reading;
use super::args::{Format, TailArgs};
use super::format::{Request, csv_heading, print, say_as_of, steady_table};
use super::list::read_all;
use super::{Console, DataPaths, EXIT_NO, EXIT_OK, Failure, open_view};

/// Prints the newest requests, and goes on if asked to.
pub(super) fn tail(args: &TailArgs, paths: &DataPaths, console: &mut Console<'_>) -> Result<u8, Failure> {
    let mut view = open_view(paths, console)?;
    let query = args.filter.query(paths, &view)?;
    let mut rows = view.list(&query, Page { limit: args.limit, oldest_first: false })?;
    rows.reverse();
    let text = args.filter.text();
    let mut reading = Reading::new("tail", (args.filter.names(), &text));
    reading.record(paths, (rows.len(), view.as_of().size), console);
    let (requests, faults) = read_all(&view, &rows, console);
    if args.follow {
        heading(args.format, console)?;
        more(&requests, args.format, console)?;
    } else {
        print(&requests, args.format, view.as_of(), console)?;
        say_as_of(view.as_of(), args.format, "", console)?;
        return Ok(if faults == 0 { EXIT_OK } else { EXIT_NO });
    }
    let (mut held, mut recorded) = (Vec::new(), Stopwatch::start());
    loop {
        thread::sleep(POLL);
        // No hold on the index file between two looks, and no memory of what was shown.
        view.forget_completed()?;
        let completed = view.advance()?;
        let rows = matching(&view, &query, completed)?;
        held.extend(read_all(&view, &rows, console).0);
        if !held.is_empty() && recorded.elapsed() >= RECORD_EVERY {
            reading.record(paths, (held.len(), view.as_of().size), console);
            recorded = Stopwatch::start();
            more(&held, args.format, console)?;
            held.clear();
        }
    }
}

/// Those of `rows` that the query matches.
pub(super) fn matching(view: &View, query: &crate::index::Query, rows: Vec<Row>) -> Result<Vec<Row>, Failure> {
    if query.fields.is_empty() && query.from.is_none() && query.to.is_none() {
        return Ok(rows);
    }
    let mut kept = Vec::new();
    for row in rows {
        if view.matches(query, &row)? {
            kept.push(row);
        }
    }
    Ok(kept)
}

/// What stands above a list that grows.
fn heading(format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    match format {
        Format::Table => console.out.write_all(steady_table().render(console.width).as_bytes())?,
        Format::Csv => console.out.write_all(csv_heading().as_bytes())?,
        Format::Json | Format::Jsonl => {}
    }
    Ok(())
}

/// Further requests, without a heading; JSON comes one object a line.
fn more(requests: &[Request], format: Format, console: &mut Console<'_>) -> Result<(), Failure> {
    for request in requests {
        let text = match format {
            Format::Table => {
                let mut table = steady_table();
                table.row(request.cells());
                table.render(console.width).lines().skip(1).map(|line| format!("{line}\n")).collect()
            }
            Format::Csv => request.csv_line(),
            Format::Json | Format::Jsonl => format!("{}\n", request.json()),
        };
        console.out.write_all(text.as_bytes())?;
    }
    console.out.flush()?;
    Ok(())
}

/// Between two looks at the log.
const POLL: Duration = Duration::from_millis(250);
/// Between two access records of one reading.
const RECORD_EVERY: Duration = Duration::from_secs(1);
