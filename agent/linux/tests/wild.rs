//! Trees that nobody composed: whatever stands in the files, discovery and a sample come back.
#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only test functions unwrap, not what they share"
)]

use linux::{MAX_FILE_BYTES, Sampler, Tree};
use machine::BootTime;
use proptest::prelude::*;
use std::fs;
use std::path::Path;

const FILES: &[&str] = &[
    "proc/cpuinfo",
    "proc/meminfo",
    "proc/stat",
    "proc/pressure/cpu",
    "sys/class/dmi/id/sys_vendor",
    "sys/class/hwmon/hwmon0/name",
    "sys/class/hwmon/hwmon0/temp1_input",
    "sys/class/hwmon/hwmon0/temp1_crit",
    "sys/class/hwmon/hwmon0/fan1_input",
    "sys/class/power_supply/BAT0/type",
    "sys/class/power_supply/BAT0/capacity",
    "sys/class/powercap/intel-rapl:0/constraint_0_power_limit_uw",
    "sys/class/powercap/intel-rapl:0/energy_uj",
    "sys/class/thermal/cooling_device0/cur_state",
    "sys/class/thermal/thermal_zone0/temp",
    "sys/class/thermal/thermal_zone0/trip_point_0_temp",
    "sys/class/thermal/thermal_zone0/trip_point_0_type",
    "sys/devices/cpu_atom/cpus",
    "sys/devices/cpu_core/cpus",
    "sys/devices/system/cpu/cpufreq/boost",
    "sys/devices/system/cpu/cpufreq/policy0/affected_cpus",
    "sys/devices/system/cpu/cpufreq/policy0/bios_limit",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_available_frequencies",
    "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq",
    "sys/firmware/acpi/platform_profile",
    "sys/firmware/acpi/platform_profile_choices",
    "sys/firmware/devicetree/base/model",
    "sys/devices/system/cpu/online",
    "sys/fs/cgroup/cgroup.controllers",
    "sys/fs/cgroup/a/memory.current",
    "sys/fs/cgroup/a/memory.stat",
];

/// What stands in a file's place.
#[derive(Clone, Debug)]
enum Content {
    Missing,
    Directory,
    Bytes(Vec<u8>),
    Number(i64),
    Long,
}

fn content() -> impl Strategy<Value = Content> {
    prop_oneof![
        Just(Content::Missing),
        Just(Content::Directory),
        Just(Content::Long),
        any::<i64>().prop_map(Content::Number),
        prop::collection::vec(any::<u8>(), 0..80).prop_map(Content::Bytes),
        "[ -~\n]{0,80}".prop_map(|text| Content::Bytes(text.into_bytes())),
    ]
}

fn write(path: &Path, content: &Content) -> std::io::Result<()> {
    match content {
        Content::Missing => Ok(()),
        Content::Directory => fs::create_dir(path),
        Content::Bytes(bytes) => fs::write(path, bytes),
        Content::Number(number) => fs::write(path, number.to_string()),
        Content::Long => fs::write(path, vec![b'7'; MAX_FILE_BYTES + 9]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_tree_panics_and_no_absurd_value_is_told(contents in prop::collection::vec(content(), FILES.len())) {
        let dir = tempfile::tempdir().unwrap();
        for (file, content) in FILES.iter().zip(&contents) {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            write(&path, content).unwrap();
        }
        let sampler = Sampler::new(Tree::open(dir.path()).unwrap(), vec!["a".to_owned()]);
        let sample = sampler.sample(BootTime(0));
        let hot = sampler.sample_heat(BootTime(0), &sample);
        let told = |sample: &machine::Sample| {
            let mut paths: Vec<_> = sample.warnings.iter().map(|w| w.path.clone()).collect();
            paths.sort();
            paths
        };
        prop_assert_eq!(told(&hot), told(&sample), "nothing has changed");
        prop_assert!(sample.zones.iter().filter_map(|zone| zone.temp).all(|temp| temp.is_plausible()));
        for warning in sampler.capabilities().warnings.iter().chain(&sample.warnings) {
            prop_assert!(warning.path.starts_with('/') && !warning.problem.is_empty());
        }
    }
}
