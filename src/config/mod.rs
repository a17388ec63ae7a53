//! Configuration: file → raw → checked [`Config`]; every fault is told at once, with file and line.
//!
//! After start nobody sees the raw settings. Unknown names are refused, paths are relative to the file, and every
//! table has defaults: without a file, [`Config::embedded`] serves on loopback (DESIGN section 6).

mod check;
mod defaults;
mod reader;
mod retention;
mod sample;

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::pipeline::Limits;
use crate::types::{Digest, Label, Mode};

pub use retention::{RETENTION, RetentionPreset};
pub use sample::SAMPLE;

/// Why there is no configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigError {
    /// The file cannot be read.
    Unreadable(String),
    /// It was read, and this is wrong with it.
    Faults(Vec<ConfigFault>),
}

/// One thing wrong with the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigFault {
    /// The file.
    pub file: String,
    /// Line, from 1; 0 where the fault belongs to no line.
    pub line: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }
    }
}

/// TLS of the gateway's listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tls {
    /// Plain HTTP; only on loopback.
    Off,
    /// Plain HTTP behind something that terminates TLS.
    Terminated,
    /// TLS here.
    Files {
        /// PEM certificate chain.
        certificate: PathBuf,
        /// PEM private key.
        key: PathBuf,
    },
}

/// `[listen]`.
#[derive(Debug, Clone)]
pub struct Listen {
    /// Data plane.
    pub gateway: SocketAddr,
    /// Health, metrics, API.
    pub admin: SocketAddr,
    /// TLS of the data plane.
    pub tls: Tls,
}

/// Where a vendor's credential comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialSource {
    /// An environment variable.
    Env(String),
    /// A file whose first line it is.
    File(PathBuf),
    /// The caller brings its own.
    Caller,
    /// None is needed (a local model server, the demo).
    None,
}

/// `[[vendor]]`.
#[derive(Debug, Clone)]
pub struct VendorConfig {
    /// Id, as the register and the routes name it.
    pub id: String,
    /// Dialect names, in order.
    pub dialects: Vec<String>,
    /// Base URL, or `demo:`.
    pub url: String,
    /// Its credential.
    pub credential: CredentialSource,
}

/// `[[route]]`.
#[derive(Debug, Clone)]
pub struct RouteConfig {
    /// Name in records.
    pub name: String,
    /// Path prefix, without a trailing slash.
    pub path: String,
    /// Vendor id.
    pub vendor: String,
    /// Tenant.
    pub tenant: String,
    /// Enforce or observe.
    pub mode: Mode,
    /// Floor label.
    pub label: Label,
    /// Retention preset.
    pub retention: &'static RetentionPreset,
    /// Risk class.
    pub risk: String,
}

/// A checked configuration.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file it came from.
    pub file: Option<PathBuf>,
    /// SHA-256 of the file, or of nothing for the embedded default.
    pub digest: Digest,
    /// `[gateway] name`.
    pub gateway_name: Option<String>,
    /// `[listen]`.
    pub listen: Listen,
    /// `[store] dir`.
    pub data: PathBuf,
    /// `[store] durability` is `sync`.
    pub durable: bool,
    /// `[policy] dir`; the embedded bundle where absent.
    pub policy: Option<PathBuf>,
    /// `[limits]`, the pipeline's part.
    pub limits: Limits,
    /// `[limits]`, the rest.
    pub rates: Rates,
    /// `[egress]`.
    pub egress: Egress,
    /// Vendors.
    pub vendors: Vec<VendorConfig>,
    /// Routes.
    pub routes: Vec<RouteConfig>,
}

/// Bounds that are not one request's.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Unauthenticated refusals with records of their own, a second.
    pub unauthenticated_records_per_second: u32,
    /// Longest a drain may take, seconds.
    pub drain_seconds: u64,
}

/// `[egress]`: how vendors are reached.
#[derive(Debug, Clone)]
pub struct Egress {
    /// A PEM file of further certificate authorities.
    pub ca_file: Option<PathBuf>,
    /// Longest a connection may take, seconds.
    pub connect_seconds: u64,
    /// Longest until the first byte of an answer, seconds.
    pub first_byte_seconds: u64,
    /// Longest between two pieces of an answer, seconds.
    pub idle_seconds: u64,
    /// Longest for a whole exchange, seconds.
    pub total_seconds: u64,
}

/// What the command line says about where things are.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--config`.
    pub config: Option<PathBuf>,
    /// `--data`.
    pub data: Option<PathBuf>,
    /// `--gateway`.
    pub gateway: Option<SocketAddr>,
    /// `--admin`.
    pub admin: Option<SocketAddr>,
}

impl Config {
    /// The configuration for these overrides: `--config`, else `./sealgate.toml` if present, else the embedded default.
    pub fn load(overrides: &Overrides) -> Result<Self, ConfigError> {
        let beside = Path::new("sealgate.toml");
        let file = overrides.config.clone().or_else(|| beside.exists().then(|| beside.to_owned()));
        let mut config = match file {
            Some(file) => Config::read(&file)?,
            None => defaults::embedded(),
        };
        if let Some(data) = &overrides.data {
            config.data = data.clone();
        }
        config.listen.gateway = overrides.gateway.unwrap_or(config.listen.gateway);
        config.listen.admin = overrides.admin.unwrap_or(config.listen.admin);
        let faults = check::together(&config);
        if faults.is_empty() { Ok(config) } else { Err(ConfigError::Faults(faults)) }
    }

    fn read(file: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|error| {
            let hint = "`sealgate init` writes one to start from";
            ConfigError::Unreadable(format!("cannot read the configuration `{}`: {error}; {hint}", file.display()))
        })?;
        check::parse(file, &text).map_err(ConfigError::Faults)
    }

    /// The configuration without any file.
    pub fn embedded() -> Self {
        defaults::embedded()
    }
}

#[cfg(test)]
mod tests;
