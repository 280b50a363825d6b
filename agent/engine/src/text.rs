//! Text out of tokens that may end in the middle of a character.

/// Turns bytes that arrive in pieces into text, never emitting a part of a character.
#[derive(Debug, Default)]
pub struct Utf8Stream {
    pending: Vec<u8>,
}

impl Utf8Stream {
    /// Takes bytes and returns the text that is complete. Bytes that cannot become a character are replaced by
    /// U+FFFD.
    pub fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend_from_slice(bytes);
        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(valid) => {
                    text.push_str(valid);
                    rest = &[];
                    break;
                }
                Err(error) => {
                    let (valid, after) = rest.split_at(error.valid_up_to());
                    text.push_str(&String::from_utf8_lossy(valid));
                    rest = after;
                    let Some(bad) = error.error_len() else { break };
                    text.push(char::REPLACEMENT_CHARACTER);
                    rest = &rest[bad..];
                }
            }
        }
        self.pending = rest.to_vec();
        text
    }

    /// What is left at the end: U+FFFD if a character was begun and never completed.
    pub fn finish(&mut self) -> String {
        String::from_utf8_lossy(&std::mem::take(&mut self.pending)).into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_character_in_two_pieces_comes_whole() {
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(&"a€".as_bytes()[..2]), "a");
        assert_eq!(stream.push(&"€".as_bytes()[1..]), "€");
        assert_eq!(stream.finish(), "");
    }

    #[test]
    fn a_begun_character_is_replaced_at_the_end() {
        let mut stream = Utf8Stream::default();
        assert_eq!(stream.push(&[0xE2, 0x82]), "");
        assert_eq!(stream.finish(), "\u{FFFD}");
    }

    proptest! {
        #[test]
        fn pieces_make_the_same_text_as_the_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
            text in ".*",
            cut in 1_usize..5,
        ) {
            for bytes in [bytes, text.into_bytes()] {
                let mut stream = Utf8Stream::default();
                let mut pieces: String = bytes.chunks(cut).map(|piece| stream.push(piece)).collect();
                pieces += &stream.finish();
                prop_assert_eq!(pieces, String::from_utf8_lossy(&bytes));
            }
        }
    }
}
