//! The management interface beside its own document, for as long as one likes: the suite has a short run of it.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use image::Paths;
use tests::conformance::{Conformance, Extent};
use tests::host::{Options, build, store_with, with_stack};
use tests::report::{Report, exit_code, say, step};

/// Has schemathesis make requests of the gateway on this host, right ones and wrong ones, and compares what is answered with
/// the gateway's own document.
#[derive(Debug, Parser)]
#[command(version, after_help = "Example:\n  conformance --seconds 60 --seed 7")]
struct Cli {
    /// Most requests that are made up of each operation at a time
    #[arg(long, value_name = "N", default_value = "200")]
    examples: u32,

    /// How long it goes on
    #[arg(long, value_name = "N", default_value = "600")]
    seconds: u64,

    /// What the requests come of: the same ones for the same number
    #[arg(long, value_name = "N", default_value = "1")]
    seed: u32,
}

fn main() -> ExitCode {
    exit_code(run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<ExitCode> {
    step("the daemons are built", build)?;
    let programs = Conformance::ensure(&Paths::discover())?;
    let extent = Extent {
        examples: cli.examples,
        time: Some(Duration::from_secs(cli.seconds)),
        seed: cli.seed,
    };
    let mut report = Report::new();
    let file = tempfile::NamedTempFile::with_suffix(".gguf")?;
    engine::tiny::write(file.path(), 256)?;
    let store = store_with("tiny", file.path())?;
    let options = Options::models(store.path()).inferd("--threads", 1).on("ryzen");
    with_stack(&options, |stack| {
        report.check("the document is OpenAPI", || programs.validate(stack));
        report.check("what it says is what is answered", || {
            let (verdict, log) = programs.run(stack, extent)?;
            let clean = verdict.must_be_clean().context(verdict.summary());
            if clean.is_err() {
                say(&log);
            }
            stack.others()?;
            clean.map(|()| verdict.summary())
        });
        Ok(())
    })?;
    Ok(report.finish())
}
