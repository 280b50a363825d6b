//! `hearth model`.

use crate::{
    command::{Local, end, hearth},
    gateway::DEADLINE,
};
use nix::{
    errno::Errno,
    fcntl::OFlag,
    sys::{
        signal::{Signal, kill},
        stat::Mode,
    },
    unistd::{Pid, mkfifo},
};
use std::{
    fs::{self, File},
    os::unix::{fs::OpenOptionsExt, process::ExitStatusExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
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
fn one_model_is_shown_with_all_that_is_known_of_it() {
    let local = Local::new();
    let child = local.start(&["model", "show", "m"]);
    let call = local.gateway.next();
    assert!(call.head.starts_with("get /api/v1/models/m "), "{}", call.head);
    call.answer("200 OK", &STORED.replace('\n', ""));
    let shown = end(child).stdout;
    for line in [
        "Family       llama",
        "Context      128",
        "From         added",
        "Settings     usual",
    ] {
        assert!(shown.contains(line), "{line}: {shown}");
    }
}

#[test]
fn what_is_said_is_set_and_nothing_else() {
    let local = Local::new();
    for (arguments, body) in [
        (
            &["--keep-alive", "-1", "--pin", "--default"][..],
            r#"{"keep_alive":"-1","pin":true,"default":true}"#,
        ),
        (
            &[
                "--keep-alive",
                "usual",
                "--no-pin",
                "--context",
                "usual",
                "--no-default",
            ],
            r#"{"keep_alive":null,"pin":false,"context":null,"default":false}"#,
        ),
        (&["--context", "8192"], r#"{"context":8192}"#),
    ] {
        let child = local.start(&[&["model", "set", "m"], arguments].concat());
        let call = local.gateway.next();
        assert!(call.head.starts_with("patch /api/v1/models/m "), "{}", call.head);
        assert_eq!(call.body, body);
        let settings = r#""settings":{"keep_alive":"30m","pin":false,"context":null,"default":true}}"#;
        let stored = STORED.replace('\n', "");
        let stored = stored.replace("null}", &format!("null,{settings}"));
        call.answer("200 OK", &stored);
        let ended = end(child);
        assert_eq!(ended.stdout, "m: default, keep 30m\n", "{}", ended.stderr);
    }
    let ended = end(local.start(&["model", "set", "m"]));
    assert_eq!(ended.code, Some(2), "nothing to set");
}

/// A pipe's end to write into, once somebody reads the other: until then there is none to be had.
fn write_end(pipe: &Path) -> File {
    let begin = Instant::now();
    while begin.elapsed() < DEADLINE {
        let opened = File::options()
            .write(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(pipe);
        match opened {
            Err(error) if error.raw_os_error() == Some(Errno::ENXIO as i32) => {
                thread::sleep(Duration::from_millis(5));
            }
            opened => return opened.unwrap(),
        }
    }
    panic!("nobody read {} for {DEADLINE:?}", pipe.display());
}

/// Often, since a runtime that took Ctrl-C to itself would do so before it waits or after, as chance has it.
#[test]
fn ctrl_c_ends_the_wait_for_a_pipe_that_nobody_writes() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    for _ in 0..12 {
        let command = ["model", "add", text(&pipe), "--name", "x"];
        let mut child = hearth(&command)
            .args(["--socket", "/nonexistent"])
            .spawn()
            .unwrap();
        let silent = write_end(&pipe);
        kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
        // A program that ignores Ctrl-C reads to the end, and fails in its own way.
        drop(silent);
        assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGINT as i32));
    }
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
