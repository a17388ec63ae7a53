//! What is wrong with a bundle, and where: file, line and column, all faults at once.

use std::fmt;
use std::ops::Range;

use miette::Diagnostic;

/// One fault of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyFault {
    /// The file, relative to the bundle's folder; the folder itself where no file is to blame.
    pub file: String,
    /// Line, from 1; 0 where the whole file is meant.
    pub line: usize,
    /// Column in characters, from 1; 0 where the whole line is meant.
    pub column: usize,
    /// What is wrong and what to do.
    pub message: String,
}

impl PolicyFault {
    /// A fault of a whole file (or folder).
    pub(crate) fn whole(file: &str, message: impl Into<String>) -> Self {
        PolicyFault { file: file.to_owned(), line: 0, column: 0, message: one_line(&message.into()) }
    }

    /// A fault at a byte offset of a file's text.
    pub(crate) fn at(file: &str, text: &str, offset: usize, message: impl Into<String>) -> Self {
        let (line, column) = position(text, offset);
        PolicyFault { file: file.to_owned(), line, column, message: one_line(&message.into()) }
    }

    /// A TOML fault.
    pub(crate) fn toml(file: &str, text: &str, error: &toml::de::Error) -> Self {
        match error.span() {
            Some(Range { start, .. }) => PolicyFault::at(file, text, start, error.message()),
            None => PolicyFault::whole(file, error.message()),
        }
    }

    /// A fault that Cedar found, at its first label.
    pub(crate) fn cedar(file: &str, text: &str, error: &(impl Diagnostic + ?Sized)) -> Self {
        let label = error.labels().and_then(|mut labels| labels.next());
        let mut message = error.to_string();
        if let Some(note) = label.as_ref().and_then(|label| label.label()) {
            message.push_str(": ");
            message.push_str(note);
        }
        if let Some(help) = error.help() {
            message.push_str(&format!(" ({help})"));
        }
        match label {
            Some(label) => PolicyFault::at(file, text, label.offset(), message),
            None => PolicyFault::whole(file, message),
        }
    }
}

impl fmt::Display for PolicyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (0, _) => write!(f, "{}: {}", self.file, self.message),
            (line, 0) => write!(f, "{}:{line}: {}", self.file, self.message),
            (line, column) => write!(f, "{}:{line}:{column}: {}", self.file, self.message),
        }
    }
}

impl std::error::Error for PolicyFault {}

/// Every fault of a bundle, one a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyFaults(pub Vec<PolicyFault>);

impl fmt::Display for PolicyFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for PolicyFaults {}

/// Line and column, both from 1, of a byte offset; the end of the text where it lies beyond.
pub(crate) fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let before = text.get(..end).unwrap_or_default();
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// No line breaks and nothing that moves a cursor.
fn one_line(text: &str) -> String {
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    words.chars().map(|c| if c.is_control() { '?' } else { c }).collect()
}
