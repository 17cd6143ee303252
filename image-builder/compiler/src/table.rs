//! Text in columns.

use crate::visible::visible_line;

/// Rows of cells under a head; columns are as wide as their widest cell.
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
}

/// In front of every line.
const INDENT: &str = "  ";
/// Between two columns.
const GAP: &str = "  ";

impl Table {
    /// A table with these heads. A head that begins with a `>` is of a column of numbers, which stand to the
    /// right.
    pub(crate) fn new<const N: usize>(heads: [&str; N]) -> Self {
        Self { rows: vec![heads.map(str::to_owned).to_vec()] }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| visible_line(&cell)).to_vec());
    }

    /// The table under a title, or the title and "none".
    pub(crate) fn render(self, title: &str) -> String {
        if self.rows.len() == 1 {
            return format!("{title}\n{INDENT}none\n\n");
        }
        let heads = &self.rows[0];
        let is_number: Vec<_> = heads.iter().map(|head| head.starts_with('>')).collect();
        let clean: Vec<_> =
            heads.iter().map(|head| head.strip_prefix('>').unwrap_or(head).to_owned()).collect();
        let rows: Vec<_> = std::iter::once(clean).chain(self.rows[1..].iter().cloned()).collect();
        let width = |column: usize| {
            rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<_> = (0..is_number.len()).map(width).collect();
        let mut text = format!("{title}\n");
        for row in &rows {
            let cells = row.iter().zip(&widths).zip(&is_number);
            let cells: Vec<_> = cells
                .map(
                    |((cell, width), is_number)| {
                        if *is_number { format!("{cell:>width$}") } else { format!("{cell:width$}") }
                    },
                )
                .collect();
            text.push_str(format!("{INDENT}{}", cells.join(GAP)).trim_end());
            text.push('\n');
        }
        text.push('\n');
        text
    }
}
