//! A model in less memory than it has: the same tokens, how fast, and what of the disk's speed that is.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use ::tests::process::output;
use anyhow::{Context, Result, ensure};
use clap::Args;
use nix::fcntl::OFlag;
use peers::answers::Answer;
use peers::engines::model;
use peers::machine::forget;
use peers::memory_group::MemoryGroup;
use peers::parts::Parts;
use peers::stored::Stored;
use serde::{Deserialize, Serialize};
use store::Pages;

use crate::show::step;

/// What the process needs beside weights, MB: its program, vocabulary, keys and values, and what is between nodes.
const BESIDE_WEIGHTS: u64 = 100;
/// Bytes that are asked of the disk at a time, a block.
const READ_BYTES: usize = 4 << 20;

/// What to measure.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// The model: smollm2, qwen, or a GGUF file
    #[arg(short, long, default_value = "qwen")]
    model: String,
    /// The cgroup's limit, MB, page cache included
    #[arg(short, long, default_value_t = 400)]
    limit: u64,
    /// Tokens of each of two answers
    #[arg(short = 'n', long, default_value_t = 16)]
    count: usize,
}

/// What `probe answers` says.
#[derive(Debug, Deserialize)]
struct Said {
    answers: Vec<Answer>,
    seconds: f64,
    read_bytes: u64,
}

/// What the limit did.
#[derive(Debug, Serialize)]
pub(crate) struct Limited {
    model: String,
    limit_bytes: u64,
    peak_bytes: u64,
    free_tokens_per_second: f64,
    limited_tokens_per_second: f64,
    read_bytes_per_token: f64,
    disk_bytes_per_second: f64,
}

/// Runs the model with and without the limit. An error if the tokens differ.
pub(crate) fn measure(parts: &Parts, options: &Options) -> Result<Limited> {
    let file = model(parts, &options.model);
    let stored = step("pack the model into a store", || Stored::import(parts, &file))?;
    let budget = options
        .limit
        .checked_sub(BESIDE_WEIGHTS)
        .with_context(|| format!("a limit below {BESIDE_WEIGHTS} MB leaves no room for weights"))?;
    let answers = || answers(parts, &stored, options.count);
    let free = step("answers in all memory that there is", || said(&mut answers()))?;
    let mut command = answers();
    command.args(["--budget", &(budget * 1_000_000).to_string()]);
    let limit_bytes = options.limit * 1_000_000;
    let group = MemoryGroup::new("limited", Some(limit_bytes))?;
    forget(&stored.store)?;
    let words = format!("answers in {} MB", options.limit);
    let limited = step(&words, || said(&mut group.inside(&command)))?;
    for (free, limited) in free.answers.iter().zip(&limited.answers) {
        ensure!(
            free.tokens == limited.tokens,
            "in little memory other tokens came: {:?} and {:?}",
            free.tokens,
            limited.tokens
        );
    }
    let disk_bytes_per_second = step("read the file from the disk", || disk_speed(&file))?;
    let tokens = (options.count * limited.answers.len()) as f64;
    Ok(Limited {
        model: options.model.clone(),
        limit_bytes,
        peak_bytes: group.peak()?,
        free_tokens_per_second: tokens / free.seconds,
        limited_tokens_per_second: tokens / limited.seconds,
        read_bytes_per_token: limited.read_bytes as f64 / tokens,
        disk_bytes_per_second,
    })
}

/// Two answers of the stored model.
fn answers(parts: &Parts, stored: &Stored, count: usize) -> Command {
    let mut command = Command::new(parts.program("probe"));
    command.args([
        "answers",
        "--engine",
        "hearth",
        "--prompts",
        "2",
        "-n",
        &count.to_string(),
    ]);
    command.args(["-m", &stored.name, "--store"]).arg(&stored.store);
    command
}

fn said(command: &mut Command) -> Result<Said> {
    let text = output(command)?;
    serde_json::from_str(&text).with_context(|| format!("the engine said {text}"))
}

/// Bytes per second of a file that is read from its beginning to its end past the page cache, as weights are.
fn disk_speed(path: &Path) -> Result<f64> {
    let mut options = File::options();
    let file = options.read(true).custom_flags(OFlag::O_DIRECT.bits()).open(path);
    let mut file = file.with_context(|| format!("cannot open {}", path.display()))?;
    let mut pages = Pages::new(READ_BYTES).context("cannot get memory")?;
    let (start, mut bytes) = (Instant::now(), 0);
    loop {
        match file.read(pages.bytes_mut())? {
            0 => return Ok(bytes as f64 / start.elapsed().as_secs_f64()),
            read => bytes += read,
        }
    }
}

/// The figures.
pub(crate) fn print(limited: &Limited) {
    let mb = |bytes: f64| bytes / 1e6;
    println!(
        "\n## {} in a memory cgroup of {} MB, page cache included\n",
        limited.model,
        mb(limited.limit_bytes as f64)
    );
    println!(
        "tokens identical to those of the unlimited run; the group took {:.0} MB at most",
        mb(limited.peak_bytes as f64)
    );
    println!(
        "{:.2} tokens per second, unlimited {:.2}; {:.0} MB read for each token",
        limited.limited_tokens_per_second,
        limited.free_tokens_per_second,
        mb(limited.read_bytes_per_token)
    );
    let bound = limited.disk_bytes_per_second / limited.read_bytes_per_token;
    println!(
        "the disk gives {:.0} MB/s: {bound:.2} tokens per second at most",
        mb(limited.disk_bytes_per_second)
    );
}
