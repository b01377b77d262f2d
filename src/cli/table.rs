//! Tables on stdout.

use skopeo_index_core::escape::Escaped;

use super::output::{self, CliError};

/// Maximum width of a column and of a cell of untrusted text: a SHA-512 digest has 135
/// characters.
const MAX_CELL: usize = 140;

/// Rows that are kept to find the widths of columns; later rows are printed as they come.
const MAX_ROWS: usize = 256;

/// A table that is printed in pieces, each column as wide as its widest cell so far. The
/// last column is not padded.
pub(super) struct Table<const N: usize> {
    widths: [usize; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    pub(super) fn new(head: [&str; N]) -> Self {
        Self {
            widths: [0; N],
            rows: vec![head.map(str::to_owned)],
        }
    }

    pub(super) fn push(&mut self, row: [String; N]) -> Result<(), CliError> {
        self.rows.push(row);
        if self.rows.len() < MAX_ROWS {
            return Ok(());
        }
        self.print()
    }

    /// Prints the rows that were not printed yet.
    pub(super) fn print(&mut self) -> Result<(), CliError> {
        for row in &self.rows {
            for (width, cell) in self.widths[..N - 1].iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count().min(MAX_CELL));
            }
        }
        let pad = |row: [String; N]| {
            let cells = row.iter().zip(self.widths);
            let cells: Vec<_> = cells.map(|(cell, w)| format!("{cell:w$}")).collect();
            cells.join("  ").trim_end().to_owned()
        };
        let mut rows = std::mem::take(&mut self.rows).into_iter();
        rows.try_for_each(|row| output::line(&pad(row)))
    }
}

/// Untrusted text as a cell: escaped and cut.
pub(super) fn cell(text: &str) -> String {
    cut(&Escaped(text).to_string())
}

/// Text that is escaped already as a cell.
pub(super) fn cut(shown: &str) -> String {
    match shown.char_indices().nth(MAX_CELL - 1) {
        Some((at, last)) if shown.len() > at + last.len_utf8() => format!("{}…", &shown[..at]),
        _ => shown.to_owned(),
    }
}
