//! The command line.

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use peers::machine;
use peers::parts::Parts;
use peers::sandbox::LlamaCpp;

use crate::interrupt::at_interruption;
use crate::results::Results;
use crate::show::{note, with_progress};
use crate::{limited, memory, quality, speed, spinner};

const EXAMPLES: &str = "Examples:
  just bench-peers                        everything: takes hours
  just bench-peers speed --quick          all of speed in one round: twenty minutes
  just bench-peers speed -m smollm2 -t 2 -i best -d 0,512 -e hearth,llama.cpp-fa1
                                          a minute
  just bench-peers quality -m qwen -c 6   eight minutes; candle in f32 has 7 GB of weights
  just bench-peers quality --json";

/// Runs the engine and its peers (llama.cpp as Debian builds it, stock candle) side by side on the same model files.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print the results as one JSON document, at the end; if interrupted, what there is, with `"interrupted": true`
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch, make and build what the others need
    Setup,
    /// Tokens per second of prompts and of generating, each row as soon as it is there
    Speed(speed::Options),
    /// The most memory that each engine takes
    Memory(memory::Options),
    /// A model in less memory than it has: tokens, speed, what is read from the disk
    Limited(limited::Options),
    /// Decode while another process spins on one of the cores
    Spinner(spinner::Options),
    /// Perplexity, divergence and greedy answers, each with its limit
    ///
    /// On a machine of four cores that built other things meanwhile, 16 chunks of smollm2 took thirteen minutes and 6
    /// chunks of qwen eight and a half; there the default of 16 would take twenty.
    Quality(quality::Options),
}

impl Command {
    /// All of them, with what they do if nothing is said.
    fn all() -> Vec<Self> {
        let parse = |name: &str| Cli::parse_from(["peers", name]).command;
        ["speed", "memory", "limited", "spinner", "quality"]
            .into_iter()
            .filter_map(parse)
            .collect()
    }
}

/// Carries out the command, or all.
pub(crate) fn run(cli: &Cli) -> Result<()> {
    let parts = with_progress(Parts::ensure)?;
    note(&format!(
        "llama.cpp {}, back end {}",
        LlamaCpp::new(&parts.llama_cpp).version()?,
        LlamaCpp::new(&parts.llama_cpp).backend()?
    ));
    note(&format!("load averages {}; {}", machine::load()?, priority()));
    let all = Command::all();
    let commands = cli.command.as_ref().map_or(&all[..], std::slice::from_ref);
    let results = Results::default();
    if cli.json {
        let results = results.clone();
        at_interruption(move || results.print_interrupted())?;
    }
    let mut failures = Vec::new();
    for command in commands {
        if let Err(error) = carry_out(command, &parts, cli.json, &results) {
            note(&format!("FAIL {error:#}"));
            failures.push(format!("{error:#}"));
        }
    }
    if cli.json {
        results.print()?;
    }
    if !failures.is_empty() {
        bail!("{}", failures.join("; "));
    }
    Ok(())
}

fn priority() -> &'static str {
    if image::is_root() {
        "what is measured is served before everything else"
    } else {
        "not root, so what is measured is served like everything else"
    }
}

fn carry_out(command: &Command, parts: &Parts, json: bool, results: &Results) -> Result<()> {
    match command {
        Command::Setup => {}
        Command::Speed(options) => {
            let comparison = speed::measure(parts, options, json, &|so_far| results.set("speed", so_far))?;
            if !comparison.failures.is_empty() {
                bail!("{} runs failed", comparison.failures.len());
            }
        }
        Command::Memory(options) => {
            let peaks = memory::measure(parts, options)?;
            results.set("memory", &peaks)?;
            if !json {
                memory::print(&peaks);
            }
            memory::judge(&peaks)?;
        }
        Command::Limited(options) => {
            let limited = limited::measure(parts, options)?;
            results.set("limited", &limited)?;
            if !json {
                limited::print(&limited);
            }
        }
        Command::Spinner(options) => {
            let disturbed = spinner::measure(parts, options)?;
            results.set("spinner", &disturbed)?;
            if !json {
                spinner::print(&disturbed);
            }
        }
        Command::Quality(options) => {
            let verdicts = quality::measure(parts, options)?;
            results.set("quality", &verdicts)?;
            if !json {
                quality::print(&verdicts);
            }
            quality::judge(&verdicts)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        assert_eq!(Command::all().len(), 5);
    }
}
