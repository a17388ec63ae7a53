//! `records verify`.

use super::args::VerifyArgs;
use super::{Console, DataPaths, Failure};

/// Checks the whole log.
pub(super) fn verify(_args: &VerifyArgs, _paths: &DataPaths, _console: &mut Console<'_>) -> Result<u8, Failure> {
    Err(Failure::Io("not built yet".to_owned()))
}
