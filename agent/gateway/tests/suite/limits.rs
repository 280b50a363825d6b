//! What is too much.

use crate::{
    client::{Answer, Client},
    process::gateway_with_engine,
};

const MIB: usize = 1 << 20;

#[test]
fn a_body_that_says_it_is_too_large_is_refused_unread() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let mut client = gateway.client();
    client.write(&format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: h\r\n{token}\r\nContent-Length: {}\r\n\r\n",
        MIB + 1
    ));
    let answer = client.answer();
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_str()),
        (413, Some("request_too_large"))
    );
    assert!(engine.is_idle());
}

#[test]
fn whoever_sends_a_large_body_first_can_still_read_why_it_was_refused() {
    let (_setup, gateway, _engine, token) = gateway_with_engine();
    let body = "x".repeat(8 * MIB);
    assert_eq!(
        gateway.ask("POST /v1/chat/completions", &[&token], &body).status,
        413
    );
    assert_eq!(
        gateway.ask("POST /api/v1/tokens", &[&token], &body).json()["type"],
        "/problems/too-large"
    );
    assert_eq!(gateway.ask("POST /v1/chat/completions", &[], &body).status, 401);
}

#[test]
fn a_chunked_body_is_counted_as_it_comes() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let mut client = gateway.client();
    client.write(&format!(
        "POST /v1/x HTTP/1.1\r\nHost: h\r\n{token}\r\nTransfer-Encoding: chunked\r\n\r\n"
    ));
    let chunk = "x".repeat(MIB / 2);
    let drained = std::thread::spawn(move || engine.next().wait_for_hang_up());
    for _ in 0..3 {
        client.write(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
    }
    assert_eq!(client.answer().status, 413);
    drained.join().unwrap();
}

#[test]
fn a_head_that_is_too_large_is_refused() {
    let (_setup, gateway, _engine, _token) = gateway_with_engine();
    let long = format!("X-Long: {}", "x".repeat(20 << 10));
    assert_eq!(gateway.ask("GET /", &[&long], "").status, 431);
    let many: Vec<String> = (0..100).map(|n| format!("X-{n}: 1")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    assert_eq!(gateway.ask("GET /", &many, "").status, 431);
}

/// All connections that one address may have, each with a stream for somebody who was let in.
fn held(connect: impl Fn() -> Client, token: &str) -> Vec<Client> {
    let hold = |_| {
        let mut client = connect();
        client.send("GET /api/v1/events", &[token], "");
        assert_eq!(client.head().status, 200);
        client
    };
    (0..64).map(hold).collect()
}

#[test]
fn connections_are_counted_apart_for_network_and_local() {
    let (_setup, gateway, _engine, token) = gateway_with_engine();
    let open = held(|| gateway.client(), &token);
    // Before a handshake nothing can be told.
    assert_eq!(gateway.client().try_ask("GET /"), None);
    assert_eq!(gateway.ask_locally("GET /", "").status, 200);
    assert_eq!(gateway.ask_plainly("GET /ca.crt", &[], "").status, 200);
    drop(open);
    // The slots come back as the gateway notices.
    while gateway.client().try_ask("GET /") != Some(200) {}
}

#[test]
fn connections_without_tls_are_counted_and_told_so() {
    let (_setup, gateway, _engine, token) = gateway_with_engine();
    let on = gateway.ask("PUT /api/v1/tls/plain-http", &[&token], r#"{"enabled": true}"#);
    assert_eq!(on.status, 200);
    let _open = held(|| Client::tcp(gateway.plain), &token);
    assert_eq!(Client::tcp(gateway.plain).head().status, 503);
    assert_eq!(gateway.ask("GET /", &[], "").status, 200);
}

#[test]
fn whoever_says_nothing_makes_room_and_whoever_was_let_in_does_not() {
    let (_setup, gateway, _engine, token) = gateway_with_engine();
    let mut stream = gateway.client();
    stream.send("GET /api/v1/events", &[&token], "");
    assert_eq!(stream.head().status, 200);
    let mut idle = gateway.client();
    assert_eq!(idle.ask("GET /", &[], "").status, 200);
    let silent: Vec<_> = (0..200).map(|_| Client::tcp(gateway.address)).collect();
    assert_eq!(gateway.ask("GET /", &[], "").status, 200);
    assert_eq!(idle.rest(), "", "the one that rested longest was hung up on");
    assert!(stream.chunk().is_some(), "the stream goes on");
    drop(silent);
}

#[test]
fn one_token_that_asks_on_and_on_is_slowed_and_another_is_not() {
    let (_setup, gateway, _engine, token) = gateway_with_engine();
    let made = gateway.ask("POST /api/v1/tokens", &[&token], r#"{"name":"x","role":"read"}"#);
    let other = format!(
        "Authorization: Bearer {}",
        made.json()["secret"].as_str().unwrap()
    );
    let mut client = gateway.client();
    let mut answers = (0..3000).map(|_| client.ask("GET /api/v1/jobs", &[&token], ""));
    let slowed = answers.find(|answer| answer.status == 429).expect("never 429");
    assert_eq!(slowed.json()["type"], "/problems/too-many-requests");
    assert!(slowed.header("retry-after").is_some());
    assert_eq!(gateway.ask("GET /api/v1/jobs", &[&other], "").status, 200);
}

/// Changes by what changes nothing, and is counted: how often that is let through, and what is answered then.
fn change_until_refused(client: &mut Client, token: &str) -> (usize, Answer) {
    let mut changes = 0;
    loop {
        let answer = client.ask("DELETE /api/v1/session", &[token], "");
        match answer.status {
            204 => changes += 1,
            // Before that it asks too often, and waits for its turn.
            429 if !answer.body.contains("too many changes") => {}
            _ => return (changes, answer),
        }
        assert!(changes < 1000, "never refused");
    }
}

#[test]
fn who_may_change_nothing_more_may_revoke_a_token_and_sign_out() {
    let (_setup, gateway, _engine, token) = gateway_with_engine();
    let new = r#"{"name":"x","role":"chat"}"#;
    let made = gateway.ask("POST /api/v1/tokens", &[&token], new).json();
    let mark = "X-Hearth-Request: 1";
    let secret = token.rsplit(' ').next().unwrap();
    let body = format!(r#"{{"token":"{secret}"}}"#);
    let signed_in = gateway.ask("POST /api/v1/session", &[mark, "Origin: https://hearth"], &body);
    let cookie = signed_in.header("set-cookie").unwrap().split(';').next();
    let cookie = format!("Cookie: {}", cookie.unwrap());
    let mut client = gateway.client();
    let (_, refused) = change_until_refused(&mut client, &token);
    assert_eq!(refused.status, 429, "{refused:?}");
    let mut ask = |line: &str, headers: &[&str], body: &str| loop {
        let answer = client.ask(line, headers, body);
        if answer.status != 429 || answer.body.contains("too many changes") {
            return answer.status;
        }
    };
    assert_eq!(ask("POST /api/v1/tokens", &[&token], new), 429);
    let revoke = format!("DELETE /api/v1/tokens/{}", made["id"].as_str().unwrap());
    assert_eq!(ask(&revoke, &[&token], ""), 200);
    assert_eq!(ask(&revoke, &[&token], ""), 404);
    let by_cookie = [&*cookie, mark, "Origin: https://hearth"];
    assert_eq!(ask("DELETE /api/v1/session", &by_cookie, ""), 204);
    assert_eq!(ask("DELETE /api/v1/session", &by_cookie, ""), 401);
    gateway.wait_for_line(&format!(" {revoke} 200 "));
    gateway.wait_for_line("revoked by ");
}

#[test]
fn one_token_that_changes_on_and_on_is_refused_and_only_what_it_changes() {
    let (_setup, gateway, _engine, token) = gateway_with_engine();
    let made = gateway.ask("POST /api/v1/tokens", &[&token], r#"{"name":"x","role":"chat"}"#);
    let chat = format!(
        "Authorization: Bearer {}",
        made.json()["secret"].as_str().unwrap()
    );
    let mut client = gateway.client();
    for _ in 0..50 {
        let wrong = client.ask("POST /api/v1/engine/load", &[&chat], "{}");
        assert_eq!(wrong.status, 422, "{wrong:?}");
    }
    let (changes, refused) = change_until_refused(&mut client, &chat);
    assert!(
        (500..520).contains(&changes),
        "{changes}: what was wrong has changed nothing"
    );
    assert_eq!(refused.status, 429, "{refused:?}");
    assert_eq!(refused.json()["type"], "/problems/too-many-requests");
    assert!(refused.header("retry-after").is_some());
    let mut looks = (0..1000).map(|_| client.ask("GET /api/v1/session", &[&chat], "").status);
    assert!(looks.any(|status| status == 200), "it may look still");
    // Its own address asks too often by now.
    let mut others = (0..10_000).map(|_| client.ask("DELETE /api/v1/session", &[&token], "").status);
    assert!(
        others.any(|status| status == 204),
        "another token may change things"
    );
    assert!(gateway.log().contains(" POST /api/v1/tokens 201 "));
}

#[test]
fn who_asks_on_and_on_how_an_engine_is_that_does_not_say_it_fills_no_journal() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let mut client = gateway.client();
    for _ in 0..400 {
        client.send("GET /api/v1/status?engine=true", &[&token], "");
        let mut call = engine.next();
        call.head();
        call.answer("{");
        let answer = client.answer();
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let log = gateway.log();
    let warnings = log.matches("the engine does not say how it is").count();
    assert!((1..200).contains(&warnings), "{warnings} warnings");
}

#[test]
fn strangers_who_ask_on_and_on_are_slowed_and_bury_no_change() {
    let (_setup, gateway, _engine, token) = gateway_with_engine();
    for (mut client, line) in [
        (gateway.client(), "GET /ca.crt"),
        (Client::tcp(gateway.plain), "GET /nothing"),
    ] {
        let mut answers = (0..3000).map(|_| client.ask(line, &[], ""));
        let slowed = answers.find(|answer| answer.status == 429).expect("never 429");
        assert_eq!(slowed.json()["type"], "/problems/too-many-requests");
        assert!(slowed.header("retry-after").is_some());
    }
    let made = gateway.ask("POST /api/v1/tokens", &[&token], r#"{"name":"x","role":"read"}"#);
    assert_eq!(made.status, 201);
    gateway.wait_for_line(" POST /api/v1/tokens 201 ");
    let guess = format!("Authorization: Bearer hearth_{}", "x".repeat(43));
    assert_eq!(gateway.ask("PUT /api/v1/power", &[&guess], "{}").status, 401);
    gateway.wait_for_line(" PUT /api/v1/power 401 ");
    let log = gateway.log();
    let told = log.matches(" GET ").count();
    assert!((1..100).contains(&told), "{told} lines of strangers");
    assert!(log.contains(" lines before it are left out"), "{log}");
}
