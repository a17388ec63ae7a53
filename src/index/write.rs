//! Turns committed groups into rows, one transaction a batch.
//!
//! A crash between two batches leaves the file at the earlier one: rows and progress are one transaction, so
//! reading simply goes on there.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use rusqlite::{Connection, OptionalExtension, params};

use super::field::{COMBINED, Field, policy_term};
use super::log::{Cursor, Entry, Group};
use super::names::Names;
use super::schema::{self, Progress, pos, split, zone};
use super::slim::{Slim, slim};
use super::terms::Terms;
use crate::types::{Digest, NONE, RequestId, Timestamp};

/// Writes one database.
pub(super) struct Writer {
    conn: Connection,
    terms: Terms,
    progress: Option<Progress>,
    names: Option<Names>,
}

/// The rows a batch brings, and what it changes in older ones.
#[derive(Default)]
struct Batch {
    rows: BTreeMap<i64, Row>,
    later: Vec<(i64, Done)>,
    /// Inverted entries of new and older rows.
    marks: Vec<(i64, i64)>,
    zones: BTreeMap<i64, (i64, i64)>,
}

struct Row {
    time: i64,
    request: Vec<u8>,
    segment: i64,
    offset: i64,
    leaf: i64,
    /// subject, actor, vendor, policy, model, outcome, label, route, tenant, reason
    terms: [i64; 10],
    done: Option<Done>,
}

struct Done {
    pos: i64,
    segment: i64,
    offset: i64,
    leaf: i64,
    /// status, outcome, label, reason, model
    terms: [i64; 5],
}

impl Writer {
    /// Goes on writing `conn`, which holds what its progress says.
    pub(super) fn new(conn: Connection, names: Option<Names>) -> rusqlite::Result<Self> {
        let progress = schema::progress(&conn)?;
        Ok(Writer { conn, terms: Terms::default(), progress, names })
    }

    /// How far it has come.
    pub(super) fn progress(&self) -> Option<&Progress> {
        self.progress.as_ref()
    }

    /// The database, to read.
    pub(super) fn conn(&self) -> &Connection {
        &self.conn
    }

    /// Ends writing and gives the database back.
    pub(super) fn into_conn(self) -> Connection {
        self.conn
    }

    /// Takes the groups in, all or none.
    pub(super) fn apply(&mut self, groups: &[Group]) -> rusqlite::Result<()> {
        self.conn.execute_batch("BEGIN IMMEDIATE")?;
        let done = self.apply_inside(groups);
        let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
        let closed = self.conn.execute_batch(end);
        if done.is_err() || closed.is_err() {
            self.terms.forget();
            self.names.iter_mut().for_each(Names::forget);
            self.progress = schema::progress(&self.conn)?;
        }
        done.and(closed)
    }

    fn apply_inside(&mut self, groups: &[Group]) -> rusqlite::Result<()> {
        let mut batch = Batch::default();
        for entry in groups.iter().flat_map(|group| &group.entries) {
            self.take(&mut batch, entry)?;
        }
        if let Some(group) = groups.last() {
            self.advance(group.end, &group.checkpoint);
        }
        self.store(batch)?;
        self.terms.flush(&self.conn)?;
        match &self.progress {
            Some(progress) => schema::set_progress(&self.conn, progress),
            None => Ok(()),
        }
    }

    fn advance(&mut self, end: Cursor, checkpoint: &[u8]) {
        if let Some(progress) = &mut self.progress {
            progress.cursor = end;
            progress.checkpoint = checkpoint.to_vec();
        }
    }

    fn take(&mut self, batch: &mut Batch, entry: &Entry) -> rusqlite::Result<()> {
        let Some(head) = slim(&entry.line) else { return Ok(()) };
        let time = head.time.parse::<Timestamp>().map_or(0, Timestamp::micros);
        let leaf = leaf_mark(&entry.line);
        let at = pos(entry.place.generation, entry.index);
        self.remember(entry, leaf, time);
        let range = batch.zones.entry(zone(at)).or_insert((time, time));
        *range = (range.0.min(time), range.1.max(time));
        match head.kind.as_ref() {
            "decision" => self.decision(batch, entry, &head, Mark { at, leaf, time }),
            "completion" => self.completion(batch, entry, &head, Mark { at, leaf, time }),
            "erasure" => self.erase(&head),
            _ => Ok(()),
        }
    }

    fn remember(&mut self, entry: &Entry, leaf: i64, time: i64) {
        let mark = Some((entry.place, leaf));
        match &mut self.progress {
            Some(progress) => (progress.last, progress.time) = (mark, time),
            None => {
                let cursor = Cursor { place: entry.place, next: entry.index };
                let checkpoint = Vec::new();
                self.progress = Some(Progress { cursor, first: mark, last: mark, checkpoint, time });
            }
        }
    }

    fn decision(&mut self, batch: &mut Batch, entry: &Entry, head: &Slim<'_>, mark: Mark) -> rusqlite::Result<()> {
        let policy = policy_term(head);
        let values = [
            (Field::Identity, head.subject.as_ref()),
            (Field::Identity, head.actor.as_ref()),
            (Field::Vendor, head.vendor.as_ref()),
            (Field::Policy, &policy),
            (Field::Model, head.model.as_ref()),
            (Field::Outcome, head.outcome.as_ref()),
            (Field::Label, head.label.as_ref()),
            (Field::Route, head.route.as_ref()),
            (Field::Tenant, head.tenant.as_ref()),
            (Field::Reason, head.reason.as_ref()),
        ];
        let terms = self.ids(values, batch, mark.at)?;
        self.classes(head, batch, mark.at)?;
        let [subject, actor, vendor, policy, ..] = terms;
        for (who, name) in [(subject, &head.subject), (actor, &head.actor)] {
            if name.as_ref() != NONE {
                let combined = self.terms.id(&self.conn, COMBINED, &combined(who, vendor, policy))?;
                batch.marks.push((combined, mark.at));
            }
        }
        if let Some(names) = &mut self.names {
            names.learn(&self.conn, entry, head, (subject, actor))?;
        }
        let request = head.request.parse::<RequestId>().map(|_| uuid_bytes(&head.request)).unwrap_or_default();
        let (segment, offset) = (signed(entry.place.segment), signed(entry.place.offset));
        let row = Row { time: mark.time, request, segment, offset, leaf: mark.leaf, terms, done: None };
        batch.rows.insert(mark.at, row);
        Ok(())
    }

    fn completion(&mut self, batch: &mut Batch, entry: &Entry, head: &Slim<'_>, mark: Mark) -> rusqlite::Result<()> {
        let Some(decision) = head.decision else { return Ok(()) };
        let at = pos(split(mark.at).0, decision);
        let values = [
            (Field::Status, head.status.as_ref()),
            (Field::Outcome, head.outcome.as_ref()),
            (Field::Label, head.label.as_ref()),
            (Field::Reason, head.reason.as_ref()),
            (Field::Model, head.model_served.as_ref()),
        ];
        let terms = self.ids(values, batch, at)?;
        self.classes(head, batch, at)?;
        let (segment, offset) = (signed(entry.place.segment), signed(entry.place.offset));
        let done = Done { pos: mark.at, segment, offset, leaf: mark.leaf, terms };
        match batch.rows.entry(at) {
            Slot::Occupied(mut row) => row.get_mut().done = Some(done),
            Slot::Vacant(_) => batch.later.push((at, done)),
        }
        Ok(())
    }

    fn ids<const N: usize>(
        &mut self,
        values: [(Field, &str); N],
        batch: &mut Batch,
        at: i64,
    ) -> rusqlite::Result<[i64; N]> {
        let mut ids = [0; N];
        for (slot, (field, value)) in ids.iter_mut().zip(values) {
            *slot = self.terms.id(&self.conn, field as i64, value)?;
            if !field.is_common(value) {
                batch.marks.push((*slot, at));
            }
        }
        Ok(ids)
    }

    fn classes(&mut self, head: &Slim<'_>, batch: &mut Batch, at: i64) -> rusqlite::Result<()> {
        for class in &head.classes {
            batch.marks.push((self.terms.id(&self.conn, Field::Class as i64, class)?, at));
        }
        Ok(())
    }

    /// After an erasure nobody finds the pseudonym by name any more, nor in the pages that held it.
    fn erase(&mut self, head: &Slim<'_>) -> rusqlite::Result<()> {
        let id: Option<i64> = super::terms::find(&self.conn, Field::Identity as i64, &head.predicate.subject)?;
        if let Some(id) = id {
            self.conn.execute("DELETE FROM names WHERE subject = ?1", [id])?;
        }
        if let Some(names) = &mut self.names {
            names.forget();
        }
        Ok(())
    }

    fn store(&mut self, mut batch: Batch) -> rusqlite::Result<()> {
        let mut insert = self.conn.prepare_cached(INSERT)?;
        for (at, row) in &batch.rows {
            let t = row.terms;
            let done = row.done.as_ref();
            let c = done.map_or([None; 5], |done| done.terms.map(Some));
            insert.execute(params![
                at,
                row.time,
                row.request,
                row.segment,
                row.offset,
                row.leaf,
                t[0],
                t[1],
                t[2],
                t[3],
                t[4],
                t[5],
                t[6],
                t[7],
                t[8],
                t[9],
                done.map(|d| d.pos),
                done.map(|d| d.segment),
                done.map(|d| d.offset),
                done.map(|d| d.leaf),
                c[0],
                c[1],
                c[2],
                c[3],
                c[4]
            ])?;
        }
        let mut update = self.conn.prepare_cached(UPDATE)?;
        for (at, done) in &batch.later {
            let c = done.terms;
            update.execute(params![
                at,
                done.pos,
                done.segment,
                done.offset,
                done.leaf,
                c[0],
                c[1],
                c[2],
                c[3],
                c[4]
            ])?;
        }
        batch.marks.sort_unstable();
        batch.marks.dedup();
        let mut mark = self.conn.prepare_cached("INSERT OR IGNORE INTO marks(term, pos) VALUES (?1, ?2)")?;
        for (term, at) in &batch.marks {
            if mark.execute([term, at])? == 1 {
                self.terms.count(*term);
            }
        }
        let mut widen = self.conn.prepare_cached(WIDEN)?;
        for (zone, (earliest, latest)) in &batch.zones {
            widen.execute([zone, earliest, latest])?;
        }
        Ok(())
    }
}

/// A record's position, leaf and time.
#[derive(Clone, Copy)]
struct Mark {
    at: i64,
    leaf: i64,
    time: i64,
}

/// The term of caller, vendor and bundle together.
pub(super) fn combined(identity: i64, vendor: i64, policy: i64) -> String {
    format!("{identity} {vendor} {policy}")
}

/// The first eight bytes of the leaf hash: enough to notice that a line changed since, never a proof.
pub(super) fn leaf_mark(line: &[u8]) -> i64 {
    let Digest(hash) = Digest::of_parts(&[&[0], line]);
    let [a, b, c, d, e, f, g, h, ..] = hash;
    i64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The row of a request, where this database has it: its decision's segment and offset.
pub(super) fn decision_place(conn: &Connection, at: i64) -> rusqlite::Result<Option<(u64, u64)>> {
    let mut select = conn.prepare_cached("SELECT segment, offset FROM requests WHERE pos = ?1")?;
    let row = select.query_row([at], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).optional()?;
    Ok(row.map(|(segment, offset)| (u64::try_from(segment).unwrap_or(0), u64::try_from(offset).unwrap_or(0))))
}

/// The 16 bytes of a UUID spelled with hyphens.
pub(super) fn uuid_bytes(text: &str) -> Vec<u8> {
    uuid::Uuid::try_parse(text).map(|id| id.as_bytes().to_vec()).unwrap_or_default()
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

const INSERT: &str = "INSERT OR REPLACE INTO requests(pos, time, request, segment, offset, leaf, subject, actor, \
    vendor, policy, model, outcome, label, route, tenant, reason, c_pos, c_segment, c_offset, c_leaf, status, \
    c_outcome, c_label, c_reason, c_model) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, \
    ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25)";

const UPDATE: &str = "UPDATE requests SET c_pos = ?2, c_segment = ?3, c_offset = ?4, c_leaf = ?5, status = ?6, \
    c_outcome = ?7, c_label = ?8, c_reason = ?9, c_model = ?10 WHERE pos = ?1";

const WIDEN: &str = "INSERT INTO zones(zone, earliest, latest) VALUES (?1, ?2, ?3) ON CONFLICT(zone) DO UPDATE SET \
    earliest = min(earliest, excluded.earliest), latest = max(latest, excluded.latest)";
