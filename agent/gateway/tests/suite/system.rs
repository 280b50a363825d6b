//! `/api/v1/system`, `/api/v1/time` and `/api/v1/logs`.

use crate::{
    client::Client,
    power::{ADMIN, READ, gateway_with_agent},
    process::Setup,
};
use serde_json::Value;
use std::{fs, os::unix::fs::PermissionsExt};

fn confirmed() -> String {
    let hostname = nix::unistd::gethostname().unwrap();
    format!(r#"{{"confirm":{hostname:?}}}"#)
}

#[test]
fn the_machine_ends_only_for_who_means_it() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    let off = gateway.ask("POST /api/v1/system/power-off", ADMIN, &confirmed());
    assert_eq!(off.status, 202, "{off:?}");
    gateway.wait_for_line("the machine is powered off by desk");
    let failed = gateway.ask("POST /api/v1/system/reboot", ADMIN, &confirmed());
    assert_eq!(
        (failed.status, failed.json()["detail"].as_str()),
        (502, Some("this is a test"))
    );
    let other = gateway.ask("POST /api/v1/system/power-off", ADMIN, r#"{"confirm":"another"}"#);
    assert_eq!(other.status, 422, "{other:?}");
    assert_eq!(
        gateway.ask("POST /api/v1/system/power-off", ADMIN, "").status,
        400
    );
    assert_eq!(
        gateway
            .ask("POST /api/v1/system/power-off", READ, &confirmed())
            .status,
        403
    );
}

#[test]
fn the_machine_is_told_by_its_name_and_what_hearthd_has_found() {
    let (_setup, gateway, mut agent) = gateway_with_agent();
    let told = gateway.ask("GET /api/v1/system", READ, "").json();
    let hostname = nix::unistd::gethostname().unwrap();
    assert_eq!(told["hostname"].as_str(), hostname.to_str());
    assert_eq!((&told["product"], &told["memory"]), (&"NUC".into(), &7.into()));
    assert!(told["started"].is_string() && told["kernel"].is_string());
    agent.leave();
    let alone = gateway.ask("GET /api/v1/system", READ, "");
    assert_eq!((alone.status, &alone.json()["product"]), (200, &Value::Null));
}

/// A gateway whose journal is read by this script.
fn with_journal(script: &str) -> (Setup, crate::process::Gateway) {
    let setup = Setup::new();
    fs::write(setup.journalctl(), format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(setup.journalctl(), fs::Permissions::from_mode(0o755)).unwrap();
    let gateway = setup.serve();
    (setup, gateway)
}

#[test]
fn a_journal_that_cannot_be_read_on_is_not_a_short_one() {
    let entry =
        r#"echo '{"__REALTIME_TIMESTAMP":"1000000","PRIORITY":"5","MESSAGE":"x","UNIT":"a.service"}'"#;
    for (end, is_whole) in [("exit 0", true), ("exit 1", false), ("kill -9 $$", false)] {
        let (_setup, gateway) = with_journal(&format!("{entry}; {end}"));
        let mut client = Client::unix(&gateway.local);
        client.send("GET /api/v1/logs", &["Connection: close"], "");
        let told = client.rest();
        assert_eq!(told.ends_with("\r\n0\r\n\r\n"), is_whole, "{end}: {told}");
        let line = gateway.wait_for_line("GET /api/v1/logs 200");
        assert_eq!(!line.contains(", cut short: "), is_whole, "{end}: {line}");
    }
}

const ENTRY: &str = r#"{"__REALTIME_TIMESTAMP":"1000000","PRIORITY":"5","MESSAGE":"$1 $2 $3 $4 $5 $6 $7 $8 $9","UNIT":"a.service"}"#;

fn said() -> String {
    format!("cat <<END\n{ENTRY}\nEND")
}

#[test]
fn the_journal_is_told_an_entry_a_line_without_tokens() {
    let token = format!("hearth_{}", "x".repeat(43));
    let (_setup, gateway) = with_journal(&format!(
        "{}\necho no entry\n{}",
        said(),
        said().replace("$1", &token)
    ));
    let told = gateway.ask_locally("GET /api/v1/logs?unit=hearthd&priority=4&lines=7", "");
    assert_eq!(told.header("content-type"), Some("application/x-ndjson"));
    let lines: Vec<Value> = told
        .body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2, "{told:?}");
    let message = lines[0]["message"].as_str().unwrap();
    for argument in ["--output=json", "--lines=7", "--priority=4", "--unit=hearthd"] {
        assert!(message.contains(argument), "{message}");
    }
    assert_eq!(
        (&lines[0]["unit"], &lines[0]["priority"]),
        (&"a.service".into(), &5.into())
    );
    assert!(!told.body.contains(&token) && told.body.contains("hearth_…"));
    for query in ["unit=--root=/", "lines=0", "priority=9", "colour=red"] {
        let refused = gateway.ask_locally(&format!("GET /api/v1/logs?{query}"), "");
        assert_eq!(refused.status, 400, "{query}");
    }
}

#[test]
fn who_follows_it_hears_on_and_the_reader_ends_with_the_listener() {
    let (setup, gateway) = with_journal(&format!("echo $$ > \"$0.pid\"\n{}\nexec sleep 1000", said()));
    let mut client = Client::unix(&gateway.local);
    client.send("GET /api/v1/logs?follow=true", &[], "");
    assert_eq!(client.head().header("content-type"), Some("text/event-stream"));
    let mut heard = String::new();
    while !heard.contains("data: {\"time\":\"1970-01-01T00:00:01Z\"") {
        heard += &client.chunk().unwrap();
    }
    assert!(heard.contains("--follow"), "{heard}");
    let pid = fs::read_to_string(setup.folder.path().join("journalctl.pid")).unwrap();
    drop(client);
    let process = format!("/proc/{}/stat", pid.trim());
    let runs = || fs::read_to_string(&process).is_ok_and(|stat| !stat.contains(") Z "));
    while runs() {
        std::thread::yield_now();
    }
}

#[test]
fn an_entry_that_is_too_long_is_told_so_and_the_next_as_it_is() {
    let long = r#"{"__REALTIME_TIMESTAMP":"1000000","MESSAGE":""#;
    let (_setup, gateway) = with_journal(&format!(
        "printf '{long}'; head -c 300000 /dev/zero | tr '\\0' x; echo '\"}}'\n{}",
        said()
    ));
    let told = gateway.ask_locally("GET /api/v1/logs", "");
    let lines: Vec<&str> = told.body.lines().collect();
    assert_eq!(lines.len(), 2, "{told:?}");
    assert!(lines[0].contains("1970-01-01T00:00:01Z") && lines[0].contains("more than 262144 bytes"));
    assert!(lines[1].contains("--all"), "{}", lines[1]);
}

#[test]
fn a_journal_that_cannot_be_read_is_not_told_as_empty() {
    let (_setup, gateway) = with_journal("exit 1");
    let refused = gateway.ask_locally("GET /api/v1/logs", "");
    assert_eq!(refused.status, 500, "{refused:?}");
    let detail = refused.json()["detail"].to_string();
    assert!(detail.contains("exit status: 1"), "{detail}");
    let (_setup, gateway) = with_journal("exit 0");
    let empty = gateway.ask_locally("GET /api/v1/logs", "");
    assert_eq!((empty.status, empty.body.as_str()), (200, ""));
}

#[test]
fn whoever_follows_the_journal_hears_no_more_when_the_token_is_revoked() {
    let (_setup, gateway) = with_journal(&format!("{}\nexec sleep 1000", said()));
    let made = gateway
        .ask_locally("POST /api/v1/tokens", r#"{"name":"x","role":"admin"}"#)
        .json();
    let header = format!("Authorization: Bearer {}", made["secret"].as_str().unwrap());
    let mut client = gateway.client();
    client.send("GET /api/v1/logs?follow=true", &[&header], "");
    assert_eq!(client.head().status, 200);
    while !client.chunk().unwrap().contains("--follow") {}
    let revoke = format!("DELETE /api/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(gateway.ask_locally(&revoke, "").status, 200);
    while client.chunk().is_some() {}
}
