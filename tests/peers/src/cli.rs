//! The command line.

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use peers::machine;
use peers::parts::Parts;
use peers::sandbox::LlamaCpp;
use serde_json::{Map, Value, to_value};

use crate::show::{note, with_progress};
use crate::{limited, memory, quality, speed, spinner};

const EXAMPLES: &str = "Examples:
  just bench-peers                        everything: takes hours
  just bench-peers speed --quick          all of speed in one round: twenty minutes
  just bench-peers speed -m smollm2 -t 2 -i best -d 0,512 -e hearth,llama.cpp-fa1
                                          a minute
  just bench-peers quality --json";

/// Runs the engine and its peers (llama.cpp as Debian builds it, stock candle) side by side on the same model files.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    /// Print the results as JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fetch, make and build what the others need
    Setup,
    /// Tokens per second of prompts and of generating
    Speed(speed::Options),
    /// The most memory that each engine takes
    Memory(memory::Options),
    /// A model in less memory than it has: tokens, speed, what is read from the disk
    Limited(limited::Options),
    /// Decode while another process spins on one of the cores
    Spinner(spinner::Options),
    /// Perplexity, divergence and greedy answers, each with its limit
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
    let mut results = Map::new();
    let mut failures = Vec::new();
    for command in commands {
        if let Err(error) = carry_out(command, &parts, cli.json, &mut results) {
            note(&format!("FAIL {error:#}"));
            failures.push(format!("{error:#}"));
        }
    }
    if cli.json {
        println!("{}", serde_json::to_string_pretty(&Value::Object(results))?);
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

fn carry_out(command: &Command, parts: &Parts, json: bool, results: &mut Map<String, Value>) -> Result<()> {
    match command {
        Command::Setup => {}
        Command::Speed(options) => {
            let comparison = speed::measure(parts, options)?;
            results.insert("speed".to_owned(), to_value(&comparison)?);
            if !json {
                speed::print(&comparison)?;
            }
            if !comparison.failures.is_empty() {
                bail!("{} runs failed", comparison.failures.len());
            }
        }
        Command::Memory(options) => {
            let peaks = memory::measure(parts, options)?;
            results.insert("memory".to_owned(), to_value(&peaks)?);
            if !json {
                memory::print(&peaks);
            }
            memory::judge(&peaks)?;
        }
        Command::Limited(options) => {
            let limited = limited::measure(parts, options)?;
            results.insert("limited".to_owned(), to_value(&limited)?);
            if !json {
                limited::print(&limited);
            }
        }
        Command::Spinner(options) => {
            let disturbed = spinner::measure(parts, options)?;
            results.insert("spinner".to_owned(), to_value(&disturbed)?);
            if !json {
                spinner::print(&disturbed);
            }
        }
        Command::Quality(options) => {
            let verdicts = quality::measure(parts, options)?;
            results.insert("quality".to_owned(), to_value(&verdicts)?);
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
