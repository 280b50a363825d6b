//! What `org.freedesktop.UPower.PowerProfiles` shows.
//!
//! Source: power-profiles-daemon's `org.freedesktop.UPower.PowerProfiles.xml`, version 0.30 of the interface.

use machine::{BootTime, Hold, PowerProfile, Wishes};
use std::collections::HashMap;
use zbus::Variant;

/// What the interface calls the thing that carries a profile out.
const DRIVER: &str = "hearth";

/// A dictionary of the interface.
pub(crate) type Dictionary = HashMap<&'static str, Variant<'static>>;

/// The values of the properties that change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Profiles {
    /// `ActiveProfile`: chosen or held. What a battery makes of it is hearthd's own matter, as it is the original's.
    pub(crate) active: PowerProfile,
    /// `PerformanceDegraded`
    pub(crate) degraded: String,
    /// `ActiveProfileHolds`
    pub(crate) holds: Vec<HoldShown>,
}

/// A hold, as the interface shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HoldShown {
    profile: PowerProfile,
    reason: String,
    application_id: String,
}

impl Profiles {
    pub(crate) fn new(wishes: &Wishes, now: BootTime, degraded: &str) -> Self {
        Self {
            active: wishes.effective(now),
            degraded: degraded.to_owned(),
            holds: wishes.holds.iter().map(HoldShown::from).collect(),
        }
    }

    /// The properties by name.
    pub(crate) fn properties(&self) -> Vec<(&'static str, Option<Variant<'static>>)> {
        vec![
            ("ActiveProfile", Some(self.active.as_str().into())),
            ("PerformanceDegraded", Some(self.degraded.clone().into())),
            ("ActiveProfileHolds", Some(self.dictionaries().into())),
        ]
    }

    /// `ActiveProfileHolds`
    pub(crate) fn dictionaries(&self) -> Vec<Dictionary> {
        self.holds.iter().map(HoldShown::dictionary).collect()
    }

    /// `Profiles`, the most frugal first, as clients expect them.
    pub(crate) fn choices() -> Vec<Dictionary> {
        let choice = |profile: PowerProfile| {
            Dictionary::from([
                ("Profile", profile.as_str().into()),
                ("Driver", DRIVER.into()),
                ("CpuDriver", DRIVER.into()),
                ("PlatformDriver", DRIVER.into()),
            ])
        };
        PowerProfile::ALL.map(choice).into()
    }
}

impl From<&Hold> for HoldShown {
    fn from(hold: &Hold) -> Self {
        Self {
            profile: hold.profile,
            reason: hold.reason.clone(),
            application_id: hold.holder.clone(),
        }
    }
}

impl HoldShown {
    fn dictionary(&self) -> Dictionary {
        Dictionary::from([
            ("Profile", self.profile.as_str().into()),
            ("Reason", self.reason.clone().into()),
            ("ApplicationId", self.application_id.clone().into()),
        ])
    }
}
