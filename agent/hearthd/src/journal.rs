//! Where logs go: to the journal with their fields when the service manager has connected it, else to stderr.

use anyhow::Context;
use nix::sys::stat::fstat;
use std::io::{self, IsTerminal, Write};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, filter_fn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// Prefix of the fields' names in the journal: `HEARTH_PATH`, `HEARTH_UID` …
const FIELD_PREFIX: &str = "HEARTH";

/// Target of events whose fields keep the names that they have, for the sake of `message_id`, which the journal knows as
/// `MESSAGE_ID`.
pub(crate) const MESSAGE: &str = "hearthd::message";

pub(crate) fn start() -> anyhow::Result<()> {
    let started = if is_connected()? {
        to_journal()?
    } else {
        to_stderr()
    };
    started.context("cannot start logging")
}

/// Says in one line why hearthd ends: the error and all its causes.
pub(crate) fn complain(error: &anyhow::Error) {
    // The journal takes the priority from this prefix; see sd-daemon(3).
    let priority = if is_connected().unwrap_or(false) {
        "<3>"
    } else {
        ""
    };
    // If stderr is closed there is nobody left to tell, and the exit code says the rest.
    drop(writeln!(io::stderr(), "{priority}hearthd: {error:#}"));
}

/// Whether stderr is the stream that `$JOURNAL_STREAM` names by device and inode; see systemd.exec(5).
fn is_connected() -> anyhow::Result<bool> {
    let Ok(stream) = std::env::var("JOURNAL_STREAM") else {
        return Ok(false);
    };
    let stat = fstat(io::stderr()).context("cannot inspect stderr")?;
    Ok(stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

fn to_journal() -> anyhow::Result<Result<(), TryInitError>> {
    let priorities = PriorityMappings {
        info: Priority::Informational,
        ..PriorityMappings::new()
    };
    let layer = |prefix: Option<&str>, priorities| {
        let layer = tracing_journald::layer().context("cannot reach the journal")?;
        let layer = layer.with_field_prefix(prefix.map(str::to_owned));
        anyhow::Ok(layer.with_priority_mappings(priorities))
    };
    let named = layer(Some(FIELD_PREFIX), priorities.clone())?;
    let plain = layer(None, priorities)?;
    Ok(tracing_subscriber::registry()
        .with(LevelFilter::INFO)
        .with(named.with_filter(filter_fn(|event| event.target() != MESSAGE)))
        .with(plain.with_filter(filter_fn(|event| event.target() == MESSAGE)))
        .try_init())
}

fn to_stderr() -> Result<(), TryInitError> {
    let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(colour);
    tracing_subscriber::registry()
        .with(LevelFilter::INFO)
        .with(layer)
        .try_init()
}
