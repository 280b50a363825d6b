//! The command line.

use crate::endpoint::{BadUrl, Endpoint};
use anyhow::Context;
use clap::{Args, Parser, Subcommand, ValueEnum};
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
    after_help = "Examples:\n  hearth status\n  hearth ask \"What is the capital of France?\"\n  \
        HEARTH_TOKEN=hearth_… hearth --host http://hearth.local:8080 models\n\n\
        Exit codes: 0 done, 1 failed, 2 wrongly called, 130 interrupted by Ctrl-C"
)]
pub(crate) struct Cli {
    /// The appliance's address over the network, such as http://hearth.local:8080
    #[arg(long, value_name = "URL", env = "HEARTH_HOST", global = true)]
    host: Option<String>,
    /// The gateway's local socket; goes before --host and HEARTH_HOST [default: /run/hearth/gateway.sock]
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Where the gateway is to be found.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, BadUrl> {
        match (&self.socket, &self.host) {
            (Some(socket), _) => Ok(Endpoint::Socket(socket.clone())),
            (None, Some(url)) => Endpoint::from_url(url),
            (None, None) => Ok(Endpoint::Socket(SOCKET.into())),
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
    #[command(after_help = "Examples:\n  hearth status\n  hearth status --json | jq .sample.memory")]
    Status {
        /// Also ask the engine how it is, which starts it if it sleeps
        #[arg(long)]
        engine: bool,
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
    /// Make, list and revoke API tokens
    #[command(arg_required_else_help = true)]
    Token {
        #[command(subcommand)]
        command: TokenCommand,
    },
    /// Print completions for a shell
    #[command(after_help = "Example:\n  hearth completions bash > /etc/bash_completion.d/hearth")]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages into a folder
    #[command(after_help = "Example:\n  hearth man /usr/local/share/man/man1")]
    Man {
        /// The folder; it is made if it is not there
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
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
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
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

/// What to do with tokens.
#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token and print it; its text is told only now
    #[command(after_help = "Example:\n  hearth token new laptop --role chat")]
    New {
        /// Whose or what for
        name: String,
        /// What it may do: each role may do what those before it may
        #[arg(long, value_enum, default_value_t = RoleName::Chat)]
        role: RoleName,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the tokens
    List {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Make a token invalid at once
    #[command(after_help = "Example:\n  hearth token revoke 5b1f0c2a9d3e")]
    Revoke {
        /// Its id, from "hearth token list"
        id: String,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// A role on the command line.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum RoleName {
    /// Look at the appliance's state
    Read,
    /// Ask models
    Chat,
    /// Change things
    Admin,
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
    fn temperatures_have_a_range() {
        assert_eq!(temperature("0.5"), Ok(0.5));
        for wrong in ["-0.1", "2.1", "NaN", "warm"] {
            assert!(temperature(wrong).is_err(), "{wrong}");
        }
    }
}
