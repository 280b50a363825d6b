//! Greedy tokens of this engine and of candle-transformers' `quantized_llama` on the same prompt, as JSON.
//!
//! The prompt's tokens are made by this engine for both. Used by the `tests` package, and by hand:
//! `cargo run --release -p engine --example oracle -- MODEL.gguf "What is the capital of France?"`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use candle_transformers::models::quantized_llama::ModelWeights;
use clap::Parser;
use engine::model::Model;
use engine::sampler::greedy;
use engine::scheduler::part;
use engine::template::{Message, Role};
use serde_json::json;

/// Compares this engine with candle's own model code.
#[derive(Parser)]
struct Arguments {
    /// The model file.
    model: PathBuf,
    /// The question; further ones are separate conversations.
    #[arg(required = true)]
    questions: Vec<String>,
    /// Most tokens to make.
    #[arg(long, default_value_t = 64)]
    max_tokens: usize,
    /// Tokens of the prompt that are run at once.
    #[arg(long, default_value_t = 32)]
    chunk: usize,
    /// Leave candle's out, to time this engine alone.
    #[arg(long)]
    only_ours: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let loading = Instant::now();
    let model = Model::load(&arguments.model, 4096)?;
    let load_seconds = loading.elapsed().as_secs_f64();
    let mut oracle = (!arguments.only_ours)
        .then(|| load_oracle(&arguments.model))
        .transpose()?;
    let mut answers = Vec::new();
    for question in &arguments.questions {
        let prompt = model.prompt(&[Message {
            role: Role::User,
            content: question.clone(),
        }])?;
        let ours = ours(&model, &prompt, &arguments)?;
        let candles = oracle
            .as_mut()
            .map(|oracle| candles(oracle, &model, &prompt, &arguments))
            .transpose()?;
        answers.push(compare(question, &prompt, &model, &ours, candles.as_ref()));
    }
    let report = json!({ "load_seconds": load_seconds, "plain_q8_0": model.llama.ways().plain_q8_0, "answers": answers });
    println!("{}", serde_json::to_string_pretty(&report)?);
    let equal = answers.iter().all(|answer| answer["equal"] != json!(false));
    ensure!(equal, "the tokens differ");
    Ok(())
}

/// An answer and how long it took.
struct Run {
    tokens: Vec<u32>,
    logits: Vec<Vec<f32>>,
    prefill_seconds: f64,
    decode_seconds: f64,
}

fn load_oracle(path: &Path) -> Result<ModelWeights> {
    let mut file = File::open(path).with_context(|| path.display().to_string())?;
    let content = Content::read(&mut file)?;
    Ok(ModelWeights::from_gguf(content, &mut file, &Device::Cpu)?)
}

fn ours(model: &Model, prompt: &[u32], arguments: &Arguments) -> Result<Run> {
    let mut kv = model.new_kv()?;
    let step = |_, token: Option<u32>| match token {
        Some(token) => Ok(model.llama.forward(&[token], &mut kv)?),
        None => loop {
            let part = part(prompt.len(), kv.length(), arguments.chunk);
            if part.end == prompt.len() {
                return Ok(model.llama.forward(&prompt[part], &mut kv)?);
            }
            model.llama.prefill(&prompt[part], &mut kv)?;
        },
    };
    generate(model, arguments.max_tokens, prompt.len(), step)
}

fn candles(oracle: &mut ModelWeights, model: &Model, prompt: &[u32], arguments: &Arguments) -> Result<Run> {
    let step = |position: usize, token: Option<u32>| {
        let tokens = token.map_or_else(|| prompt.to_vec(), |token| vec![token]);
        let input = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        Ok(oracle.forward(&input, position)?.flatten_all()?.to_vec1()?)
    };
    generate(model, arguments.max_tokens, prompt.len(), step)
}

/// Calls `step` with a position and a token (none for the prompt) until the answer ends.
fn generate(
    model: &Model,
    max_tokens: usize,
    prompt: usize,
    mut step: impl FnMut(usize, Option<u32>) -> Result<Vec<f32>>,
) -> Result<Run> {
    let start = Instant::now();
    let mut logits = vec![step(0, None)?];
    let prefill_seconds = start.elapsed().as_secs_f64();
    let start = Instant::now();
    let mut tokens = Vec::new();
    while let Some(token) = logits.last().map(|logits| greedy(logits)) {
        if model.vocabulary.is_end(token) || tokens.len() == max_tokens {
            break;
        }
        logits.push(step(prompt + tokens.len(), Some(token))?);
        tokens.push(token);
    }
    Ok(Run {
        tokens,
        logits,
        prefill_seconds,
        decode_seconds: start.elapsed().as_secs_f64(),
    })
}

fn compare(
    question: &str,
    prompt: &[u32],
    model: &Model,
    ours: &Run,
    candles: Option<&Run>,
) -> serde_json::Value {
    let bytes: Vec<u8> = ours
        .tokens
        .iter()
        .flat_map(|&token| model.vocabulary.bytes(token))
        .copied()
        .collect();
    json!({
        "question": question,
        "text": String::from_utf8_lossy(&bytes),
        "prompt": prompt,
        "tokens": ours.tokens,
        "candle_tokens": candles.map(|run| &run.tokens),
        "equal": candles.map(|run| run.tokens == ours.tokens),
        "bit_equal": candles.map(|run| same_bits(&run.logits, &ours.logits)),
        "largest_difference": candles.map(|run| difference(&run.logits, &ours.logits)),
        "ours": speed(ours, prompt.len()),
        "candle": candles.map(|run| speed(run, prompt.len())),
    })
}

fn same_bits(a: &[Vec<f32>], b: &[Vec<f32>]) -> bool {
    let bits = |logits: &[Vec<f32>]| {
        logits
            .iter()
            .flatten()
            .map(|logit| logit.to_bits())
            .collect::<Vec<_>>()
    };
    bits(a) == bits(b)
}

fn difference(a: &[Vec<f32>], b: &[Vec<f32>]) -> f32 {
    a.iter()
        .flatten()
        .zip(b.iter().flatten())
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

fn speed(run: &Run, prompt: usize) -> serde_json::Value {
    json!({
        "prefill_seconds": run.prefill_seconds,
        "prefill_tokens_per_second": prompt as f64 / run.prefill_seconds,
        "decode_seconds": run.decode_seconds,
        "decode_tokens_per_second": run.tokens.len() as f64 / run.decode_seconds,
    })
}
