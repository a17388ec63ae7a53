//! `sealgate key show`.

use clap::{Args, Subcommand};

use crate::config::Config;
use crate::record::{Signer, vkey};
use crate::store::Paths;

use super::{Failure, IO, output};

/// The keys that sign.
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// The log key as a C2SP verifier key, one line a generation: give it to whoever verifies
    Show,
}

pub(super) fn run(args: &KeyArgs, config: &Config) -> Result<u8, Failure> {
    let KeyCommand::Show = args.command;
    let paths = Paths::new(&config.data);
    let read = |path: std::path::PathBuf| {
        std::fs::read_to_string(&path).map_err(|error| {
            let message = format!("cannot read `{}`: {error}; the first `sealgate serve` makes it", path.display());
            Failure::new(IO, message)
        })
    };
    let signer = Signer::from_pem(&read(paths.log_key())?).map_err(|error| Failure::new(IO, error.to_string()))?;
    let origin = read(paths.origin())?;
    // `<name>/<generation>`: the generation that is written now; earlier ones have the same key.
    let name = origin.trim().rsplit_once('/').map_or(origin.trim(), |(name, _)| name);
    let generations = paths.generations().map_err(|error| Failure::new(IO, error.to_string()))?;
    let line = |generation| vkey(&format!("{name}/{generation}"), signer.public()) + "\n";
    output::print(generations.into_iter().map(line).collect::<String>())?;
    Ok(0)
}
