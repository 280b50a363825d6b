//! The command line.

mod access;
mod engine;
mod model;
mod power;

pub(crate) use access::{RoleName, Switch, TlsCommand, TokenCommand};
#[cfg(test)]
pub(crate) use engine::Processors;
pub(crate) use engine::{EngineCommand, LimitChange, LimitName};
pub(crate) use model::{Change, ModelCommand, Tokens};
pub(crate) use power::{PowerCommand, ThermalCommand};

use crate::endpoint::{BadUrl, Endpoint};
use crate::{fingerprint::Fingerprint, known::Known, trust::Trust};
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
    after_help = "Examples:\n  hearth status\n  hearth ask \"What is the capital of France?\"\n  \
        HEARTH_TOKEN=hearth_… hearth --host https://hearth.local --ca hearth-ca.crt models\n\n\
        Exit codes: 0 done, 1 failed, 2 wrongly called, 130 interrupted by Ctrl-C"
)]
pub(crate) struct Cli {
    /// The appliance's address over the network, such as https://hearth.local
    #[arg(long, value_name = "URL", env = "HEARTH_HOST", global = true)]
    host: Option<String>,
    /// The gateway's local socket; goes before --host and HEARTH_HOST [default: /run/hearth/gateway.sock]
    #[arg(long, value_name = "PATH", global = true)]
    socket: Option<PathBuf>,
    /// A file in PEM with the authority that has signed its certificate: http://NAME/ca.crt has the appliance's own
    #[arg(long, value_name = "FILE", env = "HEARTH_CA", global = true)]
    ca: Option<PathBuf>,
    /// The fingerprint of its certificate or authority, from its console or "hearth tls" there; remembered from then on
    #[arg(long, value_name = "SHA-256", global = true, conflicts_with = "ca")]
    fingerprint: Option<Fingerprint>,
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
    /// Add, list, verify and remove the models on the appliance's disk
    #[command(
        arg_required_else_help = true,
        after_help = "Examples:\n  hearth model add qwen3-4b-q4_k_m.gguf\n  hearth model list\n  \
            hearth model verify\n  hearth model remove qwen3-4b-q4_k_m"
    )]
    Model {
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// Show the power profile, its holds and the clocks, or change them
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  hearth power\n  hearth power set power-saver\n  \
            hearth power hold performance --reason \"nightly build\" --for 2h\n  hearth power release 3"
    )]
    Power {
        #[command(subcommand)]
        command: Option<PowerCommand>,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show temperatures and what is done about heat, or set the temperature to hold
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  hearth thermal\n  hearth thermal set 70\n  hearth thermal reset"
    )]
    Thermal {
        #[command(subcommand)]
        command: Option<ThermalCommand>,
        /// Print the gateway's answer as JSON
        #[arg(long)]
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
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  hearth engine\n  hearth engine stop\n  hearth engine limits\n  \
            hearth engine limit --memory-max 3G --cpus 0-3"
    )]
    Engine {
        #[command(subcommand)]
        command: Option<EngineCommand>,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the certificate by which the appliance is known, install your own, or allow plain HTTP
    #[command(
        args_conflicts_with_subcommands = true,
        after_help = "Examples:\n  hearth tls\n  hearth tls install fullchain.pem privkey.pem\n  \
            hearth tls plain-http on"
    )]
    Tls {
        #[command(subcommand)]
        command: Option<TlsCommand>,
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

    #[test]
    fn temperatures_have_a_range() {
        assert_eq!(temperature("0.5"), Ok(0.5));
        for wrong in ["-0.1", "2.1", "NaN", "warm"] {
            assert!(temperature(wrong).is_err(), "{wrong}");
        }
    }
}
