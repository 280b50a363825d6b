//! What a real engine reported (`tests/traces/*.phases.jsonl`), replayed. Its speed does not answer to our clocks, so this
//! says nothing about the sweep; it does about records as they come: late, uneven, and with every phase.

extern crate std;

use super::*;
use crate::dvfs::Dvfs;
use crate::utilisation::Utilisation;
use machine::{PowerProfile, Tuning};
use std::collections::BTreeSet;
use std::string::ToString;

const TRACES: [&str; 3] = [
    include_str!("../../../../../tests/traces/chat.phases.jsonl"),
    include_str!("../../../../../tests/traces/long.phases.jsonl"),
    include_str!("../../../../../tests/traces/batch.phases.jsonl"),
];

fn records(trace: &str) -> Vec<EngineSample> {
    trace
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn recorded_phases_set_the_clock_in_the_same_step() {
    let machine = machine(vec![policy("acpi-cpufreq", &["performance", "schedutil"], &[])]);
    for trace in TRACES {
        let mut dvfs = Dvfs::new();
        let mut phases = BTreeSet::new();
        let mut decode_caps = BTreeSet::new();
        for record in records(trace) {
            let sample = Sample {
                at_usec: record.at_usec,
                engine: Some(record.clone()),
                ..Sample::default()
            };
            let (tuning, rest) = (Tuning::default(), Utilisation::default());
            let wish = dvfs.step(&machine, &tuning, PowerProfile::Balanced, &sample, &rest);
            let setpoint = &wish.policies[0];
            let governor = setpoint.scaling_governor.as_deref();
            let is_idle = record.phase == Phase::Idle && record.queue_depth == 0;
            assert_eq!(
                governor,
                Some(if is_idle { "schedutil" } else { "performance" }),
                "{record:?}"
            );
            if record.phase == Phase::Decode {
                decode_caps.insert(setpoint.scaling_max_freq);
            } else {
                assert_eq!(setpoint.scaling_max_freq, None, "{record:?}");
            }
            phases.insert(std::format!("{:?}", record.phase));
        }
        let seen = ["Decode", "Idle", "Prefill"].map(|phase| phase.to_string());
        assert!(seen.iter().all(|phase| phases.contains(phase)), "{phases:?}");
        assert!(
            decode_caps.len() > 1,
            "nothing was tried in {} records",
            trace.lines().count()
        );
    }
}
