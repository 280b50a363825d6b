//! The engines, and how each is told what to do.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    /// Threads that compute.
    pub threads: u16,
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

    /// llama.cpp, for other programs of it.
    pub fn llama_cpp(&self) -> &LlamaCpp {
        &self.llama_cpp
    }

    /// Whether the engine can be held to the instructions: candle cannot.
    pub fn has(&self, engine: Engine) -> bool {
        engine != Engine::Candle || self.instructions == Instructions::Best
    }

    /// Runs a job in a process of its own, in front of all others.
    pub fn run(&self, engine: Engine, job: &Job<'_>) -> Result<Outcome> {
        let meter = Meter::start()?;
        let text = output(&mut in_front(&self.command(engine, job)?)).with_context(|| engine.to_string())?;
        let foreign = meter.foreign()?;
        let rows = match engine {
            Engine::LlamaCppFa0 | Engine::LlamaCppFa1 => rows::llama_bench(&text)?,
            Engine::Hearth | Engine::Candle => rows::list(&text)?,
        };
        Ok(Outcome { rows, foreign })
    }

    /// The command of a job.
    pub fn command(&self, engine: Engine, job: &Job<'_>) -> Result<Command> {
        let mut command = match engine {
            Engine::Hearth => self.hearth(),
            Engine::LlamaCppFa0 => self.llama_bench(job, "0")?,
            Engine::LlamaCppFa1 => self.llama_bench(job, "1")?,
            Engine::Candle => self.candle(job.threads),
        };
        let prompts: Vec<String> = job.prompts.iter().map(usize::to_string).collect();
        let prompts = if prompts.is_empty() {
            "0".to_owned()
        } else {
            prompts.join(",")
        };
        command
            .arg("-m")
            .arg(job.model)
            .args(["-p", &prompts, "-n", &job.generate.to_string()]);
        command.args([
            "-d",
            &job.depth.to_string(),
            "-t",
            &job.threads.to_string(),
            "-r",
            &job.repetitions.to_string(),
        ]);
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

    fn candle(&self, threads: u16) -> Command {
        let mut command = Command::new(self.parts.program("probe"));
        let threads = threads.to_string();
        command
            .env("RAYON_NUM_THREADS", &threads)
            .env("CANDLE_NUM_THREADS", &threads)
            .args(["bench", "--engine", "candle"]);
        command
    }
}

/// A model's file by what it is called in the arguments: one of those that are fetched, or any file.
pub fn model(parts: &Parts, name: &str) -> PathBuf {
    match name {
        "smollm2" => parts.smollm2.clone(),
        "qwen" => parts.qwen.clone(),
        path => path.into(),
    }
}
