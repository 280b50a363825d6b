//! The command line.

use crate::endpoint::{BadUrl, Endpoint};
use crate::{fingerprint::Fingerprint, known::Known, span, trust::Trust};
use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use hyper::header::HeaderValue;
use machine::{Bytes, MilliCelsius, PowerProfile};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

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

/// What to do with the models on the disk.
#[derive(Subcommand)]
pub(crate) enum ModelCommand {
    /// Send a model's GGUF file to the appliance, which packs it, checks it and keeps it
    ///
    /// The appliance needs twice the file's size of free disk while it packs. What is cut off while it is
    /// sent or packed leaves nothing behind. A split model may have 128 files.
    #[command(after_help = "Examples:\n  hearth model add qwen3-4b-q4_k_m.gguf\n  \
        hearth model add --name coder qwen-coder-0000?-of-00002.gguf\n  \
        ssh admin@hearth.local hearth model add - --name coder < coder.gguf")]
    Add {
        /// A GGUF file, or all parts of a split one in their order; "-" is standard input
        #[arg(value_name = "FILE", required = true)]
        files: Vec<PathBuf>,
        /// What the model is called [default: the file's name in lower case]
        #[arg(long)]
        name: Option<String>,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// List the models on the disk: what they are, how large, and where they are from
    #[command(after_help = "Example:\n  hearth model list --json | jq '.models[].root'")]
    List {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Read all blocks of a model and compare their hashes; fails if one is damaged
    #[command(after_help = "Examples:\n  hearth model verify\n  hearth model verify coder")]
    Verify {
        /// The model [default: all of them]
        name: Option<String>,
        /// Print what was found as JSON
        #[arg(long)]
        json: bool,
    },
    /// Let a model be loaded again that was quarantined, for the engine failed five times in ten minutes with it
    #[command(after_help = "Example:\n  hearth model release coder")]
    Release {
        /// The model
        #[arg(value_name = "NAME")]
        name: String,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Set how long a model stays loaded, how long its conversations may be, and whether it is the one that is loaded
    /// when the engine is started unasked; it counts from the next request on, the context when the model is loaded next
    #[command(
        after_help = "Examples:\n  hearth model set coder --keep-alive 30m --pin --default\n  \
        hearth model set coder --keep-alive usual --no-pin --context usual"
    )]
    Set {
        /// The model
        name: String,
        #[command(flatten)]
        change: Change,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a model that was added; what it is answering it answers to the end
    #[command(after_help = "Example:\n  hearth model remove coder")]
    Remove {
        /// The model
        name: String,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// What to set of a model; what is not said stays.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub(crate) struct Change {
    /// How long it stays loaded after an answer, as 30s, 5m or 1h30m; 0: it goes at once, -1: it stays for ever, "usual":
    /// as long as any
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    pub(crate) keep_alive: Option<String>,
    /// Never park it for want of requests
    #[arg(long, overrides_with = "no_pin")]
    pub(crate) pin: bool,
    /// Park it as any
    #[arg(long)]
    pub(crate) no_pin: bool,
    /// Most tokens of a conversation with it; "usual": as many as with any
    #[arg(long, value_name = "TOKENS", value_parser = tokens)]
    pub(crate) context: Option<Tokens>,
    /// Load it when the engine is started and nobody asks, in place of the one that is now
    #[arg(long, overrides_with = "no_default")]
    pub(crate) default: bool,
    /// Do so no longer
    #[arg(long)]
    pub(crate) no_default: bool,
}

/// A number of tokens, or none of its own.
#[derive(Clone, Copy)]
pub(crate) struct Tokens(pub(crate) Option<u32>);

fn tokens(text: &str) -> Result<Tokens, String> {
    match text {
        "usual" => Ok(Tokens(None)),
        number => number
            .parse()
            .map(|tokens| Tokens(Some(tokens)))
            .map_err(|_| "it is a number of tokens, or \"usual\"".to_owned()),
    }
}

/// What to do with power.
#[derive(Subcommand)]
pub(crate) enum PowerCommand {
    /// Show the profile, its holds and the clocks
    #[command(after_help = "Example:\n  hearth power show --json | jq .effective_profile")]
    Show {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Choose a profile; it ends all holds and is kept over restarts
    #[command(after_help = "Example:\n  hearth power set balanced")]
    Set {
        /// Frugal and quiet, following the engine, or fast
        #[arg(value_parser = profile_of(["power-saver", "balanced", "performance"]))]
        profile: PowerProfile,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Hold a profile for a while, whatever is chosen
    #[command(after_help = "Of several holds the most frugal counts.\n\nExamples:\n  \
        hearth power hold performance --reason \"nightly build\" --for 2h\n  \
        hearth power hold power-saver --reason \"guests sleep here\"")]
    Hold {
        /// Frugal and quiet, or fast
        #[arg(value_parser = profile_of(["power-saver", "performance"]))]
        profile: PowerProfile,
        /// Why, for others who wonder
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// How long, such as 45m, 2h or 1d12h [default: until it is released or hearthd restarts]
        #[arg(long = "for", value_name = "SPAN", value_parser = span::parse)]
        span: Option<Duration>,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// End a hold
    #[command(after_help = "Example:\n  hearth power release 3")]
    Release {
        /// Its number, from "hearth power"
        #[arg(value_name = "HOLD")]
        id: u32,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
}

fn profile_of<const N: usize>(names: [&'static str; N]) -> impl TypedValueParser<Value = PowerProfile> {
    PossibleValuesParser::new(names).try_map(|name| name.parse::<PowerProfile>())
}

/// What to do with heat.
#[derive(Subcommand)]
pub(crate) enum ThermalCommand {
    /// Show temperatures, the target and the last steps against heat
    #[command(after_help = "Example:\n  hearth thermal show --json | jq .sensors")]
    Show {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Set the temperature to hold; it is kept over restarts
    #[command(after_help = "Example:\n  hearth thermal set 72.5")]
    Set {
        /// In degrees Celsius; 30 to 95, and below what the firmware calls critical
        #[arg(value_name = "CELSIUS", value_parser = celsius, allow_negative_numbers = true)]
        target: MilliCelsius,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Hold the firmware profile's temperature again
    #[command(after_help = "Example:\n  hearth thermal reset")]
    Reset {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
}

fn celsius(text: &str) -> Result<MilliCelsius, String> {
    let degrees: f64 = text
        .parse()
        .map_err(|_| "degrees Celsius are wanted, such as 70 or 72.5".to_owned())?;
    let target = MilliCelsius((degrees * 1000.0).round() as i64);
    if degrees.is_finite() && target.is_plausible() {
        Ok(target)
    } else {
        Err("no processor can be held at that; 30 to 95 are allowed".to_owned())
    }
}

/// What to do with the engine.
#[derive(Subcommand)]
pub(crate) enum EngineCommand {
    /// Show what the engine does, how its unit fares, and whether it is held stopped
    #[command(after_help = "Example:\n  hearth engine show --json | jq .unit")]
    Show {
        /// Print what the gateway tells of it as JSON
        #[arg(long)]
        json: bool,
    },
    /// Start the engine, and end the hold if it was stopped
    Start {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Stop the engine and keep it so, over restarts too, until it is started; requests are refused meanwhile
    ///
    /// Answers that are being given may end for up to 10 s, and conversations are then written to disk for up to 10 s. An
    /// engine that has not ended after 25 s is killed, and one that heat stops meanwhile after 3 s.
    Stop {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Start the engine anew
    Restart {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what the engine's unit may have: set by an administrator, in force, and by itself
    #[command(after_help = "Example:\n  hearth engine limits --json | jq .in_force")]
    Limits {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Limit what the engine may have; what is not named stays as it is, and it is kept over restarts
    ///
    /// An engine that runs is held to it at once. How many conversations fit the memory it asks at each load of a model,
    /// and how many processors there are for it when it starts: "hearth engine restart" has it look again at both.
    #[command(
        after_help = "Examples:\n  hearth engine limit --memory-high 2.5G --memory-max 3G\n  \
        hearth engine limit --cpu-weight 50 --cpus 0-3\n  hearth engine limit --reset cpus\n  \
        hearth engine limit --reset"
    )]
    Limit {
        #[command(flatten)]
        change: LimitChange,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// What to limit; what is not said stays.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub(crate) struct LimitChange {
    /// Above so much memory the kernel takes some back and slows the engine down, as 800M or 2.5G
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory_high: Option<Bytes>,
    /// Above so much memory the kernel ends the engine
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(crate) memory_max: Option<Bytes>,
    /// Its share of the processors where others want them, too; who has none has 100
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) cpu_weight: Option<u32>,
    /// Processors that it may run on, as 0-3 or 0,2,4
    #[arg(long, value_name = "LIST", value_parser = processors)]
    pub(crate) cpus: Option<Processors>,
    /// Let --memory-max be more than the unit's own, which keeps the rest of the appliance alive
    #[arg(long, requires = "memory_max")]
    pub(crate) beyond_unit: bool,
    /// Go back to what the unit has by itself, of one limit or of all; what else is named is set
    #[arg(long, value_name = "NAME", num_args = 0..=1)]
    pub(crate) reset: Option<Option<LimitName>>,
}

/// A limit's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LimitName {
    MemoryHigh,
    MemoryMax,
    CpuWeight,
    Cpus,
}

/// A size with K, M, G or T, each 1024 times the one before it, or in bytes.
fn size(text: &str) -> Result<Bytes, String> {
    let wrong =
        || "a number with K, M, G or T after it is wanted, as 800M or 2.5G, or one of bytes".to_owned();
    let power = text
        .chars()
        .last()
        .and_then(|last| "KMGT".find(last.to_ascii_uppercase()));
    let number = if power.is_some() {
        &text[..text.len() - 1]
    } else {
        text
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return Err(wrong());
    }
    let number: f64 = number.parse().map_err(|_| wrong())?;
    let unit = power.map_or(1, |power| 1_u64 << (10 * (power + 1)));
    Ok(Bytes((number * unit as f64) as u64))
}

/// A list of processors, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Processors(pub(crate) Vec<u32>);

/// The kernel numbers processors up to `CONFIG_NR_CPUS`, 8192 at most on x86.
const MOST_PROCESSORS: u32 = 8192;

/// A list as the kernel writes it: `0-3,8`.
fn processors(text: &str) -> Result<Processors, String> {
    let mut all = BTreeSet::new();
    for range in text.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let number = |text: &str| {
            text.parse::<u32>()
                .ok()
                .filter(|number| *number < MOST_PROCESSORS)
        };
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => all.extend(first..=last),
            _ => return Err("a list of processors is wanted, as 0-3 or 0,2,4".to_owned()),
        }
    }
    Ok(Processors(all.into_iter().collect()))
}

/// What to do with the certificate.
#[derive(Subcommand)]
pub(crate) enum TlsCommand {
    /// Show the fingerprint to compare, and what the certificate says
    #[command(after_help = "Example:\n  hearth tls show --json | jq -r .fingerprint")]
    Show {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Serve your own certificate in place of the one that the appliance has made
    ///
    /// Browsers are then told to come by TLS only, for half a year.
    #[command(after_help = "Example:\n  hearth tls install fullchain.pem privkey.pem")]
    Install {
        /// The certificate, then those by which it leads to its authority, in PEM
        certificate: PathBuf,
        /// Its private key in PEM, not encrypted
        key: PathBuf,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove your own certificate and its key; the appliance's is served again
    #[command(after_help = "Example:\n  hearth tls remove")]
    Remove {
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Have port 80 answer programs that can take no certificate, from private addresses; who listens can read all of it
    #[command(after_help = "Example:\n  hearth tls plain-http off")]
    PlainHttp {
        /// Whether it does
        state: Switch,
        /// Print the gateway's answer as JSON
        #[arg(long)]
        json: bool,
    },
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// On
    On,
    /// Off
    Off,
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
    fn degrees_become_thousandths() {
        assert_eq!(celsius("72.5"), Ok(MilliCelsius(72_500)));
        for wrong in ["warm", "NaN", "1e300", "-41", "72500"] {
            assert!(celsius(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_and_lists_of_processors_are_read_as_systemd_reads_them() {
        assert_eq!(size("2.5G"), Ok(Bytes(5 << 29)));
        assert_eq!(size("800m"), Ok(Bytes(800 << 20)));
        assert_eq!(size("4096"), Ok(Bytes(4096)));
        for wrong in ["", "G", "-1G", "1e9", "inf", "3GB", "3 G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(processors("4,0-2,1"), Ok(Processors(vec![0, 1, 2, 4])));
        for wrong in ["", "0-", "3-1", "all", "0,,1", "-1", "0-4294967295"] {
            assert!(processors(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn temperatures_have_a_range() {
        assert_eq!(temperature("0.5"), Ok(0.5));
        for wrong in ["-0.1", "2.1", "NaN", "warm"] {
            assert!(temperature(wrong).is_err(), "{wrong}");
        }
    }
}
