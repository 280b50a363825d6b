//! `hearth history`, `events`, `logs`, `job`, `network`, `time`, `system`, `health`, `whoami`, and what a login shows.

use crate::command::{Local, end, hearth};
use std::time::{Duration, Instant};

const JOB: &str = r#"{"id":"4c1d","kind":"model.verify","subject":"m","state":"running","progress":{"done":1,"total":4,
    "unit":"bytes"},"result":null,"problem":null,"started":"2026-01-01T00:00:00Z","ended":null}"#;
const NETWORK: &str = r#"{"hostname":"hearth","ipv4":{"method":"dhcp"},"wifi":{"ssid":"home"},"interfaces":[{"name":"eth0",
    "kind":"ethernet","mac":null,"carrier":true,"addresses":["192.168.1.5/24"]}],"interfaces_problem":null,"confirm_by":null}"#;
const CLOCK: &str =
    r#"{"time":"2026-01-01T00:00:00Z","timezone":"Europe/Berlin","ntp":true,"synchronised":true}"#;
const SAMPLES: &str = r#"{"step_seconds":1,"columns":["time","temperature","clock","power","memory_used",
    "tokens_per_second","phase"],"rows":[[1,40.0,1.8e9,null,1e8,null,"idle"],[2,60.0,1.8e9,null,1e8,null,"idle"]]}"#;
const ENTRY: &str =
    r#"{"time":"2026-01-01T00:00:00.5Z","unit":"hearthd.service","priority":6,"message":"it runs"}"#;
const SYSTEM: &str = r#"{"hostname":"hearth","version":"0.1.0","kernel":"6.12","architecture":"x86_64",
    "started":"2026-01-01T00:00:00Z","vendor":"Acme","product":"Mini","processor":null,"memory":8589934592}"#;
const SESSION: &str = r#"{"id":"ab12","name":"desk","role":"read","expires":null}"#;

/// What is asked for, and what is shown of the answer.
struct Case {
    arguments: &'static [&'static str],
    head: &'static str,
    answer: String,
    shown: &'static str,
}

fn case(
    arguments: &'static [&'static str],
    head: &'static str,
    answer: impl Into<String>,
    shown: &'static str,
) -> Case {
    Case {
        arguments,
        head,
        answer: answer.into(),
        shown,
    }
}

fn cases() -> Vec<Case> {
    let list = format!(r#"{{"jobs":[{JOB}]}}"#);
    let done = JOB.replace("running", "done");
    vec![
        case(
            &["history"],
            "get /api/v1/samples?seconds=600 ",
            SAMPLES,
            "50.0 °C",
        ),
        case(
            &["history", "3h"],
            "get /api/v1/samples?seconds=10800 ",
            SAMPLES,
            "60.0 °C",
        ),
        case(&["job"], "get /api/v1/jobs ", list, "25 %"),
        case(&["job", "show", "4c1d"], "get /api/v1/jobs/4c1d ", JOB, "goes on"),
        case(&["job", "wait", "4c1d"], "get /api/v1/jobs/4c1d ", done, "done"),
        case(
            &["job", "cancel", "4c1d"],
            "delete /api/v1/jobs/4c1d ",
            JOB.replace("running", "cancelled"),
            "cancelled",
        ),
        case(&["network"], "get /api/v1/network ", NETWORK, "192.168.1.5/24"),
        case(&["system"], "get /api/v1/system ", SYSTEM, "Acme Mini"),
        case(&["time"], "get /api/v1/time ", CLOCK, "set over the network"),
        case(
            &["whoami"],
            "get /api/v1/session ",
            SESSION,
            "desk with the role read, token ab12",
        ),
        case(
            &["health"],
            "get /api/v1/health ",
            r#"{"status":"ok","engine":"ok","agent":"ok"}"#,
            "Engine       ok",
        ),
        case(
            &["logs", "-p", "err", "-n", "5", "--unit", "hearthd"],
            "get /api/v1/logs?lines=5&unit=hearthd&priority=3 ",
            format!("{ENTRY}\n"),
            "2026-01-01T00:00:00Z hearthd: it runs",
        ),
    ]
}

#[test]
fn what_is_asked_for_is_shown() {
    for case in cases() {
        let local = Local::new();
        let child = local.start(case.arguments);
        let call = local.gateway.next();
        assert!(
            call.head.starts_with(case.head),
            "{:?}: {}",
            case.arguments,
            call.head
        );
        call.answer("200 OK", &case.answer);
        let ended = end(child);
        assert_eq!(
            (ended.code, ended.stderr.as_str()),
            (Some(0), ""),
            "{:?}",
            case.arguments
        );
        assert!(
            ended.stdout.contains(case.shown),
            "{:?}: {}",
            case.arguments,
            ended.stdout
        );
        assert!(!ended.stdout.contains('\u{1b}'), "no colour in a pipe");
    }
}

#[test]
fn each_has_its_json() {
    for case in cases() {
        let local = Local::new();
        let child = local.start(&[case.arguments, &["--json"]].concat());
        local.gateway.next().answer("200 OK", &case.answer);
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(
            parse(&end(child).stdout),
            parse(&case.answer),
            "{:?}",
            case.arguments
        );
    }
}

#[test]
fn a_failed_job_and_an_appliance_without_an_engine_fail_the_command() {
    let failed = JOB.replace("running", "failed").replace(
        r#""problem":null"#,
        r#""problem":{"type":"/problems/x","title":"X","status":500,"detail":"the disk is full"}"#,
    );
    let local = Local::new();
    let child = local.start(&["job", "wait", "4c1d"]);
    local.gateway.next().answer("200 OK", &failed);
    let ended = end(child);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("the disk is full"), "{}", ended.stderr);

    let child = local.start(&["health"]);
    let health = r#"{"status":"unavailable","engine":"unavailable","agent":"ok"}"#;
    local.gateway.next().answer("503 Service Unavailable", health);
    let ended = end(child);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stdout.contains("Engine       not there"),
        "{}",
        ended.stdout
    );
}

#[test]
fn who_waits_for_a_job_is_told_at_once_that_nobody_answers() {
    let child = hearth(&["job", "wait", "4c1d", "--socket", "/nobody/listens"]).spawn();
    let ended = end(child.unwrap());
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("cannot connect"), "{}", ended.stderr);
    // What is told after a minute of trying.
    assert!(!ended.stderr.contains("the job goes on"), "{}", ended.stderr);
}

#[test]
fn who_has_seen_a_job_waits_while_the_line_is_broken() {
    let local = Local::new();
    let child = local.start(&["job", "wait", "4c1d"]);
    local.gateway.next().answer("200 OK", JOB);
    drop(local.gateway.next());
    let done = JOB.replace("running", "done");
    local.gateway.next().answer("200 OK", &done);
    assert_eq!(end(child).code, Some(0));
}

/// The key by which a request is known.
fn key(head: &str) -> &str {
    let mut lines = head.lines();
    lines
        .find_map(|line| line.strip_prefix("idempotency-key: "))
        .unwrap()
}

#[test]
fn an_order_whose_answer_is_lost_is_sent_once_more_with_its_key() {
    let local = Local::new();
    let hold = ["power", "hold", "performance", "--reason", "a test"];
    let child = local.start(&hold);
    let lost = local.gateway.next();
    let (head, body) = (lost.head.clone(), lost.body.clone());
    drop(lost);
    let again = local.gateway.next();
    assert_eq!((&again.head, &again.body), (&head, &body));
    drop(again);
    let ended = end(child);
    assert_eq!(ended.code, Some(1), "it is not sent for ever");
    assert!(ended.stderr.contains("hung up"), "{}", ended.stderr);

    let child = local.start(&hold);
    let other = local.gateway.next();
    assert_ne!(key(&other.head), key(&head), "another order is another");
    other.answer("409 Conflict", "");
    assert_eq!(end(child).code, Some(1));
}

#[test]
fn a_token_whose_text_is_lost_is_not_made_once_more() {
    let local = Local::new();
    let child = local.start(&["token", "new", "laptop"]);
    drop(local.gateway.next());
    let ended = end(child);
    assert!(ended.stderr.contains("hung up"), "{}", ended.stderr);
}

#[test]
fn a_job_that_goes_on_is_waited_for() {
    let local = Local::new();
    let child = local.start(&["engine", "load", "m", "--keep-alive", "-1"]);
    let call = local.gateway.next();
    assert!(
        call.head.starts_with("post /api/v1/engine/load "),
        "{}",
        call.head
    );
    assert_eq!(call.json(), serde_json::json!({"model": "m", "keep_alive": "-1"}));
    call.answer("202 Accepted", JOB);
    local.gateway.next().answer("200 OK", JOB);
    local
        .gateway
        .next()
        .answer("200 OK", &JOB.replace("running", "done"));
    assert_eq!(end(child).stdout, "the model is loaded\n");
}

#[test]
fn events_and_the_journal_are_followed() {
    for (arguments, head, event, shown) in [
        (
            &["events", "--only", "alert"][..],
            "get /api/v1/events ",
            r#"{"level":"error","message":"too hot","time":"x"}"#,
            "alert   too hot\n",
        ),
        (
            &["events", "--json"],
            "get /api/v1/events ",
            r#"{"level":"error","message":"too hot","time":"x"}"#,
            "\"event\":\"alert\"",
        ),
        (
            &["logs", "--follow"],
            "get /api/v1/logs?lines=200&follow=true ",
            ENTRY,
            "hearthd: it runs\n",
        ),
    ] {
        let local = Local::new();
        let child = local.start(arguments);
        let mut call = local.gateway.next();
        assert!(call.head.starts_with(head), "{}", call.head);
        call.begin();
        let other = "event: models\ndata: {}\n\n";
        if arguments.contains(&"--only") {
            call.write(&format!("{:x}\r\n{other}\r\n", other.len()));
        }
        let event = format!("event: alert\ndata: {event}\n\n");
        call.write(&format!("{:x}\r\n{event}\r\n", event.len()));
        call.end();
        let ended = end(child);
        assert_eq!(ended.code, Some(1), "a stream has no good end");
        assert!(
            ended.stdout.contains(shown) && ended.stdout.lines().count() == 1,
            "{}",
            ended.stdout
        );
    }
}

#[test]
fn a_network_is_changed_as_it_was_read() {
    let local = Local::new();
    let child = local.start(&[
        "network",
        "set",
        "--address",
        "10.0.0.2/8",
        "--gateway",
        "10.0.0.1",
    ]);
    let mut call = local.gateway.next();
    call.write(&format!(
        "HTTP/1.1 200 OK\r\netag: \"7\"\r\ncontent-length: {}\r\n\r\n{NETWORK}",
        NETWORK.len()
    ));
    let call = local.gateway.next();
    assert!(call.head.starts_with("put /api/v1/network "), "{}", call.head);
    assert!(call.head.contains("\r\nif-match: \"7\"\r\n"), "{}", call.head);
    let fixed =
        serde_json::json!({"method": "static", "address": "10.0.0.2/8", "gateway": "10.0.0.1", "dns": []});
    let body = serde_json::json!({"hostname": "hearth", "ipv4": fixed, "wifi": {"ssid": "home"}});
    assert_eq!(call.json(), body);
    call.answer("200 OK", r#"{"confirm_by":"2026-01-01T00:02:00Z"}"#);
    let shown = end(child).stdout;
    assert!(
        shown.contains("2026-01-01T00:02:00Z") && shown.contains("hearth network confirm"),
        "{shown}"
    );

    let child = local.start(&["network", "confirm"]);
    let call = local.gateway.next();
    assert!(
        call.head.starts_with("post /api/v1/network/confirm "),
        "{}",
        call.head
    );
    call.answer("204 No Content", "");
    local.gateway.next().answer("200 OK", NETWORK);
    assert!(end(child).stdout.contains("hearth.local"));
}

#[test]
fn a_time_zone_is_set() {
    let local = Local::new();
    let child = local.start(&["time", "set", "Europe/Berlin"]);
    let call = local.gateway.next();
    assert!(call.head.starts_with("put /api/v1/time "), "{}", call.head);
    assert_eq!(
        call.json(),
        serde_json::json!({"timezone": "Europe/Berlin", "ntp": null})
    );
    call.answer("200 OK", CLOCK);
    local.gateway.next().answer("200 OK", CLOCK);
    assert!(end(child).stdout.contains("Europe/Berlin"));
}

#[test]
fn a_machine_is_ended_by_its_name_alone() {
    let local = Local::new();
    for (order, said) in [
        ("reboot", "restarted"),
        ("power-off", "powered off"),
        ("factory-reset", "new"),
    ] {
        let child = local.start(&["system", order, "--confirm", "hearth"]);
        let call = local.gateway.next();
        assert!(
            call.head.starts_with(&format!("post /api/v1/system/{order} ")),
            "{}",
            call.head
        );
        assert_eq!(call.json(), serde_json::json!({"confirm": "hearth"}));
        call.answer("202 Accepted", "");
        assert!(end(child).stdout.contains(said));
        let ended = end(local.start(&["system", order]));
        assert_eq!(ended.code, Some(2), "a script must say which machine it means");
        assert!(ended.stderr.contains("--confirm"), "{}", ended.stderr);
    }
}

#[test]
fn a_login_is_never_kept_waiting() {
    let ended = end(hearth(&["status", "--brief", "--socket", "/nowhere.sock"])
        .spawn()
        .unwrap());
    assert_eq!(
        (ended.code, ended.stdout.lines().count()),
        (Some(0), 1),
        "{}",
        ended.stdout
    );
    let local = Local::new();
    let begin = Instant::now();
    let child = local.start(&["status", "--brief"]);
    // It is asked, and does not answer.
    let call = local.gateway.next();
    let ended = end(child);
    assert!(ended.stdout.contains("no answer yet"), "{}", ended.stdout);
    assert_eq!(ended.code, Some(0));
    // The bound is 0.9 s; a machine that is busy with other tests starts a program late.
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    drop(call);
}
