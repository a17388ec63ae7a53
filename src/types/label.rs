//! Classification: labels (how sensitive), classes (what kind), coverage (how much was looked at).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::spelled;

spelled! {
    /// A confidentiality label, in order; `Unclassified` (not scanned) ranks with `Restricted`.
    Label {
        /// May be published.
        Public = "public",
        /// For anyone inside the organisation; the usual floor of a route.
        Internal = "internal",
        /// For a named circle.
        Confidential = "confidential",
        /// The highest label.
        Restricted = "restricted",
        /// Never scanned: nobody knows what it holds.
        Unclassified = "unclassified",
    }
}

impl Label {
    /// The rank policy compares: public 0, internal 1, confidential 2, restricted and unclassified 3.
    pub const fn rank(self) -> u8 {
        match self {
            Label::Public => 0,
            Label::Internal => 1,
            Label::Confidential => 2,
            Label::Restricted | Label::Unclassified => 3,
        }
    }
}

spelled! {
    /// How much of a body was scanned.
    Coverage {
        /// All of it.
        Full = "full",
        /// Some of it: a budget ran out or a part could not be read.
        Partial = "partial",
        /// None of it.
        None = "none",
    }
}

spelled! {
    /// Which way a body travels.
    Direction {
        /// From the caller to the vendor.
        Request = "request",
        /// From the vendor to the caller.
        Answer = "answer",
    }
}

/// A data class: dotted lower-case words such as `pii.email` or `secret.api_key`.
///
/// Comes from packs and bundles only, never from traffic, so it may stand in heads and metrics.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Class(Arc<str>);

impl Class {
    /// Checks the form `word(.word)*` with words of `[a-z0-9_]`, at most 64 bytes.
    pub fn new(text: &str) -> Result<Self, String> {
        let word =
            |w: &str| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if text.len() <= 64 && text.split('.').all(word) {
            Ok(Class(text.into()))
        } else {
            Err(format!("`{}` is not a class: use dotted lower-case words such as `pii.email`", text.escape_debug()))
        }
    }

    /// The spelling used in records.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Class {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Class {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        Class::new(&String::deserialize(d)?).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unclassified_ranks_with_restricted() {
        assert_eq!(Label::Unclassified.rank(), Label::Restricted.rank());
        assert!(Label::Internal.rank() < Label::Confidential.rank());
    }

    #[test]
    fn a_class_is_dotted_words() {
        assert!(Class::new("pii.email").is_ok());
        for bad in ["", ".", "pii.", "PII.email", "pii email"] {
            assert!(Class::new(bad).is_err(), "{bad}");
        }
    }
}
