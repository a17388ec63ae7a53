//! The nouns every room shares: identifiers, labels, classes, outcomes, reasons.
//!
//! Nothing here does I/O or knows a format beyond its own spelling in a record head. Every enum that
//! reaches a head has a closed list of lower-case spellings, given by its `as_str`.

mod fact;
mod id;
mod label;
mod outcome;
mod principal;
mod reason;
mod sensitive;
mod time;

pub use fact::{FACT_LIMIT, Fact, PolicyRef};
pub use id::{Digest, RecordId, RequestId};
pub use label::{Class, Coverage, Direction, Label};
pub use outcome::{AnswerOutcome, AnswerVerdict, Mode, RequestOutcome, RequestVerdict, Status};
pub use principal::{AuthMethod, Principal, PrincipalKind};
pub use reason::Reason;
pub use sensitive::Sensitive;
pub use time::Timestamp;

/// The name written where a head field has no value: heads hold no nulls.
pub const NONE: &str = "none";

/// The name written for a model or tool that the bundle does not register (DESIGN section 4).
pub const UNLISTED: &str = "unlisted";

/// Gives a closed enum its spelling in records: `as_str`, `Display`, `Serialize`, `FromStr`, `ALL`.
macro_rules! spelled {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name { $($(#[$vmeta])* #[doc = concat!("Spelled `", $text, "`.")] $variant,)+ }
        impl $name {
            /// Every value, in order of declaration.
            pub const ALL: &'static [$name] = &[$($name::$variant,)+];
            /// The spelling used in records, metrics and policy.
            pub const fn as_str(self) -> &'static str {
                match self { $($name::$variant => $text,)+ }
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { f.pad(self.as_str()) }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.serialize_str(self.as_str()) }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = String::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($text => Ok($name::$variant),)+
                    _ => Err(format!("`{}` is none of: {}", text.escape_debug(), [$($text),+].join(", "))),
                }
            }
        }
    };
}
pub(crate) use spelled;
