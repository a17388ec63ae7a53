//! The commands: what a person types, and what a person sees.

pub mod records;
pub mod table;
