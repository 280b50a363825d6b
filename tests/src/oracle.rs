//! What the engine itself answers on this host, with candle's own `quantized_llama` beside it as the judge: the engine's
//! example `oracle`, which runs both.
//!
//! The engine's bits depend neither on the processor's instructions nor on the number of threads, so what it answers here
//! is what it must answer everywhere. candle rounds in other places; it says whether the answer is as likely as it should
//! be.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::process::output;

#[derive(Debug, Deserialize)]
struct Output {
    answers: Vec<Answer>,
}

/// One greedy answer.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Answer {
    /// What was asked.
    pub question: String,
    /// The answer as text.
    pub text: String,
    /// The prompt's tokens, the template's own included.
    pub prompt: Vec<u32>,
    /// The engine's tokens.
    pub tokens: Vec<u32>,
    /// candle's word on them.
    pub candle: Judgement,
}

/// How far candle's own model is from the engine's, when it reads the same tokens.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Judgement {
    /// The part of the tokens that candle would have chosen, too.
    pub agreement: f64,
    /// Kullback–Leibler divergence of the engine's probabilities from candle's, the mean over the tokens, in nats.
    pub mean_divergence: f64,
}

/// Least agreement over an answer: of two tokens that are nearly as likely, each may be chosen.
const LEAST_AGREEMENT: f64 = 0.8;
/// Largest mean divergence over an answer.
const LARGEST_DIVERGENCE: f64 = 0.02;

/// Builds the oracle, so that the first question need not wait for it.
pub fn build() -> Result<()> {
    output(&mut cargo("build")).map(drop)
}

/// In the workspace's folder and without its package's name: so it shares what the tests beside the code are built from.
fn cargo(command: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    cargo.args([command, "--release", "--quiet", "--example", "oracle"]);
    cargo
}

/// Greedy answers of the engine to each question. An error if they are not what candle's own model would nearly say.
pub fn ask(model: &Path, questions: &[&str], max_tokens: u32) -> Result<Vec<Answer>> {
    let mut command = cargo("run");
    command
        .args(["--", "--max-tokens", &max_tokens.to_string()])
        .arg(model)
        .args(questions);
    let text = output(&mut command).context("the oracle")?;
    let Output { answers } =
        serde_json::from_str(&text).with_context(|| format!("the oracle said {text}"))?;
    ensure!(
        answers.len() == questions.len(),
        "the oracle left questions out: {text}"
    );
    for answer in &answers {
        ensure!(
            answer.candle.agreement >= LEAST_AGREEMENT && answer.candle.mean_divergence <= LARGEST_DIVERGENCE,
            "the engine is far from candle: {answer:?}"
        );
        ensure!(!answer.tokens.is_empty(), "no answer to {}", answer.question);
    }
    Ok(answers)
}
