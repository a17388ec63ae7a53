//! The fields a request can be asked for.

use super::slim::Slim;

/// One filterable field; the numbers are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(i64)]
pub enum Field {
    /// Pseudonym of the caller, or of the one acted for.
    Identity = 1,
    /// Vendor id.
    Vendor = 2,
    /// Bundle: name, version and digest.
    Policy = 3,
    /// Model asked for or served.
    Model = 4,
    /// What was done with the request or with its answer.
    Outcome = 5,
    /// Label of the request or of its answer.
    Label = 6,
    /// Class found in the request or in its answer.
    Class = 7,
    /// Route name.
    Route = 8,
    /// Tenant.
    Tenant = 9,
    /// Reason of the decision or of the completion.
    Reason = 10,
    /// How it ended.
    Status = 11,
}

/// Caller, vendor and bundle together: the auditor's question as one term.
pub(super) const COMBINED: i64 = 100;

impl Field {
    /// The columns of `requests` in which this field's terms stand; none for classes.
    pub(super) const fn columns(self) -> &'static [&'static str] {
        match self {
            Field::Identity => &["subject", "actor"],
            Field::Vendor => &["vendor"],
            Field::Policy => &["policy"],
            Field::Model => &["model", "c_model"],
            Field::Outcome => &["outcome", "c_outcome"],
            Field::Label => &["label", "c_label"],
            Field::Class => &[],
            Field::Route => &["route"],
            Field::Tenant => &["tenant"],
            Field::Reason => &["reason", "c_reason"],
            Field::Status => &["status"],
        }
    }

    /// Whether a term is kept out of `marks`: nearly every request carries it, so walking them all is as fast.
    pub(super) fn is_common(self, value: &str) -> bool {
        match self {
            Field::Outcome => matches!(value, "allowed" | "released" | "none"),
            Field::Status => value == "completed",
            Field::Reason => value == "ok",
            Field::Label => matches!(value, "public" | "internal"),
            _ => value == crate::types::NONE,
        }
    }
}

/// A bundle as one term.
pub(super) fn policy_term(head: &Slim<'_>) -> String {
    format!("{}\n{}\n{}", head.policy.digest, head.policy.name, head.policy.version)
}

/// Digest, name and version of such a term.
pub(super) fn policy_parts(term: &str) -> (&str, &str, &str) {
    let mut parts = term.splitn(3, '\n');
    let mut next = || parts.next().unwrap_or("");
    (next(), next(), next())
}

/// Whether a bundle answers to what a person typed: name, version, `name@version`, or the digest's beginning.
pub(super) fn policy_matches(term: &str, asked: &str) -> bool {
    let (digest, name, version) = policy_parts(term);
    let begins = asked.len() >= DIGEST_PREFIX_MIN && digest.starts_with(&asked.to_ascii_lowercase());
    let both = asked.split_once('@').is_some_and(|(n, v)| n == name && v == version);
    begins || both || asked == name || asked == version
}

/// Fewest hex digits that name a digest.
const DIGEST_PREFIX_MIN: usize = 8;
