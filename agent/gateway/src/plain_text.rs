//! Text of others that is shown beside our own: in the journal, in lists, on a terminal.

use std::fmt::Debug;

/// The longest that a line of the journal holds of what somebody has sent, in characters.
const LONGEST: usize = 400;

/// The beginning of what somebody has sent: who fills a body must not fill the journal by it.
pub(crate) fn brief(sent: &impl Debug) -> String {
    let mut text = format!("{sent:?}");
    if let Some((end, _)) = text.char_indices().nth(LONGEST) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Whether a character stays within its own place: it is no command for a terminal, ends no line, and turns nothing around
/// (Unicode's bidirectional controls, UAX #9).
pub(crate) fn is_plain(c: char) -> bool {
    let turns =
        matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let separates = matches!(c, '\u{2028}' | '\u{2029}');
    !c.is_control() && !turns && !separates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_is_cut_and_what_steers_a_terminal_is_written_out() {
        assert_eq!(brief(&"a\u{1b}\n"), r#""a\u{1b}\n""#);
        let cut = brief(&"é".repeat(1000));
        assert_eq!(cut.chars().count(), LONGEST + 1);
        assert!(cut.starts_with("\"éé") && cut.ends_with("é…"), "{cut}");
    }

    #[test]
    fn letters_of_all_scripts_are_plain_and_commands_are_not() {
        assert!("a é ß 字 عربى 🙂".chars().all(is_plain));
        for c in [
            '\n', '\u{1b}', '\u{9b}', '\u{7f}', '\u{202e}', '\u{2066}', '\u{2028}',
        ] {
            assert!(!is_plain(c), "{c:?}");
        }
    }
}
