//! Hearth's agent: reads the machine and publishes it on the system bus.
//!
//! It opens no network socket and no model file, and changes nothing on the machine yet. All state is in
//! [`agent::Agent`], which one loop ([`daemon`]) owns; the handlers in [`bus`] only translate.

mod agent;
mod alerts;
mod bus;
mod cli;
mod clock;
mod daemon;
mod events;
mod interval;
mod journal;
mod privileges;
mod published;
mod screen;
mod show;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(options) => daemon::run(&options),
        Command::Sample(options) => show::sample(&options),
        Command::Capabilities(options) => show::capabilities(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            journal::complain(&error);
            ExitCode::FAILURE
        }
    }
}
