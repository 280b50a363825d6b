//! How far the engine's unit is held back beyond the clock, carried out by systemd.
//!
//! The socket is stopped together with the service, as it would start it again. Freezing is not used: a frozen unit
//! trips systemd's watchdog.

#[cfg(test)]
mod tests;

use super::systemd::{JobError, NO_QUOTA, Properties, Systemd, chosen};
use crate::state::{FileError, load, remove, save};
use api::engine::{ActiveState, Unit, UnitLimits};
use machine::EngineLimits;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::{info, warn};

/// The engine.
pub(crate) const SERVICE: &str = "hearth-inferd.service";
/// What starts it.
pub(super) const SOCKET: &str = "hearth-inferd.socket";

/// How long the engine has to end by itself before it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Grace(Duration);

impl Grace {
    /// Heat does not wait for answers.
    pub(super) const OF_HEAT: Self = Self(Duration::from_secs(3));
    /// An administrator's stop lets the engine give its answers, for up to 10 s, and park what it holds, for up to 10 s
    /// more.
    pub(super) const OF_ORDER: Self = Self(Duration::from_secs(25));
}

/// How long a start of the engine may take, with the end of the run before it: it may be answering.
const START_TIME: Duration = Duration::from_secs(30);

/// How long any other job of systemd's may take.
const JOB_TIME: Duration = Duration::from_secs(10);

/// How long a stuck engine has to write down what it was at before it is killed: one that is stopped never does.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// States of a unit that does not run.
const ENDED: [&str; 2] = ["inactive", "failed"];

/// Processor time per second of one per cent of a processor, in microseconds.
const USEC_PER_PERCENT: u64 = 10_000;

/// Why the unit is not as it should be.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("systemd cannot be asked about {unit}")]
    Ask { unit: &'static str, source: zbus::Error },
    #[error("systemd does not {verb} {unit}")]
    Tell {
        verb: &'static str,
        unit: &'static str,
        source: JobError,
    },
    #[error("systemd did not {verb} {unit} within {} s", time.as_secs())]
    Slow {
        verb: &'static str,
        unit: &'static str,
        time: Duration,
    },
    #[error(transparent)]
    State(#[from] FileError),
}

/// What was found before hearthd first changed it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct FirstSeen {
    /// The quota in microseconds per second, all bits set for none; `null`: hearthd has not changed it.
    cpu_quota_usec: Option<u64>,
    /// Whether the socket was listening; `null`: hearthd has not stopped it.
    socket_was_active: Option<bool>,
    /// Resource properties that an administrator has chosen, as they were before.
    #[serde(default)]
    resources: Properties,
}

/// The engine's unit.
#[derive(Debug)]
pub(super) struct EngineUnit {
    systemd: Systemd,
    /// Where [`FirstSeen`] survives a crash; `None` in development.
    file: Option<PathBuf>,
    first_seen: FirstSeen,
    /// The quota that systemd was told last by this process.
    quota: Option<u64>,
    /// The resource properties that it was told last.
    resources: Properties,
}

impl EngineUnit {
    /// The unit, with what an earlier run that crashed has left.
    pub(super) fn new(systemd: Systemd, file: Option<PathBuf>) -> Self {
        let left = file.as_deref().map(load);
        let first_seen = match left {
            None | Some(Ok(None)) => FirstSeen::default(),
            Some(Ok(Some(first_seen))) => first_seen,
            Some(Err(error)) => {
                let error = anyhow::Error::new(error);
                warn!(
                    "{error:#}; the engine's quota is taken for none, its socket for listening, and the limits that it has now for its unit's own"
                );
                FirstSeen {
                    cpu_quota_usec: Some(NO_QUOTA),
                    socket_was_active: Some(true),
                    resources: Properties::new(),
                }
            }
        };
        Self {
            systemd,
            file,
            first_seen,
            quota: None,
            resources: Properties::new(),
        }
    }

    /// Brings the unit to where it should be. Repeating it changes nothing, and it goes on after an error: an engine
    /// whose time cannot be rationed is stopped all the same. `grace` is for an engine that is stopped.
    pub(super) async fn hold_back(&mut self, limits: &EngineLimits, grace: Grace) -> Result<(), Error> {
        let rationed = match limits.cpu_quota_percent {
            Some(percent) => self.ration(percent).await,
            None => self.unration().await,
        };
        let stopped = if limits.stopped {
            self.stop(grace).await
        } else {
            self.allow().await
        };
        rationed.and(stopped)?;
        self.forget()
    }

    async fn ration(&mut self, percent: u32) -> Result<(), Error> {
        let first = match self.first_seen.cpu_quota_usec {
            Some(first) => first,
            None => {
                let found = self.systemd.cpu_quota(SERVICE).await;
                let found = found.map_err(|source| Error::Ask {
                    unit: SERVICE,
                    source,
                })?;
                self.first_seen.cpu_quota_usec = Some(found);
                self.remember()?;
                found
            }
        };
        self.set_quota(first.min(u64::from(percent) * USEC_PER_PERCENT))
            .await
    }

    async fn unration(&mut self) -> Result<(), Error> {
        if let Some(first) = self.first_seen.cpu_quota_usec {
            self.set_quota(first).await?;
            self.first_seen.cpu_quota_usec = None;
            self.remember()?;
        }
        Ok(())
    }

    async fn set_quota(&mut self, quota: u64) -> Result<(), Error> {
        if self.quota != Some(quota) {
            let told = self.systemd.set_cpu_quota(SERVICE, quota).await;
            told.map_err(|source| Error::Tell {
                verb: "ration the processor time of",
                unit: SERVICE,
                source: source.into(),
            })?;
            info!(
                unit = SERVICE,
                cpu_quota_usec = quota,
                "{SERVICE} may use {} of a processor",
                share(quota)
            );
            self.quota = Some(quota);
        }
        Ok(())
    }

    /// Has systemd hold the unit to what is chosen, and to what it had before in all else. Repeating it changes nothing.
    pub(super) async fn limit(&mut self, limits: &UnitLimits) -> Result<(), Error> {
        let chosen = chosen(limits);
        self.see_first(&chosen).await?;
        let first = self.first_seen.resources.iter();
        let wanted =
            first.map(|(property, first)| (*property, chosen.get(property).unwrap_or(first).clone()));
        let fresh: Properties = wanted
            .filter(|(property, value)| self.resources.get(property) != Some(value))
            .collect();
        self.set_resources(fresh).await?;
        let before = self.first_seen.resources.len();
        self.first_seen
            .resources
            .retain(|property, _| chosen.contains_key(property));
        if self.first_seen.resources.len() < before {
            self.remember()?;
        }
        self.forget()
    }

    /// What the unit had before anything was chosen, as far as something is.
    pub(super) fn first_resources(&self) -> &Properties {
        &self.first_seen.resources
    }

    async fn see_first(&mut self, chosen: &Properties) -> Result<(), Error> {
        let known = &self.first_seen.resources;
        let unseen: Vec<_> = chosen
            .keys()
            .filter(|property| !known.contains_key(property))
            .copied()
            .collect();
        if unseen.is_empty() {
            return Ok(());
        }
        let found = self.systemd.resources(SERVICE, unseen).await;
        let found = found.map_err(|source| Error::Ask {
            unit: SERVICE,
            source,
        })?;
        self.first_seen.resources.extend(found);
        self.remember()
    }

    async fn set_resources(&mut self, fresh: Properties) -> Result<(), Error> {
        if fresh.is_empty() {
            return Ok(());
        }
        let told = self.systemd.set_resources(SERVICE, &fresh).await;
        told.map_err(|source| Error::Tell {
            verb: "set the resources of",
            unit: SERVICE,
            source: source.into(),
        })?;
        for (property, value) in &fresh {
            info!(
                unit = SERVICE,
                property = property.name(),
                "{SERVICE} has {} {value}",
                property.name()
            );
        }
        self.resources.extend(fresh);
        Ok(())
    }

    async fn stop(&mut self, grace: Grace) -> Result<(), Error> {
        if self.first_seen.socket_was_active.is_none() {
            let active = self.is(SOCKET, &["active"]).await?;
            self.first_seen.socket_was_active = Some(active);
            self.remember()?;
        }
        if self.is(SERVICE, &ENDED).await? && self.is(SOCKET, &ENDED).await? {
            return Ok(());
        }
        info!("stopping {SOCKET} and {SERVICE}");
        // A service that warms on is worse than a socket that starts it again, which is seen at the next look.
        let socket = job("stop", SOCKET, self.systemd.stop(SOCKET)).await;
        let service = self.stop_service(grace).await;
        socket.and(service)
    }

    async fn stop_service(&self, Grace(grace): Grace) -> Result<(), Error> {
        if let Ok(stopped) = timeout(grace, self.systemd.stop(SERVICE)).await {
            return tell("stop", SERVICE, stopped);
        }
        warn!(
            "killing {SERVICE}, which has not ended within {} s",
            grace.as_secs()
        );
        let killed = self.systemd.kill(SERVICE, Signal::SIGKILL).await;
        tell("kill", SERVICE, killed.map_err(JobError::from))
    }

    /// Ends that run of the engine, which is stuck; systemd starts the next. One that is over is let be: what runs now
    /// is another. `told` is what systemd tells of the unit.
    pub(super) async fn abort(&self, run: &str, mut told: watch::Receiver<Unit>) -> Result<(), Error> {
        for signal in [Signal::SIGABRT, Signal::SIGKILL] {
            if is_over(run, &told.borrow_and_update()) {
                break;
            }
            let killed = self.systemd.kill(SERVICE, signal).await;
            tell("kill", SERVICE, killed.map_err(JobError::from))?;
            let over = told.wait_for(|now| is_over(run, now));
            // Whether it was in time is seen before the next signal.
            let _in_time = timeout(LAST_WORDS, over).await;
        }
        Ok(())
    }

    async fn allow(&mut self) -> Result<(), Error> {
        if let Some(was_active) = self.first_seen.socket_was_active {
            if was_active {
                info!("starting {SOCKET} again");
                job("start", SOCKET, self.systemd.start(SOCKET)).await?;
            }
            self.first_seen.socket_was_active = None;
            self.remember()?;
        }
        Ok(())
    }

    async fn is(&self, unit: &'static str, states: &[&str]) -> Result<bool, Error> {
        let state = self.systemd.active_state(unit).await;
        let state = state.map_err(|source| Error::Ask { unit, source })?;
        Ok(states.contains(&state.as_str()))
    }

    fn remember(&self) -> Result<(), Error> {
        match &self.file {
            Some(file) => Ok(save(file, &self.first_seen)?),
            None => Ok(()),
        }
    }

    fn forget(&self) -> Result<(), Error> {
        match &self.file {
            Some(file) if self.first_seen == FirstSeen::default() => Ok(remove(file)?),
            _ => Ok(()),
        }
    }
}

/// Whether a run has ended, as the unit is now.
fn is_over(run: &str, now: &Unit) -> bool {
    let ended = matches!(now.active_state, ActiveState::Inactive | ActiveState::Failed);
    ended || now.invocation_id != run || now.sub_state.starts_with("auto-restart")
}

async fn job(
    verb: &'static str,
    unit: &'static str,
    job: impl Future<Output = Result<(), JobError>>,
) -> Result<(), Error> {
    within(JOB_TIME, verb, unit, job).await
}

async fn within(
    time: Duration,
    verb: &'static str,
    unit: &'static str,
    job: impl Future<Output = Result<(), JobError>>,
) -> Result<(), Error> {
    let done = timeout(time, job).await;
    tell(verb, unit, done.map_err(|_| Error::Slow { verb, unit, time })?)
}

/// Starts the engine, and its socket with it, as one needs the other.
pub(super) async fn start(systemd: &Systemd) -> Result<(), Error> {
    within(START_TIME, "start", SERVICE, systemd.start(SERVICE)).await
}

/// Starts the engine anew, or at all.
pub(super) async fn restart(systemd: &Systemd) -> Result<(), Error> {
    within(START_TIME, "restart", SERVICE, systemd.restart(SERVICE)).await
}

fn tell(verb: &'static str, unit: &'static str, told: Result<(), JobError>) -> Result<(), Error> {
    told.map_err(|source| Error::Tell { verb, unit, source })
}

fn share(quota: u64) -> String {
    match quota {
        NO_QUOTA => "all the time".to_owned(),
        quota => format!("{} %", quota / USEC_PER_PERCENT),
    }
}
