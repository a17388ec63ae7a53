//! Standard output of the commands that print once.
//!
//! A reader that went away (`… | head -1`) is no failure: the command ends with the code it has anyway. Anything else
//! that keeps an answer from being written is an I/O failure (74), never a panic.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};

use super::{Failure, IO};

/// Writes `text` to standard output as it is.
pub(super) fn print(text: impl Display) -> Result<(), Failure> {
    print_to(&mut io::stdout().lock(), &text.to_string())
}

/// Writes `text` and a newline to standard output.
pub(super) fn line(text: impl Display) -> Result<(), Failure> {
    print(format_args!("{text}\n"))
}

/// One line on standard error; nobody can be told when that fails.
pub(super) fn say(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn print_to(out: &mut dyn Write, text: &str) -> Result<(), Failure> {
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Failure::new(IO, format!("cannot write to standard output: {error}")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(self.0.into())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure_and_a_full_disk_is() {
        assert!(print_to(&mut Failing(ErrorKind::BrokenPipe), "text").is_ok());
        let failure = print_to(&mut Failing(ErrorKind::StorageFull), "text").expect_err("fails");
        assert_eq!(failure.code, IO);
        let mut kept = Vec::new();
        print_to(&mut kept, "text\n").expect("written");
        assert_eq!(kept, b"text\n");
    }
}
