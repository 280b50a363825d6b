//! Hearth's agent: keeps the machine cool and frugal, and publishes what it does on the system bus.
//!
//! It opens no network socket and no model file. All state is the one loop's ([`daemon`]): an event, a sample, a step
//! of the laws, and what they decide is carried out by [`actuators`]. How the engine fares is judged in [`mod@engine`]. The handlers in [`bus`] and the tasks at the
//! [`doors`] only translate. What others are shown is made in [`view`], what it showed before is
//! in [`mod@history`], what outlives a run is in [`mod@state`].

mod actuators;
mod bus;
mod cli;
mod clock;
mod daemon;
mod doors;
mod engine;
mod history;
mod interval;
mod journal;
mod privileges;
mod profile;
mod recording;
mod screen;
mod show;
mod state;
mod tuning;
mod view;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Run(options) => daemon::run(&options),
        Command::Sample(options) => show::sample(&options),
        Command::Capabilities(options) => show::capabilities(&options),
        Command::Record(options) => recording::record(&options),
        Command::Replay(options) => recording::replay(&options),
        Command::Profile { command } => profile::run(&command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            journal::complain(&error);
            ExitCode::FAILURE
        }
    }
}
