//! `sealgate policy list|show|test|explain|diff|reload`.

use std::io;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::app::{self, AppError};
use crate::config::Config;
use crate::env::Clock;
use crate::policy::{Bundle, PolicySet};

use super::policy::{self, Listed};
use super::{BAD_CONFIG, Failure, IO, output, socket};

/// The policy bundle.
#[derive(Debug, Args)]
pub(super) struct PolicyArgs {
    #[command(subcommand)]
    command: PolicyCommand,
}

#[derive(Debug, Subcommand)]
enum PolicyCommand {
    /// The active bundle and every bundle that was ever active here
    List {
        #[command(flatten)]
        format: Format,
    },
    /// One bundle: rules, labels, vendors
    Show {
        /// A folder, or the digest of a kept bundle [default: the configured bundle]
        bundle: Option<String>,
        #[command(flatten)]
        format: Format,
    },
    /// Run a bundle's cases
    Test {
        /// A folder, or the digest of a kept bundle [default: the configured bundle]
        bundle: Option<String>,
        /// Show the passing ones too
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        format: Format,
    },
    /// Say which rules decided a case
    Explain {
        /// The case's name
        case: String,
        /// A folder, or the digest of a kept bundle [default: the configured bundle]
        #[arg(long)]
        bundle: Option<String>,
    },
    /// What differs between two bundles, and which cases they decide differently
    Diff {
        /// A folder or a digest
        first: String,
        /// A folder or a digest [default: the configured bundle]
        second: Option<String>,
    },
    /// Make a running gateway load the configured bundle anew
    Reload,
}

#[derive(Debug, Args)]
struct Format {
    /// Output format
    #[arg(long, default_value = "table", value_parser = ["table", "json"])]
    format: String,
}

impl Format {
    fn is_json(&self) -> bool {
        self.format == "json"
    }
}

pub(super) fn run(args: &PolicyArgs, config: &Config) -> Result<u8, Failure> {
    let now = Clock::system().now();
    match &args.command {
        PolicyCommand::List { format } => list(config, format),
        PolicyCommand::Show { bundle, format } => {
            let set = chosen(config, bundle.as_deref())?;
            output::print(if format.is_json() { policy::show_json(&set, now) } else { policy::show(&set, now) })?;
            Ok(0)
        }
        PolicyCommand::Test { bundle, all, format } => {
            let set = chosen(config, bundle.as_deref())?;
            let results = set.run_cases();
            let text =
                if format.is_json() { policy::cases_json(&results) } else { policy::cases(&set, &results, *all) };
            output::print(text)?;
            Ok(u8::from(results.iter().any(|case| !case.passed)))
        }
        PolicyCommand::Explain { case, bundle } => {
            let set = chosen(config, bundle.as_deref())?;
            let Some((decision, steps)) = set.explain_case(case) else {
                return Err(Failure::new(
                    2,
                    "no case of this bundle has that name; `sealgate policy test --all` lists them",
                ));
            };
            output::print(policy::explain(&set, &decision, &steps))?;
            Ok(0)
        }
        PolicyCommand::Diff { first, second } => {
            output::print(policy::diff(&chosen(config, Some(first))?, &chosen(config, second.as_deref())?))?;
            Ok(0)
        }
        PolicyCommand::Reload => reload(config),
    }
}

fn list(config: &Config, format: &Format) -> Result<u8, Failure> {
    let now = Clock::system().now();
    let (active, _) = app::load_policy(config)?;
    let place = config.policy.as_ref().map_or_else(|| "embedded".to_owned(), |dir| dir.display().to_string());
    let mut listed = vec![Listed::new(&place, &active, true, now)];
    for folder in folders(&kept(config))? {
        let place = folder.display().to_string();
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        match Bundle::read(&folder) {
            Ok(bundle) if bundle.digest().to_string() != name => {
                listed.push(Listed { state: "changed".to_owned(), ..Listed::new(&place, &bundle, false, now) });
                output::say(format_args!("warning: `{place}` no longer holds what its name says: restore it"));
            }
            Ok(bundle) if bundle.digest() == active.digest() => {}
            Ok(bundle) => listed.push(Listed::new(&place, &bundle, false, now)),
            Err(fault) => {
                listed.push(Listed::unreadable(&place, &name));
                output::say(format_args!("warning: `{place}` no longer reads as a bundle: {fault}"));
            }
        }
    }
    output::print(if format.is_json() { policy::list_json(&listed) } else { policy::list(&listed) })?;
    Ok(0)
}

/// The folders of kept bundles, whether or not they still hold one; what begins with a dot was never finished.
fn folders(kept: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error: io::Error| Failure::new(IO, format!("cannot read `{}`: {error}", kept.display()));
    let entries = match std::fs::read_dir(kept) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(unreadable)?,
    };
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>().map_err(unreadable)?;
    let finished = |path: &PathBuf| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let mut folders: Vec<_> = paths.into_iter().filter(finished).collect();
    folders.sort();
    Ok(folders)
}

fn kept(config: &Config) -> PathBuf {
    config.data.join("policies")
}

/// The bundle somebody named, or the configured one.
fn chosen(config: &Config, name: Option<&str>) -> Result<PolicySet, Failure> {
    let Some(name) = name else { return Ok(app::load_policy(config)?.1) };
    let folder = if Path::new(name).is_dir() { PathBuf::from(name) } else { kept(config).join(name) };
    let bundle = Bundle::read(&folder).map_err(|fault| Failure::new(BAD_CONFIG, fault.to_string()))?;
    Ok(PolicySet::load(&bundle).map_err(AppError::Policy)?)
}

fn reload(config: &Config) -> Result<u8, Failure> {
    match socket::post(&config.data, "/policy/reload", b"")? {
        Some(answer) if answer.status == 200 => {
            output::line(answer.body.trim())?;
            Ok(0)
        }
        Some(answer) => Err(Failure::new(BAD_CONFIG, answer.body.trim())),
        None => Err(Failure::new(IO, "no gateway runs on this data directory; it loads the bundle when it starts")),
    }
}
