//! The image in QEMU: shown, tested, and measured at length.

mod checks;
mod disks;
mod faults;
mod guest;
mod hold;
mod install;
mod parts;
mod prove;
mod quiet;
mod reset;
mod suite;
mod thermal;
mod up;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use parts::Parts;
use tests::report::{Report, exit_code, say};

/// Boots Hearth's image in QEMU: to look at it, to test it, or to measure it at length.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    /// Boot this image instead of the checkout's own, which then is not built
    #[arg(long, value_name = "PATH", global = true)]
    image: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the image if need be, boot it, ask it a question, and leave it running until Ctrl-C
    Up {
        /// End after the first answer
        #[arg(long)]
        once: bool,
        /// What to ask
        #[arg(long, default_value = tests::questions::QUESTIONS[0].wordings[0])]
        question: String,
    },
    /// Boot the image and check everything that must hold in the guest, the scenarios of `twin` too
    Test,
    /// Boot the image in a simulated machine and play scenarios of heat and power in it
    Twin(thermal::Wanted),
    /// Hold a thread of a process, in the guest
    #[command(hide = true)]
    Hold {
        /// The process
        process: i32,
        /// The thread's name
        thread: String,
    },
    /// Print the long tables: times, memory, security, ten questions by two ways, kills, faults
    Prove {
        /// One of them alone
        #[arg(value_enum)]
        what: Option<prove::Part>,
        /// Of the faults, those whose names have these words in them
        #[arg(long, value_name = "WORDS", requires = "what")]
        only: Option<String>,
    },
}

const EXAMPLES: &str = "Examples:
  vm up
  vm up --once --question 'Who wrote Romeo and Juliet?'
  vm test
  vm twin --scenario hold --seed 7
  vm prove | tee proof.txt
  vm prove memory
  vm prove faults
  vm prove faults --only SIGSTOP";

fn main() -> ExitCode {
    exit_code(run(Cli::parse()))
}

fn run(cli: Cli) -> Result<ExitCode> {
    let parts = || Parts::ensure(cli.image.clone());
    match cli.command {
        Command::Up { once, question } => up::run(parts, &question, once),
        Command::Test => test(&parts()?),
        Command::Twin(wanted) => twin(&parts()?, &wanted),
        Command::Hold { process, thread } => hold::run(process, &thread).map(|()| ExitCode::SUCCESS),
        Command::Prove { what, only } => prove::run(&parts()?, what, only.as_deref()),
    }
}

fn test(parts: &Parts) -> Result<ExitCode> {
    let mut report = Report::new();
    suite::run(parts, &mut report)?;
    Ok(report.finish())
}

fn twin(parts: &Parts, wanted: &thermal::Wanted) -> Result<ExitCode> {
    let mut report = Report::new();
    let figures = thermal::run(parts, wanted, &mut report)?;
    say(&thermal::table(&figures));
    Ok(report.finish())
}
