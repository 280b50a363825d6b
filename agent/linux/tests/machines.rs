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

fn warnings(reading: &Reading) -> usize {
    reading.capabilities.warnings.len() + reading.sample.warnings.len()
}

#[test]
fn n100() {
    let reading = read("n100");
    assert_eq!(warnings(&reading), 0);
    insta::assert_json_snapshot!("n100", reading);
}

#[test]
fn ryzen() {
    let reading = read("ryzen");
    assert_eq!(warnings(&reading), 0);
    insta::assert_json_snapshot!("ryzen", reading);
}

#[test]
fn qemu() {
    let reading = read("qemu");
    assert_eq!(
        warnings(&reading),
        0,
        "classes that are missing as a whole are no fault"
    );
    insta::assert_json_snapshot!("qemu", reading);
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
