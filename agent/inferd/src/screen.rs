//! What commands write for people and programs. Names in model files come from anywhere, so none of them may steer the
//! terminal or forge a line.

use std::fmt::Display;
use std::io::{self, Write};

use anyhow::Result;
use serde::Serialize;

/// A text on one line, with escapes for what steers the terminal, ends the line or turns the direction of what follows.
pub(crate) fn one_line(text: impl Display) -> String {
    let escape = |c: char| match c.is_control() || turns_direction(c) {
        true => c.escape_default().to_string(),
        false => c.to_string(),
    };
    text.to_string().chars().map(escape).collect()
}

/// The embeddings, overrides and isolates of Unicode's bidirectional algorithm (UAX #9, section 2).
fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes a line to standard output.
pub(crate) fn line(text: impl Display) -> Result<()> {
    Ok(writeln!(io::stdout(), "{}", one_line(text))?)
}

/// Writes a value to standard output as JSON, for people to read, too.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    Ok(writeln!(
        io::stdout(),
        "{}",
        serde_json::to_string_pretty(value)?
    )?)
}

/// Tells whoever called a command why it failed.
pub(crate) fn error(error: &anyhow::Error) {
    // Where nobody hears it, the exit status is left to tell.
    writeln!(io::stderr(), "error: {}", one_line(format_args!("{error:#}"))).ok();
}

/// Tells whoever waits for a command how far it is.
pub(crate) fn note(text: impl Display) {
    // Where nobody hears it, the work goes on.
    writeln!(io::stderr(), "{}", one_line(text)).ok();
}

/// Whether whoever reads the output has seen enough, as in `inferd verify | head`.
pub(crate) fn is_closed(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    error.downcast_ref::<io::Error>().is_some_and(broken)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal_or_ends_the_line() {
        assert_eq!(
            one_line("größe\x1b]0;PWNED\x07\x1b[2J\nerror: fake\t\u{85}\u{202e}"),
            "größe\\u{1b}]0;PWNED\\u{7}\\u{1b}[2J\\nerror: fake\\t\\u{85}\\u{202e}"
        );
    }
}
