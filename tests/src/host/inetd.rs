//! systemd's part for services whose sockets have `Accept=yes`: a process for each connection.

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
    /// Listens for a program with these arguments. `what` it is tells of its failures.
    pub(super) fn start(what: &'static str, program: &str, socket: &Path, args: Vec<String>) -> Result<Self> {
        let unit = SocketUnit::listen(program, socket, &socket.with_extension("log"), args)?;
        let supervise = move |state: &Mutex<_>| supervise(what, &unit, state);
        Ok(Self(Supervisor::start(what, supervise)))
    }

    /// Ids of the processes that run now.
    pub(super) fn pids(&self) -> Result<Vec<u32>> {
        let mut state = self.0.state();
        reap(&mut state.processes)?;
        Ok(state.processes.iter().map(Process::pid).collect())
    }
}

/// Starts a process for each connection until told to stop.
fn supervise(what: &str, unit: &SocketUnit, state: &Mutex<State<Vec<Process>>>) -> Result<()> {
    while !lock(state).stop {
        if unit.connection_waits()? {
            let (connection, _) = unit.socket.accept()?;
            let process = launch(what, unit, connection.into())?;
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

fn launch(what: &str, unit: &SocketUnit, connection: OwnedFd) -> Result<Process> {
    let mut command = tethered(&unit.program);
    command.args(&unit.args).stdin(connection);
    Process::start(what, command, &unit.log)
}
