//! What the real model says.

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
fn all_questions_are_answered_rightly_as_far_as_that_can_be_told() -> Result<()> {
    let questions: Vec<&str> = QUESTIONS.iter().flat_map(|question| question.wordings).collect();
    let answers = oracle::ask(&smollm2()?, &questions, TOKENS)?;
    for (question, answers) in QUESTIONS.iter().zip(answers.chunks_exact(2)) {
        for answer in answers {
            let right = question.says.is_none_or(|says| answer.text.contains(says));
            ensure!(right, "{}: {:?}", answer.question, answer.text);
        }
    }
    Ok(())
}

#[test]
fn every_client_gets_the_engines_own_answer() -> Result<()> {
    let question = QUESTIONS[0].wordings[0];
    let answers = oracle::ask(&smollm2()?, &[question], TOKENS)?;
    let expected = answers.first().context("no answer")?;
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
        for reply in OpenAi::ensure(&Paths::discover())?.ask(&order, &stack.authority())? {
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
