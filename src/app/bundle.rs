//! From a bundle's files to a snapshot: policy set and scanner that belong together.

use std::sync::Arc;

use crate::config::Config;
use crate::pipeline::Snapshot;
use crate::policy::{Bundle, PolicyConfig, PolicySet};
use crate::scan::{self, Scanner};

use crate::store::Paths;

use super::AppError;

/// The bundle the configuration names, checked: it loads and every case of it passes.
pub fn load(config: &Config) -> Result<(Bundle, PolicySet), AppError> {
    let bundle = match &config.policy {
        Some(dir) => PolicyConfig { dir: Some(dir.clone()) }.open().map_err(|fault| AppError::Policy(vec![fault]))?,
        None => Bundle::embedded(),
    };
    let policy = PolicySet::load(&bundle).map_err(AppError::Policy)?;
    Ok((bundle, policy))
}

/// The snapshot of that bundle.
pub fn loaded(policy: PolicySet) -> Result<Snapshot, AppError> {
    let source = scan::Source { packs: scan::embedded_packs(), bundle: policy.detectors_toml().to_vec() };
    let scanner = Scanner::build(&source)
        .map_err(|faults| AppError::Detectors(faults.iter().map(|fault| format!("  {fault}")).collect()))?;
    Ok(Snapshot { policy, scanner: Arc::new(scanner) })
}

/// Keeps a bundle under its digest, so that every record that cites it can be re-performed.
pub(super) fn keep(paths: &Paths, bundle: &Bundle) -> Result<(), AppError> {
    let folder = paths.data().join("policies").join(bundle.digest().to_string());
    if folder.exists() {
        return Ok(());
    }
    bundle.write_to(&folder).map_err(AppError::io("cannot keep the policy bundle"))
}
