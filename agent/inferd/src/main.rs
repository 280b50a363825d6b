//! The inference daemon: OpenAI's chat interface on inherited sockets, in front of the engine.
//!
//! What is absent: it opens no network socket unless `--listen` says so, knows no user and no token, and keeps no
//! text of any conversation.

mod arguments;
mod chat;
mod log;
mod refusal;
mod reply;
mod report;
mod routes;
mod serve;
mod sockets;
mod threads;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    let Command::Serve(arguments) = Arguments::parse().command;
    log::start();
    match serve::run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
