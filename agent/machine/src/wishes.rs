//! What people want of the machine's power. Safety outranks all of it.

use crate::{BootTime, MilliCelsius};
use alloc::{string::String, vec::Vec};
use core::fmt;
use core::str::FromStr;
use serde::{Deserialize, Serialize};

/// The three profiles of `org.freedesktop.UPower.PowerProfiles`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "kebab-case")]
pub enum PowerProfile {
    /// Quiet and frugal, at the price of speed.
    PowerSaver,
    /// Clocks follow the engine's phase.
    #[default]
    Balanced,
    /// Full clock whenever there is work.
    Performance,
}

impl PowerProfile {
    /// All of them, the most frugal first.
    pub const ALL: [Self; 3] = [Self::PowerSaver, Self::Balanced, Self::Performance];

    /// Its name on the bus and in REST.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PowerSaver => "power-saver",
            Self::Balanced => "balanced",
            Self::Performance => "performance",
        }
    }
}

impl fmt::Display for PowerProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A name that is no profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownProfile(pub String);

impl fmt::Display for UnknownProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "there is no power profile {:?}; use power-saver, balanced or performance",
            self.0
        )
    }
}

impl core::error::Error for UnknownProfile {}

impl FromStr for PowerProfile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        Self::ALL
            .into_iter()
            .find(|profile| profile.as_str() == text)
            .ok_or_else(|| UnknownProfile(text.into()))
    }
}

/// Everything that people have set, and who holds what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wishes {
    /// The profile while nothing is held.
    pub profile: PowerProfile,
    /// The temperature to hold instead of the firmware profile's; safety still clamps it.
    pub target: Option<MilliCelsius>,
    /// Holds in force, oldest first.
    pub holds: Vec<Hold>,
}

/// A profile that somebody holds for a while.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Hold {
    /// For releasing it.
    pub id: u32,
    /// What is held: power-saver or performance.
    pub profile: PowerProfile,
    /// Why, in the holder's words.
    pub reason: String,
    /// Who holds it: an application's id or a user's name.
    pub holder: String,
    /// When it ends by itself; `null`: when it is released, or its holder leaves the bus.
    pub until_usec: Option<BootTime>,
}

impl Wishes {
    /// The profile that is wanted at this instant. Of several holds the most frugal wins, as
    /// `org.freedesktop.UPower.PowerProfiles` has it.
    pub fn effective(&self, now: BootTime) -> PowerProfile {
        let holds = self.holds.iter().filter(|hold| hold.lasts(now));
        holds.map(|hold| hold.profile).min().unwrap_or(self.profile)
    }
}

impl Hold {
    /// Whether it is still in force.
    pub fn lasts(&self, now: BootTime) -> bool {
        self.until_usec.is_none_or(|until| now < until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(profile: PowerProfile, until: Option<u64>) -> Hold {
        Hold {
            id: 1,
            profile,
            reason: "a test".into(),
            holder: "test".into(),
            until_usec: until.map(BootTime),
        }
    }

    #[test]
    fn the_most_frugal_hold_wins_until_it_ends() {
        let wishes = Wishes {
            holds: [
                hold(PowerProfile::Performance, None),
                hold(PowerProfile::PowerSaver, Some(10)),
            ]
            .into(),
            ..Wishes::default()
        };
        assert_eq!(wishes.effective(BootTime(9)), PowerProfile::PowerSaver);
        assert_eq!(wishes.effective(BootTime(10)), PowerProfile::Performance);
    }

    #[test]
    fn names_are_read_as_they_are_written() {
        for profile in PowerProfile::ALL {
            assert_eq!(profile.as_str().parse(), Ok(profile));
        }
        let error = "fast".parse::<PowerProfile>().unwrap_err();
        assert!(alloc::string::ToString::to_string(&error).contains("power-saver, balanced or performance"));
    }
}
