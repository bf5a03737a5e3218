//! Rows and columns for people, aligned by spaces, the same on a terminal and in a pipe.

/// A table that is built row by row.
#[derive(Debug)]
pub(crate) struct Table {
    rows: Vec<Vec<String>>,
    narrow: usize,
}

impl Table {
    /// A table with these columns; those after the first `narrow` appear only with `-o wide`.
    pub(crate) fn new(narrow: usize, columns: &[&str]) -> Self {
        assert!(narrow <= columns.len(), "no more narrow columns than columns");
        Self { rows: vec![columns.iter().map(|&column| column.to_owned()).collect()], narrow }
    }

    /// Adds a row.
    pub(crate) fn row<const N: usize>(&mut self, cells: [String; N]) {
        assert_eq!(N, self.rows[0].len(), "a cell for each column");
        self.rows.push(cells.into());
    }

    /// The text, with a newline after each row and no blanks at line ends.
    pub(crate) fn text(&self, wide: bool) -> String {
        let columns = if wide { self.rows[0].len() } else { self.narrow };
        let width =
            |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default();
        let widths: Vec<usize> = (0..columns).map(width).collect();
        let mut text = String::new();
        for row in &self.rows {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
            text.push_str(cells.join("  ").trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::Table;

    #[test]
    fn columns_align_and_wide_shows_more() {
        let mut table = Table::new(2, &["APP", "REVISION", "DIGEST"]);
        table.row(["desk".into(), "12".into(), "abc".into()]);
        table.row(["a".into(), String::new(), "def".into()]);
        assert_eq!(table.text(false), "APP   REVISION\ndesk  12\na\n");
        assert_eq!(table.text(true), "APP   REVISION  DIGEST\ndesk  12        abc\na               def\n");
    }
}
