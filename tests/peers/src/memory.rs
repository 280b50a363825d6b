//! The most memory that each engine takes for the same work.

use std::path::Path;
use std::process::Command;

use ::tests::process::output;
use ::tests::report::table;
use anyhow::{Context, Result, ensure};
use clap::Args;
use peers::engines::{Engine, Engines, Instructions, Job, model};
use peers::kv::kv_bytes;
use peers::machine::forget;
use peers::memory_group::MemoryGroup;
use peers::parts::Parts;
use peers::stored::Stored;
use serde::Serialize;

use crate::show::{note, step};

/// Prompt, and tokens after it.
const WORK: (usize, usize) = (512, 32);

/// What to measure.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// Models: smollm2, qwen, or a GGUF file
    #[arg(short, long = "model", value_delimiter = ',', default_value = "smollm2,qwen")]
    models: Vec<String>,
    /// Threads
    #[arg(short, long, default_value_t = 2)]
    threads: u16,
}

/// One engine's peak.
#[derive(Debug, Serialize)]
pub(crate) struct Peak {
    model: String,
    engine: &'static str,
    file_bytes: u64,
    /// Keys and values of the work's tokens in f16.
    kv_bytes: u64,
    /// What the cgroup took at most, page cache included; `None` if the engine failed.
    peak_bytes: Option<u64>,
}

/// An engine with the arguments that make it load in some way.
const WAYS: [(&str, Engine, &[&str]); 4] = [
    ("hearth", Engine::Hearth, &["--no-bandwidth"]),
    ("llama.cpp, mmap", Engine::LlamaCppFa1, &["-lm", "mmap"]),
    ("llama.cpp, no mmap", Engine::LlamaCppFa1, &["-lm", "none"]),
    ("candle", Engine::Candle, &[]),
];

/// Measures all, one after the other.
pub(crate) fn measure(parts: &Parts, options: &Options) -> Result<Vec<Peak>> {
    let engines = Engines::new(parts, Instructions::Best)?;
    let mut peaks = Vec::new();
    for name in &options.models {
        let file = model(parts, name);
        let file_bytes = file.metadata().with_context(|| file.display().to_string())?.len();
        let kv_bytes = kv_bytes(&file, WORK.0 + WORK.1)?;
        let stored = step(&format!("{name}: pack"), || Stored::import(parts, &file))?;
        for (engine, kind, arguments) in WAYS {
            let mut command = match kind {
                Engine::Hearth => in_store(&engines, &stored, options.threads)?,
                _ => engines.command(kind, &job(&file, &[options.threads]))?,
            };
            command.args(arguments);
            let peak = step(&format!("{name}: memory of {engine}"), || {
                peak(&command, &[&file, &stored.store])
            });
            if let Err(error) = &peak {
                note(&format!("FAIL {engine}: {error:#}"));
            }
            peaks.push(Peak {
                model: name.clone(),
                engine,
                file_bytes,
                kv_bytes,
                peak_bytes: peak.ok(),
            });
        }
    }
    Ok(peaks)
}

/// An error that names the engines whose memory could not be measured.
pub(crate) fn judge(peaks: &[Peak]) -> Result<()> {
    let failed = peaks.iter().filter(|peak| peak.peak_bytes.is_none());
    let failed: Vec<_> = failed
        .map(|peak| format!("{} with {}", peak.engine, peak.model))
        .collect();
    ensure!(
        failed.is_empty(),
        "no memory could be measured of {}",
        failed.join(", ")
    );
    Ok(())
}

fn job<'a>(model: &'a Path, threads: &'a [u16]) -> Job<'a> {
    Job {
        model,
        prompts: &[WORK.0],
        generate: WORK.1,
        depth: 0,
        threads,
        repetitions: 1,
    }
}

/// Our engine's command for a model of a store: what an import takes is not the engine's.
fn in_store(engines: &Engines<'_>, stored: &Stored, threads: u16) -> Result<Command> {
    let mut command = engines.command(Engine::Hearth, &job(Path::new(&stored.name), &[threads]))?;
    command.arg("--store").arg(&stored.store);
    Ok(command)
}

fn peak(command: &Command, files: &[&Path]) -> Result<u64> {
    let group = MemoryGroup::new("peak", None)?;
    files.iter().try_for_each(|file| forget(file))?;
    output(&mut group.inside(command))?;
    group.peak()
}

/// The table.
pub(crate) fn print(peaks: &[Peak]) {
    println!(
        "\n## Peak memory: 512 tokens of prompt and 32 more, file not in memory before, a cgroup's peak\n"
    );
    let mib = |bytes: u64| format!("{:.0} MiB", bytes as f64 / f64::from(1 << 20));
    let row = |peak: &Peak| {
        let ratio = |bytes: u64| bytes as f64 / (peak.file_bytes + peak.kv_bytes) as f64;
        let failed = || "failed".to_owned();
        vec![
            peak.model.clone(),
            peak.engine.to_owned(),
            mib(peak.file_bytes),
            mib(peak.kv_bytes),
            peak.peak_bytes.map_or_else(failed, mib),
            peak.peak_bytes
                .map_or_else(failed, |bytes| format!("{:.2}", ratio(bytes))),
        ]
    };
    let rows: Vec<Vec<String>> = peaks.iter().map(row).collect();
    println!(
        "{}",
        table(
            &["model", "engine", "file", "KV", "peak", "peak / (file + KV)"],
            &rows
        )
    );
}
