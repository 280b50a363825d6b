//! How often one token, and one address, may use the management interface: often enough for any page or script, and not so
//! often that the machine does nothing else. What is asked of models waits in the engine's own queue.

use crate::{caller::Actor, slots::neighbourhood};
use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// What a token may: so many at once, then one in each such time.
const OF_TOKEN: Rate = Rate {
    burst: 500,
    refill: Duration::from_millis(10),
};
/// What an address may: several tokens may come from one.
const OF_ADDRESS: Rate = Rate {
    burst: 1000,
    refill: Duration::from_millis(5),
};
/// Tokens, and addresses, that are remembered; beyond it those are forgotten that have rested longest.
const REMEMBERED: usize = 1024;

#[derive(Clone, Copy, Debug)]
struct Rate {
    burst: u32,
    refill: Duration,
}

/// Who has asked how often.
#[derive(Debug, Default)]
pub(crate) struct Rates {
    tokens: Mutex<Buckets<String>>,
    addresses: Mutex<Buckets<IpAddr>>,
}

impl Rates {
    /// Counts a request. An error tells how long to wait. Users of this machine are not counted.
    pub(crate) fn count(&self, actor: &Actor, address: Option<IpAddr>, now: Instant) -> Result<(), Duration> {
        if let Some(address) = address {
            let mut addresses = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
            addresses.take(neighbourhood(address), OF_ADDRESS, now)?;
        }
        match actor.token() {
            Some(id) => {
                let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
                tokens.take(id.to_owned(), OF_TOKEN, now)
            }
            None => Ok(()),
        }
    }
}

/// Each key's token bucket, kept as the instant at which it will be full again.
#[derive(Debug)]
struct Buckets<K>(HashMap<K, Instant>);

impl<K> Default for Buckets<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash> Buckets<K> {
    fn take(&mut self, key: K, rate: Rate, now: Instant) -> Result<(), Duration> {
        let full_at = self.0.get(&key).map_or(now, |instant| now.max(*instant));
        let wait = (full_at + rate.refill).saturating_duration_since(now + rate.refill * rate.burst);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.make_room(now);
        self.0.insert(key, full_at + rate.refill);
        Ok(())
    }

    fn make_room(&mut self, now: Instant) {
        if self.0.len() < REMEMBERED {
            return;
        }
        self.0.retain(|_, full_at| *full_at > now);
        if self.0.len() >= REMEMBERED {
            let oldest = self.0.iter().min_by_key(|(_, full_at)| **full_at);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.map(|key| self.0.remove(&key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_that_asks_too_often_waits_and_others_do_not() {
        let (rates, now) = (Rates::default(), Instant::now());
        let [one, other] = ["a", "b"].map(|id| Actor::Token(id.to_owned()));
        let home: IpAddr = "192.0.2.1".parse().unwrap();
        for _ in 0..OF_TOKEN.burst {
            assert_eq!(rates.count(&one, Some(home), now), Ok(()));
        }
        assert_eq!(rates.count(&one, Some(home), now), Err(OF_TOKEN.refill));
        assert_eq!(rates.count(&other, Some(home), now), Ok(()));
        assert_eq!(rates.count(&one, Some(home), now + OF_TOKEN.refill), Ok(()));
    }

    #[test]
    fn an_address_is_counted_over_all_its_tokens_and_users_here_are_not() {
        let (rates, now) = (Rates::default(), Instant::now());
        let home: IpAddr = "192.0.2.1".parse().unwrap();
        for n in 0..OF_ADDRESS.burst {
            let token = Actor::Token(format!("{}", n / 400));
            assert_eq!(rates.count(&token, Some(home), now), Ok(()));
        }
        let fresh = Actor::Token("fresh".to_owned());
        assert_eq!(rates.count(&fresh, Some(home), now), Err(OF_ADDRESS.refill));
        assert_eq!(
            rates.count(&fresh, Some("192.0.2.2".parse().unwrap()), now),
            Ok(())
        );
        for _ in 0..2 * OF_ADDRESS.burst {
            assert_eq!(rates.count(&Actor::User(0), None, now), Ok(()));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let (mut buckets, now) = (Buckets::default(), Instant::now());
        for n in 0..10_000 {
            assert_eq!(buckets.take(n, OF_TOKEN, now), Ok(()));
        }
        assert!(buckets.0.len() <= REMEMBERED);
    }
}
