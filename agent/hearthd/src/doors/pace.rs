//! How often a speaker is let in and listened to: a step costs the machine work, and a speaker gone mad must not cost
//! more.

use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// A bucket that is full at first, and refilled by one in each period.
#[derive(Debug)]
pub(super) struct Pace {
    burst: u32,
    period: Duration,
    /// When the bucket is full again.
    full_at: Instant,
}

impl Pace {
    /// For words: 32 are taken as they come, and then one every 20 ms.
    pub(super) fn of_words() -> Self {
        Self::new(32, Duration::from_millis(20))
    }

    /// For connections: eight are accepted as they come, and then one every 100 ms. An engine that ends after each answer
    /// and is woken at once lives about as long; one that is kept waiting loads its model later for it.
    pub(super) fn of_connections() -> Self {
        Self::new(8, Duration::from_millis(100))
    }

    fn new(burst: u32, period: Duration) -> Self {
        Self {
            burst,
            period,
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
    pub(super) fn take(&mut self, now: Instant) -> Option<Instant> {
        self.full_at = self.full_at.max(now) + self.period;
        let next = self.full_at - self.period * (self.burst - 1);
        (next > now).then_some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_a_flood_is_not() {
        let mut pace = Pace::of_words();
        let (start, burst, period) = (pace.full_at, pace.burst, pace.period);
        for _ in 1..burst {
            assert_eq!(pace.take(start), None);
        }
        assert_eq!(pace.take(start), Some(start + period));
        assert_eq!(pace.take(start + period), Some(start + 2 * period));
        let later = start + period * (2 * burst);
        assert_eq!(pace.take(later), None);
    }
}
