//! `hearthd run`: one loop that owns all state.

mod events;
mod laws;
mod observer;
mod pressure;
mod reclaim;
mod requests;
mod steward;
mod told;

pub(crate) use observer::watched;

use crate::actuators::UnitWatch;
use crate::bus::{Bus, Holders, Requests};
use crate::cli::RunOptions;
use crate::clock::boot_time;
use crate::doors::{Doors, Heard, Sockets};
use crate::{journal, privileges};
use anyhow::{Context, bail};
use events::{Event, Events, Stop};
use sd_notify::NotifyState;
use steward::Steward;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{info, warn};

/// How many callers' requests wait for the loop before further callers are sent away.
const QUEUE: usize = 64;

/// Runs until a signal asks to stop.
pub(crate) fn run(options: &RunOptions) -> anyhow::Result<()> {
    // Before any thread could be started, as capabilities and the environment are the process's own.
    privileges::drop_all().context("cannot drop capabilities")?;
    journal::start()?;
    let sockets = sockets(options)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .context("cannot start the event loop")?
        .block_on(serve(options, sockets))
}

fn sockets(options: &RunOptions) -> anyhow::Result<Sockets> {
    let sockets = match &options.sockets {
        Some(folder) => Sockets::bound(folder)?,
        None => Sockets::inherited()?,
    };
    if sockets.is_empty() {
        info!("there are no sockets for the engine and the gateway: what they do is not heard");
    }
    Ok(sockets)
}

/// The machine is looked after before the bus is there, and is given back whatever ends the loop.
async fn serve(options: &RunOptions, sockets: Sockets) -> anyhow::Result<()> {
    // Before anything is changed: a signal that comes while the bus is sought must not leave it so.
    let stop = Stop::listen()?;
    let mut steward = Steward::new(options)?;
    steward.step(None)?;
    let outcome = turn(&mut steward, options, sockets, stop).await;
    steward.restore().await;
    outcome
}

async fn turn(
    steward: &mut Steward,
    options: &RunOptions,
    sockets: Sockets,
    mut stop: Stop,
) -> anyhow::Result<()> {
    let (sender, requests) = mpsc::channel(QUEUE);
    let bus = tokio::select! {
        bus = Bus::connect(&options.bus, steward.published(), Requests::new(sender)) => bus?,
        signal = stop.asked() => {
            info!(signal, "stopping before there is a bus");
            return notify(&[NotifyState::Stopping]);
        }
    };
    let connection = bus.connection.clone();
    let unit = UnitWatch::start(connection.clone());
    steward.supervise(connection.clone(), options, unit.now);
    let (gone, holders_gone) = mpsc::channel(QUEUE);
    let holders = Holders::new(connection.clone(), gone);
    let mut events = Events::new(
        Doors::open(sockets)?,
        unit.changes,
        requests,
        holders_gone,
        connection,
        stop,
    );
    tell_start(steward, options);
    notify(&[NotifyState::Ready])?;
    let mut daemon = Daemon {
        steward,
        bus,
        holders,
        status: String::new(),
    };
    daemon.turn(&mut events).await?;
    notify(&[NotifyState::Stopping])?;
    // While what was changed is put back, nobody is answered any more.
    daemon.bus.let_go().await;
    Ok(())
}

fn tell_start(steward: &Steward, options: &RunOptions) {
    let found = steward.observer.capabilities();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        policies = found.policies.len(),
        zones = found.zones.len(),
        hwmon = found.hwmon.len(),
        "publishing on {}",
        options.bus
    );
}

struct Daemon<'s> {
    steward: &'s mut Steward,
    bus: Bus,
    holders: Holders,
    /// What `systemctl status` shows.
    status: String,
}

impl Daemon<'_> {
    async fn turn(&mut self, events: &mut Events) -> anyhow::Result<()> {
        loop {
            self.tell_status()?;
            match events.next(self.steward.next_step()?).await {
                Event::StepDue => self.step(events, None)?,
                Event::WatchdogDue => notify(&[NotifyState::Watchdog])?,
                Event::Heard(heard) => self.hear(events, heard)?,
                Event::Kernel { devices } => {
                    let observer = &mut self.steward.observer;
                    if devices {
                        observer.rediscover();
                    } else {
                        observer.look_again();
                    }
                    self.step(events, None)?;
                }
                Event::Deaf(error) => {
                    warn!(
                        "{:#}; changes are noticed by the timer only",
                        anyhow::Error::new(error)
                    );
                    events.ignore_kernel();
                }
                Event::Unit(unit) => {
                    // What the engine said last may be why it ended, and systemd's word has come first.
                    self.steward.hear_engine(&events.doors().engine(), boot_time()?);
                    self.steward.hear_systemd(unit)?;
                    self.step(events, None)?;
                }
                Event::Request(request) => self.answer(events, request)?,
                Event::HolderGone(name) => self.part(events, &name)?,
                Event::BusLost => bail!("the bus has closed the connection"),
                Event::Stop(signal) => {
                    info!(signal, "stopping");
                    return Ok(());
                }
            }
        }
    }

    fn hear(&mut self, events: &Events, heard: Heard) -> anyhow::Result<()> {
        let now = boot_time()?;
        match heard {
            Heard::Engine(word) => {
                self.steward.hear_engine(&word, now);
                self.step(events, word.at())
            }
            Heard::Arrival => {
                if self.steward.hear_arrival(now) {
                    events.doors().ask();
                }
                self.step(events, None)
            }
        }
    }

    /// Steps, and tells the engine and the bus what has come of it.
    fn step(&mut self, events: &Events, heard: Option<Instant>) -> anyhow::Result<()> {
        self.steward.step(heard)?;
        events.doors().order(self.steward.order());
        self.bus.publish(self.steward.published());
        self.holders.watch(self.steward.wishes.connections());
        Ok(())
    }

    fn tell_status(&mut self) -> anyhow::Result<()> {
        let status = self.steward.status();
        if status != self.status {
            notify(&[NotifyState::Status(&status)])?;
            self.status = status;
        }
        Ok(())
    }
}

fn notify(state: &[NotifyState<'_>]) -> anyhow::Result<()> {
    sd_notify::notify(state).context("cannot notify the service manager")
}
