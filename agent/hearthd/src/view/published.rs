//! The properties on the bus, and which of them have changed.

use super::Profiles;
use crate::interval::Interval;
use machine::{Bytes, Sample};
use std::collections::HashMap;
use zbus::Variant;

/// Everything that is published.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Published {
    /// Of the interface to read.
    pub(crate) readings: Readings,
    /// Of the power profiles' interfaces.
    pub(crate) profiles: Profiles,
}

/// The properties of the interface to read that change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Readings {
    /// `SampleInterval`, in milliseconds.
    pub(crate) sample_interval: u64,
    /// `MemoryTotal`, in bytes.
    pub(crate) memory_total: Option<u64>,
    /// `MemoryAvailable`, in bytes.
    pub(crate) memory_available: Option<u64>,
    /// `ZoneTemperatures`: type and millidegrees Celsius of each zone that could be read.
    pub(crate) zone_temperatures: Vec<(String, i32)>,
    /// `PolicyFrequencies`: number and clock in kHz of each policy that could be read.
    pub(crate) policy_frequencies: Vec<(u32, u64)>,
    /// `WarningCount`: files that cannot be read or believed.
    pub(crate) warning_count: u32,
}

/// What a `PropertiesChanged` signal tells.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Changes {
    /// New values.
    pub(crate) changed: HashMap<&'static str, Variant<'static>>,
    /// Properties that have no value any more.
    pub(crate) invalidated: Vec<&'static str>,
}

impl Readings {
    pub(crate) fn new(interval: Interval, sample: &Sample, warnings: usize) -> Self {
        Self {
            sample_interval: interval.millis(),
            memory_total: sample.memory.mem_total.map(|Bytes(bytes)| bytes),
            memory_available: sample.memory.mem_available.map(|Bytes(bytes)| bytes),
            zone_temperatures: zone_temperatures(sample),
            policy_frequencies: policy_frequencies(sample),
            warning_count: u32::try_from(warnings).unwrap_or(u32::MAX),
        }
    }

    /// The properties by name, with their value if they have one.
    pub(crate) fn properties(&self) -> Vec<(&'static str, Option<Variant<'static>>)> {
        vec![
            ("SampleInterval", Some(self.sample_interval.into())),
            ("MemoryTotal", self.memory_total.map(Variant::from)),
            ("MemoryAvailable", self.memory_available.map(Variant::from)),
            ("ZoneTemperatures", Some(self.zone_temperatures.clone().into())),
            ("PolicyFrequencies", Some(self.policy_frequencies.clone().into())),
            ("WarningCount", Some(self.warning_count.into())),
        ]
    }
}

impl Changes {
    /// What differs between two states of the same properties.
    pub(crate) fn between(
        before: Vec<(&'static str, Option<Variant<'static>>)>,
        now: Vec<(&'static str, Option<Variant<'static>>)>,
    ) -> Self {
        let mut changes = Self::default();
        for ((name, now), (_, was)) in now.into_iter().zip(before) {
            match now {
                now if now == was => {}
                Some(now) => drop(changes.changed.insert(name, now)),
                None => changes.invalidated.push(name),
            }
        }
        changes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.invalidated.is_empty()
    }
}

fn zone_temperatures(sample: &Sample) -> Vec<(String, i32)> {
    let read = sample.zones.iter().filter_map(|zone| {
        let name = zone
            .kind
            .clone()
            .unwrap_or_else(|| format!("thermal_zone{}", zone.id));
        // A temperature that could be believed fits.
        Some((name, i32::try_from(zone.temp?.0).ok()?))
    });
    read.collect()
}

fn policy_frequencies(sample: &Sample) -> Vec<(u32, u64)> {
    let read = sample
        .policies
        .iter()
        .filter_map(|policy| Some((policy.id, policy.scaling_cur_freq?.0)));
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::{MilliCelsius, ZoneSample};

    fn since(before: &Readings, now: &Readings) -> Changes {
        Changes::between(before.properties(), now.properties())
    }

    fn zone(id: u32, kind: Option<&str>, temp: Option<i64>) -> ZoneSample {
        ZoneSample {
            id,
            kind: kind.map(str::to_owned),
            temp: temp.map(MilliCelsius),
        }
    }

    #[test]
    fn only_zones_that_could_be_read_are_published() {
        let zones = vec![
            zone(0, Some("acpitz"), Some(27_800)),
            zone(1, Some("iwlwifi_1"), None),
            zone(2, None, Some(40_000)),
        ];
        let sample = Sample {
            zones,
            ..Sample::default()
        };
        let published = Readings::new(Interval::default(), &sample, 1);
        let expected = [
            ("acpitz".to_owned(), 27_800),
            ("thermal_zone2".to_owned(), 40_000),
        ];
        assert_eq!(published.zone_temperatures, expected);
        assert_eq!((published.sample_interval, published.warning_count), (5000, 1));
        assert_eq!(published.memory_total, None);
    }

    #[test]
    fn what_stays_is_not_told_again() {
        let mut sample = Sample::default();
        sample.memory.mem_total = Some(Bytes(100));
        sample.memory.mem_available = Some(Bytes(60));
        let before = Readings::new(Interval::default(), &sample, 0);
        assert!(since(&before, &before).is_empty());

        sample.memory.mem_available = Some(Bytes(50));
        let changes = since(&before, &Readings::new(Interval::default(), &sample, 0));
        assert_eq!(
            changes.changed,
            HashMap::from([("MemoryAvailable", Variant::from(50u64))])
        );
        assert!(changes.invalidated.is_empty());
    }

    #[test]
    fn a_value_that_is_lost_is_invalidated_and_never_zero() {
        let mut sample = Sample::default();
        sample.memory.mem_total = Some(Bytes(100));
        let before = Readings::new(Interval::default(), &sample, 0);
        let changes = since(
            &before,
            &Readings::new(Interval::default(), &Sample::default(), 1),
        );
        assert_eq!(changes.invalidated, ["MemoryTotal"]);
        assert_eq!(changes.changed.keys().collect::<Vec<_>>(), [&"WarningCount"]);
    }
}
