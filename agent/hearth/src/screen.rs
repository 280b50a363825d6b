//! What is shown to people. Names and answers come from outside, so none of them may steer the terminal.

use anstyle::{AnsiColor, Style};
use comfy_table::{Table, presets};
use machine::Warning;
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// For what is wrong.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// For what wants attention.
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
/// For names of things.
pub(crate) const NAME: Style = Style::new().bold();

/// A text with every control character made visible, except line ends and tabs.
pub(crate) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| {
            if c.is_control() && !"\n\t".contains(c) {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// As [`harmless`], for what must stay on one line and in its place: nor may it turn the direction of what follows,
/// as a right-to-left answer rightly does.
pub(crate) fn one_line(text: &str) -> String {
    harmless(text)
        .replace(['\n', '\t'], " ")
        .replace(turns_direction, "\u{fffd}")
}

/// The embeddings, overrides and isolates of Unicode's bidirectional algorithm (UAX #9, section 2).
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes an answer as it comes: raw into a pipe or a file, harmless on a terminal.
pub(crate) struct Answer {
    terminal: bool,
}

impl Answer {
    /// To standard output.
    pub(crate) fn new() -> Self {
        Self {
            terminal: io::stdout().is_terminal(),
        }
    }

    /// Whether somebody watches.
    pub(crate) fn is_watched(&self) -> bool {
        self.terminal
    }

    /// Writes a piece and shows it at once.
    pub(crate) fn write(&self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.terminal {
            out.write_all(harmless(text).as_bytes())?;
        } else {
            out.write_all(text.as_bytes())?;
        }
        out.flush()
    }
}

/// Prints JSON.
pub(crate) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    Answer::new().write(&format!("{text}\n"))?;
    Ok(())
}

/// Tells somebody who watches what is beside the answer. Who has closed the other end of it wants to know no more.
pub(crate) fn tell(text: impl Display) {
    drop(writeln!(anstream::stderr().lock(), "{text}"));
}

/// Columns of the terminal that is written to; nothing where it is none.
pub(crate) fn columns() -> Option<usize> {
    let size = io::stdout().is_terminal().then(crossterm::terminal::size);
    size?.ok().map(|(columns, _)| columns.into())
}

/// Prints text with styles, which are left out where they would not be understood.
pub(crate) fn print(text: &str) -> io::Result<()> {
    write!(anstream::stdout().lock(), "{text}")
}

/// A table with a head; cells are shown on one line, whatever they hold.
pub(crate) fn table<const N: usize>(head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(head);
    for row in rows {
        table.add_row(row.map(|cell| one_line(&cell)));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut lines: Vec<_> = table.lines().map(|line| line.trim_end().to_owned()).collect();
    if let Some(head) = lines.first_mut() {
        *head = format!("{NAME}{head}{NAME:#}");
    }
    lines.join("\n") + "\n"
}

/// A line of a label and its value.
pub(crate) fn line(text: &mut String, label: &str, value: impl Display) {
    text.push_str(&format!("{label:<12} {value}\n"));
}

/// The names that are known, in their order.
pub(crate) fn words<const N: usize>(names: [&Option<String>; N]) -> String {
    let found: Vec<&str> = names.into_iter().flatten().map(String::as_str).collect();
    if found.is_empty() {
        "unknown".to_owned()
    } else {
        one_line(&found.join(" "))
    }
}

/// What is not known is shown as such, never as nought.
pub(crate) fn known(value: Option<impl Display>) -> String {
    value.map_or_else(|| "?".to_owned(), |value| value.to_string())
}

/// A table below what came before; nothing if it has no rows.
pub(crate) fn section<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> String {
    if rows.is_empty() {
        String::new()
    } else {
        format!("\n{}", table(head, rows))
    }
}

/// Each warning once, below what came before.
pub(crate) fn warnings<'a>(found: impl IntoIterator<Item = &'a Warning>) -> String {
    let mut shown: Vec<&Warning> = Vec::new();
    for warning in found {
        if !shown.contains(&warning) {
            shown.push(warning);
        }
    }
    let lines = shown.iter().map(|Warning { path, problem }| {
        let (path, problem) = (one_line(path), one_line(problem));
        format!("{WARN}warning:{WARN:#} {path}: {problem}\n")
    });
    let text: String = lines.collect();
    if text.is_empty() {
        text
    } else {
        format!("\n{text}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(
            harmless("a\u{1b}[2J\r\u{9b}\u{7f}\n\tb"),
            "a\u{fffd}[2J\u{fffd}\u{fffd}\u{fffd}\n\tb"
        );
        assert_eq!(one_line("a\nb"), "a b");
        assert_eq!(one_line("x\u{202e}y\u{2066}"), "x\u{fffd}y\u{fffd}");
    }

    #[test]
    fn a_cell_stays_in_its_row() {
        let shown = table(["NAME"], [["a\nb\u{1b}[31m".to_owned()]]);
        assert_eq!(shown.lines().count(), 2);
        assert!(shown.contains("a b\u{fffd}[31m"), "{shown:?}");
    }
}
