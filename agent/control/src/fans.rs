//! Fans that should turn and do not.

use alloc::{collections::BTreeMap, format, string::String, vec::Vec};
use machine::{Capabilities, Fan, HwmonKind, HwmonSample, Sample, Tuning, Warning};

/// Seconds that a fan may take to start.
const START: f64 = 10.0;

/// What each fan has done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fans {
    /// By file: whether it has ever turned, and for how many seconds it has stood still while it should turn.
    seen: BTreeMap<String, (bool, f64)>,
}

impl Fans {
    /// Takes in a sample, `dt` seconds after the last; `hot` says whether a fan that cools the processor should turn.
    /// Returns a warning for each fan that has failed.
    pub(crate) fn step(
        &mut self,
        dt: f64,
        machine: &Capabilities,
        tuning: &Tuning,
        sample: &Sample,
        hot: bool,
    ) -> Vec<Warning> {
        let wanted = asked(machine, sample) || (hot && tuning.fan == Fan::Tachometer);
        let fans: Vec<&HwmonSample> = sample
            .hwmon
            .iter()
            .filter(|chip| chip.kind == HwmonKind::Fan)
            .collect();
        let lone = fans.len() == 1;
        fans.into_iter()
            .filter_map(|fan| self.judge(dt, fan, wanted, lone))
            .collect()
    }

    /// A header without a fan reads nought for ever: only one that has turned, or is the only one, is missed.
    fn judge(&mut self, dt: f64, fan: &HwmonSample, wanted: bool, lone: bool) -> Option<Warning> {
        let path = format!("/sys/class/hwmon/hwmon{}/fan{}_input", fan.hwmon, fan.channel);
        let (turned, stood) = self.seen.entry(path.clone()).or_default();
        *turned |= fan.input.is_some_and(|rpm| rpm > 0);
        *stood = if fan.input == Some(0) && wanted {
            *stood + dt
        } else {
            0.0
        };
        let label = fan.label.clone().unwrap_or_else(|| format!("fan{}", fan.channel));
        (*stood >= START && (*turned || lone)).then(|| Warning {
            path,
            problem: format!("{} {label} stands still, and it is asked to turn", fan.chip),
        })
    }
}

/// Whether the kernel asks a fan to turn.
fn asked(machine: &Capabilities, sample: &Sample) -> bool {
    let is_fan = |id: u32| {
        let kind = machine
            .cooling_devices
            .iter()
            .find(|device| device.id == id)
            .and_then(|found| found.kind.as_deref());
        kind.is_some_and(|kind| kind.to_ascii_lowercase().contains("fan"))
    };
    let mut running = sample
        .cooling_devices
        .iter()
        .filter(|device| device.cur_state.is_some_and(|state| state > 0));
    running.any(|device| is_fan(device.id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use machine::{CoolingDevice, CoolingSample};

    fn machine() -> Capabilities {
        Capabilities {
            cooling_devices: vec![CoolingDevice {
                id: 4,
                kind: Some("Fan".into()),
                max_state: Some(3),
            }],
            ..Capabilities::default()
        }
    }

    fn sample(state: u64, rpms: &[i64]) -> Sample {
        let fan = |(index, rpm): (usize, &i64)| HwmonSample {
            hwmon: 2,
            channel: index as u32 + 1,
            chip: "nct6775".into(),
            label: None,
            kind: HwmonKind::Fan,
            input: Some(*rpm),
        };
        Sample {
            cooling_devices: vec![CoolingSample {
                id: 4,
                cur_state: Some(state),
            }],
            hwmon: rpms.iter().enumerate().map(fan).collect(),
            ..Sample::default()
        }
    }

    #[test]
    fn a_fan_that_turned_and_stands_is_named_after_its_time_to_start() {
        let mut fans = Fans::default();
        let mut step = |dt, state, rpms: &[i64]| {
            fans.step(dt, &machine(), &Tuning::default(), &sample(state, rpms), false)
        };
        assert!(step(5.0, 3, &[1200, 0]).is_empty());
        assert!(step(9.0, 3, &[0, 0]).is_empty());
        let warnings = step(2.0, 3, &[0, 0]);
        assert_eq!(warnings.len(), 1, "the empty header is not missed: {warnings:?}");
        assert!(warnings[0].problem.starts_with("nct6775 fan1 "), "{warnings:?}");
        assert!(step(1.0, 0, &[0, 0]).is_empty(), "nobody asks it to turn");
    }

    #[test]
    fn a_tachometer_that_the_profile_promises_is_missed_when_it_is_hot() {
        let mut fans = Fans::default();
        let tuning = Tuning {
            fan: Fan::Tachometer,
            ..Tuning::default()
        };
        let mut step = |hot| {
            fans.step(11.0, &Capabilities::default(), &tuning, &sample(0, &[0]), hot)
                .len()
        };
        assert_eq!((step(false), step(true)), (0, 1));
    }
}
