//! `sealgate serve`.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::app;
use crate::config::Config;

use super::{Failure, announce, output};

pub(super) fn run(config: &Config) -> Result<u8, Failure> {
    let filter = EnvFilter::try_from_env("SEALGATE_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let _ = fmt().with_env_filter(filter).with_writer(std::io::stderr).try_init();
    // A gateway does not stop because nobody reads what it announces.
    let drained = app::serve(config, |started| drop(output::print(announce::started(config, started))))?;
    drop(output::line(announce::drained(&drained)));
    match &drained.fault {
        None => Ok(0),
        Some(fault) => Err(Failure::new(super::IO, format!("the log was not closed in order: {fault}"))),
    }
}
