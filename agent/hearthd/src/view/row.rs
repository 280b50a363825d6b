//! A row of the history.

use super::PackagePower;
use api::samples::Row;
use machine::{Capabilities, Decision, Sample};

/// What the machine shows now, at this time in Unix seconds.
pub(crate) fn row(
    time: u64,
    found: &Capabilities,
    sample: &Sample,
    decision: &Decision,
    package: &PackagePower,
) -> Row {
    Row {
        time,
        temperature: temperature(decision),
        clock: clock(found, sample),
        power: package.watts().map(|watts| watts as f32),
        memory_used: sample.memory.used().map(|used| used.0 as f32),
        tokens_per_second: sample.engine.as_ref().and_then(|engine| engine.tokens_per_second),
        phase: sample.engine.as_ref().map(|engine| engine.phase),
    }
}

/// The hottest of the sensors that are believed and count, in °C: what the laws assume where none is believed was not
/// measured.
fn temperature(decision: &Decision) -> Option<f32> {
    let sensors = decision.thermal.sensors.iter();
    let believed = sensors.filter(|sensor| sensor.counts && sensor.distrust.is_none());
    let hottest = believed.filter_map(|sensor| sensor.temp).max()?;
    Some(hottest.0 as f32 / 1000.0)
}

/// The mean over the processors whose policies tell a clock, in Hz.
fn clock(found: &Capabilities, sample: &Sample) -> Option<f32> {
    let processors = |id| {
        let policy = found.policies.iter().find(|policy| policy.id == id);
        policy.map_or(1, |policy| policy.affected_cpus.len().max(1)) as f64
    };
    let told = sample.policies.iter().filter_map(|policy| {
        let clock = policy.scaling_cur_freq?;
        Some((clock.0 as f64 * 1000.0, processors(policy.id)))
    });
    let (sum, weight) = told.fold((0.0, 0.0), |(sum, weight), (clock, processors)| {
        (sum + clock * processors, weight + processors)
    });
    (weight > 0.0).then(|| (sum / weight) as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::{Distrust, KiloHertz, MilliCelsius, PolicySample, SensorState};

    #[test]
    fn only_believed_sensors_that_count_are_shown() {
        let sensor = |temp, distrust, counts| SensorState {
            name: "a".to_owned(),
            temp: Some(MilliCelsius(temp)),
            distrust,
            counts,
        };
        let mut decision = Decision::default();
        decision.thermal.assumed = Some(MilliCelsius(90_000));
        assert_eq!(temperature(&decision), None, "assumed is not measured");
        decision.thermal.sensors = vec![
            sensor(51_200, None, true),
            sensor(70_000, Some(Distrust::Frozen), true),
            sensor(60_000, None, false),
        ];
        assert_eq!(temperature(&decision), Some(51.2));
    }

    #[test]
    fn clocks_weigh_by_their_processors_and_none_is_not_nought() {
        let policy = |id, clock: Option<u64>| PolicySample {
            id,
            scaling_cur_freq: clock.map(KiloHertz),
            scaling_min_freq: None,
            scaling_max_freq: None,
            bios_limit: None,
            scaling_governor: None,
            energy_performance_preference: None,
        };
        let of = |policies| {
            let sample = Sample {
                policies,
                ..Sample::default()
            };
            clock(&Capabilities::default(), &sample)
        };
        assert_eq!(of(vec![policy(0, Some(1000)), policy(1, Some(3000))]), Some(2e6));
        assert_eq!(of(vec![policy(0, None)]), None);
    }
}
