//! What a person sees in a terminal.

pub mod policy;
