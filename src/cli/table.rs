//! Tables for terminals, and CSV: what a person reads and what a spreadsheet reads.
//!
//! What the reader may rely on: a table never is wider than it was told; the columns that matter least go first,
//! then cells are cut with `…`. Nothing printed can move a cursor or turn text around: control and direction
//! characters come out as `?`.

use std::borrow::Cow;
use std::io::{self, IsTerminal};

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Heading.
    pub name: &'static str,
    /// Narrowest useful width; the column is left out before it gets narrower.
    pub width_min: usize,
    /// Lower numbers stay longest when there is little room.
    pub rank: u8,
    /// Numbers stand at the right.
    pub right: bool,
}

/// Rows under columns.
#[derive(Clone, Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    /// A row that is never printed and gives each column at least its width.
    typical: Vec<String>,
}

impl Table {
    /// A table with no rows yet.
    pub fn new(columns: &[Column]) -> Self {
        Table { columns: columns.to_vec(), rows: Vec::new(), typical: Vec::new() }
    }

    /// Columns at least as wide as these cells, so that tables printed one after another line up.
    #[must_use]
    pub fn at_least(mut self, cells: &[&str]) -> Self {
        self.typical = cells.iter().map(|cell| (*cell).to_owned()).collect();
        self
    }

    /// Adds a row: one cell a column; missing cells are empty.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells.iter().map(|cell| plain(cell).into_owned()).collect());
    }

    /// The table in at most `width` characters a line, heading first, each line ended.
    pub fn render(&self, width: usize) -> String {
        let shown = self.fit(width);
        let mut out = String::new();
        let heading: Vec<&str> = self.columns.iter().map(|column| column.name).collect();
        self.line(&mut out, &shown, &|at| heading.get(at).copied().unwrap_or(""));
        for row in &self.rows {
            self.line(&mut out, &shown, &|at| row.get(at).map_or("", String::as_str));
        }
        out
    }

    /// Columns shown, in order, with their widths.
    fn fit(&self, width: usize) -> Vec<(usize, usize)> {
        let natural: Vec<usize> = (0..self.columns.len()).map(|at| self.natural(at)).collect();
        let mut by_rank: Vec<usize> = (0..self.columns.len()).collect();
        by_rank.sort_by_key(|at| self.columns.get(*at).map_or(0, |column| column.rank));
        let (mut shown, mut used) = (Vec::new(), 0usize);
        for at in by_rank {
            let (Some(column), Some(full)) = (self.columns.get(at), natural.get(at)) else { continue };
            let least = column.width_min.min(*full);
            let gap = if shown.is_empty() { 0 } else { GAP };
            if used + gap + least <= width || shown.is_empty() {
                used += gap + least;
                shown.push((at, least));
            }
        }
        let mut spare = width.saturating_sub(used);
        for (at, own) in &mut shown {
            let more = natural.get(*at).map_or(0, |full| full.saturating_sub(*own)).min(spare);
            *own += more;
            spare -= more;
        }
        shown.sort_unstable();
        shown
    }

    fn natural(&self, at: usize) -> usize {
        let heading = self.columns.get(at).map_or(0, |column| column.name.chars().count());
        let rows = self.rows.iter().chain([&self.typical]);
        let cells = rows.filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.max().unwrap_or(0).max(heading)
    }

    fn line<'a>(&self, out: &mut String, shown: &[(usize, usize)], cell: &dyn Fn(usize) -> &'a str) {
        let start = out.len();
        for (at, width) in shown {
            if out.len() > start {
                out.push_str("  ");
            }
            let text = cut(cell(*at), *width);
            let padding = " ".repeat(width.saturating_sub(text.chars().count()));
            if self.columns.get(*at).is_some_and(|column| column.right) {
                out.push_str(&padding);
                out.push_str(&text);
            } else {
                out.push_str(&text);
                out.push_str(&padding);
            }
        }
        out.truncate(out.trim_end_matches(' ').len().max(start));
        out.push('\n');
    }
}

/// `text` in at most `width` characters, the last of them `…` when something is missing.
pub fn cut(text: &str, width: usize) -> Cow<'_, str> {
    if text.chars().count() <= width {
        return Cow::Borrowed(text);
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    Cow::Owned(short)
}

/// Text without control and direction characters.
pub fn plain(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    if text.contains(harmful) {
        Cow::Owned(text.chars().map(|c| if harmful(c) { '?' } else { c }).collect())
    } else {
        Cow::Borrowed(text)
    }
}

/// One CSV line (RFC 4180), ended by CRLF.
pub fn csv_line<T: AsRef<str>>(cells: impl IntoIterator<Item = T>) -> String {
    let mut line = String::new();
    for (at, cell) in cells.into_iter().enumerate() {
        if at > 0 {
            line.push(',');
        }
        let cell = cell.as_ref();
        if cell.contains(['"', ',', '\r', '\n']) {
            line.push('"');
            line.push_str(&cell.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(cell);
        }
    }
    line.push_str("\r\n");
    line
}

/// Width of the terminal at standard output; 80 where it is none or does not say.
pub fn terminal_width() -> usize {
    let stdout = io::stdout();
    if !stdout.is_terminal() {
        return WIDTH_DEFAULT;
    }
    match rustix::termios::tcgetwinsize(&stdout) {
        Ok(size) if size.ws_col >= WIDTH_MIN => usize::from(size.ws_col),
        _ => WIDTH_DEFAULT,
    }
}

/// Spaces between columns.
const GAP: usize = 2;
const WIDTH_DEFAULT: usize = 80;
/// Below this a terminal is not believed.
const WIDTH_MIN: u16 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let column = |name, width_min, rank| Column { name, width_min, rank, right: name == "N" };
        let mut table = Table::new(&[column("N", 3, 0), column("WHO", 4, 1), column("WHY", 5, 2)]);
        table.row(vec!["7".into(), "somebody".into(), "because it rained".into()]);
        table.row(vec!["123".into(), "x\u{1b}[2J".into()]);
        table
    }

    #[test]
    fn never_wider_than_told_and_the_least_important_goes_first() {
        assert_eq!(table().render(80), "  N  WHO       WHY\n  7  somebody  because it rained\n123  x?[2J\n");
        for width in 1..80 {
            let text = table().render(width);
            assert!(text.lines().all(|line| line.chars().count() <= width.max(3)), "{width}: {text}");
        }
        assert_eq!(table().render(13).lines().next(), Some("  N  WHO"));
        assert_eq!(table().render(18).lines().nth(1), Some("  7  someb…  beca…"));
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        assert_eq!(csv_line(["a", "b,c", "d\"e", ""]), "a,\"b,c\",\"d\"\"e\",\r\n");
    }
}
