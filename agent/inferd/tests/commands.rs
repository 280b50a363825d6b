//! Commands on a store, run as people run them.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use engine::tiny;
use tempfile::TempDir;

/// The name of a tensor, the last of its file.
const CRAFTED: &str = "z\x1b]0;PWNED\x07\x1b[2J\nerror: fake line";

/// A folder with a store in it.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, command: &str, arguments: &[&str]) -> Command {
        let mut inferd = Command::new(env!("CARGO_BIN_EXE_inferd"));
        inferd.arg(command).arg("--store").arg(self.path("store"));
        inferd.args(arguments).current_dir(self.0.path());
        inferd
    }

    fn run(&self, command: &str, arguments: &[&str]) -> Output {
        self.command(command, arguments).output().unwrap()
    }

    fn blocks(&self) -> Vec<PathBuf> {
        let list = |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        list(&self.path("store/blocks"))
            .flat_map(|home| list(&home))
            .collect()
    }

    fn import(&self, name: &str, file: &[u8]) {
        fs::write(self.path("m.gguf"), file).unwrap();
        let imported = self.run("import", &["--name", name, "m.gguf"]);
        assert!(imported.status.success(), "{}", told(&imported));
    }
}

/// Standard output and standard error.
fn told(output: &Output) -> String {
    String::from_utf8_lossy(&[&output.stdout[..], &output.stderr[..]].concat()).into_owned()
}

fn write_over(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
}

fn tiny_file() -> Vec<u8> {
    tiny::Model::new(64).bytes()
}

/// A model file with a tensor whose name steers terminals.
fn crafted_file() -> Vec<u8> {
    let mut model = tiny::Model::new(64);
    let tensor = model.tensors["blk.0.attn_norm.weight"].clone();
    model.tensors.insert(CRAFTED.to_owned(), tensor);
    model.bytes()
}

fn assert_harmless(output: &Output) {
    let told = told(output);
    assert!(told.contains("PWNED"), "{told}");
    assert!(!told.contains(|c: char| c.is_control() && c != '\n'), "{told:?}");
    assert!(
        !told.lines().any(|line| line.starts_with("error: fake")),
        "{told}"
    );
}

#[test]
fn a_model_file_neither_steers_the_terminal_nor_forges_lines() {
    let place = Place::new();
    let file = crafted_file();
    place.import("m", &file);
    for block in place.blocks() {
        write_over(&block, b"x");
    }
    let verified = place.run("verify", &[]);
    assert!(!verified.status.success());
    assert_harmless(&verified);

    fs::write(place.path("short.gguf"), &file[..file.len() - 64]).unwrap();
    let imported = place.run("import", &["short.gguf"]);
    assert!(!imported.status.success());
    assert_harmless(&imported);
}

#[test]
fn a_model_that_cannot_be_read_does_not_hide_how_the_others_are() {
    let place = Place::new();
    for name in ["a", "b", "c"] {
        place.import(name, &tiny_file());
    }
    let manifest = place.path("store/models/b/manifest.json");
    write_over(&manifest, b"{");
    let verified = place.run("verify", &[]);
    let all = told(&verified);
    assert!(!verified.status.success(), "{all}");
    assert!(all.contains("a: whole\n") && all.contains("c: whole\n"), "{all}");
    assert!(
        all.contains("`b` cannot be read; remove it and add it again"),
        "{all}"
    );

    let verified = place.run("verify", &["--json"]);
    let found: serde_json::Value = serde_json::from_slice(&verified.stdout).unwrap();
    let problems: Vec<bool> = (0..3)
        .map(|number| found[number]["problem"].is_string())
        .collect();
    assert_eq!(problems, [false, true, false], "{found}");

    assert!(place.run("remove", &["b"]).status.success());
    assert!(place.run("verify", &[]).status.success());
}

#[test]
fn a_store_that_is_not_there_is_an_error_and_an_empty_one_says_so() {
    let place = Place::new();
    for arguments in [&["verify"][..], &["remove", "m"], &["export", "m", "out.gguf"]] {
        let output = place.run(arguments[0], &arguments[1..]);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(told(&output).contains("there is no folder"), "{}", told(&output));
    }
    fs::create_dir(place.path("store")).unwrap();
    let verified = place.run("verify", &[]);
    assert!(verified.status.success());
    assert!(
        told(&verified).ends_with("store: no models\n"),
        "{}",
        told(&verified)
    );
}

#[test]
fn a_closed_pipe_has_seen_enough() {
    let place = Place::new();
    place.import("m", &tiny_file());
    for arguments in [&["verify"][..], &["verify", "--json"], &["remove", "m"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = place.command(arguments[0], &arguments[1..]);
        let output = command.stdout(writer).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", told(&output));
        assert_eq!(told(&output), "", "{arguments:?}");
    }
}

#[test]
fn a_model_that_replaces_another_gives_back_its_room() {
    let place = Place::new();
    place.import("m", &crafted_file());
    place.import("m", &tiny_file());
    let blocks = place.blocks().len();
    let removed = place.run("remove", &["--json", "m"]);
    let removed: serde_json::Value = serde_json::from_slice(&removed.stdout).unwrap();
    assert_eq!(removed["blocks"], blocks);
    let other = Place::new();
    other.import("m", &tiny_file());
    assert_eq!(other.blocks().len(), blocks);
}
