//! `hearth model`.

use crate::command::{Local, end, hearth};
use nix::{
    sys::signal::{Signal, kill},
    unistd::{Pid, mkfifo},
};
use std::{
    fs::{self, read_to_string},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};
use tempfile::TempDir;

const STORED: &str = r#"{"id":"m","place":"added","root":"ab","name":null,"family":"llama","parameters":1,"kind":"Q4_0",
    "context":128,"bytes":4,"stored":4,"codecs":[],"problem":null}"#;

fn folder_with(name: &str, text: &str) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    (folder, path)
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_file_is_sent_whole_and_the_last_step_told() {
    let local = Local::new();
    let (_folder, file) = folder_with("My Model.gguf", "GGUF and more");
    let child = local.start(&["model", "add", text(&file), "--name", "m"]);
    let call = local.gateway.next();
    assert!(
        call.head
            .starts_with("put /api/v1/models/m?file=my%20model.gguf&bytes=13 "),
        "{}",
        call.head
    );
    assert_eq!(call.body, "GGUF and more");
    let progress = r#"{"progress":{"phase":"packing","done":1,"total":2}}"#;
    let added = STORED.replace('\n', "");
    call.answer("200 OK", &format!("{progress}\n{{\"added\":{added}}}\n"));
    let ended = end(child);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stdout.starts_with("m is there"), "{}", ended.stdout);
}

#[test]
fn ctrl_c_ends_the_wait_for_a_pipe_that_nobody_writes() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut child = hearth(&[
        "model",
        "add",
        text(&pipe),
        "--name",
        "x",
        "--socket",
        "/nonexistent",
    ])
    .spawn()
    .unwrap();
    // Until it waits there; where the kernel does not tell, a moment must do.
    for _ in 0..200 {
        let place = read_to_string(format!("/proc/{}/wchan", child.id())).unwrap_or_default();
        if place.contains("fifo") || place.contains("wait_for_partner") {
            break;
        }
        thread::sleep(Duration::from_millis(5));
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGINT as i32));
}

#[test]
fn what_would_be_refused_is_not_sent() {
    let (folder, zip) = folder_with("x.gguf", "PK zip");
    let run = |files: &[&str]| {
        let ended = end(
            hearth(&[&["model", "add", "--socket", "/nonexistent"], files].concat())
                .spawn()
                .unwrap(),
        );
        assert_eq!(ended.code, Some(1));
        ended.stderr
    };
    assert!(run(&[text(&zip)]).contains("not a GGUF file"));
    let words = run(&[text(&zip); 300]);
    assert!(words.contains("300") && words.contains("128"), "{words}");
    let long = folder.path().join("ü".repeat(120));
    fs::write(&long, "GGUF").unwrap();
    let words = run(&[&["--name", "m"][..], &[text(&long); 100]].concat());
    assert!(words.contains("shorten"), "{words}");
}

#[test]
fn one_model_that_cannot_be_verified_leaves_the_others_verified() {
    let local = Local::new();
    let child = local.start(&["model", "verify"]);
    let (bad, good) = (STORED.replace(r#""m""#, r#""bad""#), STORED);
    let list = format!(r#"{{"models":[{bad},{good}]}}"#);
    local.gateway.next().answer("200 OK", &list);
    let call = local.gateway.next();
    assert!(
        call.head.starts_with("post /api/v1/models/bad/verify "),
        "{}",
        call.head
    );
    let problem = r#"{"type":"about:blank","title":"Internal","status":500,"detail":"its manifest is broken","instance":"/x"}"#;
    call.answer("500 Internal Server Error", problem);
    let call = local.gateway.next();
    assert!(
        call.head.starts_with("post /api/v1/models/m/verify "),
        "{}",
        call.head
    );
    let whole = r#"{"verified":{"id":"m","root":"ab","blocks":3,"stored":4,"damaged":[]}}"#;
    call.answer("200 OK", &format!("{whole}\n"));
    let ended = end(child);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stdout.contains("bad: cannot be verified") && ended.stdout.contains("its manifest is broken"),
        "{}",
        ended.stdout
    );
    assert!(ended.stdout.contains("m: whole, 3 blocks"), "{}", ended.stdout);
    assert!(ended.stderr.contains("1 model cannot"), "{}", ended.stderr);
}
