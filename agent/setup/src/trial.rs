//! Trying a network before it is kept: commit-confirm.
//!
//! A change is in force at once and has two minutes. It is kept if an administrator confirms it, which shows that he
//! reaches the machine by it; else what was before comes back. What comes from CONFIG has nobody who would confirm it, and
//! is kept if any other machine of its network has answered; its time counts while there is a cable in the machine that
//! somebody could answer by.
//!
//! A trial is a value with the moment at which it ends, so that it can be written down and gone on with by another
//! process. It is written to memory only: a machine that was switched off meanwhile comes up with what was kept.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use linux::Neighbour;
use machine::BootTime;
use serde::{Deserialize, Serialize};

use crate::settings::{Link, Network, Settings};

/// How long a change is tried.
pub const LIMIT: Duration = Duration::from_secs(120);

/// A network that is in force and not kept yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
pub struct Source {
    /// Its name.
    pub name: String,
    /// What it set, for the answer.
    pub settings: Settings,
    /// Names it as it was read, so that it is not read again once this is over.
    pub digest: String,
    /// Sentences for the answer: what else was done or left.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// What a watcher sees of the machine's networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Machines that have answered this one.
    pub neighbours: Vec<Neighbour>,
    /// Whether there is a cable in the machine.
    pub has_cable: bool,
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
    /// Its time begins anew: nobody could have answered yet.
    BeginAnew,
}

/// Whether a change of the network by a file is tried at all: a fixed address can lock people out, and so can another Wi-Fi
/// network in the place of one that is known to work. A name or a first Wi-Fi network takes nothing away.
pub fn is_risky(kept: &Network, wanted: &Network) -> bool {
    let is_fixed_anew = wanted.fixed().is_some() && wanted.fixed() != kept.fixed();
    is_fixed_anew || (kept.wifi.is_some() && wanted.wifi != kept.wifi)
}

impl Trial {
    /// Begins.
    pub fn begin(network: Network, origin: Origin, now: BootTime) -> Self {
        let until = end(now);
        Self {
            network,
            until,
            origin,
        }
    }

    /// Begins anew.
    #[must_use]
    pub fn anew(self, now: BootTime) -> Self {
        Self {
            until: end(now),
            ..self
        }
    }

    /// What is left of its time.
    pub fn left(&self, now: BootTime) -> Duration {
        Duration::from_micros(self.until.0.saturating_sub(now.0))
    }

    /// Whether it can still be confirmed.
    pub fn is_in_time(&self, now: BootTime) -> bool {
        !self.left(now).is_zero()
    }

    /// What is to be done now.
    pub fn judge(&self, now: BootTime, seen: &Seen) -> Verdict {
        let left = self.left(now);
        if matches!(self.origin, Origin::Request) {
            return match left.is_zero() {
                true => Verdict::TakeBack,
                false => Verdict::Wait(left),
            };
        }
        if self.is_heard(&seen.neighbours) {
            Verdict::Keep
        } else if !self.can_be_heard(seen) && left <= LIMIT / 2 {
            Verdict::BeginAnew
        } else if left.is_zero() {
            Verdict::TakeBack
        } else {
            Verdict::Wait(left.min(LOOK))
        }
    }

    /// Whether a machine has answered that is reached by what is tried.
    fn is_heard(&self, neighbours: &[Neighbour]) -> bool {
        neighbours.iter().any(|other| {
            let is_there = |link| link_of(&other.device) == link;
            match self.network.fixed() {
                Some((fixed, link)) => is_there(link) && fixed.net().is_neighbour(other.address),
                None => is_there(Link::Wifi),
            }
        })
    }

    /// Without its cable nobody is reached by the cable's address. A radio that finds no network is what is tried.
    fn can_be_heard(&self, seen: &Seen) -> bool {
        seen.has_cable || self.network.fixed().is_none_or(|(_, link)| link == Link::Wifi)
    }

    /// Whom to ask, so that somebody answers: the router, and the servers that resolve names, where they are near.
    pub fn to_ask(&self) -> Vec<Ipv4Addr> {
        let Some((fixed, _)) = self.network.fixed().filter(|_| self.is_of_file()) else {
            return Vec::new();
        };
        let servers = fixed.dns().iter().filter_map(|server| match server {
            IpAddr::V4(server) => Some(*server),
            IpAddr::V6(_) => None,
        });
        let near = |address: &Ipv4Addr| fixed.net().is_neighbour(*address);
        fixed.gateway().into_iter().chain(servers.filter(near)).collect()
    }

    fn is_of_file(&self) -> bool {
        matches!(self.origin, Origin::File(_))
    }
}

/// systemd's names for network devices begin with the kind: systemd.net-naming-scheme(7).
fn link_of(device: &str) -> Link {
    if device.starts_with("wl") {
        Link::Wifi
    } else {
        Link::Cable
    }
}

fn end(now: BootTime) -> BootTime {
    let limit = u64::try_from(LIMIT.as_micros()).unwrap_or(u64::MAX);
    BootTime(now.0.saturating_add(limit))
}

/// How often neighbours are looked for.
pub const LOOK: Duration = Duration::from_secs(2);

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
            notes: Vec::new(),
        }))
    }

    fn seen(neighbours: &[(&str, &str)]) -> Seen {
        let neighbour = |&(address, device): &(&str, &str)| Neighbour {
            address: address.parse().unwrap(),
            device: device.to_owned(),
        };
        Seen {
            neighbours: neighbours.iter().map(neighbour).collect(),
            has_cable: true,
        }
    }

    #[test]
    fn what_nobody_confirms_is_taken_back_after_two_minutes() {
        let trial = trial(Origin::Request, 5 * SECOND);
        assert_eq!(
            trial.judge(BootTime(6 * SECOND), &Seen::default()),
            Verdict::Wait(Duration::from_secs(119))
        );
        assert_eq!(
            trial.judge(BootTime(125 * SECOND), &Seen::default()),
            Verdict::TakeBack
        );
        assert!(trial.is_in_time(BootTime(125 * SECOND - 1)) && !trial.is_in_time(BootTime(125 * SECOND)));
    }

    #[test]
    fn neighbours_speak_for_a_file_and_for_no_request() {
        let near = seen(&[("10.0.0.1", "enp1s0")]);
        assert_eq!(trial(file(), 0).judge(BootTime(1), &near), Verdict::Keep);
        let request = trial(Origin::Request, 0);
        assert!(matches!(request.judge(BootTime(1), &near), Verdict::Wait(_)));
        assert_eq!(request.judge(BootTime(120 * SECOND), &near), Verdict::TakeBack);
    }

    #[test]
    fn a_neighbour_speaks_for_the_link_that_it_was_heard_by() {
        let home = "[wifi]\nssid = \"home\"\n";
        let radio = network(&format!(
            "[network]\nmethod = \"static\"\naddress = \"10.0.0.2/8\"\n{home}"
        ));
        for (network, device, verdict) in [
            (fixed("10.0.0.2/8"), "wlan0", Verdict::TakeBack),
            (radio.clone(), "enp1s0", Verdict::TakeBack),
            (radio, "wlan0", Verdict::Keep),
            (network(home), "enp1s0", Verdict::TakeBack),
            (network(home), "wlan0", Verdict::Keep),
        ] {
            let trial = Trial::begin(network, file(), BootTime(0));
            let seen = seen(&[("10.0.0.1", device)]);
            assert_eq!(trial.judge(trial.until, &seen), verdict, "{trial:?}, {device}");
        }
    }

    #[test]
    fn the_time_of_the_cables_address_counts_while_there_is_a_cable() {
        let unplugged = Seen::default();
        let trial = trial(file(), 0);
        assert_eq!(
            trial.judge(BootTime(120 * SECOND), &unplugged),
            Verdict::BeginAnew
        );
        assert_eq!(
            trial.clone().anew(BootTime(120 * SECOND)).until,
            BootTime(240 * SECOND)
        );
        assert_eq!(trial.judge(BootTime(120 * SECOND), &seen(&[])), Verdict::TakeBack);
        let radio = Trial::begin(network("[wifi]\nssid = \"home\"\n"), file(), BootTime(0));
        assert_eq!(radio.judge(radio.until, &unplugged), Verdict::TakeBack);
    }

    #[test]
    fn router_and_near_servers_are_asked() {
        let text = "[network]\nmethod = \"static\"\naddress = \"10.0.0.2/24\"\ngateway = \"10.0.0.1\"\n\
                    dns = [\"10.0.0.3\", \"9.9.9.9\", \"fd00::1\"]\n";
        let of_file = Trial::begin(network(text), file(), BootTime(0));
        let asked: Vec<String> = of_file.to_ask().iter().map(ToString::to_string).collect();
        assert_eq!(asked, ["10.0.0.1", "10.0.0.3"]);
        assert!(trial(file(), 0).to_ask().is_empty());
    }

    #[test]
    fn what_can_lock_people_out_is_a_risk() {
        let (dhcp, one, other) = (Network::default(), fixed("10.0.0.2/8"), fixed("10.0.0.3/8"));
        assert!(is_risky(&dhcp, &one) && is_risky(&one, &other));
        assert!(!is_risky(&one, &one) && !is_risky(&one, &dhcp));
        let wifi = |password: &str| network(&format!("[wifi]\nssid = \"a\"\npassword = \"{password}\"\n"));
        let home = wifi("correct horse");
        assert!(!is_risky(&dhcp, &home) && !is_risky(&home, &home));
        assert!(is_risky(&home, &wifi("mistyped horse")) && is_risky(&home, &dhcp));
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
                let seen = if is_heard { seen(&[("10.0.0.1", "eth0")]) } else { seen(&[]) };
                match trial.judge(BootTime(now), &seen) {
                    Verdict::Keep => { prop_assert!(is_heard); break }
                    Verdict::TakeBack => { prop_assert!(now >= trial.until.0); break }
                    Verdict::BeginAnew => prop_assert!(false, "there is a cable"),
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
