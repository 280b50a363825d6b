//! Discovery and one sample of each tree in `tests/machines`, against what was reviewed.
#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only test functions unwrap, not what they share"
)]

use linux::{Sampler, Tree};
use machine::{BootTime, Capabilities, Sample};
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Serialize)]
struct Reading {
    capabilities: Capabilities,
    sample: Sample,
}

fn machine(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests/machines")
        .join(name)
}

fn read(name: &str) -> Reading {
    let tree = Tree::open(machine(name)).unwrap();
    let groups = [
        "hearthd.service",
        "hearth-inferd.service",
        "hearth-gateway.service",
    ];
    let groups = groups.map(|unit| format!("system.slice/{unit}")).to_vec();
    let sampler = Sampler::new(tree, groups);
    Reading {
        capabilities: sampler.capabilities().clone(),
        sample: sampler.sample(BootTime(42)),
    }
}

/// Machines whose firmware does as the kernel's documentation says: what their drivers lack is no fault.
#[test]
fn good_machines_raise_no_warning() {
    for name in [
        "acpi-cpufreq",
        "amd-guided",
        "cppc",
        "hybrid",
        "intel-passive",
        "n100",
        "qemu",
        "rpi5",
        "ryzen",
    ] {
        let reading = read(name);
        let none: [machine::Warning; 0] = [];
        assert_eq!(reading.capabilities.warnings, none, "{name}");
        assert_eq!(reading.sample.warnings, none, "{name}");
        insta::assert_json_snapshot!(name, reading);
    }
}

/// One fault each, by the files that are named for it.
#[test]
fn bad_machines_name_what_is_bad() {
    for (name, bad) in [
        (
            "bad-zero-kelvin",
            &[
                "thermal_zone0/trip_point_0_temp",
                "hwmon0/temp1_input",
                "thermal_zone0/temp",
            ][..],
        ),
        // Only a law that sees it beside others can tell.
        ("bad-stuck-zone", &[]),
        ("bad-critical-as-current", &[]),
        (
            "bad-no-governor",
            &["policy1/scaling_available_governors", "policy1/scaling_governor"],
        ),
        ("bad-epp", &["policy1/energy_performance_preference"]),
    ] {
        let reading = read(name);
        let capabilities = reading.capabilities.warnings.iter();
        let told: Vec<_> = capabilities.chain(&reading.sample.warnings).collect();
        for file in bad {
            assert!(
                told.iter().any(|warning| warning.path.ends_with(file)),
                "{name}: {file}: {told:?}"
            );
        }
        assert_eq!(told.len(), bad.len(), "{name}: {told:?}");
        insta::assert_json_snapshot!(name, reading);
    }
}

#[test]
fn bad_firmware() {
    let reading = read("bad-firmware");
    assert!(
        reading
            .sample
            .zones
            .iter()
            .filter_map(|zone| zone.temp)
            .all(|temp| temp.is_plausible())
    );
    insta::assert_json_snapshot!("bad-firmware", reading);
}

#[test]
fn this_machine_is_read_without_a_fault_in_what_every_linux_has() {
    let tree = Tree::open("/").unwrap();
    let sampler = Sampler::new(tree, Vec::new());
    let sample = sampler.sample(BootTime(0));
    assert!(
        sample.memory.used().is_some_and(|used| used.0 > 0),
        "{:?}",
        sample.warnings
    );
    assert!(
        sampler
            .capabilities()
            .topology
            .threads
            .is_some_and(|threads| threads > 0)
    );
}
