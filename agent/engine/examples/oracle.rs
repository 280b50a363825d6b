//! This engine's greedy answers, and how far its logits are from those of candle-transformers' own model code on the
//! same tokens, as JSON.
//!
//! candle rounds activations in other places, so logits differ a little, and where two tokens are nearly as likely the
//! greedy one may, too. So candle is made to read this engine's answer, and at each of its tokens both are compared.
//! Used by the `tests` package, and by hand:
//! `cargo run --release -p engine --example oracle -- MODEL.gguf "What is the capital of France?"`.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result};
use clap::Parser;
use engine::catalog::Source;
use engine::graph::{Graph, Part};
use engine::kv::KvCache;
use engine::model::{self, Model};
use engine::sampler::greedy;
use engine::scheduler::part;
use engine::template::{Message, Role};
use kernels::compute::{Compute, Fusions};
use kernels::kv::KvKind;
use kernels::path::{Instructions, Path as CpuPath};
use kernels::pool::Pool;
use serde_json::json;

use candle::Candle;

#[path = "../tests/parity/candle.rs"]
mod candle;

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
    /// Most tokens of the prompt that are run at once.
    #[arg(long, default_value_t = 512)]
    chunk: usize,
    /// Threads that compute.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Instructions that compute; the last that the processor has if nothing is said.
    #[arg(long)]
    cpu: Option<Instructions>,
    /// Operators that are computed together.
    #[arg(long, default_value_t = Fusions::ALL)]
    fuse: Fusions,
    /// Keep keys and values in 8 bits.
    #[arg(long)]
    q8: bool,
    /// Leave candle's out, to time this engine alone.
    #[arg(long)]
    only_ours: bool,
}

/// This engine with one model.
struct Ours {
    model: Model,
    graph: Graph,
    compute: Compute,
    chunk: usize,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let path = match arguments.cpu {
        Some(cpu) => CpuPath::new(cpu).with_context(|| format!("this processor has no {cpu}"))?,
        None => CpuPath::offered().pop().unwrap_or(CpuPath::SCALAR),
    };
    let kv = if arguments.q8 { KvKind::Q8 } else { KvKind::F16 };
    let loading = Instant::now();
    let (model, graph) = model::load(&Source::Gguf(arguments.model.clone()), None, 4096, kv)?;
    let load_seconds = loading.elapsed().as_secs_f64();
    let mut ours = Ours {
        model,
        graph,
        compute: Compute::new(path, Pool::new(arguments.threads)?, arguments.fuse),
        chunk: arguments.chunk,
    };
    let mut candle = (!arguments.only_ours)
        .then(|| load_candle(&arguments.model))
        .transpose()?;
    let answers = arguments
        .questions
        .iter()
        .map(|question| answer(&mut ours, candle.as_mut(), question, arguments.max_tokens))
        .collect::<Result<Vec<_>>>()?;
    let report = json!({
        "load_seconds": load_seconds,
        "cpu": path.instructions().name(),
        "threads": arguments.threads,
        "answers": answers,
    });
    println!("{}", serde_json::to_string_pretty(&report)?);
    Ok(())
}

fn load_candle(path: &Path) -> Result<Candle> {
    let file = File::open(path).with_context(|| path.display().to_string())?;
    Ok(Candle::load(&mut BufReader::new(file))?)
}

/// An answer and how long it took.
struct Run {
    tokens: Vec<u32>,
    /// After the prompt and after each token.
    logits: Vec<Vec<f32>>,
    prefill_seconds: f64,
    decode_seconds: f64,
}

fn answer(
    ours: &mut Ours,
    candle: Option<&mut Candle>,
    question: &str,
    max_tokens: usize,
) -> Result<serde_json::Value> {
    let prompt = ours.model.prompt(&[Message {
        role: Role::User,
        content: question.to_owned(),
    }])?;
    let run = ours.run(&prompt, max_tokens)?;
    let candles = candle
        .map(|candle| candle.logits(&[prompt.clone(), run.tokens.clone()].concat(), prompt.len()))
        .transpose()?;
    let bytes = run
        .tokens
        .iter()
        .flat_map(|&token| ours.model.vocabulary.bytes(token));
    let bytes: Vec<u8> = bytes.copied().collect();
    Ok(json!({
        "question": question,
        "text": String::from_utf8_lossy(&bytes),
        "prompt": prompt,
        "tokens": run.tokens,
        "candle": candles.map(|candles| compare(&run.logits, &candles)),
        "prefill_tokens_per_second": prompt.len() as f64 / run.prefill_seconds,
        "decode_tokens_per_second": run.tokens.len() as f64 / run.decode_seconds,
    }))
}

impl Ours {
    fn run(&mut self, prompt: &[u32], max_tokens: usize) -> Result<Run> {
        let mut kv = self.model.new_kv();
        let start = Instant::now();
        let mut logits = Vec::new();
        while kv.length() < prompt.len() {
            let part = part(prompt.len(), kv.length(), self.chunk);
            let last = part.end == prompt.len();
            logits.extend(self.forward(&prompt[part], &mut kv, last)?);
        }
        let prefill_seconds = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let mut tokens = Vec::new();
        while let Some(token) = logits.last().map(|logits| greedy(logits)) {
            if self.model.vocabulary.is_end(token) || tokens.len() == max_tokens {
                break;
            }
            logits.extend(self.forward(&[token], &mut kv, true)?);
            tokens.push(token);
        }
        Ok(Run {
            tokens,
            logits,
            prefill_seconds,
            decode_seconds: start.elapsed().as_secs_f64(),
        })
    }

    fn forward(&mut self, tokens: &[u32], kv: &mut KvCache, logits: bool) -> Result<Option<Vec<f32>>> {
        let mut parts = [Part { tokens, kv, logits }];
        let made = self.graph.forward(&mut self.compute, &mut parts)?;
        Ok(logits.then(|| made.row(0).to_vec()))
    }
}

/// How far our logits are from candle's, at each token of the answer.
fn compare(ours: &[Vec<f32>], candles: &[Vec<f32>]) -> serde_json::Value {
    let pairs = || ours.iter().zip(candles);
    let divergences: Vec<f64> = pairs().map(|(ours, candles)| divergence(candles, ours)).collect();
    let agreeing = pairs()
        .filter(|(ours, candles)| greedy(ours) == greedy(candles))
        .count();
    json!({
        "greedy": candles.iter().map(|logits| greedy(logits)).collect::<Vec<_>>(),
        "agreement": agreeing as f64 / ours.len() as f64,
        "mean_divergence": divergences.iter().sum::<f64>() / divergences.len() as f64,
        "largest_divergence": divergences.iter().copied().fold(0.0, f64::max),
    })
}

/// The Kullback–Leibler divergence of what `logits` makes likely from what `truth` does, in nats.
fn divergence(truth: &[f32], logits: &[f32]) -> f64 {
    let (truth, logits) = (log_probabilities(truth), log_probabilities(logits));
    truth.iter().zip(&logits).map(|(p, q)| p.exp() * (p - q)).sum()
}

fn log_probabilities(logits: &[f32]) -> Vec<f64> {
    let highest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let above = |&logit: &f32| f64::from(logit) - f64::from(highest);
    let total: f64 = logits.iter().map(|logit| above(logit).exp()).sum();
    logits.iter().map(|logit| above(logit) - total.ln()).collect()
}
