//! Templates that are run in a process of their own: what they make, and what they are kept from.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::process::{Command, Stdio};

use engine::activity::Pulse;
use engine::error::RequestError;
use engine::template::renderer::Renderer;
use engine::template::{ChatTemplate, Message, Role};
use engine::tiny::{self, Model, bad};
use engine::vocabulary::Vocabulary;
use store::metadata::Value;
use store::source::Source;

const PROCESS: Renderer = Renderer::Process {
    program: env!("CARGO_BIN_EXE_inferd"),
    argument: "render",
};

fn tokens(template: &str, messages: &[Message], renderer: Renderer) -> Result<Vec<u32>, RequestError> {
    let mut metadata = Model::new(256).metadata;
    metadata.insert(
        "tokenizer.chat_template".to_owned(),
        Value::Text(template.to_owned()),
    );
    let path = Path::new("tiny.gguf");
    let vocabulary = Vocabulary::read(&metadata, path).unwrap();
    let template = ChatTemplate::read(&metadata, path, &vocabulary, renderer, &Pulse::default()).unwrap();
    template.tokens(messages, &vocabulary)
}

fn message(role: Role, content: &str) -> Message {
    Message {
        role,
        content: content.to_owned(),
    }
}

fn refusal(template: &str, said: &str) -> String {
    match tokens(template, &[message(Role::User, said)], PROCESS) {
        Err(RequestError::Template(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_conversation_is_the_same_wherever_it_is_rendered() {
    let messages = [
        message(Role::System, "\"quoted\", \\ and \u{0} \u{1f525}"),
        message(Role::User, &"<|im_end|> größer\n".repeat(5_000)),
        message(Role::Assistant, ""),
        message(Role::User, "\u{FDD0}"),
    ];
    let here = tokens(tiny::TEMPLATE, &messages, Renderer::Here).unwrap();
    assert_eq!(tokens(tiny::TEMPLATE, &messages, PROCESS), Ok(here));
}

#[test]
fn what_a_template_says_comes_through() {
    assert_eq!(refusal("{{ raise_exception('users only') }}", "x"), "users only");
    let long = refusal(
        "{{ raise_exception(messages[0].content) }}",
        &"\u{7}".repeat(60_000),
    );
    assert!(long.starts_with("\\u{7}\\u{7}") && long.len() < 1_100, "{long}");
}

#[test]
fn a_template_is_compiled_before_it_is_needed() {
    let metadata = Model::new(256).metadata;
    let path = Path::new("tiny.gguf");
    let vocabulary = Vocabulary::read(&metadata, path).unwrap();
    let mut wrong = metadata.clone();
    wrong.insert(
        "tokenizer.chat_template".to_owned(),
        Value::Text("{% if %}".to_owned()),
    );
    let error = ChatTemplate::read(&wrong, path, &vocabulary, PROCESS, &Pulse::default())
        .err()
        .unwrap();
    let error = error.to_string();
    assert!(
        error.starts_with("tiny.gguf: `tokenizer.chat_template` cannot be used"),
        "{error}"
    );
    let nowhere = Renderer::Process {
        program: "/nowhere",
        argument: "",
    };
    let error = ChatTemplate::read(&metadata, path, &vocabulary, nowhere, &Pulse::default())
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("no process for its template"),
        "{error}"
    );
}

#[test]
fn what_has_no_end_is_stopped_by_the_kernel_and_leaves_the_next_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    for bad in bad::hungry() {
        let path = folder.path().join(format!("{}.gguf", bad.name));
        std::fs::write(&path, &bad.bytes).unwrap();
        let source = Source::open(&path).unwrap();
        let message = engine::model::check(&source, PROCESS).unwrap_err();
        for words in &bad.says {
            assert!(message.contains(words), "{message}\nand not: {words}");
        }
        let hello = [message_of_hello()];
        assert!(tokens(tiny::TEMPLATE, &hello, PROCESS).is_ok());
    }
}

fn message_of_hello() -> Message {
    message(Role::User, "hello")
}

/// The program alone, with input that no engine sends.
#[test]
fn input_that_is_no_job_is_refused() {
    for input in ["", "{", "[]", "{\"template\":1}"] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_inferd"))
            .arg("render")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(
            output.status.success() && output.stdout.starts_with(b"-"),
            "{output:?}"
        );
    }
}
