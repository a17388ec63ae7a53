//! `sealgate records …`: reading what was sealed.
//!
//! What the reader may rely on: every request shown is read from the log and parsed strictly, whatever the index
//! says; requests committed but not yet indexed are included; the last line says which checkpoint the answer
//! covers. Nothing under the data directory is changed: with a gateway running, each reading is recorded through
//! its control socket, and where that cannot be, standard error says so. Exit codes: 0 done, 1 the answer is no
//! (`verify`; a row that no longer reads), 2 usage, 74 I/O.

mod access;
mod args;
mod filter;
mod format;
mod identity;
mod list;
mod show;
mod show_text;
mod signer;
mod stats;
mod tail;
mod verify;
mod verify_text;

use std::io::{self, IsTerminal, Write};

use anyhow::Context;

use crate::index::{LogError, View, ViewError};
use crate::store::{Paths, StoreError};

pub use access::{Access, Recorded, record_access};
pub use args::{CountArgs, FilterArgs, Format, ListArgs, RecordsArgs, RecordsCommand, ShowArgs, TailArgs, VerifyArgs};

/// Where everything lies in the data directory.
pub type DataPaths = Paths;

/// Runs a `records` command and gives its exit code.
///
/// # Errors
/// When standard output cannot be written; everything else is said on standard error and is in the exit code.
pub fn run(args: &RecordsArgs, paths: &DataPaths) -> anyhow::Result<u8> {
    let (stdout, stderr) = (io::stdout(), io::stderr());
    let interactive = stderr.is_terminal();
    let mut console = Console {
        out: &mut io::BufWriter::new(stdout.lock()),
        err: &mut stderr.lock(),
        width: super::table::terminal_width(),
        interactive,
        use_index: true,
    };
    run_on(args, paths, &mut console)
}

/// Where a command prints.
pub(crate) struct Console<'a> {
    /// Standard output.
    pub(crate) out: &'a mut dyn Write,
    /// Standard error.
    pub(crate) err: &'a mut dyn Write,
    /// Columns of the terminal.
    pub(crate) width: usize,
    /// Whether a person watches standard error.
    pub(crate) interactive: bool,
    /// Whether the index may be asked; no longer once it proved damaged.
    pub(crate) use_index: bool,
}

impl Console<'_> {
    /// One line on standard error; nobody can be told when that fails.
    fn say(&mut self, line: &str) {
        let _ = self.out.flush();
        let _ = writeln!(self.err, "{line}");
    }
}

/// Why a command has no answer, and its exit code.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A value means nothing here: 2.
    Usage(String),
    /// Files cannot be read: 74.
    Io(String),
    /// The index turned out to be damaged: the log alone must answer.
    Index(String),
    /// The output is closed; a pipe's reader went away: 0.
    Closed,
    /// The output cannot be written.
    Output(io::Error),
}

impl From<ViewError> for Failure {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::Log(error) => Failure::Io(error.to_string()),
            ViewError::Sql(error) => Failure::Index(error.to_string()),
        }
    }
}

impl From<LogError> for Failure {
    fn from(error: LogError) -> Self {
        Failure::Io(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Io(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe { Failure::Closed } else { Failure::Output(error) }
    }
}

/// [`run`] on any console.
pub(crate) fn run_on(args: &RecordsArgs, paths: &DataPaths, console: &mut Console<'_>) -> anyhow::Result<u8> {
    let mut result = dispatch(args, paths, console);
    if let (Err(Failure::Index(why)), true) = (&result, console.use_index) {
        let why = format!("note: the index is damaged ({why}): the whole log is read");
        console.say(&why);
        console.use_index = false;
        result = dispatch(args, paths, console);
    }
    // A verdict keeps its code although the output's reader went away.
    let result = result.and_then(|code| match console.out.flush().map_err(Failure::from) {
        Ok(()) | Err(Failure::Closed) => Ok(code),
        Err(failure) => Err(failure),
    });
    match result {
        Ok(code) => Ok(code),
        Err(Failure::Closed) => Ok(EXIT_OK),
        Err(Failure::Usage(message)) => {
            console.say(&format!("error: {message}"));
            Ok(EXIT_USAGE)
        }
        Err(Failure::Io(message) | Failure::Index(message)) => {
            console.say(&format!("error: {message}"));
            Ok(EXIT_IO)
        }
        Err(Failure::Output(error)) => Err(error).context("cannot write to standard output"),
    }
}

fn dispatch(args: &RecordsArgs, paths: &DataPaths, console: &mut Console<'_>) -> Result<u8, Failure> {
    if !paths.logs().is_dir() {
        let data = paths.data().display();
        return Err(Failure::Io(format!("there is no log under `{data}`: give the gateway's `--data` directory")));
    }
    match &args.command {
        RecordsCommand::List(args) => list::list(args, paths, console),
        RecordsCommand::Show(args) => show::show(args, paths, console),
        RecordsCommand::Count(args) => stats::count(args, paths, console),
        RecordsCommand::Stats(args) => stats::stats(args, paths, console),
        RecordsCommand::Tail(args) => tail::tail(args, paths, console),
        RecordsCommand::Verify(args) => verify::verify(args, paths, console),
    }
}

/// Opens the view, and says when the index is of no help.
fn open_view(paths: &DataPaths, console: &mut Console<'_>) -> Result<View, Failure> {
    let names = identity::names(paths).ok();
    let view = match console.use_index {
        true => View::open(paths.data(), names)?,
        false => View::without_index(paths.data(), names)?,
    };
    if let (_, Some(why)) = view.index_state()
        && console.interactive
        && console.use_index
    {
        console.say(&format!("note: {why}: the whole log is read"));
    }
    Ok(view)
}

pub(crate) const EXIT_OK: u8 = 0;
pub(crate) const EXIT_NO: u8 = 1;
pub(crate) const EXIT_USAGE: u8 = 2;
pub(crate) const EXIT_IO: u8 = 74;

#[cfg(test)]
mod reading_tests;
#[cfg(test)]
mod tests;
