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
