//! What may follow what: records, their sections, checkpoints, boots, decisions and completions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::record::codec::Head;
use crate::record::event::Predicate;
use crate::record::head::{EventHead, Kind, SectionRefs};
use crate::record::key::PublicKey;
use crate::record::line::{RecordLine, SectionsLine, leaf_hash};
use crate::record::note::SignedNote;
use crate::record::tree::Frontier;
use crate::types::{Digest, Fact, NONE, RecordId, RequestId, Status};

use super::absent::{AbsentSections, Owner};
use super::keys::Keys;
use super::signatures::{Signatures, Signed};
use super::verdict::{Counts, Fault, Place};

/// What the next record must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// `key.certified` of a boot: the log begins, or a run has ended.
    Certificate,
    /// `boot`, in the same group.
    Boot,
    /// Anything but `boot`.
    Any,
    /// The checkpoint: `shutdown` is the last of its group.
    Closing,
}

/// A decision that has no completion yet.
#[derive(Clone, Debug)]
struct Open {
    request: RequestId,
    owner: Owner,
}

/// The record whose sections line may come next.
#[derive(Clone, Debug)]
struct Awaited {
    place: Place,
    index: u64,
    record: RecordId,
    owner: Owner,
    sections: SectionRefs,
}

/// The state of the reading.
#[derive(Clone, Debug)]
pub(super) struct Chain {
    tree: Frontier,
    due: Due,
    /// Records since the last checkpoint.
    in_group: u64,
    /// Checkpoint lines so far.
    groups: u64,
    keys: Keys,
    /// Size and root before the last boot's certificate.
    before_boot: (u64, Digest),
    open: HashMap<u64, Open>,
    awaited: Option<Awaited>,
    absent: AbsentSections,
    counts: Counts,
    /// The record the current line belongs to, for faults.
    here: Option<(u64, Option<RecordId>)>,
}

impl Chain {
    pub(super) fn new(log_key: Option<PublicKey>) -> Self {
        let tree = Frontier::new();
        Chain {
            due: Due::Certificate,
            in_group: 0,
            groups: 0,
            keys: Keys::new(log_key),
            before_boot: (0, tree.root()),
            tree,
            open: HashMap::new(),
            awaited: None,
            absent: AbsentSections::default(),
            counts: Counts::default(),
            here: None,
        }
    }

    pub(super) fn tree(&self) -> &Frontier {
        &self.tree
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) fn counts(&self) -> Counts {
        self.counts
    }

    /// Whether the last checkpoint closed a run.
    pub(super) fn is_shut_down(&self) -> bool {
        self.due == Due::Certificate && !self.tree.is_empty()
    }

    /// Index and id of the record the current line belongs to.
    pub(super) fn here(&self) -> (Option<u64>, Option<RecordId>) {
        self.here.map_or((None, None), |(index, record)| (Some(index), record))
    }

    /// Guesses which record an unread line belongs to, so that a fault in it names one: a sections line and a
    /// checkpoint belong to the record before them, anything else is the next record.
    pub(super) fn locate(&mut self, line: &[u8]) {
        let before = line.starts_with(b"{\"sections\"") || line.starts_with(b"{\"checkpoint\"");
        let torn_sections = self.awaited.is_some() && !line.starts_with(b"{\"head\"");
        match (before || torn_sections, &self.awaited) {
            (true, Some(awaited)) => self.here = Some((awaited.index, Some(awaited.record))),
            (true, None) if !self.tree.is_empty() => self.here = Some((self.tree.len() - 1, self.here().1)),
            (true, None) => self.here = Some((0, None)),
            (false, _) => self.here = Some((self.tree.len(), None)),
        }
    }

    /// The earliest absent section no predicate covers.
    pub(super) fn uncovered(&self) -> Option<Fault> {
        self.absent.uncovered()
    }

    /// A record line.
    pub(super) fn record(
        &mut self,
        place: &Place,
        line: &[u8],
        record: RecordLine,
        signatures: &mut Signatures,
    ) -> Result<(), String> {
        self.settle_sections();
        let (index, id) = (self.tree.len(), record.head.id());
        self.here = Some((index, Some(id)));
        self.check_due(&record.head)?;
        let head_bytes = line.get(record.head_bytes.clone()).unwrap_or_default();
        let signer = match &record.head {
            Head::Event(event) if event.kind == Kind::KeyCertified => {
                self.certificate(place, index, event, signatures)?;
                self.keys.log_signer(record.key)?
            }
            _ => Some(self.keys.epoch_signer(record.key)?),
        };
        if let Some(key) = signer {
            signatures.push(place, (index, Some(id)), Signed::Head, head_bytes, key, record.sig);
        }
        let (owner, sections) = self.admit(index, record.head)?;
        if !sections.is_empty() {
            self.awaited = Some(Awaited { place: place.clone(), index, record: id, owner, sections });
        }
        self.tree.append(leaf_hash(line));
        self.in_group += 1;
        Ok(())
    }

    /// Whether this kind may stand here.
    fn check_due(&self, head: &Head) -> Result<(), String> {
        let kind = head.kind();
        let fits = match self.due {
            Due::Certificate => kind == Kind::KeyCertified,
            Due::Boot => kind == Kind::Boot,
            Due::Any => kind != Kind::Boot,
            Due::Closing => false,
        };
        if fits {
            return Ok(());
        }
        Err(match self.due {
            Due::Certificate => format!("a run begins with `key.certified`, not with `{kind}`"),
            Due::Boot => format!("`boot` must follow the `key.certified` of a boot, not `{kind}`"),
            Due::Any => "`boot` without the `key.certified` of a boot before it".to_owned(),
            Due::Closing => format!("`{kind}` after `shutdown` in its group"),
        })
    }

    /// `key.certified`: the first record of its group brings a new epoch key.
    fn certificate(
        &mut self,
        place: &Place,
        index: u64,
        event: &EventHead,
        signatures: &mut Signatures,
    ) -> Result<(), String> {
        if self.in_group > 0 {
            return Err("`key.certified` is not the first record of its group".to_owned());
        }
        let handover = self.keys.certified(event)?;
        match handover {
            Some(_) if self.due == Due::Certificate => {
                return Err("a boot's `key.certified` carries a hand-over".to_owned());
            }
            Some((outgoing, signature)) => {
                let raw = *self.keys.epoch_raw()?;
                signatures.push(place, (index, Some(event.id)), Signed::Handover, &raw, &outgoing, signature);
                self.counts.rotations += 1;
            }
            None => {
                self.due = Due::Boot;
                self.before_boot = (index, self.tree.root());
            }
        }
        Ok(())
    }

    /// Counts a record and keeps what later records refer to; whose it is, and its sections.
    fn admit(&mut self, index: u64, head: Head) -> Result<(Owner, SectionRefs), String> {
        match head {
            Head::Decision(head) => {
                self.counts.decisions += 1;
                let owner = Owner { subject: head.subject, class: head.retention.class };
                self.open.insert(index, Open { request: head.request, owner: owner.clone() });
                Ok((owner, head.sections))
            }
            Head::Completion(head) => {
                let decision = head.decision;
                let Some(open) = self.open.remove(&decision) else {
                    return Err(format!("completes record {decision}, which is no open decision"));
                };
                if open.request != head.request {
                    return Err(format!("its request is not that of its decision, record {decision}"));
                }
                self.counts.completions += 1;
                self.counts.orphans += u64::from(head.status == Status::Orphan);
                Ok((open.owner, head.sections))
            }
            Head::Event(event) => {
                self.event(index, &event)?;
                let subject = event.text("subject").unwrap_or(NONE);
                Ok((Owner { subject: Arc::from(subject), class: Arc::from(NONE) }, event.sections))
            }
        }
    }

    fn event(&mut self, index: u64, event: &EventHead) -> Result<(), String> {
        if event.fields.get("groups").is_some_and(|groups| *groups != Fact::from(self.groups)) {
            return Err(format!("a checkpoint line before it is missing or added: there are {}", self.groups));
        }
        match event.kind {
            Kind::Boot => {
                self.due = Due::Any;
                self.counts.boots += 1;
                return self.check_previous(event.fields.get("previous"));
            }
            Kind::Shutdown => {
                self.due = Due::Closing;
                self.counts.shutdowns += 1;
            }
            Kind::Recovered => self.counts.recoveries += 1,
            Kind::Erasure | Kind::RetentionPruned => {
                let predicate = event.fields.get("predicate").and_then(Predicate::from_fact);
                let predicate = predicate.ok_or("its predicate cannot be evaluated")?;
                if predicate.up_to >= index {
                    return Err("its predicate reaches past the record itself".to_owned());
                }
                self.counts.erasures += 1;
                self.absent.allow(predicate);
            }
            _ => {}
        }
        Ok(())
    }

    /// A boot quotes the head of the log it goes on from; a quotation of another log is not checked here.
    fn check_previous(&self, previous: Option<&Fact>) -> Result<(), String> {
        let Some(previous) = previous else { return Ok(()) };
        let Fact::Map(previous) = previous else { return Err("its `previous` is not an object".to_owned()) };
        let (size, root) = &self.before_boot;
        if *size == 0 {
            return Ok(());
        }
        let wanted = BTreeMap::from([("root", Fact::from(root.to_string())), ("size", Fact::from(*size))]);
        if wanted.iter().all(|(name, value)| previous.get(*name) == Some(value)) {
            Ok(())
        } else {
            Err("its `previous` is not the head of the log before this boot".to_owned())
        }
    }

    /// A sections line.
    pub(super) fn sections(&mut self, place: &Place, line: &SectionsLine) -> Result<(), String> {
        let Some(mut awaited) = self.awaited.take() else {
            return Err("a sections line that does not follow its record".to_owned());
        };
        if awaited.index != line.index {
            return Err(format!("its sections line says it is record {}'s", line.index));
        }
        for (name, bytes) in &line.sections {
            let Some(reference) = awaited.sections.remove(name) else {
                return Err(format!("a section `{name}` that its head does not name"));
            };
            if Digest::of(bytes) != reference.sealed {
                return Err(format!("its section `{name}` is not the one it was signed with"));
            }
        }
        awaited.place = place.clone();
        self.awaited = Some(awaited);
        self.settle_sections();
        Ok(())
    }

    /// What the head names and no line brought is absent.
    fn settle_sections(&mut self) {
        let Some(awaited) = self.awaited.take() else { return };
        for name in awaited.sections.keys() {
            self.counts.absent += 1;
            self.absent.add(&awaited.owner, name, awaited.index, awaited.record, &awaited.place);
        }
    }

    /// A checkpoint line.
    pub(super) fn checkpoint(
        &mut self,
        place: &Place,
        note: &SignedNote,
        signatures: &mut Signatures,
    ) -> Result<(), String> {
        self.settle_sections();
        if self.in_group == 0 {
            return Err("a checkpoint that closes no record".to_owned());
        }
        if self.due == Due::Boot {
            return Err("the group ends between `key.certified` and `boot`".to_owned());
        }
        let checkpoint = &note.checkpoint;
        if checkpoint.size != self.tree.len() {
            return Err(format!("the checkpoint says {} records, there are {}", checkpoint.size, self.tree.len()));
        }
        if checkpoint.root != self.tree.root() {
            return Err("the checkpoint's root is not that of the records".to_owned());
        }
        let (key, signature) = self.keys.checkpoint_signature(note)?;
        let last = checkpoint.size.saturating_sub(1);
        let text = checkpoint.text();
        signatures.push(place, (last, None), Signed::Checkpoint, text.as_bytes(), key, signature);
        if self.due == Due::Closing {
            self.due = Due::Certificate;
        }
        self.in_group = 0;
        self.groups += 1;
        Ok(())
    }
}
