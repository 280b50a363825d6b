//! `/api/v1/engine`: the engine's unit, started, stopped and limited.

use crate::power::{ADMIN, READ, gateway_with_agent};

#[test]
fn a_stopped_engine_is_held_and_requests_are_told_why_until_it_is_started() {
    let (_setup, gateway, agent) = gateway_with_agent();
    let stopped = gateway.ask("POST /api/v1/engine/stop", ADMIN, "");
    assert_eq!(
        (stopped.status, stopped.json()["held_since"].as_str()),
        (200, Some("2026-01-02T03:04:05Z"))
    );
    gateway.wait_for_line("engine stopped by desk");
    agent.overheat("99.0 °C is 19.0 over the target");
    let refused = gateway.ask("GET /v1/models", ADMIN, "");
    let error = &refused.json()["error"];
    assert_eq!(
        (refused.status, error["code"].as_str()),
        (503, Some("engine_held"))
    );
    let told = error["message"].as_str().unwrap();
    assert!(
        told.contains("2026-01-02T03:04:05Z") && told.contains("hearth engine start"),
        "{told}"
    );
    assert_eq!(refused.header("retry-after"), None, "it does not end by itself");

    let restarted = gateway.ask("POST /api/v1/engine/restart", ADMIN, "");
    assert_eq!(
        (restarted.status, &*restarted.json()["type"].to_string()),
        (409, "\"/problems/conflict\"")
    );
    let started = gateway.ask("POST /api/v1/engine/start", ADMIN, "");
    assert_eq!(
        (started.status, started.json()["held_since"].is_null()),
        (200, true)
    );
    gateway.wait_for_line("engine started by desk");
    let refused = gateway.ask("GET /v1/models", ADMIN, "");
    assert_eq!(
        refused.json()["error"]["code"],
        "engine_too_hot",
        "heat still holds it"
    );
}

#[test]
fn a_job_that_fails_is_told_with_systemds_word() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    let failed = gateway.ask("POST /api/v1/engine/restart", ADMIN, "");
    let problem = failed.json();
    assert_eq!(
        (failed.status, problem["type"].as_str()),
        (502, Some("/problems/agent-failed"))
    );
    assert_eq!(problem["detail"], "the job ended as `timeout`");
}

#[test]
fn limits_are_set_as_a_whole_and_shown() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    let chosen = serde_json::json!({"memory_high": null, "memory_max": 3_u64 << 30, "cpu_weight": 50,
        "allowed_cpus": [0, 1]});
    let body = serde_json::json!({ "chosen": chosen }).to_string();
    let set = gateway.ask("PUT /api/v1/engine/limits", ADMIN, &body);
    assert_eq!((set.status, &set.json()["chosen"]), (200, &chosen));
    gateway.wait_for_line("engine's limits set to");
    let shown = gateway.ask("GET /api/v1/engine/limits", READ, "");
    assert_eq!((shown.status, shown.json()), (200, set.json()));
    for (body, named) in [
        (r#"{"chosen":{"cpu_weight":0}}"#, "cpu_weight: 1 to 10000"),
        (r#"{"chosen":{"cpu_weight":-1}}"#, "chosen.cpu_weight"),
        (r#"{"chosen":{"cpus":1}}"#, "unknown field"),
        ("{}", "missing field `chosen`"),
    ] {
        let refused = gateway.ask("PUT /api/v1/engine/limits", ADMIN, body);
        assert_eq!(refused.status, 422, "{body}");
        let detail = refused.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(named), "{body}: {detail}");
    }
    assert_eq!(
        gateway.ask("GET /api/v1/engine/limits", READ, "").json(),
        set.json()
    );
}

#[test]
fn only_an_administrator_orders() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    for line in [
        "POST /api/v1/engine/start",
        "POST /api/v1/engine/stop",
        "POST /api/v1/engine/restart",
        "PUT /api/v1/engine/limits",
    ] {
        assert_eq!(gateway.ask(line, READ, "{}").status, 403, "{line}");
        assert_eq!(gateway.ask(line, &[], "{}").status, 401, "{line}");
    }
    assert_eq!(gateway.ask("GET /api/v1/engine/start", ADMIN, "").status, 405);
}
