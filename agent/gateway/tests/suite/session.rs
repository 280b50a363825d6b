//! `/api/v1/session`: a browser exchanges a token for a cookie.

use crate::{
    client::Answer,
    process::{Gateway, gateway_with_engine},
};

const MARK: &str = "X-Hearth-Request: 1";
const OWN: &str = "Origin: https://hearth";

fn sign_in(gateway: &Gateway, secret: &str, headers: &[&str]) -> Answer {
    let body = format!(r#"{{"token":"{secret}"}}"#);
    gateway.ask("POST /api/v1/session", headers, &body)
}

/// The header with which a browser sends back what it was told.
fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").unwrap();
    format!("Cookie: {}", set.split(';').next().unwrap())
}

#[test]
fn a_cookie_opens_what_its_token_does_until_it_is_given_back() {
    let (_setup, gateway, engine, header) = gateway_with_engine();
    let secret = header.rsplit(' ').next().unwrap();
    let begun = sign_in(&gateway, secret, &[MARK, OWN]);
    assert_eq!(begun.status, 204, "{begun:?}");
    let set = begun.header("set-cookie").unwrap();
    assert!(
        set.starts_with("__Host-hearth-session=") && set.contains("; HttpOnly; Secure; SameSite=Strict;"),
        "{set}"
    );
    assert!(!set.contains(secret));
    let cookie = cookie(&begun);
    let told = gateway.ask("GET /api/v1/session", &[&cookie], "").json();
    let by_token = gateway.ask("GET /api/v1/session", &[&header], "").json();
    assert_eq!((&told["role"], &told["id"]), (&"admin".into(), &by_token["id"]));
    assert!(told["expires"].is_string() && by_token["expires"].is_null());
    assert_eq!(gateway.ask("GET /api/v1/tokens", &[&cookie], "").status, 200);

    let mut client = gateway.client();
    client.send("POST /v1/chat/completions", &[&cookie, MARK, OWN], "{}");
    let mut call = engine.next();
    let head = call.head();
    assert!(!head.contains("cookie") && !head.contains("origin"), "{head}");
    call.answer("{}");
    assert_eq!(client.answer().status, 200);

    let ended = gateway.ask("DELETE /api/v1/session", &[&cookie, MARK, OWN], "");
    assert!(ended.status == 204 && ended.header("set-cookie").unwrap().contains("Max-Age=0"));
    assert_eq!(gateway.ask("GET /api/v1/session", &[&cookie], "").status, 401);
    assert!(!gateway.log().contains(secret));
}

#[test]
fn a_page_from_elsewhere_changes_nothing_with_it() {
    let (_setup, gateway, engine, header) = gateway_with_engine();
    let secret = header.rsplit(' ').next().unwrap();
    let cookie = cookie(&sign_in(&gateway, secret, &[MARK, OWN]));
    let lines = [
        "POST /api/v1/tokens",
        "DELETE /api/v1/session",
        "POST /v1/chat/completions",
    ];
    for headers in [
        &[] as &[&str],
        &[MARK],
        &[OWN],
        &[MARK, "Origin: https://evil.example"],
        &[MARK, "Origin: http://hearth"],
    ] {
        for line in lines {
            let headers: Vec<&str> = headers.iter().copied().chain([cookie.as_str()]).collect();
            let refused = gateway.ask(line, &headers, "{}");
            assert_eq!(refused.status, 403, "{line} {headers:?}");
        }
        let refused = sign_in(&gateway, secret, headers);
        assert_eq!(refused.json()["type"], "/problems/cross-site");
    }
    assert!(engine.is_idle());
    let made = r#"{"name":"x","role":"read"}"#;
    let by_token = gateway.ask("POST /api/v1/tokens", &[&header, &cookie], made);
    assert_eq!(by_token.status, 201, "a token is not sent by itself");
}

#[test]
fn a_session_ends_with_its_token_and_guessing_is_slowed() {
    let (_setup, gateway, _engine, header) = gateway_with_engine();
    let made = gateway.ask(
        "POST /api/v1/tokens",
        &[&header],
        r#"{"name":"wall","role":"read"}"#,
    );
    let (secret, id) = (made.json()["secret"].clone(), made.json()["id"].clone());
    let cookie = cookie(&sign_in(&gateway, secret.as_str().unwrap(), &[MARK, OWN]));
    assert_eq!(
        gateway.ask("GET /api/v1/session", &[&cookie], "").json()["name"],
        "wall"
    );
    assert_eq!(gateway.ask("GET /api/v1/tokens", &[&cookie], "").status, 403);
    let revoke = format!("DELETE /api/v1/tokens/{}", id.as_str().unwrap());
    assert_eq!(gateway.ask(&revoke, &[&header], "").status, 200);
    assert_eq!(gateway.ask("GET /api/v1/session", &[&cookie], "").status, 401);
    let mut guesses = (0..30).map(|_| sign_in(&gateway, "hearth_guess", &[MARK, OWN]));
    let slowed = guesses.find(|answer| answer.status != 401).unwrap();
    assert!(slowed.status == 429 && slowed.header("retry-after").is_some());
}

#[test]
fn whoever_listens_hears_no_more_when_the_session_is_given_back() {
    let (_setup, gateway, _engine, header) = gateway_with_engine();
    let secret = header.rsplit(' ').next().unwrap();
    let cookie = cookie(&sign_in(&gateway, secret, &[MARK, OWN]));
    let mut client = gateway.client();
    client.send("GET /api/v1/events", &[&cookie], "");
    assert_eq!(client.head().status, 200);
    client.chunk();
    let ended = gateway.ask("DELETE /api/v1/session", &[&cookie, MARK, OWN], "");
    assert_eq!(ended.status, 204);
    while client.chunk().is_some() {}
}
