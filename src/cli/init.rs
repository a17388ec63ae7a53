//! `sealgate init`.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use crate::config::SAMPLE;

use super::{Failure, IO, output};

pub(super) fn run(file: &Path) -> Result<u8, Failure> {
    let written =
        OpenOptions::new().write(true).create_new(true).open(file).and_then(|mut out| out.write_all(SAMPLE.as_bytes()));
    match written {
        Ok(()) => {
            let file = file.display();
            output::line(format_args!("Wrote {file}. Edit it, then `sealgate check`, then `sealgate serve`."))?;
            Ok(0)
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Failure::new(IO, format!("`{}` is there already and was left as it is", file.display())))
        }
        Err(error) => Err(Failure::new(IO, format!("cannot write `{}`: {error}", file.display()))),
    }
}
