//! Text of others that is shown beside our own: in the journal, in lists, on a terminal.

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
    fn letters_of_all_scripts_are_plain_and_commands_are_not() {
        assert!("a é ß 字 عربى 🙂".chars().all(is_plain));
        for c in [
            '\n', '\u{1b}', '\u{9b}', '\u{7f}', '\u{202e}', '\u{2066}', '\u{2028}',
        ] {
            assert!(!is_plain(c), "{c:?}");
        }
    }
}
