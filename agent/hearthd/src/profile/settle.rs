//! From a profile and those it extends to values without gaps.

use super::catalogue::Profile;
use super::explain::Value;
use super::fragment::{FanFragment, Fragment};
use super::quantity::{Celsius, Quantity};
use machine::{Fan, MicroWatts, MilliCelsius, Tuning};

/// What a machine is called that no profile fits.
pub(super) const UNKNOWN: &str = "generic/unknown";

/// The coolest and the hottest target that can be meant.
const TARGET: std::ops::RangeInclusive<f64> = 40.0..=100.0;

type Chain<'a> = [(&'a str, &'a Profile)];

/// A value and the profile that holds it.
struct Found<'a, T> {
    profile: &'a str,
    fragment: &'a Fragment,
    value: &'a T,
}

/// The value nearest to the machine.
fn nearest<'a, T>(chain: &Chain<'a>, pick: impl Fn(&'a Fragment) -> Option<&'a T>) -> Option<Found<'a, T>> {
    chain.iter().find_map(|(profile, file)| {
        let fragment = &file.fragment;
        let value = pick(fragment)?;
        Some(Found {
            profile,
            fragment,
            value,
        })
    })
}

/// A chain's tuning, and where each of its values comes from.
pub(super) fn settle(id: &str, chain: &Chain<'_>) -> (Tuning, Vec<Value>) {
    let default = Tuning::default();
    let number = |number: Option<f64>| number.map(|watts| MicroWatts(scaled(watts, 1e6) as u64));
    let sensors = chain.iter().flat_map(|(_, file)| &file.fragment.ignored_sensors);
    let mut ignored_sensors: Vec<String> = sensors.map(|sensor| sensor.sensor.clone()).collect();
    ignored_sensors.sort();
    ignored_sensors.dedup();
    let loss = nearest(chain, |fragment| fragment.decode_loss.as_ref());
    let tuning = Tuning {
        profile: id.to_owned(),
        target: target(chain).map_or(default.target, |celsius| MilliCelsius(scaled(celsius, 1e3))),
        tdp: number(nearest(chain, |fragment| fragment.tdp.as_ref()).map(|found| found.value.watts)),
        sustained_power: number(
            nearest(chain, |fragment| fragment.sustained.as_ref()).map(|found| found.value.watts),
        ),
        burst_power: number(
            nearest(chain, |fragment| fragment.burst.as_ref()).map(|found| found.value.watts),
        ),
        fan: nearest(chain, |fragment| fragment.fan.as_ref()).map_or(default.fan, |found| fan(found.value)),
        ignored_sensors,
        decode_loss: loss.map_or(default.decode_loss, |found| (found.value.percent / 100.0) as f32),
    };
    let values = values(chain, &tuning);
    (tuning, values)
}

/// Whole units of a number that was checked to be small and finite.
fn scaled(number: f64, factor: f64) -> i64 {
    (number * factor).round() as i64
}

/// The temperature to hold: the nearest that is written, else what the processor bears less a margin. A `tjmax` or a
/// margin that stands nearer than any target counts instead of it.
fn target(chain: &Chain<'_>) -> Option<f64> {
    if let Some(found) = written_target(chain) {
        return Some(found.value.celsius);
    }
    let tjmax = nearest(chain, |fragment| fragment.tjmax.as_ref())?;
    let margin = nearest(chain, |fragment| fragment.margin.as_ref())?;
    Some(tjmax.value.celsius - margin.value.kelvin)
}

/// The nearest target, unless what it would follow from otherwise is complete and stands nearer.
fn written_target<'a>(chain: &Chain<'a>) -> Option<Found<'a, Celsius>> {
    let place = |has: fn(&Fragment) -> bool| chain.iter().position(|(_, file)| has(&file.fragment));
    let target = place(|fragment| fragment.target.is_some())?;
    let tjmax = place(|fragment| fragment.tjmax.is_some());
    let margin = place(|fragment| fragment.margin.is_some());
    let follows = tjmax
        .zip(margin)
        .is_some_and(|(tjmax, margin)| tjmax.min(margin) < target);
    if follows {
        return None;
    }
    nearest(chain, |fragment| fragment.target.as_ref())
}

fn fan(fan: &FanFragment) -> Fan {
    match (fan.present, fan.tachometer) {
        (false, _) => Fan::Absent,
        (true, false) => Fan::Present,
        (true, true) => Fan::Tachometer,
    }
}

/// What is wrong with a chain as a whole.
pub(super) fn faults(chain: &Chain<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let tjmax = nearest(chain, |fragment| fragment.tjmax.as_ref()).map(|found| found.value.celsius);
    if let Some(target) = target(chain) {
        if !TARGET.contains(&target) {
            let (start, end) = (TARGET.start(), TARGET.end());
            faults.push(format!(
                "its target of {target} °C is not within {start} to {end} °C"
            ));
        }
        if let Some(tjmax) = tjmax.filter(|tjmax| target + 3.0 > *tjmax) {
            faults.push(format!(
                "its target of {target} °C is not 3 K below its tjmax of {tjmax} °C"
            ));
        }
    }
    let sustained = nearest(chain, |fragment| fragment.sustained.as_ref()).map(|found| found.value.watts);
    let burst = nearest(chain, |fragment| fragment.burst.as_ref()).map(|found| found.value.watts);
    if let (Some(sustained), Some(burst)) = (sustained, burst)
        && sustained > burst
    {
        faults.push(format!(
            "its sustained {sustained} W is more than its burst {burst} W"
        ));
    }
    faults
}

/// Every value with where it comes from, in the order people ask for them.
fn values(chain: &Chain<'_>, tuning: &Tuning) -> Vec<Value> {
    let mut values = vec![target_value(chain, tuning)];
    values.extend(quantity(
        "tjmax",
        nearest(chain, |fragment| fragment.tjmax.as_ref()),
    ));
    values.extend(quantity(
        "margin",
        nearest(chain, |fragment| fragment.margin.as_ref()),
    ));
    let powers = [
        ("tdp", nearest(chain, |fragment| fragment.tdp.as_ref())),
        (
            "sustained",
            nearest(chain, |fragment| fragment.sustained.as_ref()),
        ),
        ("burst", nearest(chain, |fragment| fragment.burst.as_ref())),
    ];
    let powers = powers.into_iter();
    values.extend(powers.map(|(key, found)| quantity(key, found).unwrap_or_else(|| unknown(key))));
    values.push(fan_value(chain));
    values.extend(sensor_values(chain));
    let loss = quantity(
        "decode_loss",
        nearest(chain, |fragment| fragment.decode_loss.as_ref()),
    );
    values.push(loss.unwrap_or_else(|| {
        let percent = (f64::from(tuning.decode_loss) * 1e4).round() / 100.0;
        built_in("decode_loss", format!("{percent} %"))
    }));
    values
}

fn target_value(chain: &Chain<'_>, tuning: &Tuning) -> Value {
    quantity("target", written_target(chain)).unwrap_or_else(|| match target(chain) {
        Some(celsius) => Value {
            why: Some("tjmax less margin".to_owned()),
            ..value("target", Some(format!("{celsius} °C")))
        },
        None => built_in("target", tuning.target.to_string()),
    })
}

fn fan_value(chain: &Chain<'_>) -> Value {
    let Some(found) = nearest(chain, |fragment| fragment.fan.as_ref()) else {
        return unknown("fan");
    };
    let words = match fan(found.value) {
        Fan::Unknown => "unknown",
        Fan::Absent => "none",
        Fan::Present => "present, tells no speed",
        Fan::Tachometer => "present, tells its speed",
    };
    let (source, why) = (found.value.source.as_deref(), found.value.why.as_deref());
    from(
        found.profile,
        found.fragment,
        "fan",
        words.to_owned(),
        source,
        why,
    )
}

fn sensor_values(chain: &Chain<'_>) -> Vec<Value> {
    let files = chain.iter();
    let sensors = files.flat_map(|(profile, file)| {
        let sensors = file.fragment.ignored_sensors.iter();
        sensors.map(move |sensor| (profile, &file.fragment, sensor))
    });
    sensors
        .map(|(profile, fragment, sensor)| {
            let (source, why) = (sensor.source.as_deref(), sensor.why.as_deref());
            from(
                profile,
                fragment,
                "ignored_sensors",
                sensor.sensor.clone(),
                source,
                why,
            )
        })
        .collect()
}

fn quantity<Q: Quantity>(key: &'static str, found: Option<Found<'_, Q>>) -> Option<Value> {
    let found = found?;
    let quantity = found.value;
    let words = format!("{} {}", quantity.number(), Q::UNIT);
    let (source, why) = (quantity.source(), quantity.why());
    Some(from(found.profile, found.fragment, key, words, source, why))
}

fn from(
    profile: &str,
    fragment: &Fragment,
    key: &'static str,
    words: String,
    source: Option<&str>,
    why: Option<&str>,
) -> Value {
    Value {
        profile: Some(profile.to_owned()),
        source: source.and_then(|name| fragment.sources.get(name).cloned()),
        why: why.map(str::to_owned),
        ..value(key, Some(words))
    }
}

fn value(key: &'static str, value: Option<String>) -> Value {
    Value {
        key,
        value,
        profile: None,
        source: None,
        why: None,
    }
}

fn unknown(key: &'static str) -> Value {
    Value {
        why: Some("nobody has published it".to_owned()),
        ..value(key, None)
    }
}

fn built_in(key: &'static str, words: String) -> Value {
    Value {
        why: Some("built in, where no profile says it".to_owned()),
        ..value(key, Some(words))
    }
}
