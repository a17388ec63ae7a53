//! The `sealgate` binary: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(sealgate::cli::run())
}
