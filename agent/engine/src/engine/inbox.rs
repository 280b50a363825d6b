//! The way to the model's thread.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::time::Instant;

use super::Command;
use crate::parking::Outcome;

/// Both ends of a new way.
pub(super) fn inbox() -> (Arc<Commands>, Inbox) {
    let (sender, receiver) = mpsc::channel();
    let commands = Arc::new(Commands(sender));
    let senders = Arc::downgrade(&commands);
    (commands, Inbox { receiver, senders })
}

/// The way to the model's thread, for handles and answers. The thread ends when nobody has it any more.
pub(super) struct Commands(pub(super) mpsc::Sender<Command>);

impl Drop for Commands {
    fn drop(&mut self) {
        // Who has ended before needs no waking.
        let _ended = self.0.send(Command::Wake);
    }
}

/// Where commands come from.
pub(super) struct Inbox {
    receiver: mpsc::Receiver<Command>,
    /// Those who may send some, beside the thread that parks sessions.
    senders: Weak<Commands>,
}

impl Inbox {
    /// A command that is there.
    pub(super) fn next(&self) -> Option<Command> {
        self.receiver.try_recv().ok()
    }

    /// Sends what was done with sessions, without keeping the model's thread from ending.
    pub(super) fn reporter(&self) -> impl Fn(Outcome) + Send + use<> {
        let senders = Weak::clone(&self.senders);
        move |outcome| {
            if let Some(commands) = senders.upgrade() {
                // Who has ended has no use for it.
                let _ended = commands.0.send(Command::Kept(outcome));
            }
        }
    }

    /// Waits for a command until then. None if nobody is left to send one.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Option<Command> {
        if self.senders.strong_count() == 0 {
            return None;
        }
        let Some(deadline) = deadline else {
            return self.receiver.recv().ok();
        };
        let time = deadline.saturating_duration_since(Instant::now());
        match self.receiver.recv_timeout(time) {
            Ok(command) => Some(command),
            Err(RecvTimeoutError::Timeout) => Some(Command::Wake),
            Err(RecvTimeoutError::Disconnected) => None,
        }
    }
}
