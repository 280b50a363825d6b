//! What the gateway on this host bears.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Parser;
use tests::host::build;
use tests::load::Load;
use tests::report::{exit_code, say, step};

/// Asks the gateway on this host by 200 connections at once, streams by as many, and holds 10,000 that say nothing beside a
/// chat; prints how fast, and what it takes.
#[derive(Debug, Parser)]
#[command(version, after_help = "Example:\n  load --seconds 20")]
struct Cli {
    /// How long each kind of load lasts
    #[arg(long, value_name = "N", default_value = "10")]
    seconds: u64,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    exit_code(run(&cli).map(|()| ExitCode::SUCCESS))
}

fn run(cli: &Cli) -> Result<()> {
    step("the daemons are built", build)?;
    let load = Load::measure(Duration::from_secs(cli.seconds))?;
    say(&format!("\n{load}"));
    Ok(())
}
