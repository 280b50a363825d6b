//! The inference daemon: OpenAI's chat interface on inherited sockets, in front of the engine.
//!
//! What is absent: it opens no network socket unless `--listen` says so, knows no user and no token, and keeps no
//! text of any conversation.

mod arguments;
mod bench;
mod chat;
mod cpu;
mod log;
mod offline;
mod refusal;
mod reply;
mod report;
mod routes;
mod serve;
mod size;
mod sockets;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    log::start();
    let result = match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Bench(arguments) => bench::run(&arguments),
        Command::Import(arguments) => offline::import(&arguments),
        Command::Verify(arguments) => offline::verify(&arguments),
        Command::Export(arguments) => offline::export(&arguments),
        Command::Remove(arguments) => offline::remove(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
