//! What candle's own `quantized_llama` answers: the engine's example `oracle`, which runs both and compares.

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
    /// candle's own.
    pub candle_tokens: Vec<u32>,
}

/// Builds the oracle, so that the first question need not wait for it.
pub fn build() -> Result<()> {
    output(&mut cargo("build")).map(drop)
}

fn cargo(command: &str) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args([
        command,
        "--release",
        "--quiet",
        "--package",
        "engine",
        "--example",
        "oracle",
    ]);
    cargo
}

/// Greedy answers of candle's own model to each question. An error if the engine, on the same prompt, makes others.
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
            answer.tokens == answer.candle_tokens,
            "the engine's tokens differ from candle's: {answer:?}"
        );
        ensure!(!answer.tokens.is_empty(), "no answer to {}", answer.question);
    }
    Ok(answers)
}
