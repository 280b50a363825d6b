//! Trying a network before it is kept: commit-confirm.
//!
//! A change is in force at once and has two minutes. It is kept if an administrator confirms it, which shows that he
//! reaches the machine by it; else what was before comes back. What comes from CONFIG has nobody who would confirm it, and
//! is kept if any other machine of its network has answered.
//!
//! A trial is a value with the moment at which it ends, so that it can be written down and gone on with by another
//! process. It is written to memory only: a machine that was switched off meanwhile comes up with what was kept.

use std::time::Duration;

use machine::BootTime;
use serde::{Deserialize, Serialize};

use crate::settings::{Ipv4, Network, Settings};

/// How long a change is tried.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A network that is in force and not kept yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trial {
    /// What is tried.
    pub network: Network,
    /// When it is over.
    pub until: BootTime,
    /// Where it came from.
    pub origin: Origin,
}

/// Where a change came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// An administrator, over the management interface.
    Request,
    /// A file, of which this was read.
    File(Box<Source>),
}

/// A file that is being tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// What it set, for the answer.
    pub settings: Settings,
    /// Names it as it was read, so that it is not read again once this is over.
    pub digest: String,
}

/// What is to be done about a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It has proved itself: keep it.
    Keep,
    /// Its time is up: what was kept comes back.
    TakeBack,
    /// Look again after so long at the latest.
    Wait(Duration),
}

/// It was confirmed too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooLate;

/// Whether a change of the network by a file is tried at all: only a fixed address can lock people out. A name or a Wi-Fi
/// network is no worse than what was before, as nothing is taken away by it.
pub fn is_risky(kept: &Network, wanted: &Network) -> bool {
    matches!(wanted.ipv4, Ipv4::Static(_)) && wanted.ipv4 != kept.ipv4
}

impl Trial {
    /// Begins.
    pub fn begin(network: Network, origin: Origin, now: BootTime) -> Self {
        let limit = u64::try_from(LIMIT.as_micros()).unwrap_or(u64::MAX);
        Self {
            network,
            until: BootTime(now.0.saturating_add(limit)),
            origin,
        }
    }

    /// What is left of its time.
    pub fn left(&self, now: BootTime) -> Duration {
        Duration::from_micros(self.until.0.saturating_sub(now.0))
    }

    /// Somebody has reached the machine and confirms.
    ///
    /// # Errors
    /// [`TooLate`] if its time is up.
    pub fn confirm(self, now: BootTime) -> Result<Network, TooLate> {
        if self.left(now).is_zero() {
            return Err(TooLate);
        }
        Ok(self.network)
    }

    /// What is to be done now. `is_heard`: another machine of the tried network has answered.
    pub fn judge(&self, now: BootTime, is_heard: bool) -> Verdict {
        let left = self.left(now);
        let is_file = matches!(self.origin, Origin::File(_));
        if is_file && is_heard {
            Verdict::Keep
        } else if left.is_zero() {
            Verdict::TakeBack
        } else if is_file {
            Verdict::Wait(left.min(LOOK))
        } else {
            Verdict::Wait(left)
        }
    }
}

/// How often neighbours are looked for.
const LOOK: Duration = Duration::from_secs(2);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SECOND: u64 = 1_000_000;

    fn network(text: &str) -> Network {
        crate::parse(text.as_bytes(), |_| true).unwrap().network()
    }

    fn fixed(address: &str) -> Network {
        network(&format!(
            "[network]\nmethod = \"static\"\naddress = \"{address}\"\n"
        ))
    }

    fn trial(origin: Origin, now: u64) -> Trial {
        Trial::begin(fixed("10.0.0.2/8"), origin, BootTime(now))
    }

    fn file() -> Origin {
        Origin::File(Box::new(Source {
            name: "hearth.toml".to_owned(),
            settings: Settings::default(),
            digest: "1".to_owned(),
        }))
    }

    #[test]
    fn what_nobody_confirms_is_taken_back_after_two_minutes() {
        let trial = trial(Origin::Request, 5 * SECOND);
        assert_eq!(
            trial.judge(BootTime(6 * SECOND), false),
            Verdict::Wait(Duration::from_secs(119))
        );
        assert_eq!(trial.judge(BootTime(125 * SECOND), false), Verdict::TakeBack);
        assert_eq!(trial.confirm(BootTime(125 * SECOND)), Err(TooLate));
    }

    #[test]
    fn who_confirms_in_time_keeps_it() {
        let trial = trial(Origin::Request, 0);
        assert_eq!(trial.confirm(BootTime(120 * SECOND - 1)), Ok(fixed("10.0.0.2/8")));
    }

    #[test]
    fn neighbours_speak_for_a_file_and_for_no_request() {
        assert_eq!(trial(file(), 0).judge(BootTime(1), true), Verdict::Keep);
        assert!(matches!(
            trial(Origin::Request, 0).judge(BootTime(1), true),
            Verdict::Wait(_)
        ));
        assert_eq!(
            trial(Origin::Request, 0).judge(BootTime(120 * SECOND), true),
            Verdict::TakeBack
        );
    }

    #[test]
    fn only_another_fixed_address_is_a_risk() {
        let (dhcp, one, other) = (Network::default(), fixed("10.0.0.2/8"), fixed("10.0.0.3/8"));
        let wifi = network("[wifi]\nssid = \"a\"\n");
        assert!(is_risky(&dhcp, &one) && is_risky(&one, &other));
        assert!(!is_risky(&one, &one) && !is_risky(&one, &dhcp) && !is_risky(&dhcp, &wifi));
    }

    #[test]
    fn it_is_gone_on_with_by_whoever_reads_it() {
        for origin in [Origin::Request, file()] {
            let trial = trial(origin, 7);
            let written = serde_json::to_string(&trial).unwrap();
            assert_eq!(serde_json::from_str::<Trial>(&written).unwrap(), trial);
        }
    }

    proptest! {
        #[test]
        fn it_ends_however_seldom_one_looks(begun in any::<u64>(), looks in prop::collection::vec(any::<bool>(), 1..200)) {
            let trial = trial(file(), begun);
            let mut now = begun;
            for is_heard in looks {
                match trial.judge(BootTime(now), is_heard) {
                    Verdict::Keep => { prop_assert!(is_heard); break }
                    Verdict::TakeBack => { prop_assert!(now >= trial.until.0); break }
                    Verdict::Wait(time) => {
                        prop_assert!(!time.is_zero() && time <= LOOK);
                        now = now.saturating_add(time.as_micros() as u64);
                        prop_assert!(now <= trial.until.0);
                    }
                }
            }
        }
    }
}
