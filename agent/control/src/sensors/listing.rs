//! Every temperature sensor of a sample, under one kind of name.

use super::kinds;
use alloc::{format, string::String, vec::Vec};
use machine::{
    Capabilities, HwmonChannel, HwmonKind, HwmonSample, MilliCelsius, Sample, Tuning, Zone, ZoneSample,
};

/// Critical trip points below this, in °C, are not a processor's: it bears more, but boards and batteries have zones too.
pub(super) const LOWEST_CRITICAL: f64 = 80.0;
/// Those below this are no temperature at which anything must be switched off.
const LOWEST_OWN_CRITICAL: f64 = 60.0;
/// How far below its critical temperature a sensor that has no other limit may come, in K.
const BELOW_CRITICAL: f64 = 5.0;

/// What a sensor is for the laws.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Role {
    /// It measures the processor.
    Processor,
    /// It measures something else, with a limit of its own, in °C, where it tells one.
    Other(Option<f64>),
    /// It is known to mean nothing on this machine.
    Ignored,
}

/// A sensor in a sample.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listed {
    /// `<zone type> <number>` or `<chip> <label>`.
    pub(super) name: String,
    /// The file that it was read from.
    pub(super) path: String,
    pub(super) role: Role,
    /// The reading in °C; `None` where there is none, or none that anything in a room could have.
    pub(super) reading: Option<f64>,
    /// Whether there was a reading, and no thing in a room has it.
    pub(super) absurd: bool,
    /// Where the firmware pulls the plug by this very sensor, in °C.
    pub(super) critical: Option<f64>,
    /// Temperatures in °C at which firmware or chip protect themselves: a sensor stuck on one is suspected of telling
    /// its limit instead of a temperature.
    pub(super) trips: Vec<f64>,
}

/// All sensors of a sample, zones first.
pub(super) fn list(machine: &Capabilities, tuning: &Tuning, sample: &Sample) -> Vec<Listed> {
    let zones = sample
        .zones
        .iter()
        .map(|zone| of_zone(machine, tuning, sample, zone));
    let chips = sample.hwmon.iter().filter(|chip| chip.kind == HwmonKind::Temp);
    let mut all: Vec<Listed> = zones
        .chain(chips.map(|chip| of_chip(machine, tuning, sample, chip)))
        .collect();
    // Counted among those of the same name: another sensor that comes or goes renames none.
    for index in (1..all.len()).rev() {
        let (before, rest) = all.split_at_mut(index);
        let same = before.iter().filter(|other| other.name == rest[0].name).count();
        if same > 0 {
            rest[0].name = format!("{} #{same}", rest[0].name);
        }
    }
    all
}

/// The lowest critical trip point of the processor's zones that can be believed, in °C.
pub(crate) fn critical(machine: &Capabilities, tuning: &Tuning) -> Option<f64> {
    let zones = machine.zones.iter().filter(|zone| {
        let kind = zone.kind.as_deref().unwrap_or("");
        role(kind, tuning, None) == Role::Processor
    });
    zones
        .filter_map(|zone| lowest_critical(zone, LOWEST_CRITICAL))
        .reduce(f64::min)
}

/// The lowest critical trip point of a zone from `lowest` on, in °C.
fn lowest_critical(zone: &Zone, lowest: f64) -> Option<f64> {
    let trips = zone.trip_points.iter().filter(|trip| trip.kind == "critical");
    let highest = celsius(MilliCelsius::HOTTEST_PLAUSIBLE);
    trips
        .map(|trip| celsius(trip.temp))
        .filter(|temp| (lowest..=highest).contains(temp))
        .reduce(f64::min)
}

fn of_zone(machine: &Capabilities, tuning: &Tuning, sample: &Sample, zone: &ZoneSample) -> Listed {
    let kind = zone.kind.as_deref().unwrap_or("zone");
    let found = machine.zones.iter().find(|found| found.id == zone.id);
    let path = format!("/sys/class/thermal/thermal_zone{}/temp", zone.id);
    let hot = |trip: &&machine::TripPoint| trip.kind == "critical" || trip.kind == "hot";
    let (reading, absurd) = judge(zone.temp, sample, &path);
    Listed {
        name: format!("{kind} {}", zone.id),
        path,
        role: role(kind, tuning, None),
        reading,
        absurd,
        critical: found.and_then(|found| lowest_critical(found, LOWEST_OWN_CRITICAL)),
        trips: found.map_or_else(Vec::new, |found| {
            found
                .trip_points
                .iter()
                .filter(hot)
                .map(|trip| celsius(trip.temp))
                .collect()
        }),
    }
}

fn of_chip(machine: &Capabilities, tuning: &Tuning, sample: &Sample, chip: &HwmonSample) -> Listed {
    let same = |found: &&HwmonChannel| {
        (found.hwmon, found.channel, found.kind) == (chip.hwmon, chip.channel, chip.kind)
    };
    let found = machine.hwmon.iter().find(same);
    let critical = found.and_then(|found| found.temp_crit).map(celsius);
    let limit = found.and_then(|found| found.temp_max).map(celsius);
    let label = chip
        .label
        .clone()
        .unwrap_or_else(|| format!("temp{}", chip.channel));
    let path = format!("/sys/class/hwmon/hwmon{}/temp{}_input", chip.hwmon, chip.channel);
    let (reading, absurd) = judge(chip.input.map(MilliCelsius), sample, &path);
    Listed {
        name: format!("{} {label}", chip.chip),
        path,
        role: role(
            &chip.chip,
            tuning,
            limit.or(critical.map(|critical| critical - BELOW_CRITICAL)),
        ),
        reading,
        absurd,
        critical: None,
        trips: critical.into_iter().collect(),
    }
}

fn role(kind: &str, tuning: &Tuning, limit: Option<f64>) -> Role {
    if tuning.ignored_sensors.iter().any(|ignored| ignored == kind) {
        Role::Ignored
    } else if kinds::is_processor(kind) {
        Role::Processor
    } else {
        Role::Other(limit.filter(|limit| *limit >= 40.0 && kinds::knows_its_limit(kind)))
    }
}

/// The reading in °C if a thing in a room can have it, and whether there was one that none can have. No processor that
/// runs is at exactly nought: firmware without a sensor says so.
fn judge(temp: Option<MilliCelsius>, sample: &Sample, path: &str) -> (Option<f64>, bool) {
    match temp {
        Some(temp) if temp.is_plausible() && temp.0 != 0 => (Some(celsius(temp)), false),
        Some(_) => (None, true),
        None => {
            let told = sample.warnings.iter().filter(|warning| warning.path == path);
            (
                None,
                told.into_iter()
                    .any(|warning| warning.problem.contains("no temperature")),
            )
        }
    }
}

/// In °C.
pub(crate) fn celsius(temp: MilliCelsius) -> f64 {
    temp.0 as f64 / 1000.0
}
