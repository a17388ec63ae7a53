//! `sealgate check`.

use crate::app::{self, AppError};
use crate::config::{Config, Overrides};

use super::{Failure, policy};

pub(super) fn run(overrides: &Overrides) -> Result<u8, Failure> {
    let config = Config::load(overrides).map_err(AppError::from)?;
    let source = config.file.as_ref().map_or_else(|| "embedded default".to_owned(), |file| file.display().to_string());
    println!("configuration: OK ({source}; {} routes, {} vendors)", config.routes.len(), config.vendors.len());
    let (_, set) = app::load_policy(&config)?;
    let results = set.run_cases();
    let failed = results.iter().any(|case| !case.passed);
    print!("{}", policy::cases(&set, &results, false));
    let snapshot = app::build_snapshot(set)?;
    println!("detectors: OK ({})", snapshot.scanner.digest());
    Ok(u8::from(failed))
}
