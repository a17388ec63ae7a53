//! From filters to rows: the plan picks the rarest term as its list and checks the rest row by row.
//!
//! Values of one field are alternatives, fields narrow one another. A field that both heads have (outcome, label,
//! class, reason, model) matches when either head has the value. Times compare with the decision's.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row as SqlRow};

use super::field::{COMBINED, Field, policy_matches};
use super::log::Place;
use super::schema::{pos, split, zone_start};
use super::terms;
use super::write::{combined, uuid_bytes};
use crate::types::{RequestId, Timestamp};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// Not before this instant.
    pub from: Option<Timestamp>,
    /// Before this instant.
    pub to: Option<Timestamp>,
    /// Alternatives by field; an empty list matches nothing.
    pub fields: BTreeMap<Field, Vec<String>>,
}

/// Which of the matching rows are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// At most so many.
    pub limit: usize,
    /// Oldest first instead of newest first.
    pub oldest_first: bool,
}

/// One request: where its two records stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Index of the decision.
    pub index: u64,
    /// Where its line begins.
    pub place: Place,
    /// The beginning of its leaf hash when it was indexed.
    pub(super) leaf: i64,
    /// The completion's index, place and leaf, once there is one.
    pub(super) completion: Option<(u64, Place, i64)>,
}

impl Row {
    /// Index of the completion.
    pub fn completion_index(&self) -> Option<u64> {
        self.completion.map(|(index, _, _)| index)
    }

    pub(super) fn pos(&self) -> i64 {
        pos(self.place.generation, self.index)
    }
}

/// The value of `--status` for a request without a completion.
pub const OPEN: &str = "open";

/// A query in one database's numbers.
struct Plan {
    /// Terms whose lists are walked; none = walk all requests, or all open ones.
    driver: Vec<i64>,
    /// Only open requests are asked for: there are few, and they have an index of their own.
    open_only: bool,
    conditions: String,
    low: i64,
    high: i64,
}

/// Matching rows of one database; `skip` lists positions (a newer database has them).
pub(super) fn list(conn: &Connection, query: &Query, page: Page, skip: &[i64]) -> rusqlite::Result<Vec<Row>> {
    let Some(plan) = plan(conn, query)? else { return Ok(Vec::new()) };
    let order = if page.oldest_first { "ASC" } else { "DESC" };
    let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
    let sql = format!("{} ORDER BY {} {order} LIMIT {limit}", plan.select(COLUMNS, skip), plan.position());
    conn.prepare(&sql)?.query_map([], row)?.collect()
}

/// How many rows of one database match.
pub(super) fn count(conn: &Connection, query: &Query, skip: &[i64]) -> rusqlite::Result<u64> {
    let Some(plan) = plan(conn, query)? else { return Ok(0) };
    let n: i64 = conn.query_row(&plan.select("count(*)", skip), [], |row| row.get(0))?;
    Ok(u64::try_from(n).unwrap_or(0))
}

/// Calls `each` with the terms of every matching row, in the order of [`TALLIED`], and its position.
pub(super) fn tally(
    conn: &Connection,
    query: &Query,
    skip: &[i64],
    mut each: impl FnMut(i64, [Option<i64>; TALLIED.len()]),
) -> rusqlite::Result<()> {
    let Some(plan) = plan(conn, query)? else { return Ok(()) };
    let columns: Vec<&str> = TALLIED.iter().map(|(_, column)| *column).collect();
    let mut select = conn.prepare(&plan.select(&format!("r.pos, {}", columns.join(", ")), skip))?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let mut terms = [None; TALLIED.len()];
        for (at, slot) in terms.iter_mut().enumerate() {
            *slot = row.get(at + 1)?;
        }
        each(row.get(0)?, terms);
    }
    Ok(())
}

/// Classes of every matching row: term, and how many of the rows carry it.
pub(super) fn tally_classes(conn: &Connection, query: &Query, skip: &[i64]) -> rusqlite::Result<Vec<(i64, u64)>> {
    let Some(plan) = plan(conn, query)? else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT k.term, count(*) FROM terms t CROSS JOIN marks k ON k.term = t.id WHERE t.field = {} \
         AND k.pos IN ({}) GROUP BY k.term",
        Field::Class as i64,
        plan.select("r.pos", skip)
    );
    let pair = |row: &SqlRow<'_>| Ok((row.get(0)?, u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0)));
    conn.prepare(&sql)?.query_map([], pair)?.collect()
}

/// Whether the request at a position is in this database and matches.
pub(super) fn matches(conn: &Connection, query: &Query, at: i64) -> rusqlite::Result<bool> {
    let Some(mut plan) = plan(conn, query)? else { return Ok(false) };
    (plan.driver, plan.low, plan.high) = (Vec::new(), at, at);
    conn.query_row(&plan.select("count(*)", &[]), [], |row| row.get::<_, i64>(0)).map(|n| n > 0)
}

/// The row of a request id.
pub(super) fn by_request(conn: &Connection, id: RequestId) -> rusqlite::Result<Vec<Row>> {
    let sql = format!("SELECT {COLUMNS} FROM requests r WHERE r.request = ?1");
    conn.prepare_cached(&sql)?.query_map([uuid_bytes(&id.to_string())], row)?.collect()
}

/// The row of a decision's position.
pub(super) fn at(conn: &Connection, at: i64) -> rusqlite::Result<Option<Row>> {
    let sql = format!("SELECT {COLUMNS} FROM requests r WHERE r.pos = ?1");
    conn.prepare_cached(&sql)?.query_row([at], row).optional()
}

/// Positions among which a record of this time must stand, were it indexed.
pub(super) fn around(conn: &Connection, from: Timestamp, to: Timestamp) -> rusqlite::Result<Option<(i64, i64)>> {
    let sql = "SELECT min(zone), max(zone) FROM zones WHERE latest >= ?1 AND earliest < ?2";
    let ends = |row: &SqlRow<'_>| Ok((row.get::<_, Option<i64>>(0)?, row.get::<_, Option<i64>>(1)?));
    let (low, high) = conn.prepare_cached(sql)?.query_row([from.micros(), to.micros()], ends)?;
    Ok(low.zip(high).map(|(low, high)| (zone_start(low), zone_start(high + 1) - 1)))
}

fn plan(conn: &Connection, query: &Query) -> rusqlite::Result<Option<Plan>> {
    let mut plan = Plan { driver: Vec::new(), open_only: false, conditions: String::new(), low: 0, high: i64::MAX };
    if query.from.is_some() || query.to.is_some() {
        let from = query.from.unwrap_or(Timestamp::from_micros(i64::MIN));
        let to = query.to.unwrap_or(Timestamp::from_micros(i64::MAX));
        let Some((low, high)) = around(conn, from, to)? else { return Ok(None) };
        (plan.low, plan.high) = (low, high);
        plan.conditions.push_str(&format!(" AND r.time >= {} AND r.time < {}", from.micros(), to.micros()));
    }
    let mut best = i64::MAX;
    let mut found = BTreeMap::new();
    for (field, values) in &query.fields {
        let terms = resolve(conn, *field, values)?;
        let open = *field == Field::Status && values.iter().any(|value| value == OPEN);
        if terms.is_empty() && !open {
            return Ok(None);
        }
        let ids: Vec<i64> = terms.iter().map(|(id, _, _)| *id).collect();
        plan.open_only |= open && ids.is_empty();
        plan.conditions.push_str(&condition(*field, &ids, open));
        let rows: i64 = terms.iter().map(|(_, _, n)| n).sum();
        let listed = !open && terms.iter().all(|(_, value, _)| !field.is_common(value));
        if listed && rows < best && (ids.len() == 1 || rows <= SORTED_MAX) {
            (best, plan.driver) = (rows, ids.clone());
        }
        found.insert(*field, ids);
    }
    if let Some(terms) = combination(conn, &found)? {
        plan.driver = terms;
        if plan.driver.is_empty() {
            return Ok(None);
        }
    }
    if plan.open_only {
        plan.driver.clear();
    }
    Ok(Some(plan))
}

/// The terms a person's words mean: number, value, requests.
fn resolve(conn: &Connection, field: Field, values: &[String]) -> rusqlite::Result<Vec<(i64, String, i64)>> {
    let number = field as i64;
    let mut found = Vec::new();
    for value in values {
        found.extend(match field {
            Field::Policy => {
                terms::all(conn, number)?.into_iter().filter(|(_, term, _)| policy_matches(term, value)).collect()
            }
            Field::Class => {
                let below = format!("{value}.");
                let all = terms::all(conn, number)?;
                all.into_iter().filter(|(_, term, _)| term == value || term.starts_with(&below)).collect()
            }
            _ => terms::exactly(conn, number, value)?,
        });
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Caller, vendor and bundle asked together have lists of their own, when the combinations are few.
fn combination(conn: &Connection, found: &BTreeMap<Field, Vec<i64>>) -> rusqlite::Result<Option<Vec<i64>>> {
    let of = |field| found.get(&field);
    let (Some(who), Some(vendors), Some(policies)) = (of(Field::Identity), of(Field::Vendor), of(Field::Policy)) else {
        return Ok(None);
    };
    if who.len() * vendors.len() * policies.len() > COMBINATIONS_MAX {
        return Ok(None);
    }
    let mut ids = Vec::new();
    for identity in who {
        for vendor in vendors {
            for policy in policies {
                ids.extend(terms::find(conn, COMBINED, &combined(*identity, *vendor, *policy))?);
            }
        }
    }
    Ok(Some(ids))
}

fn condition(field: Field, ids: &[i64], open: bool) -> String {
    let list = join(ids);
    let mut ways: Vec<String> = field.columns().iter().map(|column| format!("r.{column} IN ({list})")).collect();
    if field == Field::Class {
        ways.push(format!("EXISTS (SELECT 1 FROM marks k WHERE k.term IN ({list}) AND k.pos = r.pos)"));
    }
    if open {
        ways.push("r.status IS NULL".to_owned());
        if ids.is_empty() {
            return " AND r.status IS NULL".to_owned();
        }
    }
    format!(" AND ({})", ways.join(" OR "))
}

impl Plan {
    fn select(&self, what: &str, skip: &[i64]) -> String {
        let (low, high, at) = (self.low, self.high, self.position());
        let from = match self.driver.as_slice() {
            [] if self.open_only => "requests r INDEXED BY requests_open WHERE r.status IS NULL".to_owned(),
            [] => "requests r WHERE 1".to_owned(),
            [term] => format!("marks m CROSS JOIN requests r ON r.pos = m.pos WHERE m.term = {term}"),
            terms => format!(
                "(SELECT DISTINCT pos FROM marks WHERE term IN ({})) m CROSS JOIN requests r ON r.pos = m.pos WHERE 1",
                join(terms)
            ),
        };
        let skipped = if skip.is_empty() { String::new() } else { format!(" AND r.pos NOT IN ({})", join(skip)) };
        format!("SELECT {what} FROM {from} AND {at} BETWEEN {low} AND {high}{}{skipped}", self.conditions)
    }

    fn position(&self) -> &'static str {
        if self.driver.is_empty() { "r.pos" } else { "m.pos" }
    }
}

fn join(numbers: &[i64]) -> String {
    numbers.iter().map(i64::to_string).collect::<Vec<_>>().join(",")
}

fn row(row: &SqlRow<'_>) -> rusqlite::Result<Row> {
    let number = |at: usize| row.get::<_, i64>(at).map(|n| u64::try_from(n).unwrap_or(0));
    let (generation, index) = split(row.get(0)?);
    let completion = match row.get::<_, Option<i64>>(4)? {
        Some(pos) => {
            let (generation, index) = split(pos);
            Some((index, Place { generation, segment: number(5)?, offset: number(6)? }, row.get(7)?))
        }
        None => None,
    };
    let place = Place { generation, segment: number(1)?, offset: number(2)? };
    Ok(Row { index, place, leaf: row.get(3)?, completion })
}

const COLUMNS: &str = "r.pos, r.segment, r.offset, r.leaf, r.c_pos, r.c_segment, r.c_offset, r.c_leaf";

/// What statistics group by: a name for people, and the column.
pub(super) const TALLIED: [(&str, &str); 11] = [
    ("outcome", "r.outcome"),
    ("status", "r.status"),
    ("reason", "r.reason"),
    ("label", "r.label"),
    ("vendor", "r.vendor"),
    ("model", "r.model"),
    ("policy", "r.policy"),
    ("route", "r.route"),
    ("tenant", "r.tenant"),
    ("identity", "r.subject"),
    ("answer", "r.c_outcome"),
];

/// More rows than this from several lists are not sorted: walking the requests in order finds a page sooner.
const SORTED_MAX: i64 = 50_000;
/// Lists joined for one question about caller, vendor and bundle.
const COMBINATIONS_MAX: usize = 256;
