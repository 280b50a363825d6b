//! systemd's part for the import service, whose socket has `Accept=yes`: a process for each connection.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::daemon;
use crate::process::{Process, tethered};
use crate::report::say;

/// How long one look at the socket lasts, and so the longest that stopping takes.
const LOOK: u16 = 50;

/// A held socket with a process behind each of its connections.
#[derive(Debug)]
pub(super) struct Inetd {
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    running: Vec<Process>,
    stop: bool,
}

/// What is started, and on which socket.
struct Unit {
    program: PathBuf,
    args: Vec<String>,
    log: PathBuf,
    socket: UnixListener,
}

impl Inetd {
    pub(super) fn start(socket: &Path, log: &Path, args: Vec<String>) -> Result<Self> {
        let listener =
            UnixListener::bind(socket).with_context(|| format!("cannot listen on {}", socket.display()))?;
        let unit = Unit {
            program: daemon("inferd")?,
            args,
            log: log.to_owned(),
            socket: listener,
        };
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            if let Err(error) = unit.supervise(&shared) {
                say(&format!("the import service cannot be kept running: {error:#}"));
            }
        });
        Ok(Self {
            state,
            thread: Some(thread),
        })
    }

    /// Ids of the processes that run now.
    pub(super) fn pids(&self) -> Result<Vec<u32>> {
        let mut state = lock(&self.state);
        reap(&mut state)?;
        Ok(state.running.iter().map(Process::pid).collect())
    }
}

impl Drop for Inetd {
    fn drop(&mut self) {
        lock(&self.state).stop = true;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has told itself.
            let _ = thread.join();
        }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn reap(state: &mut State) -> Result<()> {
    let mut running = Vec::new();
    for mut process in state.running.drain(..) {
        if process.ended()?.is_none() {
            running.push(process);
        }
    }
    state.running = running;
    Ok(())
}

impl Unit {
    /// Starts a process for each connection until told to stop.
    fn supervise(&self, state: &Mutex<State>) -> Result<()> {
        while !lock(state).stop {
            if self.connection_waits()? {
                let (connection, _) = self.socket.accept()?;
                let process = self.launch(connection.into())?;
                lock(state).running.push(process);
            }
            reap(&mut lock(state))?;
        }
        lock(state).running.clear();
        Ok(())
    }

    fn connection_waits(&self) -> Result<bool> {
        let mut sockets = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut sockets, PollTimeout::from(LOOK))? > 0)
    }

    fn launch(&self, connection: OwnedFd) -> Result<Process> {
        let mut command = tethered(&self.program);
        command.args(&self.args).stdin(connection);
        Process::start("inferd import-service", command, &self.log)
    }
}
