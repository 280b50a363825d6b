//! How fast hearthd answers to the engine's word.

use std::collections::VecDeque;
use std::time::Duration;

/// Reactions that the median is taken of.
const KEPT: usize = 101;

/// The newest reactions.
#[derive(Debug, Default)]
pub(crate) struct Reactions {
    newest: VecDeque<u64>,
}

impl Reactions {
    /// A phase record's writes were done so long after it had come.
    pub(crate) fn note(&mut self, took: Duration) {
        if self.newest.len() == KEPT {
            self.newest.pop_front();
        }
        self.newest
            .push_back(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// Their median in microseconds; of an even number, the lower of the two in the middle.
    pub(crate) fn median_usec(&self) -> Option<u64> {
        let mut sorted: Vec<_> = self.newest.iter().copied().collect();
        sorted.sort_unstable();
        sorted.get(sorted.len().checked_sub(1)? / 2).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_of_the_newest() {
        let mut reactions = Reactions::default();
        assert_eq!(reactions.median_usec(), None);
        for usec in [1, 9, 5, 7] {
            reactions.note(Duration::from_micros(usec));
        }
        assert_eq!(reactions.median_usec(), Some(5));
        for _ in 0..KEPT {
            reactions.note(Duration::from_micros(100));
        }
        assert_eq!(reactions.median_usec(), Some(100));
    }
}
