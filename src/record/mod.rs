//! The record format, version 1 (DESIGN section 4).

mod head;

pub use head::{
    Bytes, CompletionHead, DecisionHead, EventHead, Kind, Micros, Retention, SectionRef, SectionRefs, Usage,
};
