//! Server-sent events, as far as OpenAI's streams use them: the `data` field.

/// The largest event that is taken.
const LARGEST: usize = 1 << 20;

/// An event that is too large to be believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the answer is larger than {LARGEST} bytes")]
pub(crate) struct TooLarge;

/// Collects bytes into events (WHATWG HTML, section 9.2.6), whose lines may end with CR LF or LF.
#[derive(Debug, Default)]
pub(crate) struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
}

impl Events {
    /// Takes bytes and gives the data of the events that they complete.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLarge> {
        let mut events = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend_from_slice(piece);
            if piece.ends_with(b"\n") {
                events.extend(self.end_line());
            }
        }
        if self.line.len() + self.data.len() > LARGEST {
            Err(TooLarge)
        } else {
            Ok(events)
        }
    }

    fn end_line(&mut self) -> Option<String> {
        let line = std::mem::take(&mut self.line);
        let line = line
            .strip_suffix(b"\n")
            .map_or(&line[..], |line| line.strip_suffix(b"\r").unwrap_or(line));
        if let Some(value) = line.strip_prefix(b"data:") {
            self.data
                .extend_from_slice(value.strip_prefix(b" ").unwrap_or(value));
            self.data.push(b'\n');
        }
        if !line.is_empty() || self.data.is_empty() {
            return None;
        }
        let data = std::mem::take(&mut self.data);
        Some(String::from_utf8_lossy(data.strip_suffix(b"\n").unwrap_or(&data)).into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn events_are_their_data() {
        let mut events = Events::default();
        let text = b": comment\nevent: x\ndata: a\ndata:b\r\n\r\n\n\ndata: c\n\ndata: half";
        assert_eq!(events.feed(text).unwrap(), ["a\nb", "c"]);
        assert_eq!(events.feed(b"\n\n").unwrap(), ["half"]);
    }

    #[test]
    fn an_endless_event_is_given_up() {
        let mut events = Events::default();
        assert_eq!(events.feed(&vec![b'x'; LARGEST + 1]), Err(TooLarge));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_how_bytes_are_cut(bytes in proptest::collection::vec(
            prop::sample::select(b"data: \r\nx\xff".to_vec()), 0..60), cut in 0usize..60)
        {
            let whole = Events::default().feed(&bytes).unwrap();
            let mut events = Events::default();
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let mut parts = events.feed(first).unwrap();
            parts.extend(events.feed(second).unwrap());
            prop_assert_eq!(whole, parts);
        }
    }
}
