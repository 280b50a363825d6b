//! How often one token, and one address, may use the gateway: often enough for any page or script, and not so often that the
//! machine does nothing else, or that guessing pays. What is asked of models waits in the engine's own queue.

use crate::{
    buckets::{Buckets, Rate},
    caller::{Actor, name},
    slots::neighbourhood,
};
use api::rest::Role;
use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

/// What a token may.
const OF_TOKEN: Rate = Rate {
    burst: 500,
    refill: Duration::from_millis(10),
};
/// What an address may with tokens: several may come from one.
const OF_ADDRESS: Rate = Rate {
    burst: 1000,
    refill: Duration::from_millis(5),
};
/// What an address may without a token: some browsers that fetch the page at once.
const OF_STRANGER: Rate = Rate {
    burst: 300,
    refill: Duration::from_millis(20),
};
/// Requests with a wrong token. Only these are counted and refused by it: a valid token passes from the same address, so that
/// nobody can be locked out by a neighbour.
const OF_GUESSER: Rate = Rate {
    burst: 10,
    refill: Duration::from_secs(3),
};
/// How often somebody signs in with a token.
const OF_SIGNING_IN: Rate = Rate {
    burst: 100,
    refill: Duration::from_secs(60),
};
/// What a token may change: more than anybody does by hand. Each change is told in the journal, which is bounded, so that
/// what is beyond this is refused.
const OF_CHANGES: Rate = Rate {
    burst: 500,
    refill: Duration::from_secs(40),
};
/// What all tokens of a role may change, and how often they may sign in: there may be any number of tokens. It comes back
/// faster than what one token may of both together, so that no token alone is in the way of others. Who makes a second one
/// can be: so it is never counted how often somebody takes back what was made ([`crate::journal::takes_back`]).
const OF_ROLE: Rate = Rate {
    burst: 1000,
    refill: Duration::from_secs(20),
};

/// Who has asked how often.
#[derive(Debug)]
pub(crate) struct Rates {
    tokens: Buckets<String>,
    addresses: Buckets<IpAddr>,
    strangers: Buckets<IpAddr>,
    guessers: Buckets<IpAddr>,
    signing_in: Buckets<String>,
    changes: Buckets<String>,
    roles: Buckets<&'static str>,
}

impl Default for Rates {
    fn default() -> Self {
        Self {
            tokens: Buckets::new(OF_TOKEN),
            addresses: Buckets::new(OF_ADDRESS),
            strangers: Buckets::new(OF_STRANGER),
            guessers: Buckets::new(OF_GUESSER),
            signing_in: Buckets::new(OF_SIGNING_IN),
            changes: Buckets::new(OF_CHANGES),
            roles: Buckets::new(OF_ROLE),
        }
    }
}

/// An error tells how long to wait.
type Counted = Result<(), Duration>;

impl Rates {
    /// Counts a request of somebody who was let in. Users of this machine are not counted.
    pub(crate) fn count(&self, actor: &Actor, address: Option<IpAddr>, now: Instant) -> Counted {
        if let Some(address) = address {
            self.addresses.take(neighbourhood(address), now)?;
        }
        match actor.token() {
            Some(id) => self.tokens.take(id.to_owned(), now),
            None => Ok(()),
        }
    }

    /// Counts a request that brings no token.
    pub(crate) fn visit(&self, address: IpAddr, now: Instant) -> Counted {
        self.strangers.take(neighbourhood(address), now)
    }

    /// Counts a request with a token that is not valid.
    pub(crate) fn guess(&self, address: IpAddr, now: Instant) -> Counted {
        self.guessers.take(neighbourhood(address), now)
    }

    /// Counts a session that is begun with the token of this id and role.
    pub(crate) fn sign_in(&self, id: &str, role: Role, now: Instant) -> Counted {
        self.take(&self.signing_in, id, role, now)
    }

    /// Counts a change by somebody of a role. Users of this machine are not counted: they may write to the journal as they
    /// like.
    pub(crate) fn change(&self, actor: &Actor, role: Role, now: Instant) -> Counted {
        let Some(id) = actor.token() else {
            return Ok(());
        };
        self.take(&self.changes, id, role, now)
    }

    /// Takes one of a token's and one of its role's, or none.
    fn take(&self, own: &Buckets<String>, id: &str, role: Role, now: Instant) -> Counted {
        let id = id.to_owned();
        own.take(id.clone(), now)?;
        let taken = self.roles.take(name(role), now);
        if taken.is_err() {
            own.give_back(&id);
        }
        taken
    }

    /// Takes back that a change was counted: it was refused.
    pub(crate) fn unchanged(&self, actor: &Actor, role: Role) {
        if let Some(id) = actor.token() {
            self.changes.give_back(&id.to_owned());
            self.roles.give_back(&name(role));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: &str = "192.0.2.1";

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_token_that_asks_too_often_waits_and_others_do_not() {
        let (rates, now) = (Rates::default(), Instant::now());
        let [one, other] = ["a", "b"].map(|id| Actor::Token(id.to_owned()));
        let home = Some(address(HOME));
        for _ in 0..OF_TOKEN.burst {
            assert_eq!(rates.count(&one, home, now), Ok(()));
        }
        assert_eq!(rates.count(&one, home, now), Err(OF_TOKEN.refill));
        assert_eq!(rates.count(&other, home, now), Ok(()));
        assert_eq!(rates.count(&one, home, now + OF_TOKEN.refill), Ok(()));
    }

    #[test]
    fn an_address_is_counted_over_all_its_tokens_and_users_here_are_not() {
        let (rates, now) = (Rates::default(), Instant::now());
        let home = Some(address(HOME));
        for n in 0..OF_ADDRESS.burst {
            let token = Actor::Token(format!("{}", n / 400));
            assert_eq!(rates.count(&token, home, now), Ok(()));
        }
        let fresh = Actor::Token("fresh".to_owned());
        assert_eq!(rates.count(&fresh, home, now), Err(OF_ADDRESS.refill));
        assert_eq!(rates.count(&fresh, Some(address("192.0.2.2")), now), Ok(()));
        for _ in 0..2 * OF_ADDRESS.burst {
            assert_eq!(rates.count(&Actor::User(0), None, now), Ok(()));
        }
    }

    #[test]
    fn one_network_guesses_as_one_and_locks_nobody_out() {
        let (rates, now) = (Rates::default(), Instant::now());
        for _ in 0..OF_GUESSER.burst {
            assert_eq!(rates.guess(address(HOME), now), Ok(()));
            assert_eq!(rates.guess(address("2001:db8::1"), now), Ok(()));
        }
        for same in ["::ffff:192.0.2.1", "2001:db8::ffff:2"] {
            assert_eq!(rates.guess(address(same), now), Err(OF_GUESSER.refill), "{same}");
        }
        for other in ["192.0.2.2", "2001:db8:0:1::1"] {
            assert_eq!(rates.guess(address(other), now), Ok(()), "{other}");
        }
        assert_eq!(rates.visit(address(HOME), now), Ok(()));
        let token = Actor::Token("a".to_owned());
        assert_eq!(rates.count(&token, Some(address(HOME)), now), Ok(()));
    }

    #[test]
    fn strangers_and_those_who_sign_in_are_counted_apart() {
        let (rates, now) = (Rates::default(), Instant::now());
        for _ in 0..OF_STRANGER.burst {
            assert_eq!(rates.visit(address(HOME), now), Ok(()));
        }
        assert_eq!(rates.visit(address(HOME), now), Err(OF_STRANGER.refill));
        let sign_in = |id| rates.sign_in(id, Role::Read, now);
        for _ in 0..OF_SIGNING_IN.burst {
            assert_eq!(sign_in("a"), Ok(()));
        }
        assert_eq!(sign_in("a"), Err(OF_SIGNING_IN.refill));
        assert_eq!(sign_in("b"), Ok(()));
    }

    #[test]
    fn a_day_of_changes_is_bounded_however_many_tokens_there_are_and_no_role_is_in_anothers_way() {
        let (rates, begin) = (Rates::default(), Instant::now());
        let changed = |id: u64, role, second| {
            let now = begin + Duration::from_secs(second);
            rates.change(&Actor::Token(id.to_string()), role, now).is_ok()
        };
        let signed_in = |second| {
            let now = begin + Duration::from_secs(second);
            rates.sign_in("0", Role::Chat, now).is_ok()
        };
        let alone = (0..86_400)
            .map(|n| [changed(0, Role::Chat, n), signed_in(n)])
            .fold([0, 0], |[changes, sessions], [change, session]| {
                [changes + usize::from(change), sessions + usize::from(session)]
            });
        assert_eq!(alone, [500 + 2_159, 100 + 1_439]);
        assert!(changed(1, Role::Chat, 86_400), "others have room beside it");
        let many = (86_400..172_800)
            .filter(|n| changed(n % 50, Role::Chat, *n))
            .count();
        assert!((4_300..5_400).contains(&many), "{many}");
        assert!(changed(100, Role::Admin, 172_800));
        let here = Actor::User(0);
        assert!((0..1000).all(|_| rates.change(&here, Role::Admin, begin).is_ok()));
    }

    #[test]
    fn a_token_whose_role_has_no_room_keeps_its_own() {
        let (rates, now) = (Rates::default(), Instant::now());
        let change = |id: u32, now| rates.change(&Actor::Token(id.to_string()), Role::Admin, now);
        for n in 0..OF_ROLE.burst {
            assert_eq!(change(n % 3, now), Ok(()));
        }
        for _ in 0..2 * OF_CHANGES.burst {
            assert_eq!(change(3, now), Err(OF_ROLE.refill));
            assert_eq!(rates.sign_in("3", Role::Admin, now), Err(OF_ROLE.refill));
        }
        assert_eq!(change(3, now + OF_ROLE.refill), Ok(()));
    }

    #[test]
    fn a_change_that_was_refused_costs_nothing() {
        let (rates, now) = (Rates::default(), Instant::now());
        let token = Actor::Token("a".to_owned());
        for _ in 0..2 * OF_ROLE.burst {
            assert_eq!(rates.change(&token, Role::Admin, now), Ok(()));
            rates.unchanged(&token, Role::Admin);
        }
    }
}
