//! How many threads compute.
//!
//! candle and rayon take it from the environment alone, and only when they first start threads. A process cannot
//! change its own environment safely, so inferd replaces itself by itself, once, with the variables set. Descriptors
//! and the process's id stay, so inherited sockets do, too.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread::available_parallelism;

use anyhow::{Context, Result};

const VARIABLES: [&str; 2] = ["CANDLE_NUM_THREADS", "RAYON_NUM_THREADS"];

/// Returns the number of threads once it is set; before that, does not return but starts anew.
pub(crate) fn settle(wanted: Option<u16>) -> Result<usize> {
    let set = VARIABLES.map(|variable| env::var(variable).ok().and_then(|value| value.parse().ok()));
    if let ([Some(candle), Some(_)], None) = (set, wanted) {
        return Ok(candle);
    }
    // The standard library counts what affinity and cgroup quotas leave, which candle does not.
    let available = || available_parallelism().context("cannot count the processors that may be used");
    let threads = wanted.map_or_else(|| available().map(usize::from), |wanted| Ok(usize::from(wanted)))?;
    if set == [Some(threads); 2] {
        return Ok(threads);
    }
    let program = env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(program);
    command
        .args(env::args_os().skip(1))
        .envs(VARIABLES.map(|variable| (variable, threads.to_string())));
    Err(command.exec()).context("cannot start anew with the number of threads set")
}
