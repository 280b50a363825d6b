//! Sets up a machine for building, builds Hearth's disk image and flashes it.

mod cli;
mod flash_command;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use crate::terminal::Terminal;

fn main() -> ExitCode {
    let arguments = cli::Arguments::parse();
    let terminal = Terminal::new();
    let sink = |event: image::Event<'_>| terminal.show(event);
    match cli::run(arguments, image::Progress::new(&sink)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            terminal.fail(&error);
            ExitCode::FAILURE
        }
    }
}
