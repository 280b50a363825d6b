//! Stop strings, found across the borders of tokens.

/// Looks for stop strings in text that arrives in pieces, and holds back what may be the beginning of one.
#[derive(Debug, Default)]
pub struct StopFinder {
    stops: Vec<String>,
    held: String,
}

/// What may be emitted after a piece of text.
#[derive(Debug, PartialEq, Eq)]
pub struct Released {
    /// Text that belongs to no stop string.
    pub text: String,
    /// Whether a stop string was reached; it and what follows it are dropped.
    pub stopped: bool,
}

impl StopFinder {
    /// One that looks for these; empty ones are ignored.
    pub fn new(stops: Vec<String>) -> Self {
        let stops = stops.into_iter().filter(|stop| !stop.is_empty()).collect();
        Self {
            stops,
            held: String::new(),
        }
    }

    /// Takes a piece of text and says what may be emitted.
    pub fn push(&mut self, piece: &str) -> Released {
        self.held.push_str(piece);
        if let Some(at) = self.stops.iter().filter_map(|stop| self.held.find(stop)).min() {
            self.held.truncate(at);
            return Released {
                text: std::mem::take(&mut self.held),
                stopped: true,
            };
        }
        let keep = self
            .stops
            .iter()
            .map(|stop| overlap(&self.held, stop))
            .max()
            .unwrap_or(0);
        let held = self.held.split_off(self.held.len() - keep);
        Released {
            text: std::mem::replace(&mut self.held, held),
            stopped: false,
        }
    }

    /// What was held back, at the end of the answer.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}

/// Length of the longest end of `text` that is a beginning of `stop`.
fn overlap(text: &str, stop: &str) -> usize {
    let beginnings = stop.char_indices().map(|(at, _)| at).rev();
    beginnings
        .into_iter()
        .find(|&at| text.ends_with(&stop[..at]))
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn finder(stops: &[&str]) -> StopFinder {
        StopFinder::new(stops.iter().map(|&stop| stop.to_owned()).collect())
    }

    fn run(stops: &[&str], pieces: &[&str]) -> (String, bool) {
        let mut finder = finder(stops);
        let mut text = String::new();
        for piece in pieces {
            let released = finder.push(piece);
            text += &released.text;
            if released.stopped {
                return (text, true);
            }
        }
        (text + &finder.finish(), false)
    }

    #[test]
    fn a_stop_across_pieces_is_found() {
        assert_eq!(run(&["END"], &["one E", "N", "D two"]), ("one ".to_owned(), true));
        assert_eq!(
            run(&["END"], &["one E", "N", "d two"]),
            ("one ENd two".to_owned(), false)
        );
    }

    #[test]
    fn what_may_begin_a_stop_is_held_back() {
        let mut finder = finder(&["aab"]);
        assert_eq!(
            finder.push("xaa"),
            Released {
                text: "x".to_owned(),
                stopped: false
            }
        );
        assert_eq!(
            finder.push("a"),
            Released {
                text: "a".to_owned(),
                stopped: false
            }
        );
        assert_eq!(
            finder.push("b"),
            Released {
                text: String::new(),
                stopped: true
            }
        );
    }

    #[test]
    fn the_first_of_several_counts() {
        assert_eq!(
            run(&["two", "one"], &["zero one two"]),
            ("zero ".to_owned(), true)
        );
    }

    #[test]
    fn without_stops_nothing_is_held() {
        assert_eq!(finder(&[""]).push("abc").text, "abc");
    }

    proptest! {
        #[test]
        fn pieces_and_whole_agree(text in "[ab€]{0,30}", stop in "[ab€]{1,4}", cut in 1_usize..5) {
            let pieces: Vec<String> =
                text.chars().collect::<Vec<_>>().chunks(cut).map(|piece| piece.iter().collect()).collect();
            let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
            let expected = match text.find(&stop) {
                Some(at) => (text[..at].to_owned(), true),
                None => (text.clone(), false),
            };
            prop_assert_eq!(run(&[&stop], &pieces), expected);
        }
    }
}
