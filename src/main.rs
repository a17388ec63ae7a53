//! The `sealgate` binary: everything is in the library.

use std::panic;
use std::process::ExitCode;

fn main() -> ExitCode {
    // The standard message may quote the text a failed operation worked on; a place is enough to find the fault.
    panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        eprintln!("sealgate: a fault of the gateway at {place}; please report it");
    }));
    ExitCode::from(sealgate::cli::run())
}
