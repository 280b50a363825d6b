//! The three daemons on this host, without root, for quick work: no image, no virtual machine. hearthd only observes.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use image::{Paths, ensure_model};
use tests::host::{HostStack, Options, build, store_with};
use tests::report::{exit_code, say, step, with_progress};

/// Runs hearthd, inferd and the gateway on this host, without root, until Ctrl-C.
#[derive(Debug, Parser)]
#[command(version, after_help = "Examples:\n  dev\n  dev --listen 0.0.0.0:8443")]
struct Cli {
    /// Where the gateway listens for TLS
    #[arg(long, default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
}

fn main() -> ExitCode {
    exit_code(run(&Cli::parse()).map(|()| ExitCode::SUCCESS))
}

fn run(cli: &Cli) -> Result<()> {
    step("build the daemons", build)?;
    let model = with_progress(|progress| ensure_model(&Paths::discover(), progress))?;
    let store = step("pack the model", || store_with(image::DEFAULT_MODEL.id(), &model))?;
    let mut options = Options::models(store.path());
    options.listen = Some(cli.listen);
    let stack = step("start the daemons", || HostStack::start(&options))?;
    let (url, token, socket) = (stack.url(), stack.token(), stack.local_socket());
    let authority = stack.authority();
    say(&format!(
        "\nURL    {url}\ntrust  {}\ntoken  {token}\nlogs   {}",
        authority.display(),
        stack.folder().display()
    ));
    say(&format!(
        "try    hearth --socket {} ask \"What is a hearth?\"",
        socket.display()
    ));
    say(&format!(
        "       HEARTH_TOKEN={token} hearth --host {url} --ca {} status",
        authority.display()
    ));
    say("\nThe daemons run until Ctrl-C. inferd starts with the first question.");
    tests::wait::for_interrupt()
}
