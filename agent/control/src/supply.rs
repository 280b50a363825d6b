//! Which power profile is in force: holds, then the battery, then the choice.

use machine::{Capabilities, PowerProfile, Sample, Wishes};

/// Whether the machine runs from its battery; `None` if it has no supply that tells.
///
/// A mains adapter that says so settles it (`/sys/class/power_supply`, the kernel's ABI/testing/sysfs-class-power);
/// without one a discharging battery does.
pub(crate) fn on_battery(machine: &Capabilities, sample: &Sample) -> Option<bool> {
    let kind = |name: &str| {
        let supply = machine.supplies.iter().find(|supply| supply.name == name);
        supply.and_then(|supply| supply.kind.as_deref())
    };
    let of = |wanted: &'static [&'static str]| {
        let supplies = sample.supplies.iter();
        supplies.filter(move |supply| kind(&supply.name).is_some_and(|kind| wanted.contains(&kind)))
    };
    let battery = of(&["Battery"]).any(|supply| supply.status.as_deref() == Some("Discharging"));
    let fed = of(&["Mains", "USB"])
        .filter_map(|supply| supply.online)
        .reduce(|one, other| one || other);
    match fed {
        Some(true) => Some(false),
        Some(false) => Some(battery || of(&["Battery"]).next().is_some()),
        None => of(&["Battery"]).next().map(|_| battery),
    }
}

/// The profile in force. On a battery it is power-saver, unless somebody holds another one.
pub(crate) fn profile(wishes: &Wishes, machine: &Capabilities, sample: &Sample) -> PowerProfile {
    let held = wishes.holds.iter().any(|hold| hold.lasts(sample.at_usec));
    match on_battery(machine, sample) {
        Some(true) if !held => PowerProfile::PowerSaver,
        _ => wishes.effective(sample.at_usec),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use machine::{Hold, Supply, SupplySample};

    fn machine() -> Capabilities {
        let supply = |name: &str, kind: &str| Supply {
            name: name.into(),
            kind: Some(kind.into()),
        };
        Capabilities {
            supplies: vec![supply("AC", "Mains"), supply("BAT0", "Battery")],
            ..Capabilities::default()
        }
    }

    fn sample(online: Option<bool>, status: &str) -> Sample {
        let supply = |name: &str, online, status: Option<&str>| SupplySample {
            name: name.into(),
            online,
            capacity: None,
            status: status.map(Into::into),
        };
        Sample {
            supplies: vec![supply("AC", online, None), supply("BAT0", None, Some(status))],
            ..Sample::default()
        }
    }

    #[test]
    fn mains_settle_it_and_a_discharging_battery_does_without() {
        assert_eq!(
            on_battery(&machine(), &sample(Some(true), "Discharging")),
            Some(false)
        );
        assert_eq!(
            on_battery(&machine(), &sample(Some(false), "Unknown")),
            Some(true)
        );
        assert_eq!(on_battery(&machine(), &sample(None, "Discharging")), Some(true));
        assert_eq!(on_battery(&machine(), &sample(None, "Full")), Some(false));
        assert_eq!(on_battery(&Capabilities::default(), &Sample::default()), None);
    }

    #[test]
    fn a_battery_saves_unless_somebody_holds_performance() {
        let mut wishes = Wishes {
            profile: PowerProfile::Performance,
            ..Wishes::default()
        };
        let sample = sample(Some(false), "Discharging");
        assert_eq!(profile(&wishes, &machine(), &sample), PowerProfile::PowerSaver);
        wishes.holds.push(Hold {
            id: 1,
            profile: PowerProfile::Performance,
            reason: "a test".into(),
            holder: "test".into(),
            until_usec: None,
        });
        assert_eq!(profile(&wishes, &machine(), &sample), PowerProfile::Performance);
    }
}
