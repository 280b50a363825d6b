//! Runs the engine and its peers side by side and prints what they showed.

mod cli;
mod interrupt;
mod limited;
mod memory;
mod quality;
mod results;
mod show;
mod speed;
mod spinner;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match cli::run(&cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
