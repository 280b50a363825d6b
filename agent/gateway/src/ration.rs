//! How much of the journal requests may fill that change nothing, also by lines beside their own. The journal is
//! bounded, and what is new pushes out what is old: whoever could write into it without bound, by asking on and on,
//! could have it forget who changed what. A line takes about a kilobyte, and the journal has 64 MiB.

use crate::{
    buckets::{Buckets, Rate},
    caller::Actor,
};
use std::{
    net::IpAddr,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// Lines of all strangers together: there may be as many of them as there are addresses. In the long run some 8,600 a day.
const OF_STRANGERS: Rate = Rate {
    burst: 60,
    refill: Duration::from_secs(10),
};
/// Lines of an address that brings tokens that are not valid. They are apart from other strangers', so that nobody hides
/// his guesses among requests without a token.
const OF_GUESSER: Rate = Rate {
    burst: 20,
    refill: Duration::from_secs(60),
};
/// Lines of all such addresses together: some 2,900 a day.
const OF_GUESSERS: Rate = Rate {
    burst: 200,
    refill: Duration::from_secs(30),
};
/// Lines of a token, or of a user of this machine.
const OF_ACTOR: Rate = Rate {
    burst: 300,
    refill: Duration::from_secs(30),
};
/// Lines of all of them together: some 5,800 a day. It comes back faster than one actor's, so that none alone takes the room
/// of others.
const OF_ACTORS: Rate = Rate {
    burst: 1000,
    refill: Duration::from_secs(15),
};

/// Warnings of a token that is sent in the clear. They are apart from all else, so that nothing takes the room of what its
/// owner must know.
const OF_EXPOSED: Rate = Rate {
    burst: 10,
    refill: Duration::from_secs(600),
};
/// Warnings of all such tokens together: some 1,400 a day.
const OF_ALL_EXPOSED: Rate = Rate {
    burst: 100,
    refill: Duration::from_secs(60),
};

/// Whose line it is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Asker<'a> {
    /// Somebody who brings no token.
    Stranger,
    /// Somebody at this address who brings one that is not valid.
    Guesser(IpAddr),
    /// Somebody who is known.
    Known(&'a Actor),
    /// Somebody who sends the token of this id in the clear.
    Exposed(&'a str),
}

/// Who has filled how much.
#[derive(Debug)]
pub(crate) struct Ration {
    strangers: Buckets<()>,
    guesser: Buckets<IpAddr>,
    guessers: Buckets<()>,
    actor: Buckets<String>,
    actors: Buckets<()>,
    exposed: Buckets<String>,
    all_exposed: Buckets<()>,
    left_out: AtomicU64,
}

impl Default for Ration {
    fn default() -> Self {
        Self {
            strangers: Buckets::new(OF_STRANGERS),
            guesser: Buckets::new(OF_GUESSER),
            guessers: Buckets::new(OF_GUESSERS),
            actor: Buckets::new(OF_ACTOR),
            actors: Buckets::new(OF_ACTORS),
            exposed: Buckets::new(OF_EXPOSED),
            all_exposed: Buckets::new(OF_ALL_EXPOSED),
            left_out: AtomicU64::new(0),
        }
    }
}

impl Ration {
    /// Whether there is room for a line about somebody. If there is none, that is counted.
    pub(crate) fn has_room(&self, asker: Asker<'_>, now: Instant) -> bool {
        let together = |all: &Buckets<()>| all.take((), now);
        let taken = match asker {
            Asker::Stranger => together(&self.strangers),
            Asker::Guesser(address) => {
                let own = self.guesser.take(address, now);
                own.and_then(|()| together(&self.guessers))
            }
            Asker::Known(actor) => {
                let own = self.actor.take(actor.to_string(), now);
                own.and_then(|()| together(&self.actors))
            }
            Asker::Exposed(id) => {
                let own = self.exposed.take(id.to_owned(), now);
                own.and_then(|()| together(&self.all_exposed))
            }
        };
        if taken.is_err() {
            self.leave_out();
        }
        taken.is_ok()
    }

    /// Counts a line that is not written.
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

    const DAY: u64 = 86_400;

    /// How many of a day's requests are told, one in each second.
    fn told(ration: &Ration, begin: Instant, asker: impl Fn(u64) -> Asker<'static>) -> usize {
        let second = |n: u64| begin + Duration::from_secs(n);
        (0..DAY)
            .filter(|n| ration.has_room(asker(*n), second(*n)))
            .count()
    }

    fn addresses(n: u64) -> IpAddr {
        IpAddr::from([192, 0, 2, (n % 200) as u8])
    }

    #[test]
    fn a_day_of_asking_on_and_on_fills_little_of_the_journal() {
        let (ration, begin) = (Ration::default(), Instant::now());
        let strangers = told(&ration, begin, |_| Asker::Stranger);
        assert!((8_000..9_000).contains(&strangers), "{strangers}");
        assert_eq!(ration.left_out(), DAY - strangers as u64);
        assert_eq!(ration.left_out(), 0, "it was told");
        let guessers = told(&ration, begin, |n| Asker::Guesser(addresses(n)));
        assert!((2_900..3_200).contains(&guessers), "{guessers}");
    }

    #[test]
    fn however_many_tokens_there_are_their_day_is_bounded_and_none_takes_the_room_of_others() {
        let (ration, begin) = (Ration::default(), Instant::now());
        let [one, other] = ["a", "b"].map(|id| Actor::Token(id.to_owned()));
        let one: &'static Actor = Box::leak(Box::new(one));
        let alone = told(&ration, begin, |_| Asker::Known(one));
        assert!((3_000..3_300).contains(&alone), "{alone}");
        let next = begin + Duration::from_secs(DAY);
        assert!(ration.has_room(Asker::Known(&other), next));
        let many: Vec<_> = (0..100).map(|n| Actor::Token(n.to_string())).collect();
        let many: &'static [Actor] = many.leak();
        let told = told(&ration, next, |n| Asker::Known(&many[n as usize % 100]));
        assert!((5_700..6_800).contains(&told), "{told}");
    }

    #[test]
    fn a_token_in_the_clear_is_told_whatever_else_is_asked_and_a_day_of_it_is_bounded() {
        let (ration, begin) = (Ration::default(), Instant::now());
        let actor = Actor::Token("a".to_owned());
        while ration.has_room(Asker::Known(&actor), begin) {}
        let alone = told(&ration, begin, |_| Asker::Exposed("a"));
        assert!((140..160).contains(&alone), "{alone}");
        let ids: Vec<_> = (0..100).map(|n| n.to_string()).collect();
        let ids: &'static [String] = ids.leak();
        let next = begin + Duration::from_secs(DAY);
        let many = told(&ration, next, |n| Asker::Exposed(&ids[n as usize % 100]));
        assert!((1_400..1_600).contains(&many), "{many}");
    }

    #[test]
    fn nobody_hides_his_guesses_behind_a_flood() {
        let (ration, now) = (Ration::default(), Instant::now());
        while ration.has_room(Asker::Stranger, now) {}
        assert!(ration.has_room(Asker::Guesser(addresses(0)), now));
        while ration.has_room(Asker::Guesser(addresses(0)), now) {}
        assert!(ration.has_room(Asker::Guesser(addresses(1)), now));
    }
}
