//! The inference daemon: OpenAI's chat interface on inherited sockets, in front of the engine.
//!
//! What is absent: it opens no network socket unless `--listen` says so, knows no user and no token, and logs no
//! text of any conversation. What it keeps of idle ones, so that their next turn need not read them again, is in its state
//! folder, and can be turned off (`--kv-park-quota 0`).

mod admission;
mod age;
mod apart;
mod arguments;
mod bench;
mod chat;
mod cpu;
mod door;
mod environment;
mod import_service;
mod life;
mod log;
mod memory;
mod model_settings;
mod offline;
mod preload;
mod refusal;
mod render;
mod reply;
mod report;
mod routes;
mod screen;
mod serve;
mod size;
mod sockets;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Command};

fn main() -> ExitCode {
    log::start();
    let settled = environment::settle(std::env::args_os(), std::env::vars_os());
    let command = Arguments::parse_from(settled.arguments).command;
    for problem in settled.problems {
        tracing::error!("{problem}");
    }
    let result = match &command {
        Command::Serve(arguments) => serve::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Import(arguments) => offline::import(arguments),
        Command::Verify(arguments) => offline::verify(arguments),
        Command::Export(arguments) => offline::export(arguments),
        Command::Remove(arguments) => offline::remove(arguments),
        Command::ImportService(arguments) => import_service::run(arguments),
        Command::Render => render::run(),
    };
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    // A daemon tells the journal, a command whoever called it.
    match command {
        Command::Serve(_) | Command::ImportService(_) | Command::Render => tracing::error!("{error:#}"),
        _ if screen::is_closed(&error) => return ExitCode::SUCCESS,
        _ => screen::error(&error),
    }
    ExitCode::FAILURE
}
