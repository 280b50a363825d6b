//! How many tokens of a prompt are run in one turn: as many as take a quarter of a second.
//!
//! More at once are faster, but nobody else has an answer meanwhile, and nobody can cancel. Machines differ in speed by
//! a factor of a thousand, so it is measured. What comes out does not depend on it.

use std::time::Duration;

/// How long a part of a prompt may take.
const TARGET: Duration = Duration::from_millis(250);
/// Fewest tokens of a part: with fewer, weights would be read for the sake of too little.
const FEWEST: usize = 16;
/// Tokens of the first part.
const FIRST: usize = 64;
/// Most tokens of a part: with more, nothing is gained.
const MOST: usize = 512;
/// How much longer than the one before a part may be: one measurement may be wrong.
const GROWTH: usize = 4;

/// The length of the next part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    chunk: usize,
}

impl Default for Pace {
    fn default() -> Self {
        Self { chunk: FIRST }
    }
}

impl Pace {
    /// Tokens of the next part.
    pub fn chunk(&self) -> usize {
        self.chunk
    }

    /// Hears how long a part of that many tokens took. One much shorter than the pace says nothing of longer ones, for
    /// most of its time goes into reading the weights, unless it took too long itself.
    pub fn took(&mut self, tokens: usize, time: Duration) {
        let within = tokens as f64 * TARGET.as_secs_f64() / time.as_secs_f64().max(1e-9);
        let within = (within as usize).clamp(FEWEST, MOST.min(self.chunk * GROWTH));
        if tokens * 2 >= self.chunk || time > TARGET {
            self.chunk = within;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pace after some parts as long as it says, on a machine of that many tokens per second.
    fn settled(speed: f64) -> usize {
        let mut pace = Pace::default();
        for _ in 0..6 {
            pace.took(pace.chunk(), Duration::from_secs_f64(pace.chunk() as f64 / speed));
        }
        pace.chunk()
    }

    #[test]
    fn a_part_takes_a_quarter_of_a_second_within_bounds() {
        assert_eq!(settled(800.0), 200);
        assert_eq!(settled(5.0), FEWEST);
        assert_eq!(settled(1e6), MOST);
    }

    #[test]
    fn a_short_rest_does_not_shorten_what_is_fast_nor_lengthen_what_is_slow() {
        let mut pace = Pace { chunk: 200 };
        pace.took(3, Duration::from_millis(2));
        assert_eq!(pace.chunk(), 200);
        pace.took(3, Duration::from_millis(300));
        assert_eq!(pace.chunk(), FEWEST);
        pace.took(3, Duration::from_millis(2));
        assert_eq!(pace.chunk(), FEWEST);
    }

    #[test]
    fn a_measurement_that_is_too_good_is_believed_step_by_step() {
        let mut pace = Pace::default();
        pace.took(FIRST, Duration::ZERO);
        assert_eq!(pace.chunk(), FIRST * GROWTH);
    }
}
