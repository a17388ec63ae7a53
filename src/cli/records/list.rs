//! `records list`: requests, newest first.

use crate::index::{Page, Row, View};

use super::access::record_query;
use super::args::ListArgs;
use super::format::{Request, print, read_again, say_as_of};
use super::{Console, DataPaths, EXIT_NO, EXIT_OK, Failure, open_view};

/// Prints the matching requests.
pub(super) fn list(args: &ListArgs, paths: &DataPaths, console: &mut Console<'_>) -> Result<u8, Failure> {
    let view = open_view(paths, console)?;
    let query = args.filter.query(paths, &view)?;
    let limit = if args.limit == 0 { usize::MAX } else { args.limit };
    // One more than shown tells whether there are more.
    let page = Page { limit: limit.saturating_add(1), oldest_first: args.oldest_first };
    let mut rows = view.list(&query, page)?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let asked = (args.filter.names(), &*args.filter.text());
    record_query(paths, "list", asked, (rows.len(), view.as_of().size), console);
    let (requests, faults) = read_all(&view, &rows, console);
    print(&requests, args.format, view.as_of(), console)?;
    if rows.is_empty() {
        args.filter.hint(&view, &query, console)?;
    }
    let extra = match (rows.is_empty(), more) {
        (true, _) => "no request matches; ".to_owned(),
        (false, true) => format!("{} shown, there are more (--limit); ", requests.len()),
        (false, false) => format!("{} shown; ", requests.len()),
    };
    say_as_of(view.as_of(), args.format, &extra, console)?;
    Ok(if faults == 0 { EXIT_OK } else { EXIT_NO })
}

/// Reads rows again; rows that no longer read are told on standard error and counted.
pub(super) fn read_all(view: &View, rows: &[Row], console: &mut Console<'_>) -> (Vec<Request>, usize) {
    let mut requests = Vec::with_capacity(rows.len());
    let mut faults = 0;
    for row in rows {
        match read_again(view, row) {
            Ok(request) => requests.push(request),
            Err(why) => {
                faults += 1;
                console.say(&format!("error: {why}"));
            }
        }
    }
    (requests, faults)
}
