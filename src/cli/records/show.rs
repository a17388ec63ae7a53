//! `records show`: one request with both its records, or one record of any kind, in full.
//!
//! Says of each record who signed it and whether that signature holds under the epoch key certified for its
//! range (whether the log key that certified it is the right one is `verify`'s business), and of each section
//! whether it is there and its key still exists. Sections are decrypted only with `--sections`.

use crate::index::{Entry, View};
use crate::record::{Head, Line, SectionRef, section};
use crate::store::KeyStore;
use crate::types::{Fact, RecordId, RequestId};

use super::access::record_query;
use super::args::{Format, ShowArgs};
use super::{Console, DataPaths, EXIT_NO, EXIT_OK, Failure, open_view, show_text, signer};

/// A record with what can be said about it.
pub(super) struct Shown {
    pub(super) index: u64,
    pub(super) generation: u32,
    pub(super) segment: u64,
    pub(super) head: Head,
    /// The head's canonical bytes.
    pub(super) json: String,
    pub(super) leaf: String,
    pub(super) key: String,
    pub(super) signature: signer::Signature,
    /// Name, state, and content where it was asked for and could be opened.
    pub(super) sections: Vec<(String, String, Option<Fact>)>,
}

/// What was asked for.
enum Wanted {
    Request(RequestId),
    /// The generation (`None` = newest), the index, and the leaf it must have.
    Index(Option<u32>, u64, Option<String>),
}

/// What was found.
enum Found {
    /// A request's decision and completion, or one event; none when there is no such record.
    Records(Vec<Entry>),
    /// The record with this index is not the one whose leaf was given.
    OtherLeaf(u64),
}

/// Prints one request or record.
pub(super) fn show(args: &ShowArgs, paths: &DataPaths, console: &mut Console<'_>) -> Result<u8, Failure> {
    if args.format == Format::Csv {
        return Err(Failure::Usage("`records show` has no csv form: use table or json".to_owned()));
    }
    let view = open_view(paths, console)?;
    let found = find(&view, &args.id)?;
    let shown = if let Found::Records(entries) = &found { entries.len() } else { 0 };
    let fields = if args.sections { vec!["id", "sections"] } else { vec!["id"] };
    record_query(paths, "show", (fields, &args.id), (shown, view.as_of().size), console);
    let entries = match found {
        Found::Records(entries) => entries,
        Found::OtherLeaf(index) => {
            show_text::mismatch(index, args.format, console)?;
            return Ok(EXIT_NO);
        }
    };
    if entries.is_empty() {
        console.say(&format!("error: no committed record is `{}`", args.id.escape_debug()));
        return Ok(EXIT_NO);
    }
    let keys = KeyStore::open_read_only(paths.data()).ok();
    let mut shown = Vec::new();
    for entry in &entries {
        shown.push(describe(&view, paths, entry, keys.as_ref(), args.sections)?);
    }
    match args.format {
        Format::Table => show_text::text(&shown, console)?,
        _ => show_text::json(&shown, console)?,
    }
    let bad = shown.iter().any(|record| record.signature.is_bad());
    Ok(if bad { EXIT_NO } else { EXIT_OK })
}

/// The records meant by what a person typed.
fn find(view: &View, id: &str) -> Result<Found, Failure> {
    let (generation, index) = match wanted(id)? {
        Wanted::Request(request) => match view.request(request)? {
            Some(row) => (row.place.generation, row.index),
            None => match id.parse::<RecordId>().ok().map(|id| view.record(id)).transpose()?.flatten() {
                Some(entry) => (entry.place.generation, entry.index),
                None => return Ok(Found::Records(Vec::new())),
            },
        },
        Wanted::Index(generation, index, leaf) => {
            let Some(generation) = generation.or(view.log().generations()?.pop()) else {
                return Ok(Found::Records(Vec::new()));
            };
            if let (Some(leaf), Some(entry)) = (leaf, view.log().locate(generation, index)?)
                && signer::leaf_base64(&entry.line) != leaf
            {
                return Ok(Found::OtherLeaf(index));
            }
            (generation, index)
        }
    };
    let Some(entry) = view.log().locate(generation, index)? else { return Ok(Found::Records(Vec::new())) };
    let decision = match head_of(&entry)? {
        Head::Completion(completion) => completion.decision,
        Head::Decision(_) => index,
        Head::Event(_) => return Ok(Found::Records(vec![entry])),
    };
    let mut entries = Vec::new();
    entries.extend(view.log().locate(generation, decision)?);
    let completion = view.decision(generation, decision)?.and_then(|row| row.completion_index());
    if let Some(completion) = completion {
        entries.extend(view.log().locate(generation, completion)?);
    }
    Ok(Found::Records(entries))
}

fn wanted(id: &str) -> Result<Wanted, Failure> {
    if let Ok(request) = id.parse() {
        return Ok(Wanted::Request(request));
    }
    let mut parts = id.splitn(3, '#');
    let origin = parts.next().unwrap_or_default();
    let index = parts.next().unwrap_or(origin).parse::<u64>().ok();
    let generation = origin.rsplit('/').next().and_then(|generation| generation.parse().ok());
    let generation = if id.contains('#') { generation } else { None };
    let index = index.ok_or_else(|| {
        let id = id.escape_debug();
        Failure::Usage(format!("`{id}` is neither a request or record id, nor `#INDEX`, nor a `sealgate-record` value"))
    })?;
    Ok(Wanted::Index(generation, index, parts.next().map(str::to_owned)))
}

fn head_of(entry: &Entry) -> Result<Head, Failure> {
    match Line::parse(&entry.line) {
        Ok(Line::Record(record)) => Ok(record.head),
        Ok(_) => Err(Failure::Io(format!("record #{} is not a record line", entry.index))),
        Err(error) => Err(Failure::Io(format!("record #{}: {error}; run `sealgate records verify`", entry.index))),
    }
}

fn describe(
    view: &View,
    paths: &DataPaths,
    entry: &Entry,
    keys: Option<&KeyStore>,
    open: bool,
) -> Result<Shown, Failure> {
    let Ok(Line::Record(record)) = Line::parse(&entry.line) else {
        return Err(Failure::Io(format!(
            "record #{} is not a record line; run `sealgate records verify`",
            entry.index
        )));
    };
    let origin = signer::origin(view, entry.place.generation);
    let bytes = entry.line.get(record.head_bytes.clone()).unwrap_or_default();
    let json = String::from_utf8_lossy(bytes).into_owned();
    let signature = signer::check(view.log(), paths, &origin, entry, &record)?;
    let sealed = match entry.sections.as_deref().map(Line::parse) {
        Some(Ok(Line::Sections(line))) => line.sections,
        _ => Default::default(),
    };
    let mut sections = Vec::new();
    for (name, reference) in record.head.sections() {
        let sealed = sealed.get(name).map(Vec::as_slice);
        let at = Section { origin: &origin, record: record.head.id(), name, reference, sealed };
        let (state, content) = at.state(keys, open);
        sections.push((name.clone(), state, content));
    }
    Ok(Shown {
        index: entry.index,
        generation: entry.place.generation,
        segment: entry.place.segment,
        key: record.key.to_string(),
        leaf: crate::record::leaf_hash(&entry.line).to_string(),
        head: record.head,
        json,
        signature,
        sections,
    })
}

/// One section of one record.
struct Section<'a> {
    origin: &'a str,
    record: RecordId,
    name: &'a str,
    reference: &'a SectionRef,
    sealed: Option<&'a [u8]>,
}

impl Section<'_> {
    fn state(&self, keys: Option<&KeyStore>, open: bool) -> (String, Option<Fact>) {
        let Some(sealed) = self.sealed else { return ("not in the log any more".to_owned(), None) };
        let Some(keys) = keys else { return ("sealed; the keys are not readable here".to_owned(), None) };
        let id = u128::from_str_radix(&self.reference.key, 16).map(u128::to_be_bytes);
        let key = match id.map(|id| keys.by_id(&id)) {
            Ok(Ok(Some(key))) => key,
            Ok(Ok(None)) => return ("key destroyed".to_owned(), None),
            _ => return ("its key is not readable".to_owned(), None),
        };
        if !open {
            return ("present".to_owned(), None);
        }
        match section::open(self.origin, self.record, self.name, self.reference, sealed, &key) {
            Ok(content) => ("present".to_owned(), Some(content)),
            Err(error) => (format!("does not open: {error}"), None),
        }
    }
}
