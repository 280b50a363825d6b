//! Devices that come, go and fall silent while the sampler runs.
#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only test functions unwrap, not what they share"
)]

use linux::{Sampler, Tree};
use machine::{BootTime, MilliCelsius};
use std::fs;
use std::path::Path;

const ZONE: &str = "sys/class/thermal/thermal_zone0";

fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

#[test]
fn a_driver_that_is_loaded_late_is_found() {
    let root = tempfile::tempdir().unwrap();
    let mut sampler = Sampler::new(Tree::open(root.path()).unwrap(), Vec::new());
    assert!(!sampler.refresh());
    write(root.path(), "sys/class/hwmon/hwmon0/name", "nvme\n");
    write(root.path(), "sys/class/hwmon/hwmon0/temp1_input", "38850\n");
    assert!(sampler.refresh());
    assert!(!sampler.refresh(), "once is enough");
    assert_eq!(sampler.sample(BootTime(0)).hwmon[0].input, Some(38_850));

    fs::remove_dir_all(root.path().join("sys/class/hwmon/hwmon0")).unwrap();
    assert!(sampler.refresh());
    assert!(sampler.sample(BootTime(0)).hwmon.is_empty());
}

#[test]
fn a_look_at_the_heat_alone_carries_the_rest_over() {
    let root = tempfile::tempdir().unwrap();
    let policy = "sys/devices/system/cpu/cpufreq/policy0";
    let governor = format!("{policy}/scaling_governor");
    for (file, text) in [
        (format!("{ZONE}/type"), "acpitz"),
        (format!("{ZONE}/temp"), "-274000"),
        (format!("{policy}/scaling_cur_freq"), "800000"),
        (format!("{policy}/scaling_max_freq"), "3400000"),
        ("proc/stat".into(), "cpu0 1 1 1 1 1 1 1 1\n"),
        ("sys/class/powercap/intel-rapl:0/energy_uj".into(), "5"),
    ] {
        write(root.path(), &file, text);
    }
    let sampler = Sampler::new(Tree::open(root.path()).unwrap(), Vec::new());
    let full = sampler.sample(BootTime(1));
    let warned = |sample: &machine::Sample, file: &str| {
        let mut warnings = sample.warnings.iter();
        warnings.any(|warning| warning.path.ends_with(file))
    };
    assert!(warned(&full, "temp") && warned(&full, "scaling_governor"));
    assert_eq!(
        sampler.sample_heat(BootTime(1), &full).warnings.len(),
        full.warnings.len()
    );

    write(root.path(), &format!("{ZONE}/temp"), "50000");
    write(root.path(), &format!("{policy}/scaling_cur_freq"), "900000");
    write(root.path(), "sys/class/powercap/intel-rapl:0/energy_uj", "6");
    write(root.path(), &governor, "powersave");
    let hot = sampler.sample_heat(BootTime(2), &full);
    assert_eq!(hot.at_usec, BootTime(2));
    assert_eq!(hot.zones[0].temp, Some(MilliCelsius(50_000)));
    assert_eq!(
        hot.policies[0].scaling_cur_freq,
        Some(machine::KiloHertz(900_000))
    );
    assert_eq!(hot.powercap[0].energy_uj, Some(machine::MicroJoules(6)));
    assert_eq!(hot.policies[0].scaling_governor, None, "not looked at");
    assert!(!warned(&hot, "temp") && warned(&hot, "scaling_governor"));

    let other = machine::Sample::default();
    let full = sampler.sample_heat(BootTime(3), &other);
    assert_eq!(full.policies[0].scaling_governor.as_deref(), Some("powersave"));
}

#[test]
fn a_driver_that_changes_its_mode_is_found_under_the_same_names() {
    let root = tempfile::tempdir().unwrap();
    let status = "sys/devices/system/cpu/intel_pstate/status";
    write(root.path(), status, "active\n");
    write(root.path(), "sys/devices/system/cpu/online", "0-1\n");
    let mut sampler = Sampler::new(Tree::open(root.path()).unwrap(), Vec::new());
    assert!(!sampler.refresh());
    write(root.path(), status, "passive\n");
    assert!(sampler.refresh());
    assert_eq!(sampler.capabilities().intel_pstate.as_deref(), Some("passive"));
    write(root.path(), "sys/devices/system/cpu/online", "0\n");
    assert!(sampler.refresh());
}

#[test]
fn a_trip_point_that_moves_is_found_when_asked_for() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &format!("{ZONE}/type"), "acpitz\n");
    write(root.path(), &format!("{ZONE}/trip_point_0_type"), "critical\n");
    write(root.path(), &format!("{ZONE}/trip_point_0_temp"), "105000\n");
    let mut sampler = Sampler::new(Tree::open(root.path()).unwrap(), Vec::new());
    assert!(!sampler.rediscover());
    write(root.path(), &format!("{ZONE}/trip_point_0_temp"), "95000\n");
    assert!(sampler.rediscover());
    let trip = &sampler.capabilities().zones[0].trip_points[0];
    assert_eq!(trip.temp, MilliCelsius(95_000));
}

#[test]
fn a_zone_that_vanishes_is_a_warning_until_the_machine_is_looked_at_anew() {
    let root = tempfile::tempdir().unwrap();
    for (zone, temp) in [(0, "27800"), (1, "71000")] {
        let folder = format!("sys/class/thermal/thermal_zone{zone}");
        write(root.path(), &format!("{folder}/type"), "acpitz\n");
        write(root.path(), &format!("{folder}/temp"), temp);
    }
    let mut sampler = Sampler::new(Tree::open(root.path()).unwrap(), Vec::new());
    let full = sampler.sample(BootTime(0));
    fs::remove_dir_all(root.path().join("sys/class/thermal/thermal_zone1")).unwrap();
    for sample in [
        sampler.sample(BootTime(1)),
        sampler.sample_heat(BootTime(1), &full),
    ] {
        assert_eq!((sample.zones.len(), sample.zones[1].temp), (2, None));
        let warned = |warning: &machine::Warning| warning.path.ends_with("thermal_zone1/temp");
        assert!(sample.warnings.iter().any(warned));
    }
    assert!(sampler.refresh());
    assert_eq!(sampler.sample(BootTime(2)).zones.len(), 1);
}

#[test]
fn what_could_not_be_read_at_first_is_looked_for_again() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &format!("{ZONE}/type"), "\n");
    let mut sampler = Sampler::new(Tree::open(root.path()).unwrap(), Vec::new());
    let warned = |sampler: &Sampler| {
        let mut warnings = sampler.capabilities().warnings.iter();
        warnings.any(|w| w.path == format!("/{ZONE}/type"))
    };
    assert!(warned(&sampler));
    write(root.path(), &format!("{ZONE}/type"), "acpitz\n");
    assert!(!sampler.refresh(), "no device has come or gone");
    assert!(!warned(&sampler));
    assert_eq!(sampler.capabilities().zones[0].kind.as_deref(), Some("acpitz"));
}

#[test]
fn a_zone_that_falls_silent_is_null_with_a_warning_until_it_speaks_again() {
    let root = tempfile::tempdir().unwrap();
    write(root.path(), &format!("{ZONE}/type"), "acpitz\n");
    write(root.path(), &format!("{ZONE}/temp"), "40000\n");
    let sampler = Sampler::new(Tree::open(root.path()).unwrap(), Vec::new());
    let warned = |sample: &machine::Sample| sample.warnings.iter().any(|w| w.path == format!("/{ZONE}/temp"));

    let sample = sampler.sample(BootTime(7));
    assert_eq!(
        (sample.zones[0].temp, warned(&sample)),
        (Some(MilliCelsius(40_000)), false)
    );
    assert_eq!(sample.at_usec, BootTime(7));

    fs::remove_file(root.path().join(ZONE).join("temp")).unwrap();
    let sample = sampler.sample(BootTime(8));
    assert_eq!((sample.zones[0].temp, warned(&sample)), (None, true));

    write(root.path(), &format!("{ZONE}/temp"), "41000\n");
    let sample = sampler.sample(BootTime(9));
    assert_eq!(
        (sample.zones[0].temp, warned(&sample)),
        (Some(MilliCelsius(41_000)), false)
    );
}
