//! What carries a decision out: the kernel's files at once, and systemd by a task of its own.

mod change_log;
mod engine_unit;
mod supervision;
mod systemd;
mod unit_watch;

pub(crate) use change_log::{ChangeLog, Line};
pub(crate) use supervision::Folders;
pub(crate) use unit_watch::UnitWatch;

use api::engine::Unit;
use linux::{Applied, Reclaimed, Reclaimer, Writer};
use machine::{Decision, Reclaim};
use supervision::{Supervision, Wish};
use tokio::sync::watch;
use zbus::Connection;

/// Everything that hearthd can change. Without it hearthd only watches.
#[derive(Debug)]
pub(crate) struct Actuators {
    writer: Writer,
    reclaimer: Reclaimer,
    supervision: Option<Supervision>,
    wish: Wish,
}

impl Actuators {
    /// The kernel's files alone.
    pub(crate) fn new(writer: Writer, reclaimer: Reclaimer) -> Self {
        Self {
            writer,
            reclaimer,
            supervision: None,
            wish: Wish::default(),
        }
    }

    /// Systemd too, from now on.
    pub(crate) fn supervise(
        &mut self,
        connection: Connection,
        folders: Folders,
        unit: watch::Receiver<Unit>,
    ) {
        let supervision = Supervision::start(connection, folders, self.wish.clone(), unit);
        self.supervision = Some(supervision);
    }

    /// Has this run of the engine ended, which is stuck.
    pub(crate) fn abort_engine(&mut self, invocation_id: &str) {
        self.wish.abort = Some(invocation_id.to_owned());
        if let Some(supervision) = &self.supervision {
            supervision.want(&self.wish);
        }
    }

    /// Carries a decision out, as far as it differs from what is.
    pub(crate) fn apply(&mut self, decision: &Decision) -> Applied {
        self.wish.limits = decision.engine;
        // There is no way back from it, and its first reason is the one that counts.
        if self.wish.power_off.is_none() {
            self.wish.power_off.clone_from(&decision.power_off);
        }
        if let Some(supervision) = &self.supervision {
            supervision.want(&self.wish);
        }
        self.writer.apply(&decision.setpoints)
    }

    /// Asks for memory back. Takes as long as the kernel takes to compress it.
    pub(crate) fn reclaim(&self, wanted: &Reclaim) -> Vec<Reclaimed> {
        let requests = wanted.requests.iter();
        requests.map(|request| self.reclaimer.reclaim(request)).collect()
    }

    /// Puts everything back to how it was first found. A machine that is powered off for its heat stays slow.
    pub(crate) async fn restore(mut self) -> Applied {
        let applied = if self.wish.power_off.is_some() {
            Applied::default()
        } else {
            self.writer.restore()
        };
        if let Some(supervision) = self.supervision {
            supervision.end().await;
        }
        applied
    }
}
