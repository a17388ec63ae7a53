//! Loading the policy anew while the gateway runs: all or nothing, recorded either way.

use std::sync::{Arc, Mutex, PoisonError};

use crate::config::Config;
use crate::env::Clock;
use crate::ledger::Ledger;
use crate::pipeline::Gate;
use crate::policy::Bundle;
use crate::record::EventHead;
use crate::record::event::{self, By, PolicyFault, Stamp};
use crate::store::Paths;
use crate::telemetry::Metrics;
use crate::types::Digest;

use super::{AppError, bundle, offline, run};

/// Loads and swaps.
pub(super) struct Reloader {
    config: Config,
    gate: Arc<Gate>,
    metrics: Arc<Metrics>,
    clock: Clock,
    paths: Paths,
    ledger: Ledger,
    /// Held over one reload, so that two cannot cross.
    busy: Mutex<()>,
}

impl Reloader {
    pub(super) fn new(
        config: &Config,
        gate: &Arc<Gate>,
        metrics: &Arc<Metrics>,
        clock: &Clock,
        paths: &Paths,
        ledger: &Ledger,
    ) -> Self {
        Reloader {
            config: config.clone(),
            gate: gate.clone(),
            metrics: metrics.clone(),
            clock: clock.clone(),
            paths: paths.clone(),
            ledger: ledger.clone(),
            busy: Mutex::new(()),
        }
    }

    /// Loads the bundle the configuration names; what is active stays so unless everything is in order, the record of
    /// the change included.
    pub(super) fn run(&self) -> Result<String, String> {
        let _one = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let built = bundle::load(&self.config).and_then(|(bundle, policy)| {
            let snapshot = bundle::loaded(policy)?;
            bundle::keep(&self.paths, &bundle)?;
            Ok(snapshot)
        });
        let snapshot = match built {
            Ok(snapshot) => snapshot,
            Err(error) => return Err(self.refused(&error)),
        };
        let before = self.gate.snapshot();
        let policy = snapshot.policy.reference().clone();
        let previous = Some(before.policy.reference());
        let stamp = Stamp::new(self.clock.now());
        let head = event::policy_activated(stamp, &policy, &snapshot.scanner.digest(), previous, By::Operator);
        self.append(head).map_err(|error| format!("policy not changed: its record cannot be written: {error}"))?;
        self.gate.swap(snapshot);
        run::show_policy(&self.metrics, &self.gate);
        Ok(format!("policy active: {}@{} {}", policy.name, policy.version, policy.digest))
    }

    fn refused(&self, error: &AppError) -> String {
        let (why, faults) = match error {
            AppError::Policy(faults) => (PolicyFault::Malformed, faults.len()),
            AppError::Detectors(faults) => (PolicyFault::Detectors, faults.len()),
            _ => (PolicyFault::Malformed, 1),
        };
        let dir = self.config.policy.as_deref();
        let digest = dir.and_then(|dir| Bundle::read(dir).ok()).map_or_else(|| Digest::of(b""), |b| b.digest());
        let stamp = Stamp::new(self.clock.now());
        let head = event::policy_rejected(stamp, &digest, why, faults as u64, By::Operator);
        let told = self.append(head).err().map(|error| format!("\n(this refusal is not recorded: {error})"));
        format!("policy not changed: {error}{}", told.unwrap_or_default())
    }

    fn append(&self, head: EventHead) -> Result<(), String> {
        offline::append(&self.ledger, head)
    }
}
