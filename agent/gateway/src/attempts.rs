//! Failed attempts to log in, counted by address, so that guessing is slow and the journal stays readable.
//!
//! Only failures are counted and only failures are refused: a valid token passes from the same address, so nobody
//! can be locked out by a neighbour.

use crate::slots::neighbourhood;
use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

/// Failures in a row before an address must wait.
const BURST: u32 = 10;
/// Time in which one more failure is allowed again.
const REFILL: Duration = Duration::from_secs(3);
/// Addresses that are remembered; beyond it the one that has waited longest is forgotten.
const REMEMBERED: usize = 1024;

/// Each address's token bucket, kept as the instant at which it will be full again.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    full_at: HashMap<IpAddr, Instant>,
}

impl Attempts {
    /// Counts a failure. If there were too many, tells how long to wait.
    pub(crate) fn fail(&mut self, address: IpAddr, now: Instant) -> Result<(), Duration> {
        let key = neighbourhood(address);
        let full_at = self.full_at.get(&key).map_or(now, |instant| now.max(*instant));
        let wait = (full_at + REFILL).saturating_duration_since(now + REFILL * BURST);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.make_room(now);
        self.full_at.insert(key, full_at + REFILL);
        Ok(())
    }

    fn make_room(&mut self, now: Instant) {
        if self.full_at.len() < REMEMBERED {
            return;
        }
        self.full_at.retain(|_, full_at| *full_at > now);
        if self.full_at.len() >= REMEMBERED {
            let oldest = self
                .full_at
                .iter()
                .min_by_key(|(_, full_at)| **full_at)
                .map(|(key, _)| *key);
            oldest.map(|key| self.full_at.remove(&key));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exhaust(attempts: &mut Attempts, address: &str, now: Instant) {
        for _ in 0..BURST {
            assert_eq!(attempts.fail(address.parse().unwrap(), now), Ok(()));
        }
    }

    #[test]
    fn after_a_burst_an_address_waits_for_its_refill() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        let address = "192.0.2.1".parse().unwrap();
        exhaust(&mut attempts, "192.0.2.1", now);
        assert_eq!(attempts.fail(address, now), Err(REFILL));
        assert_eq!(attempts.fail(address, now + REFILL), Ok(()));
        assert_eq!(attempts.fail(address, now + REFILL), Err(REFILL));
        exhaust(&mut attempts, "192.0.2.1", now + REFILL * (BURST + 1));
    }

    #[test]
    fn others_are_not_concerned() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        exhaust(&mut attempts, "192.0.2.1", now);
        assert_eq!(attempts.fail("192.0.2.2".parse().unwrap(), now), Ok(()));
        assert!(attempts.fail("::ffff:192.0.2.1".parse().unwrap(), now).is_err());
    }

    #[test]
    fn a_v6_network_counts_as_one() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        exhaust(&mut attempts, "2001:db8::1", now);
        assert!(attempts.fail("2001:db8::ffff:2".parse().unwrap(), now).is_err());
        assert_eq!(attempts.fail("2001:db8:0:1::1".parse().unwrap(), now), Ok(()));
    }

    #[test]
    fn memory_is_bounded() {
        let (mut attempts, now) = (Attempts::default(), Instant::now());
        for n in 0..10_000u32 {
            assert_eq!(attempts.fail(IpAddr::V4((0x0a00_0000 + n).into()), now), Ok(()));
        }
        assert!(attempts.full_at.len() <= REMEMBERED);
    }
}
