//! Asks an engine that can be called as a library, for `peers`, which starts this program and reads its JSON. One
//! process asks one engine, so that memory and threads are that engine's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use peers::answers::{Answer, PROMPTS, answer};
use peers::candle::Candle;
use peers::divergence::{Divergence, Perplexity, log_softmax};
use peers::hearth::Hearth;
use peers::logits::{Chunk, Saved};
use peers::subject::Subject;
use serde_json::{Value, json};

/// Asks an engine and prints what it said as JSON.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tests of speed, in llama-bench's words
    Bench(Bench),
    /// Greedy answers to the fixed prompts
    Answers(Answers),
    /// Predictions beside those that llama-perplexity has saved
    Judge(Judge),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Engine {
    Hearth,
    Candle,
}

#[derive(Debug, Args)]
struct Bench {
    #[arg(long, value_enum)]
    engine: Engine,
    #[arg(short)]
    model: PathBuf,
    #[arg(short, value_delimiter = ',')]
    prompts: Vec<usize>,
    #[arg(short = 'n')]
    generate: usize,
    #[arg(short)]
    depth: usize,
    /// Only told on: threads are set by the environment
    #[arg(short)]
    threads: u16,
    #[arg(short)]
    repetitions: u32,
}

#[derive(Debug, Args)]
struct Answers {
    #[arg(long, value_enum)]
    engine: Engine,
    #[arg(short)]
    model: PathBuf,
    /// Tokens of each answer
    #[arg(short = 'n')]
    count: usize,
    /// Answer only this many of the prompts
    #[arg(long, default_value_t = PROMPTS.len())]
    prompts: usize,
    /// A store; the model is then a name in it
    #[arg(long)]
    store: Option<PathBuf>,
    /// Most bytes of a stored model's weights in memory
    #[arg(long, requires = "store")]
    budget: Option<usize>,
}

#[derive(Debug, Args)]
struct Judge {
    #[arg(short)]
    model: PathBuf,
    /// What `llama-perplexity --save-all-logits` has written
    #[arg(long)]
    logits: PathBuf,
    /// Ask candle, too, on this many chunks
    #[arg(long, default_value_t = 0)]
    candle_chunks: usize,
}

fn main() -> ExitCode {
    let result = match Cli::parse().command {
        Command::Bench(options) => bench(&options),
        Command::Answers(options) => answers(&options),
        Command::Judge(options) => judge(&options),
    };
    match result {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn bench(options: &Bench) -> Result<Value> {
    let longest = options
        .prompts
        .iter()
        .copied()
        .chain([options.generate])
        .max()
        .unwrap_or(0);
    match options.engine {
        Engine::Hearth => rows(
            &mut Hearth::load(&options.model, options.depth + longest)?,
            options,
        ),
        Engine::Candle => rows(&mut Candle::load(&options.model)?, options),
    }
}

fn rows(subject: &mut impl Subject, options: &Bench) -> Result<Value> {
    let prompts = options
        .prompts
        .iter()
        .map(|&tokens| (format!("pp{tokens}"), vec![tokens]));
    let generate = (format!("tg{}", options.generate), vec![1; options.generate]);
    let mut rows = Vec::new();
    for (test, steps) in prompts
        .chain([generate])
        .filter(|(_, steps)| steps.iter().sum::<usize>() > 0)
    {
        let tokens: usize = steps.iter().sum();
        time(subject, options.depth, &steps)?;
        let mut seconds = 0.0;
        for _ in 0..options.repetitions {
            seconds += time(subject, options.depth, &steps)?;
        }
        let speed = tokens as f64 * f64::from(options.repetitions) / seconds;
        rows.push(json!({ "test": test, "depth": options.depth, "threads": options.threads, "tokens_per_second": speed }));
    }
    Ok(Value::Array(rows))
}

/// Seconds of passes of so many tokens each, after `depth` others.
fn time(subject: &mut impl Subject, depth: usize, steps: &[usize]) -> Result<f64> {
    let tokens = |count: usize| (0..count).map(|i| (i * 31 % 1000) as u32 + 3).collect::<Vec<_>>();
    subject.start()?;
    if depth > 0 {
        subject.run(&tokens(depth))?;
    }
    let start = Instant::now();
    for &step in steps {
        subject.run(&tokens(step))?;
    }
    Ok(start.elapsed().as_secs_f64())
}

fn answers(options: &Answers) -> Result<Value> {
    // Prompts are made into tokens by our engine for all.
    let loading = Instant::now();
    let positions = 512 + options.count;
    let mut hearth = match &options.store {
        None => Hearth::load(&options.model, positions)?,
        Some(store) => {
            let id = options.model.to_str().context("a name that is no text")?;
            Hearth::load_stored(store, id, options.budget, positions)?
        }
    };
    let load_seconds = loading.elapsed().as_secs_f64();
    let prompts = PROMPTS
        .iter()
        .take(options.prompts)
        .map(|prompt| hearth.tokens(prompt));
    let prompts: Vec<Vec<u32>> = prompts.collect::<Result<_>>()?;
    let read = read_bytes()?;
    let start = Instant::now();
    let answers = match options.engine {
        Engine::Hearth => all_answers(&mut hearth, &prompts, options.count)?,
        Engine::Candle => {
            drop(hearth);
            all_answers(&mut Candle::load(&options.model)?, &prompts, options.count)?
        }
    };
    Ok(json!({
        "answers": answers,
        "load_seconds": load_seconds,
        "seconds": start.elapsed().as_secs_f64(),
        "load_read_bytes": read,
        "read_bytes": read_bytes()? - read,
    }))
}

fn all_answers(subject: &mut impl Subject, prompts: &[Vec<u32>], count: usize) -> Result<Vec<Answer>> {
    prompts
        .iter()
        .map(|prompt| answer(subject, prompt, count))
        .collect()
}

/// Bytes that this process had fetched from disks.
fn read_bytes() -> Result<u64> {
    let path = Path::new("/proc/self/io");
    let text = fs::read_to_string(path).context("cannot read /proc/self/io")?;
    let bytes = text
        .lines()
        .find_map(|line| line.strip_prefix("read_bytes: "))
        .context("/proc/self/io has no read_bytes")?;
    Ok(bytes.parse()?)
}

fn judge(options: &Judge) -> Result<Value> {
    let mut saved = Saved::open(&options.logits)?;
    let mut hearth = Hearth::load(&options.model, 512)?;
    let mut candle = (options.candle_chunks > 0)
        .then(|| Candle::load(&options.model))
        .transpose()?;
    let mut judgement = Judgement::default();
    let mut chunks = 0;
    while let Some(chunk) = saved.next_chunk()? {
        if chunks == options.candle_chunks {
            candle = None;
        }
        judgement.add(&chunk, &mut hearth, candle.as_mut())?;
        chunks += 1;
        eprintln!(
            "chunk {chunks}/{}: perplexity {:.4}, llama.cpp's {:.4}",
            saved.chunks(),
            judgement.ours.value(),
            judgement.theirs.value()
        );
    }
    Ok(judgement.json())
}

/// Predictions of the engines beside one another.
#[derive(Default)]
struct Judgement {
    ours: Perplexity,
    theirs: Perplexity,
    /// Ours from llama.cpp's.
    from_llama_cpp: Divergence,
    /// Ours from candle's.
    from_candle: Divergence,
    /// llama.cpp's from candle's: what is usual.
    llama_cpp_from_candle: Divergence,
}

impl Judgement {
    fn add(&mut self, chunk: &Chunk, hearth: &mut Hearth, mut candle: Option<&mut Candle>) -> Result<()> {
        hearth.start()?;
        let mut logits = hearth.run(&chunk.tokens[..=chunk.first])?;
        let mut reference = candle
            .as_deref_mut()
            .map(|candle| from_start(candle, &chunk.tokens[..=chunk.first]))
            .transpose()?;
        for (theirs, position) in chunk.log_probabilities.iter().zip(chunk.first..) {
            let next = chunk.tokens[position + 1];
            ensure!(
                logits.len() == theirs.len(),
                "a vocabulary of {} tokens, and llama.cpp's has {}",
                logits.len(),
                theirs.len()
            );
            let ours = log_softmax(&logits);
            let theirs = log_softmax(theirs);
            self.ours.add(ours[next as usize]);
            self.theirs.add(theirs[next as usize]);
            self.from_llama_cpp.add(&theirs, &ours);
            if let Some(reference) = &reference {
                let reference = log_softmax(reference);
                self.from_candle.add(&reference, &ours);
                self.llama_cpp_from_candle.add(&reference, &theirs);
            }
            if position + 2 < chunk.tokens.len() {
                logits = hearth.run(&[next])?;
                reference = candle
                    .as_deref_mut()
                    .map(|candle| candle.run(&[next]))
                    .transpose()?;
            }
        }
        Ok(())
    }

    fn json(&self) -> Value {
        json!({
            "perplexity": self.ours.value(),
            "llama_cpp_perplexity": self.theirs.value(),
            "from_llama_cpp": self.from_llama_cpp,
            "from_candle": self.from_candle,
            "llama_cpp_from_candle": self.llama_cpp_from_candle,
        })
    }
}

fn from_start(subject: &mut impl Subject, tokens: &[u32]) -> Result<Vec<f32>> {
    subject.start()?;
    subject.run(tokens)
}
