//! How much of the journal requests may fill that change nothing. The journal is bounded, and what is new pushes out what is
//! old: whoever could write into it without bound, by asking on and on, could have it forget who changed what.

use crate::{
    buckets::{Buckets, Rate},
    caller::Actor,
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Lines of all strangers together: there may be as many of them as there are addresses. In the long run some 8,000 a day,
/// of about a kilobyte each.
const OF_STRANGERS: Rate = Rate {
    burst: 60,
    refill: Duration::from_secs(10),
};
/// Lines of a token, or of a user of this machine.
const OF_ACTOR: Rate = Rate {
    burst: 600,
    refill: Duration::from_secs(5),
};

/// Who has filled how much.
#[derive(Debug)]
pub(crate) struct Ration {
    strangers: Buckets<()>,
    actors: Buckets<String>,
    left_out: AtomicU64,
}

impl Default for Ration {
    fn default() -> Self {
        Self {
            strangers: Buckets::new(OF_STRANGERS),
            actors: Buckets::new(OF_ACTOR),
            left_out: AtomicU64::new(0),
        }
    }
}

impl Ration {
    /// Whether there is room for a line about somebody; `None` is a stranger. If there is none, that is counted.
    pub(crate) fn has_room(&self, actor: Option<&Actor>, now: Instant) -> bool {
        let taken = match actor {
            Some(actor) => self.actors.take(actor.to_string(), now),
            None => self.strangers.take((), now),
        };
        if taken.is_err() {
            self.leave_out();
        }
        taken.is_ok()
    }

    /// Counts a request of which no line is written.
    pub(crate) fn leave_out(&self) {
        self.left_out.fetch_add(1, Ordering::Relaxed);
    }

    /// How many there were since this was asked last.
    pub(crate) fn left_out(&self) -> u64 {
        self.left_out.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_of_asking_on_and_on_fills_little_of_the_journal() {
        let (ration, begin) = (Ration::default(), Instant::now());
        let second = |n: u64| begin + Duration::from_secs(n);
        let told = (0..86_400).filter(|n| ration.has_room(None, second(*n))).count();
        assert!((8_000..9_000).contains(&told), "{told}");
        assert_eq!(ration.left_out(), 86_400 - told as u64);
        assert_eq!(ration.left_out(), 0, "it was told");
        let known = Actor::Token("a".to_owned());
        assert!(ration.has_room(Some(&known), second(86_400)));
    }
}
