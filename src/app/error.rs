//! Why the gateway does not start or stopped badly, and with which exit code.

use crate::config::{ConfigError, ConfigFault};
use crate::ledger::OpenError;
use crate::policy::PolicyFault;

/// A failed command.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// The configuration is wrong.
    #[error("the configuration cannot be used:\n{}", lines(.0))]
    Config(Vec<ConfigFault>),
    /// The policy bundle is wrong.
    #[error("the policy bundle cannot be used:\n{}", lines(.0))]
    Policy(Vec<PolicyFault>),
    /// The detectors are wrong.
    #[error("the detectors cannot be used:\n{}", .0.join("\n"))]
    Detectors(Vec<String>),
    /// A vendor's settings are wrong.
    #[error("{0}")]
    Vendor(String),
    /// The log cannot be opened.
    #[error(transparent)]
    Ledger(#[from] OpenError),
    /// Something outside failed.
    #[error("{0}")]
    Io(String),
}

impl From<ConfigError> for AppError {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Unreadable(message) => AppError::Io(message),
            ConfigError::Faults(faults) => AppError::Config(faults),
        }
    }
}

impl AppError {
    /// DESIGN section 6: 64 bad configuration or policy, 74 I/O.
    pub fn exit_code(&self) -> u8 {
        match self {
            AppError::Config(_) | AppError::Policy(_) | AppError::Detectors(_) | AppError::Vendor(_) => 64,
            AppError::Ledger(error) => error.exit_code(),
            AppError::Io(_) => 74,
        }
    }

    /// An I/O failure with what was being done.
    pub(super) fn io<E: std::fmt::Display>(doing: &str) -> impl FnOnce(E) -> AppError + '_ {
        move |error| AppError::Io(format!("{doing}: {error}"))
    }
}

fn lines<T: std::fmt::Display>(faults: &[T]) -> String {
    faults.iter().map(|fault| format!("  {fault}")).collect::<Vec<_>>().join("\n")
}
