//! `/api/v1/jobs`: long work that goes on when its request has been answered.

use crate::{
    client::{Answer, Client},
    engine::Engine,
    models::{ask, gateway, progress, refused},
    process::{Gateway, gateway_with_engine},
};
use api::{
    import::{RefusedKind, Reply, Request},
    models::Verification,
};
use serde_json::{Value, json};

/// The job once it is in another state than `state`. Each question waits for the gateway alone.
pub(crate) fn job_after(gateway: &Gateway, location: &str, state: &str) -> Value {
    loop {
        let job = gateway.ask_locally(&format!("GET {location}"), "").json();
        if job["state"] != state {
            return job;
        }
        std::thread::yield_now();
    }
}

fn verification() -> Verification {
    Verification {
        id: "m".to_owned(),
        root: "ab".to_owned(),
        blocks: 3,
        stored: 7,
        damaged: vec![],
    }
}

#[test]
fn who_prefers_not_to_wait_gets_a_job_and_its_outcome() {
    let (_setup, gateway, service) = gateway();
    let header = format!("Authorization: Bearer {}", secret(&gateway));
    let begun = gateway.ask(
        "POST /api/v1/models/m/verify",
        &[&header, "Prefer: wait=5, respond-async"],
        "",
    );
    assert_eq!(
        (begun.status, begun.json()["state"].as_str()),
        (202, Some("running"))
    );
    let location = begun.header("location").unwrap();
    let mut call = service.next();
    assert_eq!(call.request(), Request::Verify("m".to_owned()));
    call.reply(&progress(1));
    call.reply(&Reply::Verified(verification()));
    let job = job_after(&gateway, location, "running");
    assert_eq!(
        (job["state"].as_str(), &job["result"]["blocks"]),
        (Some("done"), &3.into())
    );
    assert_eq!(
        job["progress"],
        serde_json::json!({"done": 1, "total": 2, "unit": "bytes"})
    );
    assert_eq!(
        (&job["kind"], &job["subject"]),
        (&"model.verify".into(), &"m".into())
    );
    let list = gateway.ask_locally("GET /api/v1/jobs", "").json();
    assert_eq!(list["jobs"], serde_json::json!([job]));
}

fn secret(gateway: &Gateway) -> String {
    let made = gateway.ask_locally("POST /api/v1/tokens", r#"{"name":"desk","role":"admin"}"#);
    made.json()["secret"].as_str().unwrap().to_owned()
}

#[test]
fn a_job_that_is_cancelled_hangs_up_and_one_that_fails_says_why() {
    let (_setup, gateway, service) = gateway();
    let header = format!("Authorization: Bearer {}", secret(&gateway));
    let begin = || {
        let headers = [header.as_str(), "Prefer: respond-async"];
        let begun = gateway.ask("POST /api/v1/models/m/verify", &headers, "");
        begun.header("location").unwrap().to_owned()
    };
    let location = begin();
    let mut call = service.next();
    call.request();
    let cancelled = gateway.ask_locally(&format!("DELETE {location}"), "");
    assert_eq!(
        (cancelled.status, cancelled.json()["state"].as_str()),
        (200, Some("cancelled"))
    );
    call.waits_for_hang_up();
    assert_eq!(gateway.ask_locally(&format!("DELETE {location}"), "").status, 409);

    let location = begin();
    let mut call = service.next();
    call.request();
    call.reply(&refused(RefusedKind::Unknown, "no model `m`"));
    let job = job_after(&gateway, &location, "running");
    assert_eq!(
        (job["state"].as_str(), job["problem"]["status"].as_u64()),
        (Some("failed"), Some(404))
    );
    assert_eq!(gateway.ask_locally("GET /api/v1/jobs/x", "").status, 404);
    let first = gateway.ask_locally("GET /api/v1/jobs?limit=1", "").json();
    let after = first["next"].as_str().unwrap();
    let rest = gateway
        .ask_locally(&format!("GET /api/v1/jobs?after={after}"), "")
        .json();
    assert_eq!((&rest["jobs"][0], &rest["next"]), (&job, &Value::Null));
}

#[test]
fn without_preference_it_is_told_step_by_step_as_before() {
    let (_setup, gateway, service) = gateway();
    let answer = ask(&gateway, "POST /api/v1/models/m/verify", "");
    let mut call = service.next();
    call.request();
    call.reply(&Reply::Verified(verification()));
    let answer = answer.join().unwrap();
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
}

#[test]
fn a_model_is_loaded_by_an_empty_conversation_in_the_background() {
    let (_setup, gateway, engine, header) = gateway_with_engine();
    let begun = load(&gateway, &engine, &[&header], "m");
    assert_eq!(begun.status, 202, "{begun:?}");
    let mut call = engine.next();
    let head = call.head();
    assert!(head.starts_with("post /v1/chat/completions "), "{head}");
    let body = r#"{"keep_alive":"5m","messages":[],"model":"m"}"#;
    assert_eq!(call.read(body.len()), body);
    call.write("HTTP/1.1 404 Not Found\r\nContent-Length: 67\r\n\r\n");
    call.write(r#"{"error":{"message":"no m","type":"t","param":null,"code":"nope"}}"#);
    call.write("\n");
    let job = job_after(&gateway, begun.header("location").unwrap(), "running");
    assert_eq!(
        (job["state"].as_str(), job["problem"]["detail"].as_str()),
        (Some("failed"), Some("no m"))
    );
}

#[test]
fn a_model_that_is_not_there_is_no_job() {
    let (_setup, gateway, engine, header) = gateway_with_engine();
    let refused = load(&gateway, &engine, &[&header], "x");
    assert_eq!(
        (refused.status, refused.json()["detail"].as_str()),
        (404, Some("there is no model \"x\""))
    );
    assert_eq!(
        gateway.ask_locally("GET /api/v1/jobs", "").json()["jobs"],
        json!([])
    );
    assert!(engine.is_idle());
    gateway.wait_for_line(" POST /api/v1/engine/load 404 ");
    assert!(!gateway.log().contains("to be loaded"));
}

/// Asks for a model to be loaded by an engine that has one, m.
fn load(gateway: &Gateway, engine: &Engine, headers: &[&str], model: &str) -> Answer {
    let mut client = gateway.client();
    client.send(
        "POST /api/v1/engine/load",
        headers,
        &json!({ "model": model }).to_string(),
    );
    let mut call = engine.next();
    let head = call.head();
    assert!(head.starts_with("get /v1/models "), "{head}");
    call.answer(r#"{"object":"list","data":[{"id":"m","object":"model","created":0,"owned_by":"hearth"}]}"#);
    client.answer()
}

#[test]
fn a_name_that_would_steer_a_terminal_is_no_models() {
    let (_setup, gateway, engine, header) = gateway_with_engine();
    for name in [r"x\u001b[2J", r"x\nforged", r"x\u202e", "", &"x".repeat(257)] {
        let refused = gateway.ask(
            "POST /api/v1/engine/load",
            &[&header],
            &format!(r#"{{"model":"{name}"}}"#),
        );
        assert_eq!(refused.status, 422, "{name}: {refused:?}");
    }
    assert!(engine.is_idle());
    assert!(!gateway.log().contains("to be loaded"));
}

#[test]
fn what_is_sent_again_with_its_key_is_answered_again_and_not_done_again() {
    let (_setup, gateway, service) = gateway();
    let header = format!("Authorization: Bearer {}", secret(&gateway));
    let begin = |key: &str| {
        let headers = [header.as_str(), "Prefer: respond-async", key];
        gateway.ask("POST /api/v1/models/m/verify", &headers, "")
    };
    let first = begin("Idempotency-Key: a");
    let _call = service.next();
    let again = begin("Idempotency-Key: a");
    assert_eq!((first.status, again.status), (202, 202));
    assert_eq!(first.header("location"), again.header("location"));
    assert_eq!(first.json(), again.json());
    let other = begin("Idempotency-Key: b");
    let _other_call = service.next();
    assert_ne!(first.header("location"), other.header("location"));
    let list = gateway.ask_locally("GET /api/v1/jobs", "").json();
    assert_eq!(list["jobs"].as_array().unwrap().len(), 2);
    let long = format!("Idempotency-Key: {}", "x".repeat(129));
    assert_eq!(begin(&long).status, 400);
}

#[test]
fn a_request_that_was_refused_may_be_tried_again_with_its_key() {
    let (_setup, gateway, engine, header) = gateway_with_engine();
    let headers = [header.as_str(), "Idempotency-Key: a"];
    for _ in 0..2 {
        let refused = gateway.ask("POST /api/v1/engine/load", &headers, "{}");
        assert_eq!(refused.status, 422, "{refused:?}");
    }
    let begun = load(&gateway, &engine, &headers, "m");
    assert_eq!(begun.status, 202);
}

#[test]
fn who_lost_the_connection_before_the_answer_gets_it_with_the_same_key() {
    let (_setup, gateway, service) = gateway();
    let body = r#"{"name":"m","file":"a.gguf","size":8}"#;
    let send = |body: &str| {
        let mut client = Client::unix(&gateway.local);
        client.send("POST /api/v1/uploads", &["Idempotency-Key: a"], body);
        client
    };
    let gone = send(body);
    let mut call = service.next();
    call.request();
    drop(gone);
    gateway.wait_for_line(" POST /api/v1/uploads 0 ");
    assert_eq!(send(body).answer().status, 409, "it is being answered");
    call.reply(&Reply::Ready);
    let again = loop {
        let answer = send(body).answer();
        if answer.status != 409 {
            break answer;
        }
    };
    assert_eq!(again.status, 201, "{again:?}");
    assert_eq!(send(body).answer().json(), again.json(), "it was begun once");
    let other = send(&body.replace('m', "n")).answer();
    assert_eq!(other.status, 422, "{other:?}");
}
