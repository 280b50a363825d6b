//! Token buckets: so much at once, then one more in each such time.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Keys that are remembered; beyond it those are forgotten that have rested longest.
const REMEMBERED: usize = 1024;

/// What a bucket holds, and in what time one that was taken comes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// So many at once.
    pub(crate) burst: u32,
    /// Then one in each such time.
    pub(crate) refill: Duration,
}

/// Each key's bucket, kept as the instant at which it will be full again.
#[derive(Debug)]
pub(crate) struct Buckets<K> {
    rate: Rate,
    full_at: Mutex<HashMap<K, Instant>>,
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    /// All full.
    pub(crate) fn new(rate: Rate) -> Self {
        Self {
            rate,
            full_at: Mutex::default(),
        }
    }

    /// Takes one. An error tells how long to wait for it.
    pub(crate) fn take(&self, key: K, now: Instant) -> Result<(), Duration> {
        let Rate { burst, refill } = self.rate;
        let mut all = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        let known = all.get(&key).copied();
        let full_at = known.map_or(now, |instant| now.max(instant)) + refill;
        let wait = full_at.saturating_duration_since(now + refill * burst);
        if !wait.is_zero() {
            return Err(wait);
        }
        if known.is_none() {
            make_room(&mut all, now);
        }
        all.insert(key, full_at);
        Ok(())
    }

    /// Puts back one that was taken and is not needed.
    pub(crate) fn give_back(&self, key: &K) {
        let mut all = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(full_at) = all.get_mut(key) {
            *full_at = full_at.checked_sub(self.rate.refill).unwrap_or(*full_at);
        }
    }
}

fn make_room<K: Clone + Eq + Hash>(all: &mut HashMap<K, Instant>, now: Instant) {
    if all.len() < REMEMBERED {
        return;
    }
    all.retain(|_, full_at| *full_at > now);
    if all.len() >= REMEMBERED {
        let oldest = all.iter().min_by_key(|(_, full_at)| **full_at);
        let oldest = oldest.map(|(key, _)| key.clone());
        oldest.map(|key| all.remove(&key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: Rate = Rate {
        burst: 10,
        refill: Duration::from_secs(3),
    };

    #[test]
    fn after_a_burst_there_is_one_in_each_refill() {
        let (buckets, now) = (Buckets::new(RATE), Instant::now());
        for _ in 0..RATE.burst {
            assert_eq!(buckets.take("a", now), Ok(()));
        }
        assert_eq!(buckets.take("a", now), Err(RATE.refill));
        assert_eq!(buckets.take("b", now), Ok(()), "others are not concerned");
        assert_eq!(buckets.take("a", now + RATE.refill), Ok(()));
        assert_eq!(buckets.take("a", now + RATE.refill), Err(RATE.refill));
        for _ in 0..RATE.burst {
            assert_eq!(buckets.take("a", now + RATE.refill * (RATE.burst + 1)), Ok(()));
        }
    }

    #[test]
    fn what_is_given_back_can_be_taken_again_and_no_more() {
        let (buckets, now) = (Buckets::new(RATE), Instant::now());
        for _ in 0..RATE.burst {
            assert_eq!(buckets.take("a", now), Ok(()));
        }
        buckets.give_back(&"a");
        buckets.give_back(&"b");
        assert_eq!(buckets.take("a", now), Ok(()));
        assert_eq!(buckets.take("a", now), Err(RATE.refill));
    }

    #[test]
    fn memory_is_bounded_and_nobody_is_forgotten_for_one_who_is_known() {
        let (buckets, now) = (Buckets::new(RATE), Instant::now());
        let known = |buckets: &Buckets<u32>| buckets.full_at.lock().unwrap().len();
        for n in 0..10_000 {
            assert_eq!(buckets.take(n, now), Ok(()));
        }
        assert_eq!(known(&buckets), REMEMBERED);
        assert_eq!(buckets.take(9_999, now), Ok(()));
        assert_eq!(known(&buckets), REMEMBERED);
    }
}
