//! `hearth status`, `models` and `token`.

use crate::command::{Local, end};

const TOKEN: &str = r#"{"id":"ab12","name":"desk","role":"chat","created":"2026-01-01T00:00:00Z"}"#;

#[test]
fn tokens_are_made_listed_and_revoked() {
    let local = Local::new();
    let child = local.start(&["token", "new", "desk", "--role", "read"]);
    let call = local.gateway.next();
    assert!(call.head.starts_with("post /api/v1/tokens "));
    assert_eq!(call.json(), serde_json::json!({"name": "desk", "role": "read"}));
    call.answer("201 Created", &TOKEN.replacen('{', r#"{"secret":"hearth_s","#, 1));
    let ended = end(child);
    assert_eq!(ended.stdout, "hearth_s\n", "only the token, for use in scripts");

    let child = local.start(&["token", "list"]);
    local
        .gateway
        .next()
        .answer("200 OK", &format!(r#"{{"tokens":[{TOKEN}]}}"#));
    let shown = end(child).stdout;
    assert!(
        shown.contains("ab12") && shown.contains("desk") && !shown.contains('\u{1b}'),
        "{shown:?}"
    );

    let child = local.start(&["token", "revoke", "ab12"]);
    let call = local.gateway.next();
    assert!(call.head.starts_with("delete /api/v1/tokens/ab12 "));
    call.answer("200 OK", &TOKEN.replacen('{', r#"{"note":"none left","#, 1));
    let ended = end(child);
    assert!(ended.stdout.contains("no longer valid") && ended.stderr.contains("none left"));
}

#[test]
fn an_id_cannot_lead_elsewhere() {
    let local = Local::new();
    let ended = end(local.start(&["token", "revoke", "../status"]));
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("hearth token list"), "{}", ended.stderr);
}

#[test]
fn each_table_has_its_json() {
    let models = r#"{"object":"list","data":[{"id":"m","object":"model","created":0,"owned_by":"hearth"}]}"#;
    let status = r#"{"hostname":"h","version":"1","uptime_seconds":1.0,"capabilities":null,"sample":null,
        "agent_problem":"gone","engine":null}"#;
    let tokens = format!(r#"{{"tokens":[{TOKEN}]}}"#);
    let table = [
        (&["models"][..], models),
        (&["status"], status),
        (&["token", "list"], &tokens),
    ];
    for (arguments, json) in table {
        let local = Local::new();
        let child = local.start(&[arguments, &["--json"]].concat());
        local.gateway.next().answer("200 OK", json);
        let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(parse(&end(child).stdout), parse(json));
    }
}

#[test]
fn status_asks_the_engine_only_on_demand() {
    let status = r#"{"hostname":"h","version":"1","uptime_seconds":61.0,"capabilities":null,"sample":null,
        "agent_problem":"gone","engine":{"status":"ok","model":"m","queued":0,"active":1}}"#;
    let local = Local::new();
    for (arguments, path) in [
        (&["status"][..], "get /api/v1/status "),
        (&["status", "--engine"], "get /api/v1/status?engine=true "),
    ] {
        let child = local.start(arguments);
        let call = local.gateway.next();
        assert!(call.head.starts_with(path), "{}", call.head);
        call.answer("200 OK", status);
        let shown = end(child).stdout;
        assert!(
            shown.contains("up 1 min") && shown.contains("ready, m, 1 answering"),
            "{shown}"
        );
    }
}
