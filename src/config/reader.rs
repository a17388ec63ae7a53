//! Reads TOML tables field by field, collecting every fault with its line instead of stopping at the first.

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigFault;

/// Collects faults over one file.
pub(super) struct Reader<'t> {
    file: String,
    folder: PathBuf,
    text: &'t str,
    pub(super) faults: Vec<ConfigFault>,
}

/// A table of the file being read.
pub(super) type Table<'t> = DeTable<'t>;

impl<'t> Reader<'t> {
    pub(super) fn new(file: &Path, text: &'t str) -> Self {
        let folder = file.parent().map(Path::to_owned).unwrap_or_default();
        Reader { file: file.display().to_string(), folder, text, faults: Vec::new() }
    }

    /// The top-level table; `None` after a syntax error, which is then among the faults.
    pub(super) fn root(&mut self) -> Option<Table<'t>> {
        match DeTable::parse(self.text) {
            Ok(table) => Some(table.into_inner()),
            Err(error) => {
                let at = error.span().map_or(0, |span| span.start);
                self.fault(at, error.message().lines().next().unwrap_or("not TOML").to_owned());
                None
            }
        }
    }

    /// Notes a fault at a byte offset.
    pub(super) fn fault(&mut self, offset: usize, message: String) {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        self.faults.push(ConfigFault { file: self.file.clone(), line, message });
    }

    /// Refuses names that are not among `known`.
    pub(super) fn only(&mut self, table: &Table<'_>, place: &str, known: &[&str]) {
        for (key, _) in table {
            if !known.contains(&key.get_ref().as_ref()) {
                let message =
                    format!("unknown name `{}` in {place}; known: {}", key.get_ref().escape_debug(), known.join(", "));
                self.fault(key.span().start, message);
            }
        }
    }

    /// A sub-table; an empty one where absent or of another type.
    pub(super) fn table<'a>(&mut self, table: &'a Table<'t>, name: &str) -> Option<&'a Table<'t>> {
        let value = table.get(name)?;
        match value.get_ref() {
            DeValue::Table(inner) => Some(inner),
            _ => {
                self.fault(value.span().start, format!("`{name}` is a table: write `[{name}]`"));
                None
            }
        }
    }

    /// The tables of an array of tables.
    pub(super) fn tables<'a>(&mut self, table: &'a Table<'t>, name: &str) -> Vec<(usize, &'a Table<'t>)> {
        let Some(value) = table.get(name) else { return Vec::new() };
        let DeValue::Array(items) = value.get_ref() else {
            self.fault(value.span().start, format!("`{name}` is a list of tables: write `[[{name}]]`"));
            return Vec::new();
        };
        let mut found = Vec::new();
        for item in items {
            match item.get_ref() {
                DeValue::Table(inner) => found.push((item.span().start, inner)),
                _ => self.fault(item.span().start, format!("`{name}` is a list of tables: write `[[{name}]]`")),
            }
        }
        found
    }

    /// A string with its offset.
    pub(super) fn string(&mut self, table: &Table<'_>, name: &str) -> Option<(usize, String)> {
        let value = table.get(name)?;
        match value.get_ref() {
            DeValue::String(text) => Some((value.span().start, text.clone().into_owned())),
            _ => {
                self.fault(value.span().start, format!("`{name}` is a string: put it in quotes"));
                None
            }
        }
    }

    /// A string that `parse` understands.
    pub(super) fn parsed<T>(
        &mut self,
        table: &Table<'_>,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let (offset, text) = self.string(table, name)?;
        parse(&text).map_err(|message| self.fault(offset, format!("`{name}`: {message}"))).ok()
    }

    /// A path, relative to the file.
    pub(super) fn path(&mut self, table: &Table<'_>, name: &str) -> Option<PathBuf> {
        self.string(table, name).map(|(_, text)| self.folder.join(text))
    }

    /// The same for a path that is part of another value.
    pub(super) fn beside(&self, path: &str) -> PathBuf {
        self.folder.join(path)
    }

    /// A whole number inside `range`.
    pub(super) fn number(
        &mut self,
        table: &Table<'_>,
        name: &str,
        range: std::ops::RangeInclusive<u64>,
    ) -> Option<u64> {
        let value = table.get(name)?;
        let number = match value.get_ref() {
            DeValue::Integer(digits) => u64::from_str_radix(&digits.as_str().replace('_', ""), digits.radix()).ok(),
            _ => None,
        };
        if number.is_none_or(|number| !range.contains(&number)) {
            let message = format!("`{name}` is a whole number from {} to {}", range.start(), range.end());
            self.fault(value.span().start, message);
            return None;
        }
        number
    }

    /// A string or a list of strings.
    pub(super) fn strings(&mut self, table: &Table<'_>, name: &str) -> Vec<(usize, String)> {
        let Some(value) = table.get(name) else { return Vec::new() };
        let one = |value: &Spanned<DeValue<'_>>| match value.get_ref() {
            DeValue::String(text) => Some((value.span().start, text.clone().into_owned())),
            _ => None,
        };
        let found: Option<Vec<_>> = match value.get_ref() {
            DeValue::Array(items) => items.iter().map(one).collect(),
            _ => one(value).map(|single| vec![single]),
        };
        found.unwrap_or_else(|| {
            self.fault(value.span().start, format!("`{name}` is a string or a list of strings"));
            Vec::new()
        })
    }
}
