//! Asks an engine that can be called as a library, for `peers`, which starts this program and reads its JSON. One
//! process asks one engine, so that memory and threads are that engine's.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use clap::{Args, Parser, Subcommand, ValueEnum};
use peers::answers::{Answer, PROMPTS, answer};
use peers::candle::{Candle, reference};
use peers::divergence::{Divergence, Mean, coarsened, log_softmax};
use peers::hearth::Hearth;
use peers::logits::{Chunk, Saved, kept};
use peers::subject::{Predictor, Subject};
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
    /// Predictions of the engine and of candle in f32 beside those that llama-perplexity has saved
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
    let mut hearth = Hearth::load(&options.model, saved.positions())?;
    let mut candle = reference(&options.model)?;
    let mut judgement = Judgement::default();
    let mut done = 0;
    let start = Instant::now();
    while let Some(mut chunk) = saved.next_chunk()? {
        // llama-perplexity saves the text's tokens, and puts this one over each chunk's first when it reads.
        if let Some(first) = hearth.first() {
            chunk.tokens[0] = first;
        }
        judgement.add(&chunk, &mut hearth, candle.as_mut())?;
        done += 1;
        eprintln!(
            "     chunk {done}/{}, {:.0} s: perplexity {:.4}, candle's {:.4}, llama.cpp's {:.4}",
            saved.chunks(),
            start.elapsed().as_secs_f64(),
            judgement.ours.value().exp(),
            judgement.candles.value().exp(),
            judgement.llama_cpps.value().exp()
        );
    }
    Ok(judgement.json())
}

/// Predictions of the engines beside one another, of the same tokens.
#[derive(Default)]
struct Judgement {
    /// Negative natural log-probabilities of the tokens that came.
    ours: Mean,
    candles: Mean,
    llama_cpps: Mean,
    /// By how much ours is more than llama.cpp's.
    off_llama_cpp: Mean,
    off_candle: Mean,
    /// Tokens that came of which llama.cpp saved no log-probability: they were too unlikely. candle's stands for it.
    not_saved: usize,
    /// Ours from llama.cpp's.
    from_llama_cpp: Divergence,
    /// Ours from candle's.
    from_candle: Divergence,
    /// llama.cpp's from candle's: what is usual.
    llama_cpp_from_candle: Divergence,
}

impl Judgement {
    fn add(&mut self, chunk: &Chunk, hearth: &mut Hearth, candle: &mut dyn Predictor) -> Result<()> {
        let ours = hearth.predictions(&chunk.tokens, chunk.first)?;
        let candles = candle.predictions(&chunk.tokens, chunk.first)?;
        let next = &chunk.tokens[chunk.first + 1..];
        for (((ours, candles), theirs), &next) in
            ours.iter().zip(&candles).zip(&chunk.log_probabilities).zip(next)
        {
            for logits in [ours, candles] {
                ensure!(
                    logits.len() == theirs.len(),
                    "a vocabulary of {} tokens, and llama.cpp's has {}",
                    logits.len(),
                    theirs.len()
                );
            }
            self.add_position(&log_softmax(ours), &log_softmax(candles), theirs, next as usize);
        }
        Ok(())
    }

    fn add_position(&mut self, ours: &[f64], candles: &[f64], theirs: &[f32], next: usize) {
        let kept = kept(theirs);
        let theirs: Vec<f64> = theirs.iter().copied().map(f64::from).collect();
        let saved = kept.binary_search(&next).is_ok();
        let their = if saved { theirs[next] } else { candles[next] };
        self.not_saved += usize::from(!saved);
        self.ours.add(-ours[next]);
        self.candles.add(-candles[next]);
        self.llama_cpps.add(-their);
        self.off_llama_cpp.add(their - ours[next]);
        self.off_candle.add(candles[next] - ours[next]);
        let [ours, candles, theirs] =
            [ours, candles, &theirs].map(|log_probabilities| coarsened(log_probabilities, &kept));
        self.from_llama_cpp.add(&theirs, &ours);
        self.from_candle.add(&candles, &ours);
        self.llama_cpp_from_candle.add(&candles, &theirs);
    }

    fn json(&self) -> Value {
        json!({
            "perplexity": self.ours.value().exp(),
            "candle_perplexity": self.candles.value().exp(),
            "saved_perplexity": self.llama_cpps.value().exp(),
            "not_saved": self.not_saved,
            "off_llama_cpp_error": self.off_llama_cpp.standard_error(),
            "off_candle_error": self.off_candle.standard_error(),
            "from_llama_cpp": self.from_llama_cpp,
            "from_candle": self.from_candle,
            "llama_cpp_from_candle": self.llama_cpp_from_candle,
        })
    }
}
