//! `hearthd profile` as it is typed.
#![allow(
    clippy::unwrap_used,
    reason = "clippy lets only test functions unwrap, not what they share"
)]

use serde_json::Value;
use std::fs;
use std::process::{Command, Output};

fn profile(arguments: &[&str]) -> Output {
    let repo = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
    let mut command = Command::new(env!("CARGO_BIN_EXE_hearthd"));
    command.current_dir(repo).arg("profile").args(arguments);
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_shipped_ones_pass_the_check() {
    let output = profile(&["check", "firmware-profiles"]);
    assert!(output.status.success(), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("profiles are sound"));
}

#[test]
fn a_wrong_file_is_told_by_file_line_and_key() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("acme")).unwrap();
    let file = folder.path().join("acme/box.toml");
    fs::write(&file, "name = \"Box\"\nsustaned = { watts = 10 }\n").unwrap();
    let output = profile(&["check", folder.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let line = format!("{}:2: sustaned: unknown field", file.display());
    assert!(text(&output.stdout).contains(&line), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("`sustained`"));
    assert!(text(&output.stderr).contains("1 problem"));
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let output = profile(&["check", "/no/such/profiles"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("/no/such/profiles"));
}

#[test]
fn a_machine_is_explained_in_a_table_and_in_json() {
    let asked = [
        "explain",
        "--profiles",
        "firmware-profiles",
        "--root",
        "tests/machines/n100",
    ];
    let output = profile(&asked);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for told in [
        "beelink/mini-s12-pro",
        "tjmax less margin",
        "https://",
        "intel/n100",
    ] {
        assert!(
            text(&output.stdout).contains(told),
            "{told}: {}",
            text(&output.stdout)
        );
    }
    let output = profile(&[&asked[..], &["--json"]].concat());
    let explained: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(explained["fit"]["level"], "product");
    assert_eq!(explained["values"][0]["value"], "80 °C");
    assert!(explained["others"].as_array().unwrap().len() > 50);
}

#[test]
fn the_list_names_each() {
    let output = profile(&["list", "firmware-profiles"]);
    assert!(text(&output.stdout).contains("generic/unknown"));
    let output = profile(&["list", "firmware-profiles", "--json"]);
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(
        listed
            .as_array()
            .unwrap()
            .iter()
            .any(|entry| entry["name"] == "Intel Processor N100")
    );
}

#[test]
fn the_schema_is_a_json_schema() {
    let schema: Value = serde_json::from_slice(&profile(&["schema"]).stdout).unwrap();
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["required"][0], "name");
}
