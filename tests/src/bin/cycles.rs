//! Wakes the engine with a short answer and lets it rest, a thousand times, on this host: what is lost, and what grows.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use tests::cycles::{Cycles, Rest};
use tests::host::{Options, build, store_with, with_stack};
use tests::report::{exit_code, say, step};

const MODEL: &str = "tiny";

/// Wakes a stopped engine with a short answer and lets it end, again and again, and tells whether a daemon grows by it.
/// Where one seems to, it goes on until that is clear.
#[derive(Debug, Parser)]
#[command(version, after_help = "Example:\n  cycles --count 200")]
struct Cli {
    /// How often
    #[arg(long, value_name = "N", default_value = "1000")]
    count: NonZeroUsize,

    /// File for the memory and the descriptors of each daemon after each cycle, as JSON
    #[arg(long, value_name = "FILE")]
    series: Option<PathBuf>,

    /// The engine parks after each answer and does not end
    #[arg(long)]
    park: bool,
}

fn main() -> ExitCode {
    exit_code(run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<ExitCode> {
    step("the daemons are built", build)?;
    let file = tempfile::NamedTempFile::with_suffix(".gguf")?;
    engine::tiny::write(file.path(), 1024)?;
    let store = store_with(MODEL, file.path())?;
    let rest = if cli.park { Rest::Parks } else { Rest::Ends };
    let options = rest.of(Options::models(store.path()).inferd("--threads", 1));
    let cycles = with_stack(&options, |stack| Cycles::run(stack, MODEL, rest, cli.count.get()))?;
    say(&cycles.table());
    if let Some(file) = &cli.series {
        std::fs::write(file, cycles.series()?).with_context(|| format!("cannot write {}", file.display()))?;
    }
    cycles.must_not_grow()?;
    Ok(ExitCode::SUCCESS)
}
