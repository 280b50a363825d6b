//! systemd's part for a socket: it is held, and a thread starts what belongs behind it.

use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::daemon;
use crate::report::say;

/// How long one look at the socket or the process lasts, and so the longest that stopping takes.
const LOOK: u16 = 50;

/// What is started, and on which socket.
pub(super) struct SocketUnit {
    pub(super) program: PathBuf,
    pub(super) args: Vec<String>,
    pub(super) log: PathBuf,
    pub(super) socket: UnixListener,
}

impl SocketUnit {
    /// Listens for a program, of the daemons' folder, with these arguments.
    pub(super) fn listen(program: &str, socket: &Path, log: &Path, args: Vec<String>) -> Result<Self> {
        let listener =
            UnixListener::bind(socket).with_context(|| format!("cannot listen on {}", socket.display()))?;
        Ok(Self {
            program: daemon(program)?,
            args,
            log: log.to_owned(),
            socket: listener,
        })
    }

    /// Looks whether somebody has connected and was not accepted yet.
    pub(super) fn connection_waits(&self) -> Result<bool> {
        let mut sockets = [PollFd::new(self.socket.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut sockets, PollTimeout::from(LOOK))? > 0)
    }
}

/// What the thread and whoever asks about it share: the processes, and whether to stop.
#[derive(Debug, Default)]
pub(super) struct State<P> {
    pub(super) processes: P,
    pub(super) stop: bool,
}

/// A thread that supervises a unit until this is dropped; its processes end with it.
#[derive(Debug)]
pub(super) struct Supervisor<P> {
    state: Arc<Mutex<State<P>>>,
    thread: Option<JoinHandle<()>>,
}

impl<P: Default + Send + 'static> Supervisor<P> {
    /// Starts the thread. `what` is the subject of the line that tells of a failure.
    pub(super) fn start(
        what: &'static str,
        supervise: impl FnOnce(&Mutex<State<P>>) -> Result<()> + Send + 'static,
    ) -> Self {
        let state = Arc::new(Mutex::new(State {
            processes: P::default(),
            stop: false,
        }));
        let shared = Arc::clone(&state);
        let thread = std::thread::spawn(move || {
            if let Err(error) = supervise(&shared) {
                say(&format!("{what} cannot be kept running: {error:#}"));
            }
            lock(&shared).processes = P::default();
        });
        Self {
            state,
            thread: Some(thread),
        }
    }
}

impl<P> Supervisor<P> {
    /// What there is now.
    pub(super) fn state(&self) -> MutexGuard<'_, State<P>> {
        lock(&self.state)
    }
}

impl<P> Drop for Supervisor<P> {
    fn drop(&mut self) {
        self.state().stop = true;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has told itself.
            let _ = thread.join();
        }
    }
}

/// The state, even if a thread has panicked beside it.
pub(super) fn lock<P>(state: &Mutex<State<P>>) -> MutexGuard<'_, State<P>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
