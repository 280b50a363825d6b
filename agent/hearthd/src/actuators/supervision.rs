//! The task that asks systemd for what the laws have decided: apart from the loop, for the bus may be slow.
//!
//! What is wanted is a level: only the newest wish counts, and it is tried until it is fulfilled.

#[cfg(test)]
mod tests;

use super::engine_unit::{EngineUnit, Grace, SERVICE, restart, start};
use super::systemd::{Properties, Property, Systemd, shown};
use crate::engine::Administered;
use crate::state::PowerOff;
use anyhow::{Context, anyhow};
use api::engine::{EngineLimits as ShownLimits, Unit};
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
/// How long an administrator waits until the unit is as was asked: a stop takes the engine's grace, which is
/// [`Grace::OF_ORDER`], and two jobs, and whoever starts an engine that is being stopped waits for that first.
const ORDER_TIME: Duration = Duration::from_secs(45);
/// How long giving back may take when hearthd ends.
const FAREWELL: Duration = Duration::from_secs(5);

/// What systemd is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) limits: EngineLimits,
    pub(super) power_off: Option<String>,
    /// The run of the engine that is to be ended, for being stuck, by its invocation. No other run is.
    pub(super) abort: Option<String>,
    /// What administrators want of the unit.
    pub(super) administered: Administered,
    /// How many orders administrators have given since hearthd started.
    pub(super) orders: u64,
}

impl Wish {
    /// How far the engine is held back, by heat or by an administrator: neither lets it run while the other does not.
    fn limits(&self) -> EngineLimits {
        EngineLimits {
            stopped: self.limits.stopped || self.administered.is_held(),
            ..self.limits
        }
    }

    /// How long an engine that is stopped has to end by itself.
    fn grace(&self) -> Grace {
        if self.limits.stopped {
            Grace::OF_HEAT
        } else {
            Grace::OF_ORDER
        }
    }

    /// Whether this one must not wait until that one, which came before, is fulfilled: a power-off waits neither for an
    /// engine to end nor for an answer that does not come, and heat not for as long as an administrator does.
    fn outdoes(&self, before: &Self) -> bool {
        let is_new = |now: bool, before: bool| now && !before;
        is_new(self.power_off.is_some(), before.power_off.is_some())
            || is_new(self.limits.stopped, before.limits.stopped) && before.power_off.is_none()
    }
}

/// What systemd is to do once for an administrator, when the unit is as is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Errand {
    Start,
    Restart,
    /// The machine is to end so. It waits for nothing that is wanted of the engine, nor for what cannot be done of it.
    End(Ending),
    /// Nothing but what is wanted, which is that the engine does not run.
    Stop,
    /// Nothing but what is wanted.
    Nothing,
}

impl Errand {
    /// Why it must not be run any more, or is not done, where something else is wanted now than when it was ordered.
    fn overtaken(self, now: &Wish) -> Option<&'static str> {
        match self {
            Self::Start | Self::Restart if now.administered.is_held() => {
                Some("another order has stopped the engine meanwhile")
            }
            Self::Start | Self::Restart if now.limits.stopped => {
                Some("heat has stopped the engine meanwhile")
            }
            Self::Stop if !now.administered.is_held() => {
                Some("another order has started the engine meanwhile")
            }
            _ => None,
        }
    }
}

/// How the machine is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    PowerOff,
    Reboot,
}

impl Ending {
    fn target(self) -> &'static str {
        match self {
            Self::PowerOff => "poweroff.target",
            Self::Reboot => "reboot.target",
        }
    }
}

/// How far the task has come.
#[derive(Clone, Debug, Default)]
struct Progress {
    /// The orders that the wish had which was tried last.
    orders: u64,
    /// Why it is not fulfilled.
    problem: Option<String>,
    /// What the unit had before anything was chosen, as far as something is.
    first: Properties,
}

/// The task, and the place where it finds what is wanted.
#[derive(Debug)]
pub(super) struct Supervision {
    systemd: Systemd,
    wish: watch::Sender<Wish>,
    progress: watch::Receiver<Progress>,
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
    /// `told` is the engine's unit, as systemd tells it.
    pub(super) fn start(
        connection: Connection,
        folders: Folders,
        wish: Wish,
        told: watch::Receiver<Unit>,
    ) -> Self {
        let aborted = wish.abort.clone();
        let (sender, wishes) = watch::channel(wish);
        let systemd = Systemd::new(connection);
        let file = folders.runtime.map(|folder| folder.join("engine-unit.json"));
        let unit = EngineUnit::new(systemd.clone(), file);
        let (publish, progress) = watch::channel(Progress {
            first: unit.first_resources().clone(),
            ..Progress::default()
        });
        let supervisor = Supervisor {
            unit,
            told,
            aborted,
            progress: publish,
            systemd: systemd.clone(),
            state: folders.state,
            power_off_told: false,
            powering_off: false,
            problem: String::new(),
        };
        Self {
            systemd,
            wish: sender,
            progress,
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

    /// Whether systemd is there to do what is ordered.
    pub(super) fn takes_orders(&self) -> impl Future<Output = anyhow::Result<()>> + Send + use<> {
        let systemd = self.systemd.clone();
        async move { demand(&systemd).await }
    }

    /// Waits until the newest wish is fulfilled, unless the machine is to end, and runs the errand, once: a job that fails is
    /// told and not tried again. Where heat stops the engine meanwhile, systemd drops the job: it ends as `canceled`.
    pub(super) fn carry_out(
        &self,
        errand: Errand,
    ) -> impl Future<Output = anyhow::Result<()>> + Send + use<> {
        let orders = self.wish.borrow().orders;
        let progress = self.progress.clone();
        let wishes = self.wish.subscribe();
        let systemd = self.systemd.clone();
        async move {
            if !matches!(errand, Errand::End(_)) {
                fulfilled(progress, orders).await?;
            }
            // What is decided while the job runs has systemd drop it, or is seen at the next patrol.
            if let Some(why) = errand.overtaken(&wishes.borrow()) {
                return Err(anyhow!(why));
            }
            match errand {
                Errand::Start => Ok(start(&systemd).await?),
                Errand::Restart => Ok(restart(&systemd).await?),
                Errand::End(ending) => Ok(systemd.isolate(ending.target()).await?),
                Errand::Stop | Errand::Nothing => Ok(()),
            }
        }
    }

    /// What the unit may have, as systemd tells it now.
    pub(super) fn limits(&self) -> impl Future<Output = anyhow::Result<ShownLimits>> + Send + use<> {
        let systemd = self.systemd.clone();
        let chosen = self.wish.borrow().administered.limits.clone();
        let first = self.progress.borrow().first.clone();
        async move {
            demand(&systemd).await?;
            let found = systemd.resources(SERVICE, Property::ALL).await;
            let found = found.with_context(|| format!("systemd cannot be asked about {SERVICE}"))?;
            let in_force = shown(&found);
            let own = found.into_iter().chain(first).collect();
            Ok(ShownLimits {
                chosen,
                in_force,
                own: shown(&own),
            })
        }
    }

    /// Gives everything back but an administrator's hold, unless the machine is being powered off: then nothing may warm
    /// it.
    pub(super) async fn end(self) {
        let Self { wish, task, .. } = self;
        if wish.borrow().power_off.is_none() {
            wish.send_modify(|wish| {
                wish.limits = EngineLimits::default();
                wish.administered.limits = Default::default();
            });
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

/// Waits until the wish with so many orders has been tried.
async fn fulfilled(mut progress: watch::Receiver<Progress>, orders: u64) -> anyhow::Result<()> {
    let tried = progress.wait_for(|progress| progress.orders >= orders);
    let tried = timeout(ORDER_TIME, tried).await.with_context(|| {
        format!(
            "systemd has not done it within {} s; it goes on being asked",
            ORDER_TIME.as_secs()
        )
    })?;
    match &tried.context("hearthd is stopping")?.problem {
        Some(problem) => Err(anyhow!("{problem}; it goes on being tried")),
        None => Ok(()),
    }
}

struct Supervisor {
    progress: watch::Sender<Progress>,
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
            let Some(fulfilled) = self.fulfil_unless_outdone(&wish, wishes.clone()).await else {
                continue;
            };
            self.tell_progress(&wish, &fulfilled);
            let next = match fulfilled {
                Ok(()) => {
                    self.well();
                    pause = FIRST_PAUSE;
                    wish.limits().stopped.then_some(PATROL)
                }
                Err(error) => {
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

    /// Fulfils a wish. `None`: something is wanted meanwhile that does not wait for it.
    async fn fulfil_unless_outdone(
        &mut self,
        wish: &Wish,
        mut wishes: watch::Receiver<Wish>,
    ) -> Option<anyhow::Result<()>> {
        let outdone = async { wishes.wait_for(|now| now.outdoes(wish)).await.is_ok() };
        tokio::select! {
            fulfilled = self.fulfil(wish) => Some(fulfilled),
            true = outdone => None,
        }
    }

    /// Tries all, whatever becomes of the first: where systemd does not power off, the engine must not warm on.
    async fn fulfil(&mut self, wish: &Wish) -> anyhow::Result<()> {
        let off = match &wish.power_off {
            Some(reason) => self.power_off(reason).await,
            None => Ok(()),
        };
        let held_back = self.unit.hold_back(&wish.limits(), wish.grace()).await;
        let limited = self.unit.limit(&wish.administered.limits).await;
        let aborted = self.abort(wish).await;
        off.and(held_back.and(limited).map_err(anyhow::Error::new))
            .and(aborted)
    }

    fn tell_progress(&self, wish: &Wish, fulfilled: &anyhow::Result<()>) {
        self.progress.send_replace(Progress {
            orders: wish.orders,
            problem: fulfilled.as_ref().err().map(|error| format!("{error:#}")),
            first: self.unit.first_resources().clone(),
        });
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

/// Where there is no systemd, an administrator is told so.
async fn demand(systemd: &Systemd) -> anyhow::Result<()> {
    let there = systemd.is_there().await;
    if there.context("cannot tell whether there is a systemd on this bus")? {
        Ok(())
    } else {
        Err(anyhow!(
            "there is no systemd on this bus: the engine's unit cannot be changed"
        ))
    }
}

async fn rest(pause: Option<Duration>) {
    match pause {
        Some(pause) => sleep(pause).await,
        None => pending().await,
    }
}
