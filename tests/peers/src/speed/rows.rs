//! Tables that grow row by row.

use ::tests::report::say;

use super::cell::{Cell, HEADER};

/// The least width of a column, characters: a row cannot know those behind it.
const LEAST: usize = 8;

/// Prints each row as soon as it is there, below a title where another table begins.
#[derive(Debug, Default)]
pub(super) struct Rows {
    title: String,
}

impl Rows {
    /// Prints cells of one table.
    pub(super) fn print(&mut self, cells: &[&Cell]) {
        let Some(first) = cells.first() else { return };
        let title = format!("{}, {:?} instructions", first.model, first.instructions);
        if title != self.title {
            say(&format!("\n## {title}\n\n{}", head()));
            self.title = title;
        }
        cells.iter().for_each(|cell| say(&line(&cell.row())));
    }
}

fn head() -> String {
    let dashes: Vec<String> = widths().map(|width| "-".repeat(width)).collect();
    format!("{}\n|-{}-|", line(&HEADER.map(str::to_owned)), dashes.join("-|-"))
}

fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells
        .iter()
        .zip(widths())
        .map(|(cell, width)| format!("{cell:<width$}"))
        .collect();
    format!("| {} |", cells.join(" | "))
}

/// The widths of the columns; the first has room for `tg128 @ d8192`.
fn widths() -> impl Iterator<Item = usize> {
    HEADER
        .iter()
        .enumerate()
        .map(|(index, name)| name.len().max(if index == 0 { 13 } else { LEAST }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_wide_as_the_head() {
        let head = head();
        let row = line(
            &[
                "tg32 @ d8192",
                "2",
                "123.4",
                "**98.7**",
                "–",
                "1",
                "2",
                "75 %",
                "",
            ]
            .map(str::to_owned),
        );
        let lengths: Vec<usize> = head
            .lines()
            .chain([&row[..]])
            .map(|line| line.chars().count())
            .collect();
        assert!(
            lengths.iter().all(|length| *length == lengths[0]),
            "{head}\n{row}"
        );
        let columns = |line: &str| line.matches('|').count();
        assert!(head.lines().all(|line| columns(line) == HEADER.len() + 1));
        assert_eq!(columns(&row), HEADER.len() + 1);
    }
}
