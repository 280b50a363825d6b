//! How it is called, over which way it speaks, and what it says when that fails.

use crate::{
    command::{Ended, Local, end, hearth},
    gateway::Gateway,
};
use std::fs;

fn run(arguments: &[&str]) -> Ended {
    hearth(arguments).output().unwrap().into()
}

#[test]
fn over_the_network_it_brings_the_token() {
    let (gateway, address) = Gateway::tcp();
    let url = format!("http://{address}");
    for (setting, arguments) in [(None, &["--host", &url, "models"][..]), (Some(&url), &["models"])] {
        let mut command = hearth(arguments);
        command.env("HEARTH_TOKEN", "hearth_t");
        setting.map(|url| command.env("HEARTH_HOST", url));
        let child = command.spawn().unwrap();
        let call = gateway.next();
        assert!(
            call.head.contains("\r\nauthorization: bearer hearth_t\r\n"),
            "{}",
            call.head
        );
        assert!(
            call.head.contains(&format!("\r\nhost: {address}\r\n")),
            "{}",
            call.head
        );
        call.answer("200 OK", r#"{"object":"list","data":[]}"#);
        let ended = end(child);
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "no warning on loopback"
        );
    }
}

#[test]
fn over_the_local_socket_it_does_not() {
    let local = Local::new();
    let child = hearth(&["models", "--socket"])
        .arg(local.socket())
        .env("HEARTH_TOKEN", "hearth_t")
        .spawn()
        .unwrap();
    let call = local.gateway.next();
    assert!(!call.head.contains("authorization"), "{}", call.head);
    call.answer("200 OK", r#"{"object":"list","data":[]}"#);
    assert_eq!(end(child).code, Some(0));
}

#[test]
fn errors_name_what_was_tried_and_the_way_out() {
    let table: [(&[&str], i32, &[&str]); 5] = [
        (
            &["--socket", "/nonexistent/x.sock", "models"],
            1,
            &["/nonexistent/x.sock", "--host"],
        ),
        (
            &["--host", "hearth.local", "models"],
            2,
            &["https://NAME", "HEARTH_HOST"],
        ),
        (
            &["--host", "http://127.0.0.1:1", "models"],
            1,
            &["http://127.0.0.1:1"],
        ),
        (&["models", "--nonsense"], 2, &["--nonsense"]),
        (&["ask", "--temperature", "3", "hi"], 2, &["between 0 and 2"]),
    ];
    for (arguments, code, told) in table {
        let ended = run(arguments);
        assert_eq!(ended.code, Some(code), "{arguments:?}: {}", ended.stderr);
        for text in told {
            assert!(
                ended.stderr.contains(text),
                "{arguments:?}: {text} is not in {}",
                ended.stderr
            );
        }
    }
}

#[test]
fn what_can_be_no_name_and_no_id_is_wrong_usage_and_leads_nowhere() {
    for arguments in [
        &["model", "verify", "../x"][..],
        &["model", "show", ".."],
        &["model", "add", "x.gguf", "--name", "a/b"],
        &["model", "give-up", "../x"],
        &["job", "show", "../x"],
        &["job", "wait", ""],
        &["token", "show", "a/b"],
        &["token", "revoke", "../status"],
    ] {
        let ended = run(&[arguments, &["--socket", "/nonexistent"]].concat());
        assert_eq!(ended.code, Some(2), "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn nobody_who_reads_what_is_told_beside_the_answer_is_no_failure() {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    drop(reader);
    let mut command = hearth(&["--socket", "/nonexistent", "models"]);
    let ended = command.stderr(writer).output().unwrap();
    assert_eq!(ended.status.code(), Some(1));
}

#[test]
fn a_cause_is_told_once() {
    let ended = run(&["--socket", "/nonexistent/x.sock", "models"]);
    assert_eq!(
        ended.stderr.matches("No such file").count(),
        1,
        "{}",
        ended.stderr
    );
}

#[test]
fn a_missing_token_is_told_from_a_weak_one() {
    let (gateway, address) = Gateway::tcp();
    let problem =
        |status| format!(r#"{{"type":"/problems/x","title":"X","status":{status},"detail":"no\u001b[2J"}}"#);
    for (status, told) in [(401, "HEARTH_TOKEN"), (403, "higher role")] {
        let child = hearth(&["--host", &format!("http://{address}"), "status"])
            .spawn()
            .unwrap();
        gateway.next().answer(&format!("{status} No"), &problem(status));
        let ended = end(child);
        assert_eq!(ended.code, Some(1));
        assert!(
            ended.stderr.contains(told) && !ended.stderr.contains('\u{1b}'),
            "{:?}",
            ended.stderr
        );
    }
}

#[test]
fn pages_and_completions_are_written() {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("man1");
    assert_eq!(run(&["man", target.to_str().unwrap()]).code, Some(0));
    for page in ["hearth.1", "hearth-ask.1", "hearth-token-new.1"] {
        assert!(
            fs::read_to_string(target.join(page)).unwrap().contains(".TH"),
            "{page}"
        );
    }
    assert!(
        run(&["completions", "bash"])
            .stdout
            .contains("complete -F _hearth")
    );
    let ended = run(&["man", "/proc/nothing"]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("/proc/nothing"), "{}", ended.stderr);
}

#[test]
fn help_has_examples() {
    for arguments in [&["--help"][..], &["ask", "--help"], &["status", "--help"]] {
        let help = run(arguments).stdout;
        assert!(help.contains("Example"), "{help}");
    }
}
