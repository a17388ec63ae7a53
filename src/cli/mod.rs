//! What a person sees in a terminal: subcommands, their output, their exit codes.
//!
//! Exit codes (DESIGN section 6): 0 done or OK; 1 the answer is no; 2 usage; 64 bad configuration or policy; 74 I/O.

mod announce;
mod bundles;
mod check;
mod init;
mod key;
mod output;
pub mod policy;
pub mod records;
mod scan;
mod serve;
mod socket;
pub mod table;
mod token;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::app::AppError;
use crate::config::{Config, Overrides};

/// Sealgate: an inline audit proxy for AI traffic.
#[derive(Debug, Parser)]
#[command(name = "sealgate", version, about, max_term_width = 100)]
pub struct Cli {
    /// Configuration file [default: ./sealgate.toml if present, else the embedded default]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Data directory [default: as configured, else ./data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway
    Serve(ServeArgs),
    /// Check configuration, policy (its cases included) and detectors, without starting anything
    Check,
    /// Write a commented sealgate.toml to start from
    Init {
        /// Where to write it
        #[arg(default_value = "sealgate.toml")]
        file: PathBuf,
    },
    /// Client tokens
    Token(token::TokenArgs),
    /// Scan a file or standard input with the active detectors
    Scan(scan::ScanArgs),
    /// The policy bundle
    Policy(bundles::PolicyArgs),
    /// Read, count and verify the sealed records
    Records(records::RecordsArgs),
    /// The keys that sign
    Key(key::KeyArgs),
}

#[derive(Debug, clap::Args)]
struct ServeArgs {
    /// Address for SDKs, port 0 for a free one [default: as configured, else 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR")]
    gateway: Option<SocketAddr>,
    /// Address for health and metrics [default: as configured, else 127.0.0.1:9090]
    #[arg(long, value_name = "ADDR")]
    admin: Option<SocketAddr>,
}

/// A command that failed: what to print, and the exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    pub(crate) fn new(code: u8, message: impl Into<String>) -> Self {
        Failure { message: message.into(), code }
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        Failure { code: error.exit_code(), message: error.to_string() }
    }
}

/// Exit code of a wrong configuration or policy.
pub(crate) const BAD_CONFIG: u8 = 64;
/// Exit code of a failed read, write or connection.
pub(crate) const IO: u8 = 74;

/// Runs the command line; gives the exit code. Everything has been printed.
pub fn run() -> u8 {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(code) => code,
        Err(failure) => {
            output::say(format_args!("sealgate: {}", failure.message));
            failure.code
        }
    }
}

fn dispatch(cli: Cli) -> Result<u8, Failure> {
    let mut overrides = Overrides { config: cli.config, data: cli.data, gateway: None, admin: None };
    match cli.command {
        Command::Serve(args) => {
            overrides.gateway = args.gateway;
            overrides.admin = args.admin;
            serve::run(&configured(&overrides)?)
        }
        Command::Init { file } => init::run(&file),
        Command::Check => check::run(&overrides),
        Command::Token(args) => token::run(&args, &configured(&overrides)?),
        Command::Scan(args) => scan::run(&args, &configured(&overrides)?),
        Command::Policy(args) => bundles::run(&args, &configured(&overrides)?),
        Command::Records(args) => {
            let paths = crate::store::Paths::new(configured(&overrides)?.data);
            records::run(&args, &paths).map_err(|error| Failure::new(IO, error.to_string()))
        }
        Command::Key(args) => key::run(&args, &configured(&overrides)?),
    }
}

fn configured(overrides: &Overrides) -> Result<Config, Failure> {
    Ok(Config::load(overrides).map_err(AppError::from)?)
}
