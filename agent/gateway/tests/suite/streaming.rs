//! Both ways as it comes.

use crate::process::{asked, gateway_with_engine};

#[test]
fn events_arrive_one_by_one() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let (mut client, mut call) = asked(&gateway, &engine, &token, "POST /v1/chat/completions", "{}");
    call.begin("text/event-stream");
    let head = client.head();
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(head.header("cache-control"), Some("no-store"));
    assert_eq!(head.header("x-content-type-options"), Some("nosniff"));
    for n in 0..5 {
        // Each is read before the next is written.
        let event = format!("data: {{\"n\":{n}}}\n\n");
        call.chunk(&event);
        assert_eq!(client.chunk(), Some(event));
    }
    call.write("0\r\n\r\n");
    assert_eq!(client.chunk(), None);
}

#[test]
fn a_request_body_reaches_the_engine_as_it_comes() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let mut client = gateway.client();
    client.write(&format!(
        "POST /v1/x HTTP/1.1\r\nHost: h\r\n{token}\r\nContent-Length: 6\r\n\r\nabc"
    ));
    let mut call = engine.next();
    call.head();
    assert_eq!(call.read(3), "abc");
    client.write("def");
    assert_eq!(call.read(3), "def");
    call.answer("{}");
    assert_eq!(client.answer().status, 200);
}

#[test]
fn a_client_that_does_not_read_makes_the_engine_wait() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let (mut client, mut call) = asked(&gateway, &engine, &token, "POST /v1/chat/completions", "{}");
    let event = format!("data: {}\n\n", "x".repeat(1000));
    let piece = format!("{:x}\r\n{event}\r\n", event.len());
    call.begin("text/event-stream");
    let most = 64 << 20;
    let written = call.write_until_stuck(&piece, most);
    assert!(
        written < 2 << 20,
        "{written} bytes were taken for a client that reads none"
    );
    // Once it reads, the rest comes: whole, and in order.
    assert_eq!(client.head().status, 200);
    let rest = piece[written % piece.len()..].to_owned();
    let writer = std::thread::spawn(move || {
        call.write(&rest);
        call.write("0\r\n\r\n");
    });
    let mut received = 0;
    while let Some(chunk) = client.chunk() {
        assert_eq!(chunk.len() % event.len(), 0);
        received += chunk.len() / event.len();
    }
    writer.join().unwrap();
    assert_eq!(received, written / piece.len() + 1);
}

#[test]
fn the_engine_is_told_the_request_and_not_who_asks() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let mut client = gateway.client();
    let headers = [
        token.as_str(),
        "X-Request-Id: mine-1",
        "Connection: X-Hop",
        "X-Hop: 1",
        "Cookie: a=b",
        "X-Forwarded-For: 192.0.2.7",
        "Accept: text/event-stream",
    ];
    client.send("GET /v1/models?limit=2", &headers, "");
    let mut call = engine.next();
    let head = call.head();
    assert!(head.starts_with("get /v1/models?limit=2 http/1.1\r\n"), "{head}");
    for kept in ["x-request-id: mine-1", "accept: text/event-stream"] {
        assert!(head.contains(kept), "{kept} is not in {head}");
    }
    for gone in ["authorization", "hearth_", "x-hop", "cookie", "192.0.2.7"] {
        assert!(!head.contains(gone), "{gone} is in {head}");
    }
    call.answer("{}");
    assert_eq!(client.answer().header("x-request-id"), Some("mine-1"));
}

#[test]
fn the_engines_own_errors_pass_as_they_are() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let (mut client, mut call) = asked(&gateway, &engine, &token, "GET /v1/nothing", "");
    call.write("HTTP/1.1 404 Not Found\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}");
    let answer = client.answer();
    assert_eq!((answer.status, answer.body.as_str()), (404, "{}"));
}
