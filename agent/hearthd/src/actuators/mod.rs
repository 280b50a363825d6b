//! What carries a decision out: the kernel's files at once, and systemd by a task of its own.

mod change_log;
mod engine_unit;
mod supervision;
mod systemd;
mod unit_watch;

pub(crate) use change_log::{ChangeLog, Line};
pub(crate) use supervision::{Ending, Errand, Folders};
pub(crate) use unit_watch::UnitWatch;

use crate::engine::Administered;
use anyhow::Context;
use api::engine::{EngineLimits, Unit};
use linux::{Applied, Reclaimed, Reclaimer, Writer};
use machine::{Decision, Reclaim};
use supervision::{Supervision, Wish};
use tokio::sync::watch;
use zbus::Connection;

/// There is a bus before anybody can ask on it.
const NO_BUS: &str = "hearthd has not found systemd yet";

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

    /// Whether orders can be carried out: whether systemd is there.
    pub(crate) fn takes_orders(
        &self,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + Send + use<>> {
        Ok(self.supervision.as_ref().context(NO_BUS)?.takes_orders())
    }

    /// Has an administrator's order carried out; what is wanted must have been applied before. The future ends with what
    /// came of it.
    pub(crate) fn carry_out(
        &mut self,
        errand: Errand,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + Send + use<>> {
        self.wish.orders += 1;
        let supervision = self.supervision.as_ref().context(NO_BUS)?;
        supervision.want(&self.wish);
        Ok(supervision.carry_out(errand))
    }

    /// What the engine's unit may have, as systemd tells it.
    pub(crate) fn engine_limits(
        &self,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<EngineLimits>> + Send + use<>> {
        Ok(self.supervision.as_ref().context(NO_BUS)?.limits())
    }

    /// Carries a decision out, as far as it differs from what is, and what administrators want of the engine's unit.
    pub(crate) fn apply(&mut self, decision: &Decision, administered: &Administered) -> Applied {
        self.wish.limits = decision.engine;
        self.wish.administered.clone_from(administered);
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
