//! systemd's part for inferd: hold its listening socket, start it when somebody connects, start it again when it has died.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::daemon;
use crate::process::{Process, tethered};
use crate::report::say;
use crate::wait;

/// How long one look at the socket or the process lasts, and so the longest that stopping takes.
const LOOK: u16 = 50;

/// Puts the socket, given as standard input, where socket activation wants it: descriptor 3 of the process named in
/// `LISTEN_PID`, which `exec` keeps.
const HAND_OVER: &str = r#"exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=hearth-inferd.socket; exec "$0" "$@""#;

#[derive(Debug, Default)]
struct State {
    running: Option<Process>,
    starts: usize,
    stop: bool,
}

/// A held socket with the daemon behind it.
#[derive(Debug)]
pub(super) struct Activator {
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

impl Activator {
    pub(super) fn start(socket: &Path, log: &Path, args: Vec<String>) -> Result<Self> {
        let listener =
            UnixListener::bind(socket).with_context(|| format!("cannot listen on {}", socket.display()))?;
        let unit = Unit {
            program: daemon("inferd")?,
            args,
            log: log.to_owned(),
            socket: listener.into(),
        };
        let state = Arc::new(Mutex::new(State::default()));
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            if let Err(error) = unit.supervise(&shared) {
                say(&format!("inferd cannot be kept running: {error:#}"));
            }
        });
        Ok(Self {
            state,
            thread: Some(thread),
        })
    }

    pub(super) fn pid(&self) -> Option<u32> {
        lock(&self.state).running.as_ref().map(Process::pid)
    }

    pub(super) fn starts(&self) -> usize {
        lock(&self.state).starts
    }
}

impl Drop for Activator {
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

/// What is started, and on which socket.
struct Unit {
    program: PathBuf,
    args: Vec<String>,
    log: PathBuf,
    socket: OwnedFd,
}

impl Unit {
    /// Waits for a connection, starts the daemon, waits for its end, and so on until told to stop.
    fn supervise(&self, state: &Mutex<State>) -> Result<()> {
        while !lock(state).stop {
            if self.connection_waits()? {
                self.launch(state)?;
                wait::until("inferd's end", Duration::MAX, || {
                    Ok(has_ended(state)?.then_some(()))
                })?;
            }
        }
        lock(state).running = None;
        Ok(())
    }

    fn connection_waits(&self) -> Result<bool> {
        let mut sockets = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut sockets, PollTimeout::from(LOOK))? > 0)
    }

    fn launch(&self, state: &Mutex<State>) -> Result<()> {
        let process = Process::start("inferd", self.command()?, &self.log)?;
        let mut state = lock(state);
        state.running = Some(process);
        state.starts += 1;
        Ok(())
    }

    fn command(&self) -> Result<Command> {
        let mut command = tethered("sh");
        command
            .args(["-c", HAND_OVER])
            .arg(&self.program)
            .args(&self.args);
        command.stdin(
            self.socket
                .try_clone()
                .context("cannot hand over inferd's socket")?,
        );
        Ok(command)
    }
}

fn has_ended(state: &Mutex<State>) -> Result<bool> {
    let mut state = lock(state);
    let ended = match &mut state.running {
        Some(process) => process.ended()?.is_some(),
        None => true,
    };
    if ended {
        state.running = None;
    }
    Ok(ended || state.stop)
}
