//! `sealgate check`.

use crate::app::{self, AppError};
use crate::config::{Config, Overrides};

use super::{Failure, output, policy};

pub(super) fn run(overrides: &Overrides) -> Result<u8, Failure> {
    let config = Config::load(overrides).map_err(AppError::from)?;
    let source = config.file.as_ref().map_or_else(|| "embedded default".to_owned(), |file| file.display().to_string());
    let (_, set) = app::load_policy(&config)?;
    let results = set.run_cases();
    let cases = policy::cases(&set, &results, false);
    let detectors = app::build_snapshot(set)?.scanner.digest();
    // The verdict comes first: the cases' first line begins with its word.
    output::print(cases)?;
    let (routes, vendors) = (config.routes.len(), config.vendors.len());
    output::line(format_args!("configuration: OK ({source}; {routes} routes, {vendors} vendors)"))?;
    output::line(format_args!("detectors: OK ({detectors})"))?;
    Ok(u8::from(results.iter().any(|case| !case.passed)))
}
