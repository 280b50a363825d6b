//! `hearth ask`.

use crate::command::{Local, end, hearth};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use std::{
    io::{Read, Write},
    os::unix::process::ExitStatusExt,
    process::Stdio,
};

const COMPLETION: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,
    "message":{"role":"assistant","content":"Paris"},"finish_reason":"stop"}],
    "usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4,"prompt_tokens_details":{"cached_tokens":0}}}"#;

#[test]
fn the_answer_is_printed_as_it_comes() {
    let local = Local::new();
    let mut child = local.start(&[
        "ask",
        "--model",
        "m",
        "--system",
        "Be brief.",
        "capital of France?",
    ]);
    let mut call = local.gateway.next();
    assert!(call.head.starts_with("post /v1/chat/completions "));
    let expected = serde_json::json!({"model": "m", "stream": true, "temperature": 0.0, "messages": [
        {"role": "system", "content": "Be brief."}, {"role": "user", "content": "capital of France?"}]});
    assert_eq!(call.json(), expected);
    call.begin();
    let mut stdout = child.stdout.take().unwrap();
    for text in ["Pa", "ris\u{1b}"] {
        // Each piece is read before the next is sent.
        call.piece(text);
        let mut read = vec![0; text.len()];
        stdout.read_exact(&mut read).unwrap();
        assert_eq!(
            String::from_utf8(read).unwrap(),
            text,
            "into a pipe goes what came"
        );
    }
    call.event("[DONE]");
    call.end();
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), end(child).code), ("\n", Some(0)));
}

#[test]
fn without_a_model_the_first_is_asked() {
    let local = Local::new();
    let child = local.start(&[
        "ask",
        "--json",
        "--max-tokens",
        "5",
        "--seed",
        "7",
        "--temperature",
        "0.5",
        "hi",
    ]);
    let models =
        r#"{"object":"list","data":[{"id":"first","object":"model","created":0,"owned_by":"hearth"}]}"#;
    let call = local.gateway.next();
    assert!(call.head.starts_with("get /v1/models "));
    call.answer("200 OK", models);
    let call = local.gateway.next();
    let request = call.json();
    assert_eq!(
        (&request["model"], &request["max_tokens"]),
        (&"first".into(), &5.into())
    );
    assert_eq!(
        (&request["seed"], &request["temperature"]),
        (&7.into(), &0.5.into())
    );
    assert!(request.get("stream").is_none());
    call.answer("200 OK", COMPLETION);
    let ended = end(child);
    let printed: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(
        printed,
        serde_json::from_str::<serde_json::Value>(COMPLETION).unwrap()
    );
}

#[test]
fn the_question_may_come_from_a_pipe() {
    for arguments in [
        &["ask", "--model", "m", "--json"][..],
        &["ask", "--model", "m", "--json", "-"],
    ] {
        let local = Local::new();
        let mut command = hearth(arguments);
        let mut child = command
            .arg("--socket")
            .arg(local.socket())
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(b"why?\n").unwrap();
        let call = local.gateway.next();
        assert_eq!(call.json()["messages"][0]["content"], "why?\n");
        call.answer("200 OK", COMPLETION);
        assert_eq!(end(child).code, Some(0));
    }
}

#[test]
fn an_empty_pipe_is_no_question() {
    let local = Local::new();
    let ended = end(local.start(&["ask", "--model", "m"]));
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("standard input is empty"),
        "{}",
        ended.stderr
    );
}

#[test]
fn ctrl_c_ends_the_wait_for_a_question() {
    let mut child = hearth(&["ask", "--socket", "/nonexistent/x.sock"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than a pipe holds: once it is written, the question is being read, and nobody has been asked yet.
    stdin.write_all(&[b'a'; 128 << 10]).unwrap();
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    drop(stdin);
    assert_eq!(child.wait().unwrap().signal(), Some(Signal::SIGINT as i32));
}

#[test]
fn ctrl_c_hangs_up() {
    let local = Local::new();
    let child = local.start(&["ask", "--model", "m", "hi"]);
    let mut call = local.gateway.next();
    call.begin();
    call.piece("On");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).unwrap();
    call.wait_for_hang_up();
    assert_eq!(end(child).code, Some(130));
}

#[test]
fn an_answer_that_breaks_off_is_an_error() {
    type Ending = fn(&mut crate::gateway::Call);
    let table: [(Ending, &str); 3] = [
        (
            |call| {
                call.event(r#"{"error":{"message":"the engine ended","type":"server_error","param":null,"code":null}}"#)
            },
            "broke off: the engine ended",
        ),
        (|call| call.end(), "broke off without an error"),
        (|_| (), "hung up"),
    ];
    for (ending, told) in table {
        let local = Local::new();
        let child = local.start(&["ask", "--model", "m", "hi"]);
        let mut call = local.gateway.next();
        call.begin();
        call.piece("Par");
        ending(&mut call);
        drop(call);
        let ended = end(child);
        assert_eq!(ended.code, Some(1));
        assert!(ended.stderr.contains(told), "{told} is not in {}", ended.stderr);
        assert!(ended.stdout.starts_with("Par"), "{}", ended.stdout);
    }
}

#[test]
fn a_refusal_says_what_the_engine_said() {
    let local = Local::new();
    let child = local.start(&["ask", "--model", "x", "hi"]);
    let error = r#"{"error":{"message":"no model x","type":"invalid_request_error","param":"model","code":"model_not_found"}}"#;
    local.gateway.next().answer("404 Not Found", error);
    let ended = end(child);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(
        ended.stderr.contains("no model x (404 Not Found)"),
        "{}",
        ended.stderr
    );
}
