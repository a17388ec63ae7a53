//! Builds every part in one visible order, runs it, drains it.
//!
//! The order is the promise: policy and scanner first (a bad bundle starts nothing), then the log with its recovery
//! (a damaged log starts nothing), then those who ask, and last the listeners.

mod bundle;
mod drain;
mod error;
mod fleet;
mod offline;
mod reload;
mod run;

pub use bundle::{load as load_policy, loaded as build_snapshot};
pub use drain::Drained;
pub use error::AppError;
pub use offline::Offline;
pub use run::{Started, serve};
