//! `/api/v1/power`, `/api/v1/thermal` and `/api/v1/memory`, requests that are announced, and an engine that heat has stopped.

use crate::{
    agent::Agent,
    engine::{DEADLINE, Engine},
    process::{Gateway, Setup, asked},
};
use api::phase::ARRIVAL;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, bind, listen, recv, socket,
};
use sha2::{Digest, Sha256};
use std::{
    fs,
    os::{fd::AsRawFd, unix::net::UnixListener},
};

fn hash(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A gateway with an agent, an administrator's token named desk and one for reading.
pub(crate) fn gateway_with_agent() -> (Setup, Gateway, Agent) {
    let agent = Agent::start();
    let hashes = format!(
        "sha256:{} admin desk\nsha256:{} read wall\n",
        hash("hearth_admin"),
        hash("hearth_read")
    );
    let setup = Setup::with_hashes(&hashes).on_bus(&agent.address);
    let gateway = setup.serve();
    (setup, gateway, agent)
}

pub(crate) const ADMIN: &[&str] = &["Authorization: Bearer hearth_admin"];
pub(crate) const READ: &[&str] = &["Authorization: Bearer hearth_read"];

#[test]
fn a_profile_is_chosen_and_shown_and_who_chose_it_is_logged() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    let set = gateway.ask("PUT /api/v1/power", ADMIN, r#"{"profile":"power-saver"}"#);
    assert_eq!(
        (set.status, set.json()["profile"].as_str()),
        (200, Some("power-saver"))
    );
    gateway.wait_for_line("power profile set to power-saver by desk");
    let shown = gateway.ask("GET /api/v1/power", READ, "");
    assert_eq!((shown.status, shown.json()), (200, set.json()));
}

#[test]
fn a_hold_is_made_in_its_holders_name_shown_and_released() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    let body = r#"{"profile":"performance","reason":"a build","seconds":60}"#;
    let made = gateway.ask("POST /api/v1/power/holds", ADMIN, body);
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.header("location"), Some("/api/v1/power/holds/7"));
    let hold = serde_json::json!({"id": 7, "profile": "performance", "reason": "a build", "holder": "desk",
        "until_usec": 60_000_000});
    assert_eq!(made.json(), hold);
    let line = gateway.wait_for_line("power profile performance held (hold 7) by desk (token:");
    assert!(line.ends_with("): \"a build\""), "{line}");
    let shown = gateway.ask("GET /api/v1/power", READ, "").json();
    assert_eq!(shown["holds"], serde_json::json!([hold]));

    let released = gateway.ask("DELETE /api/v1/power/holds/7", ADMIN, "");
    assert_eq!(
        (released.status, &released.json()["holds"]),
        (200, &serde_json::json!([]))
    );
    gateway.wait_for_line("hold 7 on a power profile released by desk");
    for unknown in ["7", "x", "-1", "99999999999"] {
        let refused = gateway.ask(&format!("DELETE /api/v1/power/holds/{unknown}"), ADMIN, "");
        assert_eq!(refused.status, 404, "{unknown}");
        assert_eq!(refused.json()["type"], "/problems/not-found");
    }
}

#[test]
fn a_local_user_holds_by_name() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    let body = r#"{"profile":"power-saver","reason":"quiet","seconds":null}"#;
    let made = gateway.ask_locally("POST /api/v1/power/holds", body).json();
    let own = nix::unistd::User::from_uid(nix::unistd::getuid())
        .unwrap()
        .unwrap();
    assert_eq!(made["holder"].as_str(), Some(own.name.as_str()));
    assert!(made["until_usec"].is_null());
}

#[test]
fn a_quarantined_model_is_shown_in_the_status_and_released_by_an_administrator() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    let held = || {
        let status = gateway.ask("GET /api/v1/status", READ, "").json();
        status["supervision"]["quarantined"].clone()
    };
    let bad = serde_json::json!([{"model": "bad", "since": "2026-01-02T03:04:05Z", "reason": "it crashed"}]);
    assert_eq!(held(), bad);
    let release = "DELETE /api/v1/models/bad/quarantine";
    assert_eq!(gateway.ask(release, READ, "").status, 403);
    assert_eq!(held(), bad);
    let released = gateway.ask(release, ADMIN, "");
    assert_eq!(
        (released.status, &released.json()["quarantined"]),
        (200, &serde_json::json!([]))
    );
    gateway.wait_for_line("model bad released from quarantine by desk");
    assert_eq!(held(), serde_json::json!([]));
    let again = gateway.ask(release, ADMIN, "");
    assert_eq!(
        (again.status, again.json()["type"].as_str()),
        (404, Some("/problems/not-found"))
    );
}

#[test]
fn a_target_is_set_and_reset() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    let set = gateway.ask("PUT /api/v1/thermal", ADMIN, r#"{"target":70000}"#);
    assert_eq!(
        (set.status, set.json()["target_set"].as_u64()),
        (200, Some(70_000))
    );
    gateway.wait_for_line("thermal target set to 70.0 °C by desk");
    let reset = gateway.ask("PUT /api/v1/thermal", ADMIN, r#"{"target":null}"#);
    assert_eq!((reset.status, reset.json()["target_set"].is_null()), (200, true));
    gateway.wait_for_line("thermal target reset to the firmware profile's by desk");
    let shown = gateway.ask("GET /api/v1/thermal", READ, "");
    assert_eq!(
        (shown.status, shown.json()["target_default"].as_u64()),
        (200, Some(80_000))
    );
}

const HOLDS: &str = "POST /api/v1/power/holds";

/// Requests, their bodies, the status of the refusal and what it names.
const REFUSED: [(&str, &str, u16, &str); 12] = [
    ("PUT /api/v1/power", r#"{"profile":"fast"}"#, 422, "profile:"),
    ("PUT /api/v1/power", r#"{"profile":"balanced","x":1}"#, 422, "x"),
    (
        "PUT /api/v1/power",
        r#"{"profile":"balanced"} {}"#,
        400,
        "trailing",
    ),
    ("PUT /api/v1/power", "", 400, "EOF"),
    ("PUT /api/v1/thermal", r#"{"target":"warm"}"#, 422, "target:"),
    ("PUT /api/v1/thermal", "{}", 422, "missing field `target`"),
    (
        "PUT /api/v1/thermal",
        r#"{"target":96000}"#,
        422,
        "target: 30 to 95 °C",
    ),
    (
        "PUT /api/v1/thermal",
        r#"{"target":9223372036854775807}"#,
        422,
        "target: 30 to 95 °C",
    ),
    (
        HOLDS,
        r#"{"profile":"balanced","reason":"x","seconds":1}"#,
        422,
        "profile:",
    ),
    (
        HOLDS,
        r#"{"profile":"performance","reason":"","seconds":1}"#,
        422,
        "reason:",
    ),
    (
        HOLDS,
        r#"{"profile":"performance","reason":"x","seconds":0}"#,
        422,
        "seconds:",
    ),
    (
        HOLDS,
        r#"{"profile":"performance","reason":"x","seconds":-1}"#,
        422,
        "seconds:",
    ),
];

#[test]
fn what_cannot_be_is_refused_by_its_field() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    for (line, body, status, named) in REFUSED {
        let refused = gateway.ask(line, ADMIN, body);
        assert_eq!(refused.status, status, "{line} {body}: {refused:?}");
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(named), "{line} {body}: {detail}");
    }
    let large = format!(r#"{{"profile":"{}"}}"#, "x".repeat(17 << 10));
    assert_eq!(gateway.ask("PUT /api/v1/power", ADMIN, &large).status, 413);
}

#[test]
fn what_the_machine_showed_is_told_for_a_span_that_is_kept() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    let told = gateway.ask("GET /api/v1/samples?seconds=700", READ, "").json();
    assert_eq!(told["columns"][0], "time");
    assert_eq!(
        (&told["rows"][0][0], &told["rows"][0][2]),
        (&serde_json::json!(700), &serde_json::Value::Null)
    );
    let told = gateway.ask("GET /api/v1/samples", READ, "").json();
    assert_eq!(told["rows"][0][0], 600);
    for query in ["seconds=0", "seconds=604801", "seconds=x", "minutes=1"] {
        let refused = gateway.ask(&format!("GET /api/v1/samples?{query}"), READ, "");
        assert_eq!(refused.status, 400, "{query}");
    }
}

#[test]
fn who_holds_memory_is_shown_as_hearthd_tells_it() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    let shown = gateway.ask("GET /api/v1/memory", READ, "");
    assert_eq!((shown.status, shown.json()["used"].as_u64()), (200, Some(100)));
    assert_eq!(shown.json()["reclaim"]["state"], "at_goal");
    assert_eq!(gateway.ask("PUT /api/v1/memory", ADMIN, "{}").status, 405);
}

#[test]
fn reading_does_not_allow_changing_and_chat_does_not_need_either() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    for (line, status) in [
        ("PUT /api/v1/power", 403),
        ("POST /api/v1/power/holds", 403),
        ("DELETE /api/v1/power/holds/7", 403),
        ("PUT /api/v1/thermal", 403),
        ("GET /api/v1/power", 200),
        ("GET /api/v1/thermal", 200),
        ("GET /api/v1/memory", 200),
    ] {
        assert_eq!(gateway.ask(line, READ, "{}").status, status, "{line}");
        assert_eq!(gateway.ask(line, &[], "{}").status, 401, "{line}");
    }
    assert_eq!(gateway.ask("POST /api/v1/power", ADMIN, "{}").status, 405);
}

#[test]
fn without_the_agent_it_is_said_so() {
    let (_setup, gateway, mut agent) = gateway_with_agent();
    agent.leave();
    let table = [
        ("GET /api/v1/power", ""),
        ("GET /api/v1/thermal", ""),
        ("GET /api/v1/memory", ""),
        ("PUT /api/v1/power", r#"{"profile":"balanced"}"#),
    ];
    for (line, body) in table {
        let refused = gateway.ask(line, ADMIN, body);
        let kind = refused.json()["type"].clone();
        assert_eq!(
            (refused.status, kind.as_str()),
            (503, Some("/problems/agent-unavailable")),
            "{line}"
        );
    }
}

#[test]
fn an_engine_that_heat_has_stopped_says_why_and_when_to_come_back() {
    let (_setup, gateway, agent) = gateway_with_agent();
    let refused = gateway.ask("GET /v1/models", ADMIN, "");
    assert_eq!(
        refused.json()["error"]["code"],
        "engine_unavailable",
        "missing, but not for heat"
    );
    agent.overheat("99.0 °C is 19.0 over the target");
    let refused = gateway.ask("GET /v1/models", ADMIN, "");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("30")));
    let error = &refused.json()["error"];
    assert_eq!(error["code"], "engine_too_hot");
    assert!(
        error["message"]
            .as_str()
            .unwrap()
            .contains("99.0 °C is 19.0 over"),
        "{error}"
    );
}

#[test]
fn a_request_that_generates_is_announced_before_the_engine_sees_it() {
    let setup = Setup::new();
    let own = socket(
        AddressFamily::Unix,
        SockType::SeqPacket,
        SockFlag::SOCK_CLOEXEC,
        None,
    )
    .unwrap();
    bind(own.as_raw_fd(), &UnixAddr::new(&setup.arrival_socket()).unwrap()).unwrap();
    listen(&own, Backlog::new(1).unwrap()).unwrap();
    let hearthd = UnixListener::from(own);
    let engine = Engine::listen(&setup.engine_socket());
    let gateway = setup.serve();
    assert_eq!(gateway.ask("POST /v1/chat/completions", &[], "{}").status, 401);
    let ask = |line: &str| {
        let mut client = crate::client::Client::unix(&gateway.local);
        client.send(line, &[], "");
        let mut call = engine.next();
        call.head();
        (client, call)
    };
    let (mut client, mut call) = ask("GET /v1/models");
    call.answer("{}");
    assert_eq!(client.answer().status, 200);
    let (_client, _call) = ask("POST /v1/chat/completions");
    let (link, _) = hearthd.accept().unwrap();
    link.set_read_timeout(Some(DEADLINE)).unwrap();
    let mut room = [0; 99];
    let length = recv(link.as_raw_fd(), &mut room, MsgFlags::empty()).unwrap();
    assert_eq!(room[..length], ARRIVAL);
    let more = recv(link.as_raw_fd(), &mut room, MsgFlags::MSG_DONTWAIT);
    assert!(more.is_err(), "neither a refused request nor one that only looks");
}

#[test]
fn a_request_is_answered_though_nobody_hears_of_it() {
    let (setup, gateway, engine, admin) = crate::process::gateway_with_engine();
    for _ in 0..2 {
        let (mut client, mut call) = asked(&gateway, &engine, &admin, "POST /v1/chat/completions", "");
        call.answer("{}");
        assert_eq!(client.answer().status, 200);
    }
    gateway.wait_for_line("hearthd cannot be told of requests");
    assert_eq!(gateway.log().matches("hearthd cannot be told").count(), 1);
    assert!(!fs::exists(setup.arrival_socket()).unwrap());
}
