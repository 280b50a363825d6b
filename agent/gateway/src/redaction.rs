//! What must not be read in a log, blackened.

/// How every token begins.
const PREFIX: &str = "hearth_";
/// A token's random part is 43 characters; what is much shorter is a word.
const SHORTEST: usize = 20;

/// A text without tokens.
pub(crate) fn redacted(text: &str) -> String {
    let mut pieces = text.split(PREFIX);
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let is_secret = |c: &char| c.is_ascii_alphanumeric() || "-_".contains(*c);
        let length = piece.chars().take_while(is_secret).count();
        shown.push_str(PREFIX);
        if length < SHORTEST {
            shown.push_str(piece);
        } else {
            shown.push('…');
            shown.push_str(&piece[length..]);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_blackened_and_words_are_not() {
        let token = format!("hearth_{}", "aB3_-".repeat(9));
        assert_eq!(redacted(&format!("a {token}, {token}")), "a hearth_…, hearth_…");
        for word in ["", "hearth_", "hearth_gateway.service ends", "hearth-inferd"] {
            assert_eq!(redacted(word), word);
        }
    }
}
