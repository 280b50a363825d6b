//! `hearthd sample` and `hearthd capabilities` as they are typed.
#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only test functions unwrap, not what they share"
)]

use machine::{Capabilities, Sample};
use std::process::{Command, Output, Stdio};

fn hearthd(arguments: &[&str]) -> Output {
    let machines = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/machines");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearthd"));
    command.current_dir(machines).args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_sample_of_any_tree_is_json() {
    let output = hearthd(&["sample", "--root", "bad-firmware", "--json"]);
    assert!(output.status.success());
    let sample: Sample = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(sample.zones[0].temp, None);
    assert!(
        sample
            .warnings
            .iter()
            .any(|warning| warning.problem.contains("-274.0"))
    );
}

#[test]
fn capabilities_of_any_tree_are_json() {
    let output = hearthd(&["capabilities", "--root", "ryzen", "--json"]);
    let found: Capabilities = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found.policies.len(), 8);
}

#[test]
fn people_get_a_table() {
    let output = hearthd(&["sample", "--root", "n100"]);
    assert!(
        text(&output.stdout).contains("x86_pkg_temp"),
        "{}",
        text(&output.stdout)
    );
    let output = hearthd(&["capabilities", "--root", "n100"]);
    assert!(
        text(&output.stdout).contains("Intel(R) N100"),
        "{}",
        text(&output.stdout)
    );
}

#[test]
fn a_root_that_is_not_there_is_named() {
    let output = hearthd(&["sample", "--root", "/no/such/tree"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text(&output.stderr).contains("/no/such/tree"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_wrong_word_is_a_usage_error_and_help_has_examples() {
    assert_eq!(hearthd(&["simple"]).status.code(), Some(2));
    assert!(text(&hearthd(&["run", "--help"]).stdout).contains("Examples:"));
}

#[test]
fn an_error_that_nobody_reads_is_still_an_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearthd"));
    let status = command
        .args(["sample", "--root", "/no/such/tree"])
        .stderr(writer)
        .status();
    assert_eq!(status.unwrap().code(), Some(1));
}

#[test]
fn a_reader_that_leaves_is_no_fault() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearthd"));
    let child = command
        .arg("capabilities")
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}
