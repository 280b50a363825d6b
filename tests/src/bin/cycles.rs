//! Wakes a stopped engine with a short answer and lets it end, a thousand times, on this host: what is lost, and what grows.

use std::num::NonZeroUsize;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tests::cycles::{Cycles, sleepy};
use tests::host::{Options, build, store_with, with_stack};
use tests::report::{exit_code, say, step};

const MODEL: &str = "tiny";

/// Wakes a stopped engine with a short answer and lets it end, again and again, and tells whether a daemon grows by it.
#[derive(Debug, Parser)]
#[command(version, after_help = "Example:\n  cycles --count 200")]
struct Cli {
    /// How often
    #[arg(long, value_name = "N", default_value = "1000")]
    count: NonZeroUsize,
}

fn main() -> ExitCode {
    exit_code(run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<ExitCode> {
    step("the daemons are built", build)?;
    let file = tempfile::NamedTempFile::with_suffix(".gguf")?;
    engine::tiny::write(file.path(), 1024)?;
    let store = store_with(MODEL, file.path())?;
    let options = sleepy(Options::models(store.path()).inferd("--threads", 1));
    let cycles = with_stack(&options, |stack| Cycles::run(stack, MODEL, cli.count.get()))?;
    say(&cycles.table());
    cycles.must_not_grow()?;
    Ok(ExitCode::SUCCESS)
}
