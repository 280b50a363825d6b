//! systemd's part for the import service, whose socket has `Accept=yes`: a process for each connection.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Mutex;

use anyhow::Result;

use super::socket_unit::{SocketUnit, State, Supervisor, lock};
use crate::process::{Process, tethered};

/// A held socket with a process behind each of its connections.
#[derive(Debug)]
pub(super) struct Inetd(Supervisor<Vec<Process>>);

impl Inetd {
    pub(super) fn start(socket: &Path, log: &Path, args: Vec<String>) -> Result<Self> {
        let unit = SocketUnit::listen(socket, log, args)?;
        let supervise = move |state: &Mutex<_>| supervise(&unit, state);
        Ok(Self(Supervisor::start("the import service", supervise)))
    }

    /// Ids of the processes that run now.
    pub(super) fn pids(&self) -> Result<Vec<u32>> {
        let mut state = self.0.state();
        reap(&mut state.processes)?;
        Ok(state.processes.iter().map(Process::pid).collect())
    }
}

/// Starts a process for each connection until told to stop.
fn supervise(unit: &SocketUnit, state: &Mutex<State<Vec<Process>>>) -> Result<()> {
    while !lock(state).stop {
        if unit.connection_waits()? {
            let (connection, _) = unit.socket.accept()?;
            let process = launch(unit, connection.into())?;
            lock(state).processes.push(process);
        }
        reap(&mut lock(state).processes)?;
    }
    Ok(())
}

fn reap(processes: &mut Vec<Process>) -> Result<()> {
    let mut running = Vec::new();
    for mut process in processes.drain(..) {
        if process.ended()?.is_none() {
            running.push(process);
        }
    }
    *processes = running;
    Ok(())
}

fn launch(unit: &SocketUnit, connection: OwnedFd) -> Result<Process> {
    let mut command = tethered(&unit.program);
    command.args(&unit.args).stdin(connection);
    Process::start("inferd import-service", command, &unit.log)
}
