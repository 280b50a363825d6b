//! The command line.

mod access;
mod engine;
mod model;
mod network;
mod power;
mod system;
mod watch;

pub(crate) use access::{RoleName, Switch, TlsCommand, TokenCommand};
#[cfg(test)]
pub(crate) use engine::Processors;
pub(crate) use engine::{EngineCommand, LimitChange, LimitName};
pub(crate) use model::{Change, ModelCommand, Tokens, name as model_name};
pub(crate) use network::{NetworkCommand, NetworkWish, TimeCommand};
pub(crate) use power::{PowerCommand, ThermalCommand};
pub(crate) use system::{Confirmed, JobCommand, SystemCommand};
pub(crate) use watch::{History, Logs, Watched};

use crate::{endpoint::Endpoint, fingerprint::Fingerprint, known::Known, trust::Trust};
use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use hyper::header::HeaderValue;
use std::path::PathBuf;

/// Where the gateway's local socket is on the appliance.
const SOCKET: &str = "/run/hearth/gateway.sock";

/// Ask a Hearth appliance, look at it, and say who may use it.
///
/// On the appliance it speaks over the gateway's local socket, which root and the group hearth-admin may use. From
/// elsewhere give --host (or HEARTH_HOST) and put a token into HEARTH_TOKEN.
#[derive(Parser)]
#[command(
    name = "hearth",
    version,
    arg_required_else_help = true,
    after_help = "Examples:\n  hearth status\n  hearth top\n  hearth ask \"What is the capital of France?\"\n  \
        HEARTH_TOKEN=hearth_… hearth --host https://hearth.local --ca hearth-ca.crt models\n\n\
        Exit codes: 0 done, 1 failed, 2 wrongly called, 130 interrupted by Ctrl-C"
)]
pub(crate) struct Cli {
    /// The appliance's address over the network, such as https://hearth.local
    #[arg(long, value_name = "URL", env = "HEARTH_HOST", global = true, value_parser = Endpoint::from_url)]
    host: Option<Endpoint>,
    /// The gateway's local socket; goes before --host and HEARTH_HOST [default: /run/hearth/gateway.sock]
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    /// A file in PEM with the authority that has signed its certificate: http://NAME/ca.crt has the appliance's own
    #[arg(long, value_name = "FILE", env = "HEARTH_CA", global = true)]
    ca: Option<PathBuf>,
    /// The fingerprint of its certificate or authority, from its console or "hearth tls" there; remembered from then on, and
    /// goes before --ca and HEARTH_CA
    #[arg(long, value_name = "SHA-256", global = true)]
    fingerprint: Option<Fingerprint>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Where the gateway is to be found.
    pub(crate) fn endpoint(&self) -> Endpoint {
        match (&self.socket, &self.host) {
            (Some(socket), _) => Endpoint::Socket(socket.clone()),
            (None, Some(host)) => host.clone(),
            (None, None) => Endpoint::Socket(SOCKET.into()),
        }
    }

    /// Which certificates are believed. Where none will be shown, nothing is read.
    pub(crate) fn trust(&self, endpoint: &Endpoint) -> anyhow::Result<Trust> {
        match endpoint {
            Endpoint::Network { tls: true, .. } => {
                Trust::new(self.ca.as_deref(), self.fingerprint, Known::from_environment())
            }
            _ => Ok(Trust::default()),
        }
    }
}

/// The token to send over the network. It is not an option, as anybody may read a process's arguments.
pub(crate) fn token_from_environment() -> anyhow::Result<Option<HeaderValue>> {
    let Some(token) = std::env::var_os("HEARTH_TOKEN").filter(|token| !token.is_empty()) else {
        return Ok(None);
    };
    let bearer = token
        .to_str()
        .and_then(|token| HeaderValue::from_str(&format!("Bearer {}", token.trim())).ok());
    let mut bearer = bearer.context("HEARTH_TOKEN holds characters that no token has")?;
    bearer.set_sensitive(true);
    Ok(Some(bearer))
}

/// What to do.
#[derive(Subcommand)]
pub(crate) enum Command {
    /// Show the machine: temperature, clocks, memory, pressure, engine, warnings
    #[command(
        after_help = "Examples:\n  hearth status\n  hearth status --brief\n  hearth status --json | jq .sample.memory"
    )]
    Status {
        /// Also ask the engine how it is, which starts it if it sleeps
        #[arg(long)]
        engine: bool,
        /// Show what matters in four lines at most, as a login does
        #[arg(long, conflicts_with_all = ["engine", "json"])]
        brief: bool,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Watch the machine on one screen, live: temperature, clock, power, memory, engine, jobs, what goes wrong
    ///
    /// q, Esc or Ctrl-C leaves it. It draws once a second at most, and only what has changed, so that it is of use over a slow
    /// line, too, and takes any terminal from 40 columns on. Without colours: NO_COLOR=1.
    #[command(after_help = "Examples:\n  hearth top\n  ssh -t admin@hearth.local hearth top")]
    Top,
    /// Show what the machine showed over a while: least, mean, most and last, and how it went
    #[command(after_help = "Examples:\n  hearth history\n  hearth history 3h\n  \
            hearth history 7d --json | jq -r '.rows[] | @csv'")]
    History(History),
    /// Show what happens as it happens, until Ctrl-C
    #[command(after_help = "Examples:\n  hearth events --only alert --only job\n  \
            hearth events --only sample --json | jq .data.temperature")]
    Events(Watched),
    /// Show the journal
    #[command(
        after_help = "Examples:\n  hearth logs --unit hearthd --follow\n  hearth logs -p warning -n 50\n  \
            hearth logs --json | jq -r .message"
    )]
    Logs(Logs),
    /// Print what the machine and the engine count and measure, as Prometheus reads it
    #[command(after_help = "Example:\n  hearth metrics | grep ^hearth_")]
    Metrics,
    /// Tell whether the appliance can answer questions; fails if it cannot
    #[command(after_help = "Examples:\n  hearth health\n  hearth health > /dev/null || echo \"no answers\"")]
    Health {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Ask a model; the answer is printed as it comes
    #[command(after_help = "Examples:\n  hearth ask \"What is the capital of France?\"\n  \
        hearth ask --system \"Answer in one word.\" --max-tokens 8 \"Largest ocean?\"\n  \
        journalctl -b -p err | hearth ask --system \"What is wrong here?\"")]
    Ask(Question),
    /// List the models that can be asked
    #[command(after_help = "Example:\n  hearth models")]
    Models {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Add, list, verify and remove the models on the appliance's disk
    #[command(
        arg_required_else_help = true,
        after_help = "Examples:\n  hearth model add qwen3-4b-q4_k_m.gguf\n  hearth model list\n  \
            hearth model show coder\n  hearth model verify\n  hearth model remove qwen3-4b-q4_k_m"
    )]
    Model {
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// Show the power profile, its holds and the clocks, or change them
    #[command(after_help = "Examples:\n  hearth power\n  hearth power set power-saver\n  \
            hearth power hold performance --reason \"nightly build\" --for 2h\n  hearth power release 3")]
    Power {
        #[command(subcommand)]
        command: Option<PowerCommand>,
        /// Print the gateway's answer as JSON
        #[arg(long, global = true)]
        json: bool,
    },
    /// Show temperatures and what is done about heat, or set the temperature to hold
    #[command(after_help = "Examples:\n  hearth thermal\n  hearth thermal set 70\n  hearth thermal reset")]
    Thermal {
        #[command(subcommand)]
        command: Option<ThermalCommand>,
        /// Print the gateway's answer as JSON
        #[arg(long, global = true)]
        json: bool,
    },
    /// Show what memory is used, who holds it, and what is given back while nothing is asked
    #[command(after_help = "Examples:\n  hearth memory\n  hearth memory --json | jq .parts")]
    Memory {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the engine, stop and start it, and limit what it may have
    #[command(
        after_help = "Examples:\n  hearth engine\n  hearth engine stop\n  hearth engine limits\n  \
            hearth engine limit --memory-max 3G --cpus 0-3"
    )]
    Engine {
        #[command(subcommand)]
        command: Option<EngineCommand>,
        /// Print the gateway's answer as JSON
        #[arg(long, global = true)]
        json: bool,
    },
    /// Show the certificate by which the appliance is known, install your own, or allow plain HTTP
    #[command(
        after_help = "Examples:\n  hearth tls\n  hearth tls install fullchain.pem privkey.pem\n  \
            hearth tls authority > hearth-ca.crt\n  hearth tls plain-http on"
    )]
    Tls {
        #[command(subcommand)]
        command: Option<TlsCommand>,
        /// Print the gateway's answer as JSON
        #[arg(long, global = true)]
        json: bool,
    },
    /// Show long work, wait for it, or end it
    #[command(after_help = "Examples:\n  hearth job\n  hearth job wait 4c1d\n  hearth job cancel 4c1d")]
    Job {
        #[command(subcommand)]
        command: Option<JobCommand>,
        /// Print the gateway's answer as JSON
        #[arg(long, global = true)]
        json: bool,
    },
    /// Show how the appliance is reached, or change it on trial
    #[command(after_help = "Examples:\n  hearth network\n  \
            hearth network set --address 192.168.1.20/24 --gateway 192.168.1.1\n  hearth network confirm")]
    Network {
        #[command(subcommand)]
        command: Option<NetworkCommand>,
        /// Print the gateway's answer as JSON
        #[arg(long, global = true)]
        json: bool,
    },
    /// Show the clock, or set its time zone
    #[command(after_help = "Examples:\n  hearth time\n  hearth time set Europe/Berlin")]
    Time {
        #[command(subcommand)]
        command: Option<TimeCommand>,
        /// Print the gateway's answer as JSON
        #[arg(long, global = true)]
        json: bool,
    },
    /// Show what the machine is, restart it, power it off, or make it new
    #[command(
        after_help = "Examples:\n  hearth system\n  hearth system reboot\n  hearth system power-off --confirm hearth"
    )]
    System {
        #[command(subcommand)]
        command: Option<SystemCommand>,
        /// Print the gateway's answer as JSON
        #[arg(long, global = true)]
        json: bool,
    },
    /// Show as whom the appliance takes you, and what you may do
    #[command(after_help = "Example:\n  hearth whoami")]
    Whoami {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make, list and revoke API tokens
    #[command(
        arg_required_else_help = true,
        after_help = "Examples:\n  hearth token new laptop --role chat\n  hearth token list"
    )]
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Print completions for a shell
    #[command(
        after_help = "Examples:\n  hearth completions bash > ~/.local/share/bash-completion/completions/hearth\n  \
            hearth completions zsh > \"${fpath[1]}/_hearth\"\n  \
            hearth completions fish > ~/.config/fish/completions/hearth.fish"
    )]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    #[command(after_help = "Examples:\n  hearth man ~/.local/share/man/man1\n  man hearth-model-add")]
    Man {
        /// The folder; it is made if it is not there
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
}

/// What stands in a path, as the gateway makes ids: of letters, digits and hyphens.
fn id(text: &str) -> Result<String, String> {
    if text.is_empty() || !text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        return Err("an id has letters, digits and hyphens; a list shows which there are".to_owned());
    }
    Ok(text.to_owned())
}

/// A question and how to answer it.
#[derive(Args)]
pub(crate) struct Question {
    /// The question; "-" reads it from standard input, as does leaving it out in a pipe
    #[arg(value_name = "QUESTION")]
    pub(crate) text: Option<String>,
    /// The model [default: the first of "hearth models"]
    #[arg(long, value_name = "ID")]
    pub(crate) model: Option<String>,
    /// What the model is told before the question
    #[arg(long, value_name = "TEXT")]
    pub(crate) system: Option<String>,
    /// Most tokens to answer with
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_tokens: Option<u32>,
    /// 0 takes the likeliest word always, so that the same question has the same answer; up to 2 is more varied
    #[arg(long, value_name = "T", default_value_t = 0.0, value_parser = temperature)]
    pub(crate) temperature: f64,
    /// Makes a varied answer repeatable
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seed: Option<i64>,
    /// Wait for the whole answer and print it as JSON, with counts of tokens
    #[arg(long)]
    pub(crate) json: bool,
}

fn temperature(text: &str) -> Result<f64, String> {
    let value = text.parse::<f64>().map_err(|error| error.to_string())?;
    if (0.0..=2.0).contains(&value) {
        Ok(value)
    } else {
        Err("it must lie between 0 and 2".to_owned())
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

    /// Each command with the words that lead to it, those that only lead further included.
    fn commands() -> Vec<(String, clap::Command)> {
        fn collect(path: &str, command: &clap::Command, found: &mut Vec<(String, clap::Command)>) {
            let path = format!("{path} {}", command.get_name()).trim().to_owned();
            for below in command.get_subcommands() {
                collect(&path, below, found);
            }
            found.push((path, command.clone()));
        }
        let mut found = Vec::new();
        collect("", &Cli::command(), &mut found);
        found
    }

    #[test]
    fn each_command_says_in_one_line_what_it_does_and_shows_how() {
        for (path, command) in commands() {
            let about = command.get_about().map(ToString::to_string).unwrap_or_default();
            assert!(
                !about.is_empty() && about.len() <= 120 && !about.contains('\n'),
                "{path}: {about:?}"
            );
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let shown = help
                .split_once("Example")
                .is_some_and(|(_, examples)| examples.contains(&path));
            assert!(shown, "{path} has no example of itself: {help:?}");
        }
    }

    #[test]
    fn examples_are_understood() {
        for (path, command) in commands() {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            for line in help.lines().filter(|line| line.starts_with("  hearth ")) {
                let line = line.trim().replace(['{', '}'], "");
                // Of a pipe or a list only the first command is ours, and quotes hold its words together.
                let words = line
                    .split(" | ")
                    .next()
                    .and_then(|line| line.split(['<', '>', '&']).next());
                let mut parts = Vec::new();
                for (place, part) in words.unwrap_or_default().split('"').enumerate() {
                    if place % 2 == 1 {
                        parts.push(part);
                    } else {
                        parts.extend(part.split_whitespace());
                    }
                }
                let parsed = Cli::try_parse_from(&parts);
                assert!(
                    parsed.is_ok(),
                    "{path}: {line}: {}",
                    parsed.err().map_or_else(String::new, |error| error.to_string())
                );
            }
        }
    }

    #[test]
    fn what_programs_may_want_can_be_had_as_json() {
        // A screen, and what is made for other programs as it is.
        let others = ["hearth top", "hearth metrics", "hearth completions", "hearth man"];
        for (path, command) in commands() {
            let leaf = !command.has_subcommands() && !others.contains(&path.as_str());
            let json = command
                .get_arguments()
                .any(|argument| argument.get_id() == "json");
            assert!(json || !leaf, "{path}");
        }
    }

    #[test]
    fn what_is_said_before_a_subcommand_counts_for_it() {
        let parsed = Cli::try_parse_from([
            "hearth",
            "engine",
            "--host",
            "https://hearth.local",
            "--json",
            "stop",
        ]);
        let parsed = parsed.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(parsed.endpoint().to_string(), "https://hearth.local:443");
        let Command::Engine {
            command: Some(EngineCommand::Stop { json }),
            ..
        } = parsed.command
        else {
            panic!("the engine is to be stopped");
        };
        assert!(json);
    }

    #[test]
    fn temperatures_have_a_range() {
        assert_eq!(temperature("0.5"), Ok(0.5));
        for wrong in ["-0.1", "2.1", "NaN", "warm"] {
            assert!(temperature(wrong).is_err(), "{wrong}");
        }
    }
}
