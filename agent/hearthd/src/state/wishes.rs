//! The book of wishes: what people have chosen, who holds what, and which of it is kept over a restart.

use super::file::{FileError, load_or_set_aside, save};
use crate::engine::BadLimit;
use machine::{BootTime, Hold, MilliCelsius, PowerProfile, Wishes};
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The coolest target that can be set. Below, a fanless machine in a warm room would do no work at all.
pub(crate) const COOLEST_TARGET: MilliCelsius = MilliCelsius(40_000);
/// The hottest: processors of mini PCs throttle themselves at 100 to 110 °C. Safety clamps it further.
pub(crate) const HOTTEST_TARGET: MilliCelsius = MilliCelsius(105_000);

/// More holds than this nobody needs.
const MOST_HOLDS: usize = 64;
/// Longest reason and holder's name, in characters.
const LONGEST_TEXT: usize = 200;

/// Who may release a hold, and whose end ends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A connection on the bus, by its unique name: the hold ends with it.
    Connection(String),
    /// An administrator; the hold stays until its time is up or it is released.
    Administrator,
}

/// A hold that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewHold {
    pub(crate) profile: PowerProfile,
    pub(crate) reason: String,
    pub(crate) holder: String,
    pub(crate) until: Option<BootTime>,
    pub(crate) owner: Owner,
}

/// A hold that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) hold: Hold,
    pub(crate) owner: Owner,
}

/// Why a wish is not granted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refusal {
    #[error("only power-saver and performance can be held, not {0}")]
    NotHeld(PowerProfile),
    #[error("the {0} must have 1 to {LONGEST_TEXT} characters, none of them a control character")]
    Text(&'static str),
    #[error("{MOST_HOLDS} holds are in force; release one first")]
    TooMany,
    #[error("there is no hold {0}")]
    NoSuchHold(u32),
    #[error("hold {0} is somebody else's")]
    NotYours(u32),
    #[error("the target must be {COOLEST_TARGET} to {HOTTEST_TARGET}, not {0}")]
    Target(MilliCelsius),
    #[error("the model {0:?} is not quarantined")]
    NotQuarantined(String),
    #[error(transparent)]
    Limit(#[from] BadLimit),
    #[error("heat keeps the engine stopped: {0}; it runs again when the machine has cooled down")]
    Hot(String),
    #[error("the engine is held stopped; \"hearth engine start\" starts it")]
    Held,
    #[error("{0}")]
    NotDone(String),
    #[error("it is in force, but only until hearthd restarts: it cannot be kept")]
    NotKept(#[source] FileError),
}

/// What is kept over a restart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    profile: PowerProfile,
    #[serde(default, deserialize_with = "target")]
    target: Option<MilliCelsius>,
}

/// All wishes.
#[derive(Debug, Default)]
pub(crate) struct WishBook {
    wishes: Wishes,
    owners: BTreeMap<u32, Owner>,
    last_id: u32,
    file: Option<PathBuf>,
}

impl WishBook {
    /// Opens the book, kept in this file if there is one to keep it in. One that makes no sense is set aside.
    pub(crate) fn open(file: Option<PathBuf>) -> Self {
        let kept = file
            .as_deref()
            .and_then(load_or_set_aside::<Kept>)
            .unwrap_or_default();
        Self {
            wishes: Wishes {
                profile: kept.profile,
                target: kept.target,
                holds: Vec::new(),
            },
            file,
            ..Self::default()
        }
    }

    /// All of them.
    pub(crate) fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// Chooses a profile, which ends all holds: who chooses by hand means it.
    pub(crate) fn choose(&mut self, profile: PowerProfile) -> (Vec<Ended>, Result<(), Refusal>) {
        self.wishes.profile = profile;
        let ended = self.end(|_, _| true);
        (ended, self.keep())
    }

    /// Sets the target, or goes back to the firmware profile's.
    pub(crate) fn aim(&mut self, target: Option<MilliCelsius>) -> Result<(), Refusal> {
        self.wishes.target = within_range(target)?;
        self.keep()
    }

    /// Holds a profile. Returns the hold's number.
    pub(crate) fn hold(&mut self, new: NewHold) -> Result<u32, Refusal> {
        if new.profile == PowerProfile::Balanced {
            return Err(Refusal::NotHeld(new.profile));
        }
        legible("reason", &new.reason)?;
        legible("holder", &new.holder)?;
        if self.wishes.holds.len() >= MOST_HOLDS {
            return Err(Refusal::TooMany);
        }
        let id = self.fresh_id();
        self.owners.insert(id, new.owner);
        self.wishes.holds.push(Hold {
            id,
            profile: new.profile,
            reason: new.reason,
            holder: new.holder,
            until_usec: new.until,
        });
        Ok(id)
    }

    /// Releases a hold: an administrator any, a connection its own.
    pub(crate) fn release(&mut self, id: u32, by: &Owner) -> Result<Vec<Ended>, Refusal> {
        match self.owners.get(&id) {
            None => Err(Refusal::NoSuchHold(id)),
            Some(owner) if *by != Owner::Administrator && owner != by => Err(Refusal::NotYours(id)),
            Some(_) => Ok(self.end(|hold, _| hold.id == id)),
        }
    }

    /// A connection has left the bus.
    pub(crate) fn leave(&mut self, connection: &str) -> Vec<Ended> {
        self.end(|_, owner| matches!(owner, Owner::Connection(name) if name == connection))
    }

    /// Ends the holds whose time is up.
    pub(crate) fn expire(&mut self, now: BootTime) -> Vec<Ended> {
        self.end(|hold, _| !hold.lasts(now))
    }

    /// The connections that hold something.
    pub(crate) fn connections(&self) -> impl Iterator<Item = &str> {
        self.owners.values().filter_map(|owner| match owner {
            Owner::Connection(name) => Some(name.as_str()),
            Owner::Administrator => None,
        })
    }

    /// When the next hold's time is up.
    pub(crate) fn next_end(&self) -> Option<BootTime> {
        self.wishes.holds.iter().filter_map(|hold| hold.until_usec).min()
    }

    fn end(&mut self, over: impl Fn(&Hold, &Owner) -> bool) -> Vec<Ended> {
        let mut ended = Vec::new();
        let owners = &mut self.owners;
        self.wishes.holds.retain(|hold| {
            let Some(owner) = owners.get(&hold.id).filter(|owner| over(hold, owner)) else {
                return true;
            };
            ended.push(Ended {
                hold: hold.clone(),
                owner: owner.clone(),
            });
            owners.remove(&hold.id);
            false
        });
        ended
    }

    /// Never 0, and never one that is in use.
    fn fresh_id(&mut self) -> u32 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.owners.contains_key(&self.last_id) {
                return self.last_id;
            }
        }
    }

    fn keep(&self) -> Result<(), Refusal> {
        let kept = Kept {
            profile: self.wishes.profile,
            target: self.wishes.target,
        };
        match &self.file {
            Some(file) => save(file, &kept).map_err(Refusal::NotKept),
            None => Ok(()),
        }
    }
}

fn within_range(target: Option<MilliCelsius>) -> Result<Option<MilliCelsius>, Refusal> {
    match target {
        Some(target) if !(COOLEST_TARGET..=HOTTEST_TARGET).contains(&target) => Err(Refusal::Target(target)),
        target => Ok(target),
    }
}

/// What was kept is believed no more than what is asked for: people edit files.
fn target<'de, D: Deserializer<'de>>(from: D) -> Result<Option<MilliCelsius>, D::Error> {
    within_range(Option::deserialize(from)?).map_err(serde::de::Error::custom)
}

fn legible(what: &'static str, text: &str) -> Result<(), Refusal> {
    let fits = (1..=LONGEST_TEXT).contains(&text.chars().count());
    if fits && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(Refusal::Text(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn new(profile: PowerProfile, owner: Owner) -> NewHold {
        NewHold {
            profile,
            reason: "a test".to_owned(),
            holder: "test".to_owned(),
            until: None,
            owner,
        }
    }

    fn connection(name: &str) -> Owner {
        Owner::Connection(name.to_owned())
    }

    #[test]
    fn what_is_chosen_is_kept_and_holds_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wishes.json");
        let mut book = WishBook::open(Some(file.clone()));
        book.hold(new(PowerProfile::Performance, Owner::Administrator))
            .unwrap();
        let (ended, kept) = book.choose(PowerProfile::PowerSaver);
        kept.unwrap();
        assert_eq!(ended.len(), 1, "choosing by hand ends every hold");
        book.aim(Some(MilliCelsius(70_000))).unwrap();
        book.hold(new(PowerProfile::Performance, Owner::Administrator))
            .unwrap();

        let again = WishBook::open(Some(file));
        assert_eq!(again.wishes().profile, PowerProfile::PowerSaver);
        assert_eq!(again.wishes().target, Some(MilliCelsius(70_000)));
        assert!(again.wishes().holds.is_empty());
    }

    #[test]
    fn a_book_that_makes_no_sense_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("wishes.json");
        for text in [
            r#"{"profile":"turbo","target":null}"#,
            r#"{"profile":"performance","target":105001}"#,
            r#"{"profile":"performance","target":-1}"#,
        ] {
            fs::write(&file, text).unwrap();
            let mut book = WishBook::open(Some(file.clone()));
            assert_eq!(book.wishes(), &Wishes::default(), "{text}");
            assert!(!file.exists() && folder.path().join("wishes.bad").exists());
            book.choose(PowerProfile::Balanced).1.unwrap();
        }
    }

    #[test]
    fn a_hold_is_its_holders_and_ends_with_it() {
        let mut book = WishBook::default();
        let first = book
            .hold(new(PowerProfile::Performance, connection(":1.1")))
            .unwrap();
        let second = book
            .hold(new(PowerProfile::PowerSaver, connection(":1.2")))
            .unwrap();
        assert_ne!(first, second);
        let refused = book.release(first, &connection(":1.2")).unwrap_err();
        assert!(matches!(refused, Refusal::NotYours(_)), "{refused}");
        assert_eq!(book.leave(":1.1")[0].hold.id, first);
        assert_eq!(book.leave(":1.1"), []);
        assert_eq!(book.release(second, &Owner::Administrator).unwrap().len(), 1);
        let refused = book.release(second, &Owner::Administrator).unwrap_err();
        assert!(matches!(refused, Refusal::NoSuchHold(_)), "{refused}");
    }

    #[test]
    fn a_hold_ends_when_its_time_is_up() {
        let mut book = WishBook::default();
        let hold = NewHold {
            until: Some(BootTime(10)),
            ..new(PowerProfile::Performance, Owner::Administrator)
        };
        book.hold(hold).unwrap();
        assert_eq!(book.next_end(), Some(BootTime(10)));
        assert_eq!(book.expire(BootTime(9)), []);
        assert_eq!(book.expire(BootTime(10)).len(), 1);
        assert_eq!(book.next_end(), None);
    }

    #[test]
    fn nonsense_is_refused() {
        let mut book = WishBook::default();
        let balanced = book.hold(new(PowerProfile::Balanced, Owner::Administrator));
        assert!(matches!(balanced, Err(Refusal::NotHeld(_))));
        for reason in ["", "a\nb", &"x".repeat(LONGEST_TEXT + 1)] {
            let hold = NewHold {
                reason: reason.to_owned(),
                ..new(PowerProfile::Performance, Owner::Administrator)
            };
            assert!(matches!(book.hold(hold), Err(Refusal::Text("reason"))));
        }
        for millis in [39_999, 105_001, i64::MIN] {
            assert!(matches!(
                book.aim(Some(MilliCelsius(millis))),
                Err(Refusal::Target(_))
            ));
        }
        for _ in 0..MOST_HOLDS {
            book.hold(new(PowerProfile::Performance, Owner::Administrator))
                .unwrap();
        }
        let another = book.hold(new(PowerProfile::Performance, Owner::Administrator));
        assert!(matches!(another, Err(Refusal::TooMany)));
    }
}
