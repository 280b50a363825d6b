//! The command line.

use crate::interval::Interval;
use crate::profile::ProfileCommand;
use crate::recording::{RecordOptions, ReplayOptions};
use clap::{Args, Parser, Subcommand};
use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

#[derive(Debug, Parser)]
#[command(
    version,
    about = "Hearth's agent: keeps the machine cool and frugal, and publishes what it does on the system bus"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run as a daemon: watch, clock and cool the machine, and answer as org.hearth.Agent1
    #[command(after_help = "Examples:
  hearthd run
  hearthd run --record /tmp/today.jsonl
  hearthd run --watch-only --bus session --root tests/machines/n100 --interval 1000")]
    Run(RunOptions),
    /// Read everything that changes, once
    #[command(after_help = "Examples:
  hearthd sample
  hearthd sample --root tests/machines/n100 --json")]
    Sample(ShowOptions),
    /// Tell what the machine has
    #[command(after_help = "Examples:
  hearthd capabilities
  hearthd capabilities --root tests/machines/ryzen --json")]
    Capabilities(ShowOptions),
    /// Write what the machine shows to a file, for hearthd replay
    #[command(after_help = "Examples:
  hearthd record hot.jsonl --seconds 600
  hearthd record hot.jsonl --interval 250")]
    Record(RecordOptions),
    /// Tell what the laws decide on a recording
    #[command(after_help = "Examples:
  hearthd replay hot.jsonl
  hearthd replay hot.jsonl --json")]
    Replay(ReplayOptions),
    /// Firmware profiles: what is known of kinds of machines
    Profile {
        #[command(subcommand)]
        command: ProfileCommand,
    },
}

#[derive(Debug, Args)]
pub(crate) struct RunOptions {
    /// The bus: system, session, or an address such as unix:path=/run/bus
    #[arg(long, default_value = "system", value_name = "BUS")]
    pub(crate) bus: BusAddress,
    /// The root of the kernel's files: / or a captured tree
    #[arg(long, default_value = "/", value_name = "DIR")]
    pub(crate) root: PathBuf,
    /// Longest time between two samples, in milliseconds
    #[arg(long, default_value_t, value_name = "MS")]
    pub(crate) interval: Interval,
    /// Decide and publish, but change nothing
    #[arg(long)]
    pub(crate) watch_only: bool,
    /// Folder for what the machine's files first held, emptied by a boot
    #[arg(long, env = "RUNTIME_DIRECTORY", value_name = "DIR")]
    pub(crate) runtime: Option<PathBuf>,
    /// Folder for what people have set; without it, that is forgotten at the end
    #[arg(long, env = "STATE_DIRECTORY", value_name = "DIR")]
    pub(crate) state: Option<PathBuf>,
    /// Make the sockets for the engine and the gateway in this folder, instead of taking systemd's
    #[arg(long, value_name = "DIR")]
    pub(crate) sockets: Option<PathBuf>,
    /// A folder of firmware profiles; may be given again, the later winning [default: the appliance's]
    #[arg(long, value_name = "DIR")]
    pub(crate) profiles: Vec<PathBuf>,
    /// Write everything that the laws are told to a file, for hearthd replay
    #[arg(long, value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ShowOptions {
    /// The root of the kernel's files: / or a captured tree
    #[arg(long, default_value = "/", value_name = "DIR")]
    pub(crate) root: PathBuf,
    /// Print JSON instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which bus to publish on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum BusAddress {
    System,
    Session,
    Other(String),
}

impl FromStr for BusAddress {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "system" => Self::System,
            "session" => Self::Session,
            other => Self::Other(other.to_owned()),
        })
    }
}

impl std::fmt::Display for BusAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::System => f.write_str("the system bus"),
            Self::Session => f.write_str("the session bus"),
            Self::Other(address) => write!(f, "the bus at {address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_interval_out_of_range_is_a_usage_error() {
        let error = Cli::try_parse_from(["hearthd", "run", "--interval", "249"]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("250"), "{error}");
    }
}
