//! The command an administrator types on the appliance, or on a laptop with `--host`.
//!
//! It speaks only to the gateway: one path, one audit. On the appliance that is the local socket, where the kernel
//! vouches for the user; from elsewhere the network and a token.

mod ask;
mod brief;
mod cli;
mod client;
mod clock;
mod endpoint;
mod engine;
mod events;
mod fingerprint;
mod health;
mod history;
mod identity;
mod job;
mod known;
mod logs;
mod manual;
mod memory;
mod metrics;
mod model;
mod models;
mod network;
mod patience;
mod power;
mod progress;
mod resumable;
mod screen;
mod span;
mod status;
mod system;
mod thermal;
mod tls;
mod token;
mod top;
mod trust;
mod upload;
mod watch;

use api::tls::NewCertificate;
use clap::Parser;
use cli::{
    Cli, Command, EngineCommand, JobCommand, NetworkCommand, PowerCommand, SystemCommand, ThermalCommand,
    TimeCommand, TlsCommand,
};
use client::Client;
use std::{io, process::ExitCode};

/// What a shell calls a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        // Whoever reads the output has seen enough, as in "hearth status | head".
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let line = screen::harmless(&format!("{error:#}"));
            screen::tell(format_args!("{}hearth:{:#} {line}", screen::BAD, screen::BAD));
            ExitCode::FAILURE
        }
    }
}

fn run(mut cli: Cli) -> anyhow::Result<ExitCode> {
    match &cli.command {
        Command::Completions { shell } => return manual::completions(*shell),
        Command::Man { folder } => return manual::pages(folder),
        _ => (),
    }
    let endpoint = cli.endpoint();
    let trust = cli.trust(&endpoint)?;
    let client = Client::new(endpoint, cli::token_from_environment()?, trust);
    // All before there is a runtime, which would take Ctrl-C to itself and not act on it while a pipe or a person is
    // waited for.
    match &mut cli.command {
        Command::Ask(question) => question.text = Some(ask::read_question(question.text.take())?),
        Command::System {
            command: Some(command),
            ..
        } => system::open(command)?,
        Command::Network {
            command: Some(NetworkCommand::Set { wish, .. }),
            ..
        } => network::open(wish)?,
        _ => (),
    }
    let parts = match &cli.command {
        Command::Model { command } => model::open(command)?,
        _ => Vec::new(),
    };
    let certificate = match &cli.command {
        Command::Tls {
            command: Some(command),
            ..
        } => tls::open(command)?,
        _ => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::select! {
            outcome = talk(&client, cli.command, parts, certificate) => outcome.map(|()| ExitCode::SUCCESS),
            pressed = tokio::signal::ctrl_c() => pressed.map(|()| ExitCode::from(INTERRUPTED)).map_err(Into::into),
        }
    })
}

async fn talk(
    client: &Client,
    command: Command,
    parts: Vec<upload::Part>,
    certificate: Option<NewCertificate>,
) -> anyhow::Result<()> {
    match command {
        Command::Status { brief: true, .. } => brief::brief(client).await,
        Command::Status { engine, json, .. } => status::status(client, engine, json).await,
        Command::Top => top::top(client).await,
        Command::History(wanted) => history::history(client, wanted).await,
        Command::Events(wanted) => watch::events(client, wanted).await,
        Command::Logs(wanted) => logs::logs(client, wanted).await,
        Command::Metrics => metrics::metrics(client).await,
        Command::Health { json } => health::health(client, json).await,
        Command::Ask(question) => ask::ask(client, question).await,
        Command::Models { json } => models::models(client, json).await,
        Command::Model { command } => model::model(client, command, parts).await,
        Command::Power { command, json } => {
            power::power(client, command.unwrap_or(PowerCommand::Show { json })).await
        }
        Command::Thermal { command, json } => {
            thermal::thermal(client, command.unwrap_or(ThermalCommand::Show { json })).await
        }
        Command::Memory { json } => memory::memory(client, json).await,
        Command::Engine { command, json } => {
            engine::engine(client, command.unwrap_or(EngineCommand::Show { json })).await
        }
        Command::Tls { command, json } => {
            tls::tls(client, command.unwrap_or(TlsCommand::Show { json }), certificate).await
        }
        Command::Job { command, json } => {
            job::job(client, command.unwrap_or(JobCommand::List { json })).await
        }
        Command::Network { command, json } => {
            network::network(client, command.unwrap_or(NetworkCommand::Show { json })).await
        }
        Command::Time { command, json } => {
            clock::time(client, command.unwrap_or(TimeCommand::Show { json })).await
        }
        Command::System { command, json } => {
            system::system(client, command.unwrap_or(SystemCommand::Show { json })).await
        }
        Command::Whoami { json } => token::whoami(client, json).await,
        Command::Token { command } => token::token(client, command).await,
        // Answered before there was a client.
        Command::Completions { .. } | Command::Man { .. } => Ok(()),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let broken = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    // The gateway's own connection can break too; that is an error and is wrapped in the client's.
    error.downcast_ref::<io::Error>().is_some_and(broken)
}
