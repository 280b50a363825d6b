//! The engines, and how each is told what to do.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::available_parallelism;

use ::tests::process::output;
use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;

use crate::machine::{Meter, in_front};
use crate::parts::Parts;
use crate::rows::{self, Row};
use crate::sandbox::LlamaCpp;

/// An engine, with what is compared of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Engine {
    /// Ours.
    Hearth,
    /// llama.cpp without flash attention.
    #[value(name = "llama.cpp-fa0")]
    LlamaCppFa0,
    /// llama.cpp with it.
    #[value(name = "llama.cpp-fa1")]
    LlamaCppFa1,
    /// candle's own quantised models.
    Candle,
}

impl Engine {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hearth, Self::LlamaCppFa0, Self::LlamaCppFa1, Self::Candle];
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hearth => "hearth",
            Self::LlamaCppFa0 => "llama.cpp -fa 0",
            Self::LlamaCppFa1 => "llama.cpp -fa 1",
            Self::Candle => "candle",
        })
    }
}

/// Which instructions the engines may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Instructions {
    /// Whatever each finds best.
    Best,
    /// AVX2 and nothing newer, as most mini PCs have.
    Avx2,
}

/// What is asked of an engine in one process: these tests at one depth.
#[derive(Clone, Debug)]
pub struct Job<'a> {
    /// The model's file.
    pub model: &'a Path,
    /// Lengths of prompts.
    pub prompts: &'a [usize],
    /// Tokens to generate; 0: none.
    pub generate: usize,
    /// Tokens that are there before.
    pub depth: usize,
    /// Numbers of threads that compute, one after the other.
    pub threads: &'a [u16],
    /// Timed runs of each test in the process; engines warm up by one more.
    pub repetitions: u32,
}

/// What a process said, and how busy the machine was meanwhile.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its rows.
    pub rows: Vec<Row>,
    /// Processors that others kept busy.
    pub foreign: f64,
}

/// The engines with some instructions.
#[derive(Clone, Debug)]
pub struct Engines<'a> {
    parts: &'a Parts,
    llama_cpp: LlamaCpp,
    instructions: Instructions,
}

impl<'a> Engines<'a> {
    /// With those instructions.
    pub fn new(parts: &'a Parts, instructions: Instructions) -> Result<Self> {
        let llama_cpp = match instructions {
            Instructions::Best => LlamaCpp::new(&parts.llama_cpp),
            Instructions::Avx2 => LlamaCpp::held_to_avx2(&parts.llama_cpp, &parts.folder)?,
        };
        Ok(Self {
            parts,
            llama_cpp,
            instructions,
        })
    }

    /// The instructions that they may use.
    pub fn instructions(&self) -> Instructions {
        self.instructions
    }

    /// llama.cpp, for other programs of it.
    pub fn llama_cpp(&self) -> &LlamaCpp {
        &self.llama_cpp
    }

    /// Whether the engine can be held to the instructions: candle cannot.
    pub fn has(&self, engine: Engine) -> bool {
        engine != Engine::Candle || self.instructions == Instructions::Best
    }

    /// Runs a job in front of all others: in a process of its own, and candle in one for each number of threads.
    pub fn run(&self, engine: Engine, job: &Job<'_>) -> Result<Outcome> {
        let meter = Meter::start()?;
        let mut rows = Vec::new();
        let at_once = if engine == Engine::Candle {
            1
        } else {
            job.threads.len()
        };
        for threads in job.threads.chunks(at_once) {
            let job = Job {
                threads,
                ..job.clone()
            };
            let text =
                output(&mut in_front(&self.command(engine, &job)?)).with_context(|| engine.to_string())?;
            rows.extend(match engine {
                Engine::LlamaCppFa0 | Engine::LlamaCppFa1 => rows::llama_bench(&text)?,
                Engine::Hearth => rows::list(&text)?,
                Engine::Candle => with_threads(rows::list(&text)?, threads),
            });
        }
        // Those of the threads that only filled the depth.
        rows.retain(|row| job.threads.contains(&row.threads));
        let foreign = meter.foreign()?;
        Ok(Outcome { rows, foreign })
    }

    /// The command of a job.
    pub fn command(&self, engine: Engine, job: &Job<'_>) -> Result<Command> {
        let (mut command, threads) = match engine {
            Engine::Hearth => (self.hearth(), job.threads.to_vec()),
            Engine::LlamaCppFa0 => (self.llama_bench(job, "0")?, filling(job)?),
            Engine::LlamaCppFa1 => (self.llama_bench(job, "1")?, filling(job)?),
            Engine::Candle => (self.candle(job.threads), job.threads.to_vec()),
        };
        let prompts = if job.prompts.is_empty() {
            "0".to_owned()
        } else {
            list(job.prompts)
        };
        command
            .arg("-m")
            .arg(job.model)
            .args(["-p", &prompts, "-n", &job.generate.to_string()])
            .args(["-d", &job.depth.to_string(), "-t", &list(&threads)])
            .args(["-r", &job.repetitions.to_string()]);
        Ok(command)
    }

    fn hearth(&self) -> Command {
        let mut command = Command::new(self.parts.program("inferd"));
        command.args(["bench", "--json"]);
        if self.instructions == Instructions::Avx2 {
            command.env("HEARTH_CPU", "avx2");
        }
        command
    }

    fn llama_bench(&self, job: &Job<'_>, flash_attention: &str) -> Result<Command> {
        let folder = job.model.parent().context("a model without a folder")?;
        let mut command = self.llama_cpp.command("llama-bench", &[folder], &[]);
        command.args(["--output", "jsonl", "-fa", flash_attention]);
        Ok(command)
    }

    fn candle(&self, threads: &[u16]) -> Command {
        let mut command = Command::new(self.parts.program("probe"));
        let threads = list(threads);
        command
            .env("RAYON_NUM_THREADS", &threads)
            .env("CANDLE_NUM_THREADS", &threads)
            .args(["bench", "--engine", "candle"]);
        command
    }
}

/// The numbers of threads, behind one of as many as there are where there is a depth to be filled: llama-bench fills it
/// at the first number and keeps it for the others, and with one thread 8192 tokens take minutes.
fn filling(job: &Job<'_>) -> Result<Vec<u16>> {
    if job.depth == 0 {
        return Ok(job.threads.to_vec());
    }
    let all = available_parallelism().context("cannot count the processors that may be used")?;
    let all = u16::try_from(all.get())?;
    let others = job.threads.iter().copied().filter(|&threads| threads != all);
    Ok(std::iter::once(all).chain(others).collect())
}

fn with_threads(mut rows: Vec<Row>, threads: &[u16]) -> Vec<Row> {
    for row in &mut rows {
        row.threads = threads.first().copied().unwrap_or_default();
    }
    rows
}

/// Numbers as arguments have them.
fn list<T: ToString>(numbers: &[T]) -> String {
    let numbers: Vec<String> = numbers.iter().map(T::to_string).collect();
    numbers.join(",")
}

/// A model's file by what it is called in the arguments: one of those that are fetched, or any file.
pub fn model(parts: &Parts, name: &str) -> PathBuf {
    match name {
        "smollm2" => parts.smollm2.clone(),
        "qwen" => parts.qwen.clone(),
        path => path.into(),
    }
}
