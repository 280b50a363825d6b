//! The instructions that few machines have, on an emulated processor that has them: Bochs' Sapphire Rapids, in which
//! Linux starts one program, `paths`, which compares products on every path with their definition.

mod archive;
mod machine;
mod parts;
mod verdict;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use tests::report::{Report, exit_code, say, step};

use crate::machine::Machine;
use crate::parts::Parts;

/// Compares products on every path, AVX-VNNI and AMX too, with their definition, on a processor that Bochs emulates.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    /// Run this Bochs instead of Debian's, one in whose AMX signed bytes are signed
    #[arg(long, value_name = "PROGRAM")]
    bochs: Option<PathBuf>,
}

const EXAMPLES: &str = "Examples:
  bochs
  bochs --bochs ~/bochs/bochs";

fn main() -> ExitCode {
    exit_code(run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<ExitCode> {
    let parts = Parts::ensure()?;
    let machine = step("make the machine's disc", || Machine::new(&parts))?;
    let console = step("run every path on the emulated processor", || {
        machine.run(cli.bochs.as_deref())
    })?;
    let mut report = Report::new();
    for line in verdict::remarks(&console) {
        say(&format!("     {line}"));
    }
    for (path, result) in verdict::of(&console) {
        report.check(&format!("{path} gives the bits of the definition"), || result);
    }
    Ok(report.finish())
}
