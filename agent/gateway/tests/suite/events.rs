//! `/api/v1/events`, and what the engine does.

use crate::{
    client::Client,
    power::{ADMIN, READ, gateway_with_agent},
    process::Gateway,
};

/// Listens, and returns once the first events have come.
fn listener(gateway: &Gateway) -> (Client, String) {
    let mut client = gateway.client();
    client.send("GET /api/v1/events", READ, "");
    let head = client.head();
    assert_eq!(
        (head.status, head.header("content-type")),
        (200, Some("text/event-stream"))
    );
    let heard = until(&mut client, "event: engine");
    (client, heard)
}

/// What is heard until an event of this name has come whole.
fn until(client: &mut Client, event: &str) -> String {
    let mut heard = String::new();
    loop {
        let found = heard.find(event).map(|place| &heard[place..]);
        if found.is_some_and(|found| found.contains("\n\n")) {
            return heard;
        }
        heard += &client.chunk().expect("the stream has ended");
    }
}

#[test]
fn who_listens_hears_of_the_machine_and_the_engine() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    let (_client, heard) = listener(&gateway);
    assert!(
        heard.contains(r#"{"time":1,"temperature":51.5,"clock":null,"power":null,"#),
        "{heard}"
    );
    assert!(
        heard.contains(r#"{"state":"stopped","phase":"idle","model":null,"#),
        "{heard}"
    );
    assert_eq!(gateway.ask("GET /api/v1/events", &[], "").status, 401);
}

#[test]
fn the_engine_is_shown_without_waking_it() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    let shown = gateway.ask("GET /api/v1/engine", READ, "");
    assert_eq!(
        (shown.status, shown.json()["state"].as_str()),
        (200, Some("stopped"))
    );
    let refused = gateway.ask("POST /api/v1/engine/unload", ADMIN, "");
    assert_eq!(refused.status, 409, "{refused:?}");
}

#[test]
fn an_agent_that_leaves_is_an_alert_and_the_stream_goes_on() {
    let (_setup, gateway, mut agent) = gateway_with_agent();
    let (mut client, _) = listener(&gateway);
    agent.leave();
    let heard = until(&mut client, "event: alert");
    assert!(
        heard.contains(r#""level":"error""#) && heard.contains("hearthd"),
        "{heard}"
    );
}

#[test]
fn a_gateway_that_ends_does_not_wait_for_those_who_listen() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    let (mut client, _) = listener(&gateway);
    gateway.terminate();
    while client.chunk().is_some() {}
    assert!(gateway.wait().success());
}
