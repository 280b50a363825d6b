//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, value_parser};

use crate::offline;

const EXAMPLES: &str = "Examples:
  inferd serve                                    on the sockets that systemd hands over
  inferd serve --models . --listen 127.0.0.1:8090   for development, with the models of this folder";

/// Hearth's inference daemon.
#[derive(Debug, Parser)]
#[command(version, about, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Answer chat requests until told to stop.
    #[command(after_help = EXAMPLES)]
    Serve(Serve),
    /// Pack a GGUF file and put it into a store.
    Import(offline::Import),
    /// Read models in a store and tell which of their blocks are damaged.
    Verify(offline::Verify),
    /// Write a model in a store as a GGUF file.
    Export(offline::Export),
    /// Remove a model from a store.
    Remove(offline::Remove),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// A folder with models, `*.gguf`; give it again for more. A model in an earlier folder hides one of the same
    /// name in a later one.
    #[arg(long, value_name = "DIR", default_values = ["/usr/share/hearth/models", "/var/lib/hearth/models"])]
    pub(crate) models: Vec<PathBuf>,
    /// A TCP address to listen on beside inherited sockets.
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: Option<SocketAddr>,
    /// Where hearthd hears what the engine does, so that clocks follow it. It need not be there.
    #[arg(long, value_name = "PATH", default_value = api::phase::PHASE_SOCKET)]
    pub(crate) phase_socket: PathBuf,
    /// Threads that compute; as many as the machine lets this process use at once if nothing is said.
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(1..=1024))]
    pub(crate) threads: Option<u16>,
    /// Answers that are made at the same time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u16).range(1..=64))]
    pub(crate) slots: u16,
    /// Most tokens of a conversation with its answer; a model that was trained for less has less.
    #[arg(long, value_name = "N", default_value_t = 4096, value_parser = value_parser!(u32).range(64..=1_048_576))]
    pub(crate) context: u32,
}
