//! The task that asks systemd for what the laws have decided: apart from the loop, for the bus may be slow.
//!
//! What is wanted is a level: only the newest wish counts, and it is tried until it is fulfilled.

#[cfg(test)]
mod tests;

use super::engine_unit::EngineUnit;
use super::systemd::Systemd;
use crate::state::PowerOff;
use anyhow::Context;
use api::engine::Unit;
use machine::EngineLimits;
use std::future::pending;
use std::path::PathBuf;
use std::time::Duration;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};
use zbus::Connection;

/// Before the first new try; each further one takes twice as long, up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// Between two tries at most.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// How often it is looked after that an engine that must not run does not.
const PATROL: Duration = Duration::from_secs(5);
/// How long giving back may take when hearthd ends.
const FAREWELL: Duration = Duration::from_secs(5);

/// What systemd is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) limits: EngineLimits,
    pub(super) power_off: Option<String>,
    /// The run of the engine that is to be ended, for being stuck, by its invocation. No other run is.
    pub(super) abort: Option<String>,
}

/// The task, and the place where it finds what is wanted.
#[derive(Debug)]
pub(super) struct Supervision {
    wish: watch::Sender<Wish>,
    task: JoinHandle<()>,
}

/// Where the task keeps what must survive; `None` in development.
#[derive(Clone, Debug, Default)]
pub(crate) struct Folders {
    /// `/run/hearth/hearthd`: gone after a boot.
    pub(crate) runtime: Option<PathBuf>,
    /// `/var/lib/hearth/hearthd`.
    pub(crate) state: Option<PathBuf>,
}

impl Supervision {
    /// `unit` is the engine's, as systemd tells it.
    pub(super) fn start(
        connection: Connection,
        folders: Folders,
        wish: Wish,
        unit: watch::Receiver<Unit>,
    ) -> Self {
        let aborted = wish.abort.clone();
        let (sender, wishes) = watch::channel(wish);
        let systemd = Systemd::new(connection);
        let file = folders.runtime.map(|folder| folder.join("engine-unit.json"));
        let supervisor = Supervisor {
            unit: EngineUnit::new(systemd.clone(), file),
            told: unit,
            aborted,
            systemd,
            state: folders.state,
            power_off_told: false,
            powering_off: false,
            problem: String::new(),
        };
        Self {
            wish: sender,
            task: tokio::spawn(supervisor.supervise(wishes)),
        }
    }

    /// Wants something else, or still the same.
    pub(super) fn want(&self, wish: &Wish) {
        self.wish.send_if_modified(|before| {
            let differs = before != wish;
            before.clone_from(wish);
            differs
        });
    }

    /// Gives everything back, unless the machine is being powered off: then nothing may warm it.
    pub(super) async fn end(self) {
        let Self { wish, task } = self;
        if wish.borrow().power_off.is_none() {
            wish.send_modify(|wish| wish.limits = EngineLimits::default());
        }
        // Without a sender the task fulfils the last wish once and ends.
        drop(wish);
        match timeout(FAREWELL, task).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => error!("the supervision of the engine has failed: {error}"),
            Err(_) => error!("systemd did not answer in time: the engine may still be held back"),
        }
    }
}

struct Supervisor {
    systemd: Systemd,
    unit: EngineUnit,
    /// What systemd tells of it.
    told: watch::Receiver<Unit>,
    /// The run that was ended last.
    aborted: Option<String>,
    state: Option<PathBuf>,
    /// The reason is in the journal and in its file.
    power_off_told: bool,
    /// systemd has been asked, and has not refused.
    powering_off: bool,
    /// The problem that was told last.
    problem: String,
}

impl Supervisor {
    async fn supervise(mut self, mut wishes: watch::Receiver<Wish>) {
        self.look_around().await;
        let mut pause = FIRST_PAUSE;
        loop {
            let wish = wishes.borrow_and_update().clone();
            let next = match self.fulfil_unless_outdone(&wish, wishes.clone()).await {
                None => continue,
                Some(Ok(())) => {
                    self.well();
                    pause = FIRST_PAUSE;
                    wish.limits.stopped.then_some(PATROL)
                }
                Some(Err(error)) => {
                    self.complain(&error);
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    Some(pause / 2)
                }
            };
            tokio::select! {
                changed = wishes.changed() => if changed.is_err() {
                    return self.give_back(&wishes).await;
                },
                () = rest(next) => {}
            }
        }
    }

    /// Says once what cannot be done where there is no systemd.
    async fn look_around(&self) {
        match self.systemd.is_there().await {
            Ok(true) => {}
            Ok(false) => info!(
                "there is no systemd on this bus: the engine cannot be rationed or stopped, nor the machine powered off"
            ),
            Err(error) => warn!("cannot tell whether there is a systemd on this bus: {error}"),
        }
    }

    /// Fulfils a wish. `None`: a power-off is wanted meanwhile, which waits neither for an engine to end nor for an
    /// answer that does not come.
    async fn fulfil_unless_outdone(
        &mut self,
        wish: &Wish,
        mut wishes: watch::Receiver<Wish>,
    ) -> Option<anyhow::Result<()>> {
        if wish.power_off.is_some() {
            return Some(self.fulfil(wish).await);
        }
        let power_off = async { wishes.wait_for(|wish| wish.power_off.is_some()).await.is_ok() };
        tokio::select! {
            fulfilled = self.fulfil(wish) => Some(fulfilled),
            true = power_off => None,
        }
    }

    /// Tries both, whatever becomes of the first: where systemd does not power off, the engine must not warm on.
    async fn fulfil(&mut self, wish: &Wish) -> anyhow::Result<()> {
        let off = match &wish.power_off {
            Some(reason) => self.power_off(reason).await,
            None => Ok(()),
        };
        let held_back = self.unit.hold_back(&wish.limits).await;
        let aborted = self.abort(wish).await;
        off.and(held_back.map_err(anyhow::Error::new)).and(aborted)
    }

    async fn abort(&mut self, wish: &Wish) -> anyhow::Result<()> {
        if let Some(run) = wish.abort.as_ref().filter(|_| self.aborted != wish.abort) {
            self.unit.abort(run, self.told.clone()).await?;
            self.aborted.clone_from(&wish.abort);
        }
        Ok(())
    }

    async fn power_off(&mut self, reason: &str) -> anyhow::Result<()> {
        if self.powering_off {
            return Ok(());
        }
        if !self.power_off_told {
            error!(reason, "powering the machine off: {reason}");
            self.keep(reason);
            self.power_off_told = true;
        }
        let asked = self.systemd.isolate("poweroff.target").await;
        asked.context("systemd does not power the machine off")?;
        self.powering_off = true;
        Ok(())
    }

    /// A reason that cannot be kept is no reason to stay on.
    fn keep(&self, reason: &str) {
        let Some(folder) = &self.state else { return };
        let off = PowerOff {
            at: OffsetDateTime::now_utc(),
            reason: reason.to_owned(),
        };
        if let Err(error) = off.keep(folder) {
            let error = anyhow::Error::new(error);
            error!("{error:#}: the next start will not know why the machine was powered off");
        }
    }

    async fn give_back(&mut self, wishes: &watch::Receiver<Wish>) {
        let wish = wishes.borrow().clone();
        if let Err(error) = self.fulfil(&wish).await {
            error!("{error:#}: the engine may still be held back");
        }
    }

    fn complain(&mut self, error: &anyhow::Error) {
        let problem = format!("{error:#}");
        if problem != self.problem {
            error!("{problem}; trying again");
            self.problem = problem;
        }
    }

    fn well(&mut self) {
        if !self.problem.is_empty() {
            info!("systemd does again what it is asked for");
            self.problem.clear();
        }
    }
}

async fn rest(pause: Option<Duration>) {
    match pause {
        Some(pause) => sleep(pause).await,
        None => pending().await,
    }
}
