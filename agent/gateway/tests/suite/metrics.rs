//! `GET /metrics`: for Prometheus.

use crate::{
    power::{READ, gateway_with_agent},
    process::{asked, gateway_with_engine},
};

fn value(told: &str, name: &str) -> Option<f64> {
    let line = told.lines().find(|line| line.split(' ').next() == Some(name))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn what_is_measured_is_told_and_what_is_not_is_left_out() {
    let (_setup, gateway, _agent) = gateway_with_agent();
    assert_eq!(gateway.ask("GET /metrics", &[], "").status, 401);
    let told = gateway.ask("GET /metrics", READ, "");
    assert_eq!(
        told.header("content-type"),
        Some("text/plain; version=0.0.4; charset=utf-8")
    );
    assert_eq!(value(&told.body, "hearth_agent_up"), Some(1.0));
    assert_eq!(value(&told.body, "hearth_models_quarantined"), Some(1.0));
    assert_eq!(
        value(&told.body, "hearth_engine_phase{phase=\"decode\"}"),
        Some(0.0)
    );
    assert!(!told.body.contains("hearth_memory_used_bytes"), "{told:?}");
}

#[test]
fn answers_are_timed_from_the_request_to_their_first_text_and_their_end() {
    let (_setup, gateway, engine, header) = gateway_with_engine();
    let count = |name: &str| {
        let told = gateway.ask("GET /metrics", &[&header], "").body;
        value(&told, &format!("{name}_count{{model_name=\"m\"}}")).unwrap_or_default()
    };
    let (mut client, mut call) = asked(&gateway, &engine, &header, "POST /v1/chat/completions", "{}");
    call.answer(r#"{"id":"c","model":"m","choices":[]}"#);
    assert_eq!(client.answer().status, 200);
    assert_eq!(count("vllm:e2e_request_latency_seconds"), 1.0);
    assert_eq!(count("vllm:time_to_first_token_seconds"), 0.0, "it was no stream");
    let (mut client, mut call) = asked(&gateway, &engine, &header, "POST /v1/chat/completions", "{}");
    call.write("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    let event = |delta: &str| {
        let choice = format!(r#"{{"index":0,"delta":{delta},"finish_reason":null}}"#);
        let head = r#""id":"c","object":"chat.completion.chunk","created":1,"model":"m""#;
        format!("data: {{{head},\"choices\":[{choice}]}}\n\n")
    };
    call.chunk(&event(r#"{"role":"assistant","content":""}"#));
    client.head();
    client.chunk();
    assert_eq!(
        count("vllm:time_to_first_token_seconds"),
        0.0,
        "the prompt is still being read"
    );
    call.chunk(&event(r#"{"content":"Hi"}"#));
    client.chunk();
    assert_eq!(count("vllm:time_to_first_token_seconds"), 1.0);
    call.chunk(&event(r#"{"content":" you"}"#));
    client.chunk();
    assert_eq!(count("vllm:time_to_first_token_seconds"), 1.0);
    assert_eq!(count("vllm:e2e_request_latency_seconds"), 1.0, "it goes on");
    call.write("0\r\n\r\n");
    while client.chunk().is_some() {}
    assert_eq!(count("vllm:e2e_request_latency_seconds"), 2.0);
}
