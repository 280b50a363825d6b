//! `ETag` and `If-Match`: nobody undoes a change that they have not seen.

use crate::{
    models::{self, ask, gateway},
    power::{ADMIN, gateway_with_agent},
    process::Gateway,
};
use api::{
    import::{Reply, Request},
    models::StoredModel,
};

/// The tag that an address is told with.
fn tag(gateway: &Gateway, path: &str) -> String {
    let told = gateway.ask(&format!("GET {path}"), ADMIN, "");
    told.header("etag")
        .unwrap_or_else(|| panic!("{told:?}"))
        .to_owned()
}

fn status(gateway: &Gateway, line: &str, tag: &str, body: &str) -> u16 {
    let header = format!("If-Match: {tag}");
    gateway.ask(line, &[ADMIN[0], &header], body).status
}

#[test]
fn what_somebody_else_has_changed_meanwhile_is_left_as_it_is() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    for (path, change, first, second) in [
        (
            "/api/v1/power",
            "/api/v1/power",
            r#"{"profile":"power-saver"}"#,
            r#"{"profile":"performance"}"#,
        ),
        (
            "/api/v1/thermal",
            "/api/v1/thermal",
            r#"{"target":70000}"#,
            r#"{"target":60000}"#,
        ),
        (
            "/api/v1/engine/limits",
            "/api/v1/engine/limits",
            r#"{"chosen":{"memory_high":null,"memory_max":null,"cpu_weight":7,"allowed_cpus":null}}"#,
            r#"{"chosen":{"memory_high":null,"memory_max":null,"cpu_weight":9,"allowed_cpus":null}}"#,
        ),
        (
            "/api/v1/tls",
            "/api/v1/tls/plain-http",
            r#"{"enabled":true}"#,
            r#"{"enabled":false}"#,
        ),
    ] {
        let line = format!("PUT {change}");
        let read = tag(&gateway, path);
        assert_eq!(status(&gateway, &line, &read, first), 200, "{line}");
        assert_eq!(status(&gateway, &line, &read, second), 412, "{line}");
        let again = tag(&gateway, path);
        assert_ne!(again, read, "{path}");
        assert_eq!(
            status(&gateway, &line, &format!("{read}, {again}"), second),
            200,
            "{line}"
        );
        assert_eq!(status(&gateway, &line, "*", first), 200, "{line}");
        assert_eq!(status(&gateway, &line, "no tag", second), 400, "{line}");
        assert_eq!(
            tag(&gateway, path),
            tag(&gateway, path),
            "{path} is the same twice"
        );
    }
}

#[test]
fn who_sends_slowly_undoes_nothing_that_came_meanwhile() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    let line = "PUT /api/v1/power";
    let read = tag(&gateway, "/api/v1/power");
    let body = r#"{"profile":"power-saver"}"#;
    let mut slow = gateway.client();
    slow.write(&format!(
        "{line} HTTP/1.1\r\nHost: h\r\n{}\r\nIf-Match: {read}\r\nContent-Length: {}\r\nExpect: 100-continue\r\n\r\n",
        ADMIN[0],
        body.len()
    ));
    // The gateway has looked at the head, and wants the body.
    assert_eq!(slow.head().status, 100);
    assert_eq!(status(&gateway, line, &read, r#"{"profile":"performance"}"#), 200);
    slow.write(body);
    assert_eq!(slow.answer().status, 412);
}

#[test]
fn a_token_that_revokes_itself_is_gone() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    let made = gateway.ask_locally("POST /api/v1/tokens", r#"{"name":"laptop","role":"admin"}"#);
    let (id, secret) = (made.json()["id"].clone(), made.json()["secret"].clone());
    let path = format!("/api/v1/tokens/{}", id.as_str().unwrap());
    let header = format!("Authorization: Bearer {}", secret.as_str().unwrap());
    let shown = gateway.ask(&format!("GET {path}"), &[&header], "");
    assert_eq!(
        (shown.status, shown.json()["name"].as_str()),
        (200, Some("laptop"))
    );
    let line = format!("DELETE {path}");
    assert_eq!(status(&gateway, &line, "\"another\"", ""), 412);
    let tag = format!("If-Match: {}", shown.header("etag").unwrap());
    assert_eq!(gateway.ask(&line, &[&header, &tag], "").status, 200);
    assert_eq!(gateway.ask("GET /api/v1/status", &[&header], "").status, 401);
    assert_eq!(gateway.ask_locally(&format!("GET {path}"), "").status, 404);
}

#[test]
fn what_is_set_of_a_model_is_changed_by_who_knows_it() {
    let (_setup, gateway, service) = gateway();
    let model = models::model();
    let other = StoredModel {
        id: "l".to_owned(),
        ..model.clone()
    };
    let asked = ask(&gateway, "GET /api/v1/models/m", "");
    let mut call = service.next();
    assert_eq!(call.request(), Request::List);
    call.reply(&Reply::Models(vec![other, model.clone()]));
    let shown = asked.join().unwrap();
    assert_eq!((shown.status, shown.json()["id"].as_str()), (200, Some("m")));

    let made = gateway.ask_locally("POST /api/v1/tokens", r#"{"name":"desk","role":"admin"}"#);
    let header = format!(
        "Authorization: Bearer {}",
        made.json()["secret"].as_str().unwrap()
    );
    let change = |tag: &str, model, takes| {
        let (header, tag) = (header.clone(), format!("If-Match: {tag}"));
        let mut client = gateway.client();
        client.send("PATCH /api/v1/models/m", &[&header, &tag], r#"{"pin":true}"#);
        let mut call = service.next();
        assert_eq!(call.request(), Request::List);
        call.reply(&Reply::Models(vec![model]));
        if takes {
            let mut call = service.next();
            assert!(matches!(call.request(), Request::Set(_)));
            call.reply(&Reply::Set(Box::new(models::model())));
        }
        client.answer().status
    };
    let tag = shown.header("etag").unwrap();
    assert_eq!(change(tag, model.clone(), true), 200);
    let mut pinned = model;
    pinned.settings.pin = true;
    assert_eq!(change(tag, pinned, false), 412);

    let asked = ask(&gateway, "GET /api/v1/models/other", "");
    let mut call = service.next();
    call.request();
    call.reply(&Reply::Models(Vec::new()));
    assert_eq!(asked.join().unwrap().status, 404);
}
