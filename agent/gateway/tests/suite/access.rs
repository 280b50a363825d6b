//! Who gets in, and how those are told who do not.

use crate::process::{Setup, gateway_with_engine};
use sha2::{Digest, Sha256};

fn hash(text: &str) -> String {
    Sha256::digest(text.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn refusals_under_v1_have_openais_shape() {
    let read = format!("sha256:{} read desk\n", hash("hearth_read"));
    let setup = Setup::with_hashes(&read);
    let gateway = setup.serve();
    let table: [(&str, &[&str], u16, &str, &str); 5] = [
        (
            "GET /v1/models",
            &[],
            401,
            "authentication_error",
            "invalid_api_key",
        ),
        (
            "GET /v1/models",
            &["Authorization: Bearer hearth_no"],
            401,
            "authentication_error",
            "invalid_api_key",
        ),
        (
            "GET /v1/models",
            &["Authorization: Basic aGk="],
            401,
            "authentication_error",
            "invalid_api_key",
        ),
        (
            "GET /v1/models",
            &["Authorization: Bearer hearth_read"],
            403,
            "permission_error",
            "insufficient_permissions",
        ),
        ("GET /v1", &[], 401, "authentication_error", "invalid_api_key"),
    ];
    for (line, headers, status, kind, code) in table {
        let answer = gateway.ask(line, headers, "");
        assert_eq!(answer.status, status, "{line} {headers:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let error = &answer.json()["error"];
        assert_eq!(
            (error["type"].as_str(), error["code"].as_str()),
            (Some(kind), Some(code))
        );
        assert!(error["param"].is_null() && error["message"].is_string());
    }
}

#[test]
fn refusals_under_api_are_problem_details() {
    let read = format!("sha256:{} read desk\n", hash("hearth_read"));
    let setup = Setup::with_hashes(&read);
    let gateway = setup.serve();
    let reader = "Authorization: Bearer hearth_read";
    let table: [(&str, &[&str], u16, &str); 5] = [
        ("GET /api/v1/status", &[], 401, "/problems/unauthenticated"),
        ("GET /api/v1/tokens", &[reader], 403, "/problems/forbidden"),
        ("GET /api/v1/nothing", &[reader], 404, "/problems/not-found"),
        ("POST /api/v1/health", &[], 405, "/problems/method-not-allowed"),
        (
            "GET /api/v1/status?engine=maybe",
            &[reader],
            400,
            "/problems/invalid-request",
        ),
    ];
    for (line, headers, status, kind) in table {
        let answer = gateway.ask(line, headers, "");
        assert_eq!(answer.status, status, "{line}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"));
        let problem = answer.json();
        assert_eq!(
            (problem["type"].as_str(), problem["status"].as_u64()),
            (Some(kind), Some(status.into()))
        );
    }
    assert_eq!(
        gateway.ask("POST /api/v1/health", &[], "").header("allow"),
        Some("GET,HEAD")
    );
    assert_eq!(
        gateway
            .ask("GET /api/v1/status", &[], "")
            .header("www-authenticate"),
        Some("Bearer realm=\"Hearth\"")
    );
    assert_eq!(gateway.ask("GET /api/v1/status", &[reader], "").status, 200);
}

#[test]
fn a_method_that_the_engine_has_not_is_405() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let answer = gateway.ask("PATCH /v1/models", &[&token], "");
    assert_eq!(
        (answer.status, answer.json()["error"]["code"].as_str()),
        (405, Some("method_not_allowed"))
    );
    assert_eq!(answer.header("allow"), Some("GET,HEAD,POST,DELETE"));
    assert!(engine.is_idle());
}

#[test]
fn guessing_is_slowed_and_a_valid_token_still_passes() {
    let (_setup, gateway, _engine, token) = gateway_with_engine();
    // Each is one guess more. Between two of them another may be allowed again, so a refusal is asked for until it comes.
    let refused = |line: &str, headers: &[&str]| {
        let mut answers = (0..30).map(|_| gateway.ask(line, headers, ""));
        answers.find(|answer| answer.status == 429).expect("never 429")
    };
    let guess = "Authorization: Bearer hearth_guess";
    let problem = refused("GET /api/v1/status", &[guess]);
    assert!(problem.header("retry-after").unwrap().parse::<u32>().unwrap() >= 1);
    assert_eq!(problem.json()["type"], "/problems/too-many-attempts");
    let error = refused("GET /v1/models", &[guess]);
    assert_eq!(error.json()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(gateway.ask("GET /api/v1/status", &[&token], "").status, 200);
    gateway.wait_for_line(" token:");
    let log = gateway.log();
    assert!(log.contains(" 401 ") && !log.contains(" 429 "), "{log}");
}

#[test]
fn a_page_that_asks_who_is_signed_in_guesses_nothing() {
    let (_setup, gateway, _engine, _token) = gateway_with_engine();
    let mut client = gateway.client();
    for time in 0..100 {
        let answer = client.ask("GET /api/v1/session", &[], "");
        assert_eq!(answer.status, 401, "time {time}: {answer:?}");
    }
}

#[test]
fn the_local_socket_needs_no_token_and_the_log_says_who_it_was() {
    let (_setup, gateway, engine, token) = gateway_with_engine();
    let line = "GET /api/v1/tokens?secret=1";
    assert_eq!(
        gateway.ask_locally(line, "").status,
        400,
        "such a query is not known"
    );
    let uid = nix::unistd::getuid();
    gateway.wait_for_line(&format!("uid:{uid} GET /api/v1/tokens 400"));
    assert_eq!(gateway.ask("GET /api/v1/tokens", &[&token], "").status, 200);
    gateway.wait_for_line(" token:");
    let log = gateway.log();
    assert!(!log.contains("hearth_") && !log.contains("secret"), "{log}");
    assert!(engine.is_idle());
}

#[test]
fn a_token_that_is_revoked_by_its_text_does_not_come_into_the_log() {
    let (_setup, gateway, _engine, token) = gateway_with_engine();
    let secret = token.rsplit(' ').next().unwrap();
    let line = format!("DELETE /api/v1/tokens/{secret}");
    assert_eq!(gateway.ask(&line, &[&token], "").status, 404);
    gateway.wait_for_line(" DELETE /api/v1/tokens/hearth_… 404");
    assert!(!gateway.log().contains(secret));
}

#[test]
fn a_provided_token_works_and_is_revoked_where_it_came_from() {
    let hashes = format!("# keys\nsha256:{} chat my desk\nsha256:zz\n", hash("hearth_desk"));
    let setup = Setup::with_hashes(&hashes);
    let gateway = setup.serve();
    gateway.wait_for_line("hearth.token-hashes:3: ");
    let list = gateway.ask_locally("GET /api/v1/tokens", "").json();
    let token = &list["tokens"][0];
    assert_eq!(
        (token["name"].as_str(), token["role"].as_str()),
        (Some("my desk"), Some("chat"))
    );
    assert!(token["created"].is_null());
    let revoke = format!("DELETE /api/v1/tokens/{}", token["id"].as_str().unwrap());
    let refused = gateway.ask_locally(&revoke, "");
    assert_eq!(refused.status, 409);
    assert!(refused.json()["detail"].as_str().unwrap().contains("CONFIG"));
    assert_eq!(
        gateway
            .ask("GET /v1/models", &["Authorization: Bearer hearth_desk"], "")
            .status,
        503
    );
}
