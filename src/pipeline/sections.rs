//! What goes into the encrypted sections of a request's two records, and the sealing of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::json::Value;
use crate::record::commitments::{Commitments, PARTS_MAX};
use crate::record::section::{self, Attachment, BodyCommitment};
use crate::record::{CommitmentsSection, ContentSection, DataKey, IdentitySection};
use crate::scan::Finding;
use crate::store::{DataKeyName, KeyStore};
use crate::types::{Class, Principal, RecordId, Timestamp};

use super::admit::Case;

/// One finding as the content section tells it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FindingNote {
    pub(super) pointer: String,
    pub(super) class: Class,
    pub(super) detector: Arc<str>,
    pub(super) likelihood: u8,
    pub(super) validated: bool,
    pub(super) action: &'static str,
}

impl FindingNote {
    /// Notes a whole-text finding.
    pub(super) fn of(finding: &Finding, action: &'static str) -> Self {
        FindingNote {
            pointer: section::cut(&finding.pointer),
            class: finding.class.clone(),
            detector: finding.detector.clone(),
            likelihood: finding.likelihood,
            validated: finding.validated,
            action,
        }
    }
}

/// The commitments of an answer, once it has ended.
#[derive(Default)]
pub(super) struct AnswerParts {
    pub(super) section: Option<CommitmentsSection>,
    /// Number of text parts.
    pub(super) count: u64,
    pub(super) media: Option<String>,
    pub(super) stream: bool,
}

/// A section before sealing.
pub(super) enum Plain {
    Identity(Box<IdentitySection>),
    Content(Box<ContentSection>),
    Commitments(Box<CommitmentsSection>),
}

impl Plain {
    fn name(&self) -> &'static str {
        match self {
            Plain::Identity(_) => section::IDENTITY,
            Plain::Content(_) => section::CONTENT,
            Plain::Commitments(_) => section::COMMITMENTS,
        }
    }

    fn seal(&self, origin: &str, id: RecordId, key: &DataKey) -> Option<section::Sealed> {
        match self {
            Plain::Identity(plain) => section::seal(origin, id, self.name(), plain, key),
            Plain::Content(plain) => section::seal(origin, id, self.name(), plain, key),
            Plain::Commitments(plain) => section::seal(origin, id, self.name(), plain, key),
        }
        .ok()
    }
}

/// Whose data keys seal a record's sections.
pub(super) struct Owner {
    pub(super) tenant: Arc<str>,
    pub(super) retention: Arc<str>,
    pub(super) subject: Arc<str>,
}

/// Seals sections for one record. One that cannot be sealed is left out and counted: the record itself goes on.
pub(super) async fn seal(
    case: &Case,
    owner: &Owner,
    id: RecordId,
    time: Timestamp,
    sections: Vec<Plain>,
) -> (Vec<(&'static str, section::Sealed)>, u64) {
    let mut sealed = Vec::with_capacity(sections.len());
    let mut missing = 0;
    for plain in sections {
        let name = DataKeyName {
            tenant: owner.tenant.to_string(),
            retention: owner.retention.to_string(),
            section: plain.name().to_owned(),
            subject: owner.subject.to_string(),
            month: time.month(),
        };
        let key = data_key(&case.gate.parts.keys, name).await;
        match key.and_then(|key| plain.seal(case.gate.parts.ledger.origin(), id, &key)) {
            Some(done) => sealed.push((plain.name(), done)),
            None => missing += 1,
        }
    }
    (sealed, missing)
}

/// A data key: from memory, or made durable on a thread that may block.
async fn data_key(keys: &Arc<KeyStore>, name: DataKeyName) -> Option<DataKey> {
    if let Some(key) = keys.cached(&name) {
        return Some(key);
    }
    let keys = keys.clone();
    tokio::task::spawn_blocking(move || keys.data_key(&name).ok()).await.ok().flatten()
}

/// Who the caller is.
pub(super) fn identity(principal: &Principal) -> Plain {
    Plain::Identity(Box::new(IdentitySection {
        actor: None,
        address: None,
        credential: section::cut(&principal.credential_id),
        display: principal.display.as_ref().map(|display| section::cut(display.expose())),
        groups: Vec::new(),
        issuer: section::cut(&principal.issuer),
        roles: principal.roles.iter().map(|role| role.to_string()).collect(),
        salt: section::new_salt(),
        subject: section::cut(principal.subject.expose()),
    }))
}

/// What was found, counted by place and detector.
pub(super) fn findings(notes: &[FindingNote]) -> (Vec<section::Finding>, u64) {
    let mut counted: BTreeMap<&FindingNote, u64> = BTreeMap::new();
    for note in notes {
        *counted.entry(note).or_default() += 1;
    }
    let left_out = counted.len().saturating_sub(FINDINGS_MAX) as u64;
    let listed = counted.into_iter().take(FINDINGS_MAX).map(|(note, count)| section::Finding {
        action: note.action.to_owned(),
        class: note.class.clone(),
        count,
        detector: note.detector.to_string(),
        likelihood: note.likelihood,
        pointer: section::cut(&note.pointer),
        validated: note.validated,
    });
    (listed.collect(), left_out)
}

/// Cuts a content section until it fits beside the others: what is left out is counted, and the section stays.
pub(super) fn fit(mut content: ContentSection) -> ContentSection {
    while serde_json::to_vec(&content).map_or(0, |bytes| bytes.len()) > CONTENT_BYTES_MAX {
        let longest = [content.findings.len(), content.tools_raw.len(), content.attachments.len()];
        let keep = longest.iter().max().copied().unwrap_or(0) / 2;
        if longest.iter().all(|&len| len <= keep) {
            break;
        }
        content.findings.truncate(keep);
        content.tools_raw.truncate(keep);
        content.attachments.truncate(keep);
        let left = content.findings.len() + content.tools_raw.len() + content.attachments.len();
        content.truncated += (longest.iter().sum::<usize>() - left) as u64;
    }
    content
}

/// Names of unregistered tools as the content section tells them, and how many are left out.
pub(super) fn tools(case: &Case, names: &[String]) -> (Vec<String>, u64) {
    let unlisted = || names.iter().filter(|tool| !case.pinned.policy.registers_tool(tool));
    let told = unlisted().take(TOOLS_MAX).map(|tool| free_text(case, tool)).collect();
    (told, unlisted().count().saturating_sub(TOOLS_MAX) as u64)
}

/// Attachments as the content section tells them.
pub(super) fn attachments(found: &[crate::vendor::Attachment]) -> Vec<Attachment> {
    let told = |attachment: &crate::vendor::Attachment| Attachment {
        bytes: attachment.bytes,
        kind: attachment.kind.to_owned(),
        scanned: attachment.scannable,
    };
    found.iter().take(ATTACHMENTS_MAX).map(told).collect()
}

/// A free text that may stand in a section: redacted where the scanner finds something, then cut.
pub(super) fn free_text(case: &Case, text: &str) -> String {
    let scan = case.pinned.scanner.text(text);
    let found: Vec<&Finding> = scan.findings.iter().collect();
    let clean = crate::scan::redact(text.as_bytes(), &found);
    section::cut(&String::from_utf8_lossy(&clean))
}

/// Commits to a body and its text parts. Of parts beyond the limit only the number counts, so they are not looked at.
pub(super) fn commit(commitments: &Commitments, body: &[u8], parts: &[Value<'_, '_>]) -> BodyCommitment {
    let mut committer = commitments.body();
    committer.update(body);
    for (number, part) in parts.iter().enumerate() {
        if number < PARTS_MAX {
            committer.part(&part.pointer(), &part.as_str().unwrap_or_default());
        } else {
            committer.part("", "");
        }
    }
    committer.finish()
}

/// Longest content section, bytes: in base64 27 KiB, beside 31 KiB of commitments and 1 KiB of identity in a line of 64.
const CONTENT_BYTES_MAX: usize = 20 * 1024;

/// Findings listed in one section; more are counted.
const FINDINGS_MAX: usize = 100;

/// Attachments listed in one section.
pub(super) const ATTACHMENTS_MAX: usize = 100;

/// Unregistered tool names listed in one section.
const TOOLS_MAX: usize = 50;
