//! `/api/v1`, and what remains on disk.

use crate::{
    client::Client,
    engine::Engine,
    process::{Setup, asked, gateway_with_engine},
};
use std::fs;

#[test]
fn a_token_is_made_used_kept_over_a_restart_and_revoked() {
    let (setup, gateway, engine, admin) = gateway_with_engine();
    let made = gateway.ask(
        "POST /api/v1/tokens",
        &[&admin],
        r#"{"name":"laptop","role":"chat"}"#,
    );
    assert_eq!(made.status, 201);
    let made_json = made.json();
    let id = made_json["id"].as_str().unwrap();
    assert_eq!(
        made.header("location"),
        Some(format!("/api/v1/tokens/{id}").as_str())
    );
    let header = format!("Authorization: Bearer {}", made_json["secret"].as_str().unwrap());
    drop(gateway);

    let gateway = setup.serve();
    let listed = gateway.ask("GET /api/v1/tokens", &[&admin], "");
    assert_eq!(listed.json()["tokens"].as_array().unwrap().len(), 2);
    assert!(
        !listed.body.contains("secret") && !listed.body.contains("sha256"),
        "{}",
        listed.body
    );
    let (mut client, mut call) = asked(&gateway, &engine, &header, "GET /v1/models", "");
    call.answer("{}");
    assert_eq!(client.answer().status, 200);

    let revoked = gateway.ask(&format!("DELETE /api/v1/tokens/{id}"), &[&admin], "");
    assert_eq!((revoked.status, revoked.json()["note"].is_null()), (200, true));
    assert_eq!(client.ask("GET /v1/models", &[&header], "").status, 401);
    assert_eq!(
        gateway
            .ask(&format!("DELETE /api/v1/tokens/{id}"), &[&admin], "")
            .status,
        404
    );
}

#[test]
fn an_id_that_is_no_text_is_refused_as_a_problem() {
    let setup = Setup::new();
    let gateway = setup.serve();
    let refused = gateway.ask_locally("DELETE /api/v1/tokens/%ff", "");
    assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    assert_eq!(
        (refused.status, refused.json()["type"].as_str()),
        (400, Some("/problems/invalid-request"))
    );
}

#[test]
fn an_answer_to_head_is_not_logged_as_cut_short() {
    let setup = Setup::new();
    let gateway = setup.serve();
    let mut client = Client::unix(&gateway.local);
    client.send("HEAD /api/v1/status", &[], "");
    assert_eq!(client.head().status, 200);
    let line = gateway.wait_for_line("HEAD /api/v1/status 200");
    assert!(!line.contains("cut short"), "{line}");
}

#[test]
fn the_last_administrator_may_go_and_the_local_socket_remains() {
    let (_setup, gateway, _engine, admin) = gateway_with_engine();
    let listed = gateway.ask("GET /api/v1/tokens", &[&admin], "").json();
    let id = listed["tokens"][0]["id"].as_str().unwrap();
    let revoked = gateway
        .ask(&format!("DELETE /api/v1/tokens/{id}"), &[&admin], "")
        .json();
    assert!(revoked["note"].as_str().unwrap().contains("hearth token new"));
    assert_eq!(gateway.ask("GET /api/v1/tokens", &[&admin], "").status, 401);
    let made = gateway.ask_locally("POST /api/v1/tokens", r#"{"name":"again","role":"admin"}"#);
    assert_eq!(made.status, 201);
}

#[test]
fn a_token_that_is_not_described_well_is_not_made() {
    let (_setup, gateway, _engine, _admin) = gateway_with_engine();
    for body in [
        "",
        "{}",
        r#"{"name":"","role":"chat"}"#,
        r#"{"name":"a","role":"king"}"#,
        r#"{"name":"a","role":"chat","x":1}"#,
    ] {
        let refused = gateway.ask_locally("POST /api/v1/tokens", body);
        assert_eq!(
            (refused.status, refused.json()["status"].as_u64()),
            (400, Some(400)),
            "{body}"
        );
    }
    let listed = gateway.ask_locally("GET /api/v1/tokens", "").json();
    assert_eq!(listed["tokens"].as_array().unwrap().len(), 1);
}

#[test]
fn a_damaged_store_is_an_error_that_names_it_and_is_left_alone() {
    let setup = Setup::new();
    let damaged = "{\"version\":1,\n\"tokens\":[{\"id\":";
    fs::write(setup.store(), damaged).unwrap();
    for subcommand in ["serve", "first-token"] {
        let output = setup.command(subcommand).output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{log}");
        assert!(log.contains(&format!("{}:2:", setup.store().display())), "{log}");
        assert_eq!(fs::read_to_string(setup.store()).unwrap(), damaged);
    }
}

#[test]
fn there_is_a_first_token_once() {
    let setup = Setup::new();
    let token = setup.first_token();
    assert_eq!((token.len(), &token[..7]), (50, "hearth_"));
    assert_eq!(setup.first_token(), "");
    let gateway = setup.serve();
    let header = format!("Authorization: Bearer {token}");
    assert_eq!(gateway.ask("GET /api/v1/tokens", &[&header], "").status, 200);
    assert_eq!(setup.first_token(), "");
}

#[test]
fn health_needs_no_token_and_does_not_wake_the_engine() {
    let (setup, gateway, engine, _admin) = gateway_with_engine();
    let health = gateway.ask("GET /api/v1/health", &[], "");
    assert_eq!(health.status, 503);
    assert_eq!(
        health.body,
        r#"{"status":"unavailable","engine":"ok","agent":"unavailable"}"#
    );
    assert!(engine.is_idle());
    fs::remove_file(setup.engine_socket()).unwrap();
    while gateway.ask("GET /api/v1/health", &[], "").json()["engine"] == "ok" {}
}

#[test]
fn status_without_the_agent_says_why_and_asks_the_engine_only_on_demand() {
    let (_setup, gateway, engine, admin) = gateway_with_engine();
    let status = gateway.ask("GET /api/v1/status", &[&admin], "").json();
    assert!(status["sample"].is_null() && status["capabilities"].is_null() && status["engine"].is_null());
    assert!(status["agent_problem"].as_str().unwrap().contains("--bus none"));
    assert!(status["uptime_seconds"].as_f64().unwrap() > 0.0);
    assert!(engine.is_idle());
    assert_eq!(engine_status(&gateway, &engine, &admin)["engine"]["model"], "m");
}

fn engine_status(gateway: &crate::process::Gateway, engine: &Engine, admin: &str) -> serde_json::Value {
    let mut client = gateway.client();
    client.send("GET /api/v1/status?engine=true", &[admin], "");
    let mut call = engine.next();
    assert!(call.head().starts_with("get /health "));
    call.answer(r#"{"status":"ok","model":"m","queued":0,"active":0}"#);
    client.answer().json()
}

#[test]
fn the_front_door_says_what_this_is() {
    let setup = Setup::new();
    let gateway = setup.serve();
    let front = gateway.ask("GET /", &[], "");
    assert_eq!(front.status, 200);
    assert!(front.body.starts_with("Hearth"));
}
