//! What the real model says, against candle's own.

use anyhow::{Context, Result, ensure};
use image::Paths;
use tests::client::{greedy, said};
use tests::oracle;
use tests::python::{OpenAi, Order};
use tests::questions::QUESTIONS;

use crate::models::{SMOLLM2, smollm2, with_smollm2};

/// Most tokens of an answer.
const TOKENS: u32 = 48;

#[test]
fn greedy_answers_are_those_of_candles_own_model_to_every_client() -> Result<()> {
    let question = QUESTIONS[0].wordings[0];
    let answers = oracle::ask(&smollm2()?, &[question], TOKENS)?;
    let expected = answers.first().context("no answer")?;
    ensure!(
        expected.text.contains("Paris"),
        "candle's model itself says {:?}",
        expected.text
    );
    with_smollm2(|stack| {
        let request = greedy(SMOLLM2, question, TOKENS);
        let whole = stack.admin().chat(&request)?;
        ensure!(said(&whole)? == expected.text, "whole: {:?}", said(&whole)?);
        ensure!(
            whole.usage.prompt_tokens == expected.prompt.len() as u32,
            "{:?}",
            whole.usage
        );
        let streamed = stack.admin().stream(&request)?.read_all()?;
        ensure!(streamed == expected.text, "streamed: {streamed:?}");
        let order = Order {
            base_url: format!("{}/v1", stack.url()),
            api_key: stack.token(),
            model: SMOLLM2,
            max_tokens: TOKENS,
            questions: vec![question],
        };
        for reply in OpenAi::ensure(&Paths::discover())?.ask(&order)? {
            ensure!(
                reply.text == expected.text && reply.streamed == expected.text,
                "{reply:?}"
            );
            ensure!(reply.chunks > 1, "not a stream: {reply:?}");
            ensure!(reply.completion_tokens == reply.streamed_tokens, "{reply:?}");
            ensure!(reply.models.iter().any(|model| model == SMOLLM2), "{reply:?}");
        }
        Ok(())
    })
}
