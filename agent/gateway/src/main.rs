//! Hearth's one network door: it checks tokens, serves the management interface, and passes `/v1/*` on to inferd.
//!
//! It has no privilege, opens no model and no file of the machine, and keeps no token's text.

mod agent;
mod app;
mod arrivals;
mod bearer;
mod bounded_lines;
mod buckets;
mod caller;
mod conditions;
mod connections;
mod feed;
mod first_token;
mod idempotency;
mod import;
mod intake;
mod jobs;
mod journal;
mod listen;
mod manual;
mod metrics;
mod openapi;
mod page;
mod plain;
mod plain_text;
mod proxy;
mod rates;
mod ration;
mod redaction;
mod refusal;
mod rest;
mod routes;
mod serve;
mod sessions;
mod setup;
mod slots;
mod state_file;
mod tls;
mod tokens;
mod uploads;

use agent::Bus;
use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use std::{
    io::{self, Write},
    net::SocketAddr,
    path::PathBuf,
    process::ExitCode,
};

/// Credentials with hashes of tokens: the owner's own file, and what hearth-setup has read of `hearth.toml`.
const HASHES: [&str; 2] = ["hearth.token-hashes", "hearth.setup-hashes"];

/// Hearth's network door.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve requests until SIGTERM.
    ///
    /// Tokens are read at the start. Sockets named "https", "http" and "local" are inherited from systemd; the options
    /// add others. Plain HTTP only sends browsers on to TLS, unless it is switched on.
    #[command(
        after_help = "Example, without systemd and without hearthd:\n  gateway serve --listen 127.0.0.1:8443 \
        --local /tmp/gateway.sock --infer /tmp/infer.sock --state /tmp/state --bus none"
    )]
    Serve(Box<Serve>),
    /// Make the first token and print it, unless there is a token already.
    ///
    /// To be run before the daemon, as its user. Prints nothing if a token was made or provided before.
    #[command(after_help = "Example:\n  gateway first-token --state /var/lib/hearth/gateway")]
    FirstToken {
        /// Folder of the token store
        #[arg(long, value_name = "DIR", default_value = "/var/lib/hearth/gateway")]
        state: PathBuf,
    },
    /// Print the SHA-256 fingerprint by which clients know this machine, in two lines.
    ///
    /// Makes the local certificate authority if there is none. To be run as the daemon's user.
    #[command(after_help = "Example:\n  gateway fingerprint --state /var/lib/hearth/gateway")]
    Fingerprint {
        /// Folder of certificates and keys
        #[arg(long, value_name = "DIR", default_value = "/var/lib/hearth/gateway")]
        state: PathBuf,
    },
}

#[derive(Args)]
struct Serve {
    /// Address to listen on for TLS; may be repeated
    #[arg(long, value_name = "ADDR")]
    listen: Vec<SocketAddr>,
    /// Address to listen on for plain HTTP; may be repeated
    #[arg(long, value_name = "ADDR")]
    listen_plain: Vec<SocketAddr>,
    /// inferd's socket
    #[arg(long, value_name = "PATH", default_value = "/run/hearth/infer.sock")]
    infer: PathBuf,
    /// The import service's socket
    #[arg(long, value_name = "PATH", default_value = api::import::SOCKET)]
    import: PathBuf,
    /// hearth-setup's socket
    #[arg(long, value_name = "PATH", default_value = api::setup::SOCKET)]
    setup: PathBuf,
    /// Where hearthd hears that a request has come, before the engine does; it need not be there
    #[arg(long, value_name = "PATH", default_value = api::phase::ARRIVAL_SOCKET)]
    arrival_socket: PathBuf,
    /// Path of the local socket, for development
    #[arg(long, value_name = "PATH")]
    local: Option<PathBuf>,
    /// Folder of tokens, certificates and keys
    #[arg(long, value_name = "DIR", default_value = "/var/lib/hearth/gateway")]
    state: PathBuf,
    /// Bus on which hearthd is asked: system, session, none or an address
    #[arg(long, value_name = "BUS", default_value = "system")]
    bus: Bus,
    /// The program that reads the journal
    #[arg(long, value_name = "PROGRAM", default_value = "journalctl")]
    journalctl: PathBuf,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    journal::start();
    match run(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
    let hashes = credentials.map(|folder| HASHES.map(|name| folder.join(name)).to_vec());
    let hashes = hashes.unwrap_or_default();
    match command {
        Command::Serve(serve) => {
            let settings = serve.settings(hashes);
            // One thread: the work is passing bytes on, and each thread costs memory.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime
                .context("cannot start the runtime")?
                .block_on(serve::serve(settings))
        }
        Command::FirstToken { state } => {
            let now = time::OffsetDateTime::now_utc();
            let show = |secret: tokens::Secret| writeln!(io::stdout(), "{}", secret.reveal());
            first_token::first_token(&state, &hashes, now, show)
        }
        Command::Fingerprint { state } => tls::make_known(&state, time::OffsetDateTime::now_utc()),
    }
}

impl Serve {
    fn settings(self, hashes: Vec<PathBuf>) -> serve::Settings {
        serve::Settings {
            listen: self.listen,
            listen_plain: self.listen_plain,
            infer: self.infer,
            import: self.import,
            setup: self.setup,
            arrivals: self.arrival_socket,
            local: self.local,
            state: self.state,
            hashes,
            bus: self.bus,
            journalctl: self.journalctl,
        }
    }
}
