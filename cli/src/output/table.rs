//! Tables as kubectl prints them: upper-case headings, columns three spaces apart, no frame.

use comfy_table::{ContentArrangement, presets};

/// A table under construction.
pub(crate) struct Table {
    headings: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table without rows.
    pub(crate) fn new(headings: &[&str]) -> Self {
        Self {
            headings: headings.iter().map(ToString::to_string).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row; an empty cell is shown as `<none>` so that columns can be cut by white space.
    pub(crate) fn row(&mut self, cells: Vec<String>) {
        debug_assert_eq!(cells.len(), self.headings.len());
        self.rows.push(
            cells
                .into_iter()
                .map(|c| if c.is_empty() { "<none>".to_owned() } else { c })
                .collect(),
        );
    }

    /// The table's text, with or without its heading.
    pub(crate) fn render(self, heading: bool) -> String {
        let mut table = comfy_table::Table::new();
        table
            .load_style(presets::NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled);
        if heading {
            table.set_header(&self.headings);
        }
        for row in self.rows {
            table.add_row(row);
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 3));
        }
        table
            .lines()
            .map(|line| format!("{}\n", line.trim_end()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_and_lines_end_clean() {
        let mut table = Table::new(&["NAME", "AGE"]);
        table.row(vec!["a-long-name".into(), "5s".into()]);
        table.row(vec!["b".into(), String::new()]);
        assert_eq!(
            table.render(true),
            "NAME          AGE\na-long-name   5s\nb             <none>\n"
        );
    }

    #[test]
    fn without_heading_only_rows_are_left() {
        let mut table = Table::new(&["NAME"]);
        table.row(vec!["a".into()]);
        assert_eq!(table.render(false), "a\n");
    }
}
