//! Decode while another process spins on one of the engine's cores.

use std::process::Command;

use ::tests::process::output;
use ::tests::report::table;
use anyhow::{Context, Result};
use clap::Args;
use peers::engines::{Engine, Engines, Instructions, Job, model};
use peers::machine::in_front;
use peers::parts::Parts;
use peers::rows;
use peers::statistics::median;
use serde::Serialize;

use crate::show::note;

/// The engine's two cores; the spinner is on the second.
const CORES: &str = "0,1";
const SPINNERS_CORE: &str = "1";

/// What to measure.
#[derive(Clone, Debug, Args)]
pub(crate) struct Options {
    /// The model: smollm2, qwen, or a GGUF file
    #[arg(short, long, default_value = "smollm2")]
    model: String,
    /// Engines; with a spinner beside it llama.cpp may take minutes for a few tokens
    #[arg(
        short,
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "hearth,llama.cpp-fa0,llama.cpp-fa1"
    )]
    engines: Vec<Engine>,
    /// Tokens to generate
    #[arg(short = 'n', long, default_value_t = 32)]
    generate: usize,
    /// Rounds
    #[arg(short, long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// Medians, tokens per second.
#[derive(Debug, Serialize)]
pub(crate) struct Disturbed {
    engine: Engine,
    one_thread: f64,
    two_threads: f64,
    disturbed: f64,
}

/// Measures the engines with one thread, with two, and with two of which one has half a core.
pub(crate) fn measure(parts: &Parts, options: &Options) -> Result<Vec<Disturbed>> {
    let engines = Engines::new(parts, Instructions::Best)?;
    let file = model(parts, &options.model);
    let mut samples: Vec<(Engine, [Vec<f64>; 3])> = options
        .engines
        .iter()
        .map(|&engine| (engine, Default::default()))
        .collect();
    for round in 1..=options.rounds {
        note(&format!(
            "… with and without a spinner ({round}/{})",
            options.rounds
        ));
        for (engine, samples) in &mut samples {
            for (way, (threads, spinner)) in [(1, false), (2, false), (2, true)].into_iter().enumerate() {
                let job = Job {
                    model: &file,
                    prompts: &[],
                    generate: options.generate,
                    depth: 0,
                    threads: &[threads],
                    repetitions: 1,
                };
                let speed = decode(&engines, *engine, &job, spinner)?;
                let beside = if spinner { " beside a spinner" } else { "" };
                note(&format!("     {engine}, {threads} threads{beside}: {speed:.1}"));
                samples[way].push(speed);
            }
        }
    }
    let middle = |values: &[f64]| median(values).context("no sample");
    let disturbed = samples.into_iter().map(|(engine, [one, two, disturbed])| {
        Ok(Disturbed {
            engine,
            one_thread: middle(&one)?,
            two_threads: middle(&two)?,
            disturbed: middle(&disturbed)?,
        })
    });
    disturbed.collect()
}

fn decode(engines: &Engines<'_>, engine: Engine, job: &Job<'_>, spinner: bool) -> Result<f64> {
    let _spinner = spinner.then(spin).transpose()?;
    let command = engines.command(engine, job)?;
    let mut pinned = Command::new("taskset");
    pinned
        .args(["--cpu-list", CORES])
        .arg(command.get_program())
        .args(command.get_args());
    pinned.envs(
        command
            .get_envs()
            .filter_map(|(name, value)| Some((name, value?))),
    );
    let text = output(&mut in_front(&pinned)).with_context(|| engine.to_string())?;
    let rows = match engine {
        Engine::Hearth | Engine::Candle => rows::list(&text)?,
        Engine::LlamaCppFa0 | Engine::LlamaCppFa1 => rows::llama_bench(&text)?,
    };
    rows.first().map(|row| row.tokens_per_second).context("no row")
}

/// A process that does nothing but take its core's time, killed when dropped. It is served before all others, too, so
/// that the engine and it share the core by halves.
fn spin() -> Result<Spinner> {
    let mut shell = Command::new("taskset");
    shell.args(["--cpu-list", SPINNERS_CORE, "sh", "-c", "while :; do :; done"]);
    Ok(Spinner(
        in_front(&shell).spawn().context("cannot start a spinner")?,
    ))
}

struct Spinner(std::process::Child);

impl Drop for Spinner {
    fn drop(&mut self) {
        // Both fail only for a process that is gone already, which is what is wanted.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The table.
pub(crate) fn print(disturbed: &[Disturbed]) {
    println!("\n## Decode with another process spinning on one of two cores, tokens per second\n");
    let row = |disturbed: &Disturbed| {
        let Disturbed {
            engine,
            one_thread,
            two_threads,
            disturbed,
        } = disturbed;
        vec![
            engine.to_string(),
            format!("{one_thread:.1}"),
            format!("{two_threads:.1}"),
            format!("{disturbed:.1}"),
            format!("{:.2}", disturbed / one_thread),
        ]
    };
    let rows: Vec<Vec<String>> = disturbed.iter().map(row).collect();
    println!(
        "{}",
        table(
            &[
                "engine",
                "1 thread",
                "2 threads",
                "2 threads, disturbed",
                "to 1 thread"
            ],
            &rows
        )
    );
}
