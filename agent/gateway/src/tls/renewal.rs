//! When the certificate is made anew, and for what: a law without clock and files.
//!
//! It is asked before each handshake, with the address that the client has connected to. So the certificate is for every
//! private address by which anybody has come, whichever way the machine got it, and nothing has to be watched.

use super::{facts::Facts, names::is_private};
use std::{
    collections::BTreeSet,
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};
use time::{Duration, OffsetDateTime};

/// How long before its making a certificate is valid: clients' clocks may be behind this machine's.
pub(super) const BACKDATED: Duration = Duration::days(90);
/// How long after: a machine with an empty battery and no network begins at its image's date, and its certificate must
/// still be valid by everybody else's clock. With the time before it is below the 825 days that Apple's systems take of an
/// authority that somebody added.
pub(super) const VALID: Duration = Duration::days(730);
/// How long before its end it is made anew: so far, at the least, the clock may be behind.
const MARGIN: Duration = Duration::days(600);
/// Addresses in a certificate. Beyond it, all but the newest are forgotten; who comes by one brings it back.
const MOST_ADDRESSES: usize = 16;
const LOOPBACK: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Why a certificate has to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// There is none.
    Missing,
    /// The machine has another name.
    Names,
    /// A client has come by an address that it is not for.
    Address(IpAddr),
    /// It ends soon, or has ended.
    Ends,
    /// It is not valid yet: it was made while the clock ran ahead, or the clock has fallen back.
    Early,
}

impl fmt::Display for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => write!(f, "there was none"),
            Self::Names => write!(f, "the machine has another name"),
            Self::Address(address) => write!(f, "somebody came by the address {address}"),
            Self::Ends => write!(f, "the last one ends soon"),
            Self::Early => write!(f, "the last one is not valid yet by the clock"),
        }
    }
}

/// What a certificate is to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The DNS names.
    pub(super) names: BTreeSet<String>,
    /// The addresses.
    pub(super) addresses: BTreeSet<IpAddr>,
    /// When it begins to be valid.
    pub(super) not_before: OffsetDateTime,
    /// When it ends to be.
    pub(super) not_after: OffsetDateTime,
}

/// Whether the certificate has to be made anew, for a machine of these names that somebody reaches by this address.
pub(super) fn due(
    current: Option<&Facts>,
    names: &BTreeSet<String>,
    reached_by: Option<IpAddr>,
    now: OffsetDateTime,
) -> Option<Due> {
    let Some(current) = current else {
        return Some(Due::Missing);
    };
    if current.names != *names {
        Some(Due::Names)
    } else if now > current.not_after - MARGIN {
        Some(Due::Ends)
    } else if now < current.not_before {
        Some(Due::Early)
    } else {
        let address = reached_by.map(|address| address.to_canonical());
        let new = address.filter(|address| is_private(*address) && !current.addresses.contains(address));
        new.map(Due::Address)
    }
}

/// What the next certificate says. Addresses are kept as long as only another one has come: after that long a time, or
/// under another name, the machine may have lost them.
pub(super) fn next(
    current: Option<&Facts>,
    due: Due,
    names: BTreeSet<String>,
    reached_by: Option<IpAddr>,
    now: OffsetDateTime,
) -> Wanted {
    let new = reached_by
        .map(|address| address.to_canonical())
        .filter(|address| is_private(*address));
    let least = BTreeSet::from_iter(LOOPBACK.into_iter().chain(new));
    let addresses = match (due, current) {
        (Due::Address(_), Some(current)) if (&current.addresses | &least).len() <= MOST_ADDRESSES => {
            &current.addresses | &least
        }
        _ => least,
    };
    Wanted {
        names,
        addresses,
        not_before: now - BACKDATED,
        not_after: now + VALID,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// In June 2026.
    fn now() -> OffsetDateTime {
        OffsetDateTime::UNIX_EPOCH + Duration::days(20_605)
    }

    fn names(name: &str) -> BTreeSet<String> {
        BTreeSet::from([name.to_owned()])
    }

    fn made(wanted: Wanted) -> Facts {
        Facts {
            sha256: [0; 32],
            subject: String::new(),
            issuer: String::new(),
            names: wanted.names,
            addresses: wanted.addresses,
            not_before: wanted.not_before,
            not_after: wanted.not_after,
        }
    }

    fn first() -> Facts {
        made(next(None, Due::Missing, names("a.local"), None, now()))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn one_that_fits_is_kept() {
        let (first, names) = (first(), names("a.local"));
        for reached_by in [None, Some(ip("127.0.0.1")), Some(ip("::ffff:127.0.0.1"))] {
            assert_eq!(due(Some(&first), &names, reached_by, now()), None);
        }
        assert_eq!(due(None, &names, None, now()), Some(Due::Missing));
        // A public address is not for the local authority to sign.
        assert_eq!(due(Some(&first), &names, Some(ip("203.0.113.1")), now()), None);
    }

    #[test]
    fn another_name_or_address_makes_a_new_one() {
        let first = first();
        assert_eq!(
            due(Some(&first), &names("b.local"), None, now()),
            Some(Due::Names)
        );
        let (names, new) = (names("a.local"), Some(ip("::ffff:192.168.1.5")));
        let reason = due(Some(&first), &names, new, now()).unwrap();
        assert_eq!(reason, Due::Address(ip("192.168.1.5")));
        let second = made(next(Some(&first), reason, names.clone(), new, now()));
        assert!(second.addresses.contains(&ip("192.168.1.5")) && second.addresses.contains(&ip("::1")));
        assert_eq!(due(Some(&second), &names, new, now()), None);
    }

    #[test]
    fn it_is_made_anew_in_time_and_whatever_the_clock_said() {
        let (first, names) = (first(), names("a.local"));
        let at = |now| due(Some(&first), &names, None, now);
        assert_eq!(at(now() + Duration::days(130)), None);
        assert_eq!(at(now() + Duration::days(131)), Some(Due::Ends));
        // The battery of the clock was empty when it was made.
        assert_eq!(at(now() + Duration::days(4000)), Some(Due::Ends));
        assert_eq!(at(now() - Duration::days(90)), None);
        assert_eq!(at(now() - Duration::days(91)), Some(Due::Early));
    }

    #[test]
    fn by_the_right_clock_it_is_valid_while_this_ones_stands_at_the_images_date() {
        let (mut facts, names) = (first(), names("a.local"));
        for day in 0..500 {
            let now = now() + Duration::days(day);
            if let Some(reason) = due(Some(&facts), &names, None, now) {
                facts = made(next(Some(&facts), reason, names.clone(), None, now));
            }
            for right in [0, 300, 600] {
                assert!(
                    facts.is_valid(now + Duration::days(right)),
                    "{right} days ahead on day {day}"
                );
            }
        }
    }

    #[test]
    fn addresses_do_not_pile_up() {
        let (mut facts, names) = (first(), names("a.local"));
        for last in 1..=255 {
            let new = Some(IpAddr::from([10, 0, 0, last]));
            let reason = due(Some(&facts), &names, new, now()).unwrap();
            facts = made(next(Some(&facts), reason, names.clone(), new, now()));
            assert!(facts.addresses.len() <= MOST_ADDRESSES);
        }
    }

    proptest! {
        #[test]
        fn what_was_made_is_valid_then_and_fits(address in any::<IpAddr>(), days in -3000i64..9000) {
            let (now, names) = (now() + Duration::days(days), names("a.local"));
            let current = first();
            if let Some(reason) = due(Some(&current), &names, Some(address), now) {
                let wanted = next(Some(&current), reason, names.clone(), Some(address), now);
                prop_assert!(wanted.not_after - wanted.not_before <= Duration::days(825));
                let facts = made(wanted);
                prop_assert!(facts.is_valid(now));
                prop_assert!(facts.addresses.iter().all(|address| is_private(*address)));
                prop_assert_eq!(due(Some(&facts), &names, Some(address), now), None);
            }
        }
    }
}
