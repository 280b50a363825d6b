//! `inferd import-service`: one request of the gateway's about the models on the disk, on the connection that systemd
//! hands over as standard input. `api::import` says what is spoken there.
//!
//! A process serves one connection and ends. It alone parses files that came from outside, and its unit leaves it
//! nothing to reach but the store.

mod models;
mod spool;
mod wire;

use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use api::import::{Refused, Reply, Request, SetModel};
use clap::Args;

use crate::render;
use models::Models;
use wire::Teller;

/// How long the other end may take no byte.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long it may send none. A file comes in parts, and whoever sends it may pause; the gateway gives up sooner.
const REST: Duration = Duration::from_secs(3720);
/// What is read of the connection at once.
const BUFFER: usize = 256 << 10;

/// Where models are.
#[derive(Debug, Args)]
pub(crate) struct ImportService {
    /// The folder of the store that models are added to.
    #[arg(long, value_name = "DIR", default_value = "/var/lib/hearth/models")]
    store: PathBuf,
    /// A folder with models that cannot be changed.
    #[arg(long, value_name = "DIR", default_value = "/usr/share/hearth/models")]
    image: PathBuf,
}

/// Serves the connection that is standard input.
pub(crate) fn run(arguments: &ImportService) -> Result<()> {
    let connection = inherited().context("standard input is no connection; this is started by its socket")?;
    let output = connection.try_clone().context("cannot write to the connection")?;
    let models = Models::new(&arguments.image, &arguments.store, render::IN_A_PROCESS);
    serve(&models, &mut BufReader::with_capacity(BUFFER, connection), output);
    Ok(())
}

fn inherited() -> Result<UnixStream> {
    let connection = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    connection.set_read_timeout(Some(REST))?;
    connection.set_write_timeout(Some(PATIENCE))?;
    Ok(connection)
}

/// Answers one request.
fn serve(models: &Models, input: &mut impl BufRead, output: impl Write + Send) {
    let teller = Teller::new(output);
    let reply = answer(models, input, &teller).unwrap_or_else(|refused| {
        tracing::warn!("refused: {}", refused.message);
        Reply::Refused(refused)
    });
    if let Err(error) = teller.tell(&reply) {
        tracing::debug!("nobody is there to be answered: {error}");
    }
}

fn answer(
    models: &Models,
    input: &mut impl BufRead,
    teller: &Teller<impl Write + Send>,
) -> Result<Reply, Refused> {
    match wire::read_request(input)? {
        Request::Add(new) => {
            let added = models.add(&new, input, teller)?;
            Ok(Reply::Added(Box::new(added)))
        }
        Request::List => models.list().map(Reply::Models),
        Request::Verify(name) => models.verify(&name, teller).map(Reply::Verified),
        Request::Remove(name) => models.remove(&name).map(Reply::Removed),
        Request::Set(SetModel { name, change }) => {
            let set = models.set(&name, &change)?;
            Ok(Reply::Set(Box::new(set)))
        }
    }
}

#[cfg(test)]
mod tests;
