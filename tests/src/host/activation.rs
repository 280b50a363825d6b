//! systemd's part for inferd: hold its listening socket, start it when somebody connects, start it again when it has died.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result};

use super::socket_unit::{SocketUnit, State, Supervisor, lock};
use crate::process::{Process, tethered};
use crate::wait;

/// Puts the socket, given as standard input, where socket activation wants it: descriptor 3 of the process named in
/// `LISTEN_PID`, which `exec` keeps.
const HAND_OVER: &str = r#"exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=hearth-inferd.socket; exec "$0" "$@""#;

/// The daemon, if it runs, and how often it was started.
#[derive(Debug, Default)]
struct Daemon {
    running: Option<Process>,
    starts: usize,
}

/// A held socket with the daemon behind it.
#[derive(Debug)]
pub(super) struct Activator(Supervisor<Daemon>);

impl Activator {
    pub(super) fn start(socket: &Path, log: &Path, args: Vec<String>) -> Result<Self> {
        let unit = SocketUnit::listen("inferd", socket, log, args)?;
        let supervise = move |state: &Mutex<_>| supervise(&unit, state);
        Ok(Self(Supervisor::start("inferd", supervise)))
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.0.state().processes.running.as_ref().map(Process::pid)
    }

    pub(super) fn starts(&self) -> usize {
        self.0.state().processes.starts
    }
}

/// Waits for a connection, starts the daemon, waits for its end, and so on until told to stop.
fn supervise(unit: &SocketUnit, state: &Mutex<State<Daemon>>) -> Result<()> {
    while !lock(state).stop {
        if unit.connection_waits()? {
            launch(unit, state)?;
            wait::until("inferd's end", Duration::MAX, || {
                Ok(has_ended(state)?.then_some(()))
            })?;
        }
    }
    Ok(())
}

fn launch(unit: &SocketUnit, state: &Mutex<State<Daemon>>) -> Result<()> {
    let process = Process::start("inferd", command(unit)?, &unit.log)?;
    let daemon = &mut lock(state).processes;
    daemon.running = Some(process);
    daemon.starts += 1;
    Ok(())
}

fn command(unit: &SocketUnit) -> Result<Command> {
    let socket = unit.socket.try_clone();
    let socket: OwnedFd = socket.context("cannot hand over inferd's socket")?.into();
    let mut command = tethered("sh");
    command
        .args(["-c", HAND_OVER])
        .arg(&unit.program)
        .args(&unit.args)
        .stdin(socket);
    Ok(command)
}

fn has_ended(state: &Mutex<State<Daemon>>) -> Result<bool> {
    let mut state = lock(state);
    let running = &mut state.processes.running;
    let ended = match running {
        Some(process) => process.ended()?.is_some(),
        None => true,
    };
    if ended {
        *running = None;
    }
    Ok(ended || state.stop)
}
