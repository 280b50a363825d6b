//! How often a speaker is listened to: a step costs the machine work, and a speaker gone mad must not cost more.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// So many words are taken as they come …
const BURST: u32 = 32;
/// … and then one in this time.
const PERIOD: Duration = Duration::from_millis(20);

/// A bucket that holds [`BURST`] words and is refilled by one each [`PERIOD`].
#[derive(Debug)]
pub(super) struct Pace {
    /// When the bucket is full again.
    full_at: Instant,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self {
            full_at: Instant::now(),
        }
    }

    /// Takes one out of the bucket, and waits until there is another.
    pub(super) async fn next(&mut self) {
        if let Some(until) = self.take(Instant::now()) {
            sleep_until(until).await;
        }
    }

    /// Takes one. Returns when the next may be taken, if that is not now.
    fn take(&mut self, now: Instant) -> Option<Instant> {
        self.full_at = self.full_at.max(now) + PERIOD;
        let next = self.full_at - PERIOD * (BURST - 1);
        (next > now).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_a_flood_is_not() {
        let mut pace = Pace::new();
        let start = pace.full_at;
        for _ in 1..BURST {
            assert_eq!(pace.take(start), None);
        }
        assert_eq!(pace.take(start), Some(start + PERIOD));
        assert_eq!(pace.take(start + PERIOD), Some(start + 2 * PERIOD));
        let later = start + PERIOD * (2 * BURST);
        assert_eq!(pace.take(later), None);
    }
}
