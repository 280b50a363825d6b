//! The answer to `Thermal`.

use api::power::{Cooling, Step, Thermal};
use machine::{
    Capabilities, CoolingDevice, Decision, HwmonKind, HwmonSample, Sample, Tuning, Warning, Wishes,
};

/// Folders whose files concern heat.
const HEAT: [&str; 2] = ["/sys/class/thermal/", "/sys/class/hwmon/"];

/// What the answer is made of.
pub(crate) struct ThermalFacts<'a> {
    pub(crate) found: &'a Capabilities,
    pub(crate) tuning: &'a Tuning,
    pub(crate) wishes: &'a Wishes,
    pub(crate) sample: &'a Sample,
    pub(crate) decision: &'a Decision,
    pub(crate) steps: Vec<Step>,
}

/// Heat, and what is done about it.
pub(crate) fn thermal(facts: ThermalFacts<'_>) -> Thermal {
    let devices = facts.found.cooling_devices.iter();
    let devices = devices.map(|device| cooling(device, facts.sample));
    let fans = facts
        .sample
        .hwmon
        .iter()
        .filter(|channel| channel.kind == HwmonKind::Fan);
    Thermal {
        state: facts.decision.thermal.clone(),
        target_set: facts.wishes.target,
        target_default: facts.tuning.target,
        cooling: devices.chain(fans.map(fan)).collect(),
        steps: facts.steps,
        warnings: warnings(facts.found, facts.sample, facts.decision),
    }
}

fn cooling(device: &CoolingDevice, sample: &Sample) -> Cooling {
    let now = sample.cooling_devices.iter().find(|now| now.id == device.id);
    Cooling {
        name: format!(
            "{} {}",
            device.kind.as_deref().unwrap_or("cooling device"),
            device.id
        ),
        cur_state: now.and_then(|now| now.cur_state),
        max_state: device.max_state,
        rpm: None,
    }
}

fn fan(channel: &HwmonSample) -> Cooling {
    let label = channel
        .label
        .clone()
        .unwrap_or_else(|| format!("fan{}", channel.channel));
    Cooling {
        name: format!("{} {label}", channel.chip),
        cur_state: None,
        max_state: None,
        rpm: channel.input.and_then(|rpm| u64::try_from(rpm).ok()),
    }
}

fn warnings(found: &Capabilities, sample: &Sample, decision: &Decision) -> Vec<Warning> {
    let unread = found.warnings.iter().chain(&sample.warnings);
    let unread = unread.filter(|warning| HEAT.iter().any(|folder| warning.path.starts_with(folder)));
    decision.warnings.iter().chain(unread).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::CoolingSample;

    #[test]
    fn fans_and_cooling_devices_are_shown_and_an_unknown_state_is_null() {
        let found = Capabilities {
            cooling_devices: vec![CoolingDevice {
                id: 3,
                kind: Some("Processor".to_owned()),
                max_state: Some(10),
            }],
            ..Capabilities::default()
        };
        let fan = HwmonSample {
            hwmon: 1,
            channel: 2,
            chip: "nct6775".to_owned(),
            label: None,
            kind: HwmonKind::Fan,
            input: Some(1200),
        };
        let sample = Sample {
            hwmon: vec![fan],
            cooling_devices: vec![CoolingSample {
                id: 3,
                cur_state: None,
            }],
            ..Sample::default()
        };
        let shown = thermal(ThermalFacts {
            found: &found,
            tuning: &Tuning::default(),
            wishes: &Wishes::default(),
            sample: &sample,
            decision: &Decision::default(),
            steps: Vec::new(),
        });
        let [processor, fan] = shown.cooling.as_slice() else {
            panic!("{shown:?}");
        };
        assert_eq!(
            (processor.name.as_str(), processor.cur_state),
            ("Processor 3", None)
        );
        assert_eq!((fan.name.as_str(), fan.rpm), ("nct6775 fan2", Some(1200)));
    }

    #[test]
    fn only_warnings_about_heat_are_shown() {
        let warning = |path: &str| Warning {
            path: path.to_owned(),
            problem: "is missing".to_owned(),
        };
        let sample = Sample {
            warnings: vec![
                warning("/proc/meminfo"),
                warning("/sys/class/thermal/thermal_zone0/temp"),
            ],
            ..Sample::default()
        };
        let shown = warnings(&Capabilities::default(), &sample, &Decision::default());
        assert_eq!(shown, [warning("/sys/class/thermal/thermal_zone0/temp")]);
    }
}
