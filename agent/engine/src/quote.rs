//! What a model file says, in messages: terminals and journals show them, and people read them.

/// Characters of a file's text that a message tells.
const LONGEST: usize = 200;

/// The beginning of a text that whoever made the file has chosen, with what cannot be seen written as escapes.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::new();
    for c in text.chars().take(LONGEST) {
        match c {
            '"' | '\'' | '\\' => quoted.push(c),
            _ => quoted.extend(c.escape_debug()),
        }
    }
    if text.chars().nth(LONGEST).is_some() {
        quoted.push('…');
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_seen_is_told_as_it_is() {
        for text in ["", "gpt2", "it's `that` \"é😀\" \\ path"] {
            assert_eq!(quoted(text), text);
        }
        assert_eq!(quoted(&"é".repeat(LONGEST)), "é".repeat(LONGEST));
    }

    #[test]
    fn what_cannot_be_seen_is_escaped_and_what_is_long_is_cut() {
        assert_eq!(quoted("\u{1b}[2J\n\u{202e}"), "\\u{1b}[2J\\n\\u{202e}");
        let long = quoted(&"x".repeat(6000));
        assert_eq!(long, "x".repeat(LONGEST) + "…");
    }
}
