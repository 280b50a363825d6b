//! Answers of the guest's model, against what the engine says on this host.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use api::rest::Status;
use tests::client::{greedy, said};
use tests::oracle::Answer;
use tests::python::{OpenAi, Order, Reply};
use tests::report::seconds;
use tests::vm::quote;

use crate::guest::{Guest, MODEL};

/// How long the first token of an answer took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FirstToken {
    /// Since QEMU's start.
    pub(crate) since_start: Duration,
    /// Since the request.
    pub(crate) since_request: Duration,
}

/// The same of the engine that this one replaced, which packed nothing: since QEMU's start, emulated, on the machine that
/// this was developed on. A prompt of 35 tokens and an answer of 7 took it about 20 s.
pub(crate) const FORMERLY: &str = "formerly 134.9 s";
pub(crate) const ANSWER_FORMERLY: &str = "formerly about 20 s";

/// The first token of a stream, which is read to its end.
pub(crate) fn first_token(guest: &mut Guest, expected: &Answer) -> Result<FirstToken> {
    first_token_of(MODEL, guest, expected)
}

/// The same of that model.
pub(crate) fn first_token_of(model: &str, guest: &mut Guest, expected: &Answer) -> Result<FirstToken> {
    let asked = Instant::now();
    let mut stream = guest
        .client()
        .stream(&greedy(model, &expected.question, limit(expected)))?;
    let begin = stream.read_tokens(1)?;
    let time = FirstToken {
        since_start: guest.machine.started().elapsed(),
        since_request: asked.elapsed(),
    };
    let text = begin + &stream.read_all()?;
    same(&text, expected)?;
    Ok(time)
}

/// A question to a model that is loaded.
pub(crate) fn first_token_again(guest: &mut Guest, expected: &Answer) -> Result<String> {
    let FirstToken { since_request, .. } = first_token(guest, expected)?;
    Ok(format!(
        "{} after a request of {} tokens",
        seconds(since_request),
        expected.prompt.len()
    ))
}

/// The answer over REST, with the speed.
pub(crate) fn over_rest(guest: &mut Guest, expected: &Answer) -> Result<String> {
    let start = Instant::now();
    let completion = guest
        .client()
        .chat(&greedy(MODEL, &expected.question, limit(expected)))?;
    same(said(&completion)?, expected)?;
    let usage = completion.usage;
    ensure!(
        usage.prompt_tokens == expected.prompt.len() as u32,
        "the prompt is counted as {}",
        usage.prompt_tokens
    );
    Ok(format!(
        "{:?}, {} tokens in {} ({ANSWER_FORMERLY})",
        expected.text,
        usage.completion_tokens,
        seconds(start.elapsed())
    ))
}

/// The answer of `hearth ask`, typed over SSH.
pub(crate) fn over_ssh(guest: &mut Guest, expected: &Answer) -> Result<String> {
    let text = ask_over_ssh(guest, &expected.question, limit(expected))?;
    same(&text, expected)?;
    Ok(format!("{text:?}"))
}

/// What `hearth ask` prints over SSH.
pub(crate) fn ask_over_ssh(guest: &mut Guest, question: &str, tokens: u32) -> Result<String> {
    guest.run(&format!(
        "hearth ask --temperature 0 --max-tokens {tokens} {}",
        quote(question)
    ))
}

/// The answers that OpenAI's own client gets, whole and streamed.
pub(crate) fn through_openai(
    guest: &mut Guest,
    client: &OpenAi,
    expected: &[Answer],
    tokens: u32,
) -> Result<Vec<Reply>> {
    let order = Order {
        base_url: format!("{}/v1", guest.machine.url()),
        api_key: &guest.token,
        model: MODEL,
        max_tokens: tokens,
        questions: expected.iter().map(|answer| answer.question.as_str()).collect(),
    };
    let replies = client.ask(&order, &guest.machine.authority())?;
    ensure!(replies.len() == expected.len(), "{} replies", replies.len());
    Ok(replies)
}

/// OpenAI's client gets the expected answer both ways.
pub(crate) fn openai_agrees(guest: &mut Guest, client: &OpenAi, expected: &Answer) -> Result<String> {
    for reply in through_openai(guest, client, std::slice::from_ref(expected), limit(expected))? {
        same(&reply.text, expected)?;
        same(&reply.streamed, expected)?;
        ensure!(
            reply.models == [MODEL],
            "the client sees the models {:?}",
            reply.models
        );
    }
    Ok("chat and stream".to_owned())
}

/// `hearth status --json` over SSH is the status that REST tells, with a sample in it.
pub(crate) fn status_over_ssh(guest: &mut Guest) -> Result<String> {
    let text = guest.run("hearth status --json")?;
    let status: Status = serde_json::from_str(&text).with_context(|| format!("not a status: {text}"))?;
    let capabilities = status.capabilities.context("no capabilities")?;
    ensure!(status.sample.is_some(), "no sample: {:?}", status.agent_problem);
    let screen = guest.run("hearth status")?;
    ensure!(screen.contains("hearth"), "the screen says {screen}");
    let tokens = guest.run("hearth token list --json")?;
    ensure!(tokens.contains("admin"), "no admin's token among {tokens}");
    Ok(format!(
        "version {}, {} warnings",
        status.version,
        capabilities.warnings.len()
    ))
}

/// As many tokens as the expected answer has, and one more in which the end of the answer can be seen.
fn limit(expected: &Answer) -> u32 {
    expected.tokens.len() as u32 + 1
}

/// An error that shows both unless the text is the expected answer.
pub(crate) fn same(text: &str, expected: &Answer) -> Result<()> {
    ensure!(
        text.trim_end() == expected.text.trim_end(),
        "{text:?} instead of {:?}",
        expected.text
    );
    Ok(())
}
