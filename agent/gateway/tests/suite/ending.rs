//! How things end: the engine's death, the client's going, the gateway's own stop.

use crate::{
    client::Client,
    process::{Setup, asked, gateway_with_engine},
};
use std::{net::TcpStream, thread};

#[test]
fn without_an_engine_there_is_503_and_a_time_to_try_again() {
    let setup = Setup::new();
    let gateway = setup.serve();
    let answer = gateway.ask_locally("GET /v1/models", "");
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_str()),
        (503, Some("engine_unavailable"))
    );
    assert_eq!(answer.header("retry-after"), Some("2"));
}

#[test]
fn an_engine_that_dies_before_it_answers_is_502() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let (mut client, mut call) = asked(&gateway, &engine, &token, "POST /v1/chat/completions", "{}");
    call.read(2);
    drop(call);
    let answer = client.answer();
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_str()),
        (502, Some("engine_lost"))
    );
    assert_eq!(answer.header("retry-after"), Some("1"));
    assert!(
        engine.is_idle(),
        "a request that may have been seen is not repeated"
    );
}

#[test]
fn an_engine_that_answers_without_reading_the_body_is_heard() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let body = "x".repeat(1_000_000);
    // What was read of the answer when the writing failed is chance.
    for _ in 0..20 {
        let answer = thread::scope(|scope| {
            let asking = scope.spawn(|| gateway.ask("POST /v1/embeddings", &[&token], &body));
            let mut call = engine.next();
            call.head();
            call.write("HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}");
            drop(call);
            asking.join().unwrap()
        });
        assert_eq!((answer.status, answer.body.as_str()), (404, "{}"));
    }
}

#[test]
fn an_engine_that_dies_in_a_stream_leaves_an_error_event_and_an_orderly_end() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let (mut client, mut call) = asked(&gateway, &engine, &token, "POST /v1/chat/completions", "{}");
    call.begin("text/event-stream");
    call.chunk("data: {\"n\":1}\n\n");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk().unwrap(), "data: {\"n\":1}\n\n");
    call.chunk("data: {\"ha");
    drop(call);
    let event = client.chunk().unwrap();
    let json = event
        .strip_prefix("data: ")
        .unwrap()
        .strip_suffix("\n\n")
        .unwrap();
    let error: serde_json::Value = serde_json::from_str(json).unwrap();
    assert_eq!(error["error"]["code"], "engine_lost");
    assert_eq!(client.chunk(), None);
    // The next question finds the connection and the gateway as before.
    client.send("GET /v1/models", &[&token], "");
    let mut call = engine.next();
    call.head();
    call.answer("{}");
    assert_eq!(client.answer().body, "{}");
}

#[test]
fn an_engine_that_dies_in_a_plain_answer_leaves_one_that_is_visibly_cut() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let (mut client, mut call) = asked(&gateway, &engine, &token, "GET /v1/x", "");
    call.begin("application/json");
    call.chunk("{\"half\":");
    assert_eq!(client.head().status, 200);
    assert_eq!(client.chunk().unwrap(), "{\"half\":");
    drop(call);
    assert_eq!(client.rest(), "", "an orderly end would be 0 and two line ends");
    gateway.wait_for_line("cut short");
}

#[test]
fn a_client_that_goes_frees_the_engine() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let begin = || asked(&gateway, &engine, &token, "POST /v1/chat/completions", "{}");
    let (client, call) = begin();
    drop(client);
    call.wait_for_hang_up();
    let (mut client, mut call) = begin();
    call.begin("text/event-stream");
    call.chunk("data: 1\n\n");
    client.head();
    client.chunk();
    drop(client);
    call.wait_for_hang_up();
}

#[test]
fn running_answers_finish_when_it_stops() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let _idle = gateway.client();
    let (mut client, mut call) = asked(&gateway, &engine, &token, "POST /v1/chat/completions", "{}");
    call.begin("text/event-stream");
    client.head();
    gateway.terminate();
    gateway.wait_for_line("stopping");
    // Soon nobody new is let in, though the answer runs on.
    while TcpStream::connect(gateway.address).is_ok() {}
    call.chunk("data: 1\n\n");
    assert_eq!(client.chunk().unwrap(), "data: 1\n\n");
    call.write("0\r\n\r\n");
    assert_eq!(client.chunk(), None);
    assert!(gateway.wait().success());
}

#[test]
fn two_clients_at_once_are_both_answered() {
    let (_setup, gateway, engine, _token) = gateway_with_engine();
    let ask = |path: &'static str| {
        let local = gateway.local.clone();
        thread::spawn(move || Client::unix(&local).ask(path, &[], "").body)
    };
    let clients = [ask("GET /v1/a"), ask("GET /v1/b")];
    // Both have arrived before either is answered.
    let mut calls = [engine.next(), engine.next()];
    for call in calls.iter_mut().rev() {
        let path = call.head().split(' ').nth(1).unwrap().to_owned();
        call.answer(&format!("\"{path}\""));
    }
    assert_eq!(
        clients.map(|client| client.join().unwrap()),
        ["\"/v1/a\"", "\"/v1/b\""]
    );
}
