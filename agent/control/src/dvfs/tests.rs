mod levels;
mod phases;
mod properties;
mod recorded;
mod sweeps;

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use machine::{BootTime, Capabilities, EngineSample, KiloHertz, Phase, Policy, Sample};

/// A policy of four cores from 0.8 to 3.4 GHz.
fn policy(driver: &str, governors: &[&str], preferences: &[&str]) -> Policy {
    let words = |words: &[&str]| -> Vec<String> { words.iter().map(|word| (*word).to_owned()).collect() };
    Policy {
        id: 0,
        affected_cpus: vec![0, 1, 2, 3],
        scaling_driver: Some(driver.to_owned()),
        cpuinfo_min_freq: Some(KiloHertz(800_000)),
        cpuinfo_max_freq: Some(KiloHertz(3_400_000)),
        base_frequency: None,
        scaling_available_frequencies: Vec::new(),
        core_type: None,
        scaling_available_governors: words(governors),
        energy_performance_available_preferences: words(preferences),
    }
}

fn machine(policies: Vec<Policy>) -> Capabilities {
    Capabilities {
        policies,
        ..Capabilities::default()
    }
}

/// A sample with the engine in a phase, its record as old as the sample.
fn sample(at_usec: u64, phase: Phase) -> Sample {
    Sample {
        at_usec: BootTime(at_usec),
        engine: Some(EngineSample {
            at_usec: BootTime(at_usec),
            phase,
            active: u32::from(phase != Phase::Idle),
            model: 7,
            ..EngineSample::default()
        }),
        ..Sample::default()
    }
}
