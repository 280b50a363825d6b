//! What the loop waits for.

use crate::bus::Request;
use crate::doors::{Doors, Heard};
use anyhow::Context;
use api::engine::Unit;
use linux::{KernelEvent, KernelEvents};
use std::future::pending;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};
use tracing::warn;
use zbus::Connection;

/// Everything that can happen to the daemon.
#[derive(Debug)]
pub(crate) enum Event {
    /// It is time for a step.
    StepDue,
    /// It is time to tell the service manager that the loop turns.
    WatchdogDue,
    /// The engine or the gateway has said something.
    Heard(Heard),
    /// The kernel has told something. If a device came or went, that is `devices`.
    Kernel { devices: bool },
    /// The kernel's events cannot be heard any more.
    Deaf(linux::Error),
    /// systemd tells something of the engine's unit.
    Unit(Unit),
    /// A caller on the bus wants something.
    Request(Request),
    /// Who held a profile has left the bus: its unique name.
    HolderGone(String),
    /// The bus has closed the connection.
    BusLost,
    /// A signal asks to stop; its name.
    Stop(&'static str),
}

/// The sources of events.
pub(crate) struct Events {
    doors: Doors,
    kernel: Option<AsyncFd<KernelEvents>>,
    unit: mpsc::Receiver<Unit>,
    requests: mpsc::Receiver<Request>,
    holders_gone: mpsc::Receiver<String>,
    connection: Connection,
    stop: Stop,
    watchdog: Option<Interval>,
}

/// The signals that ask to stop.
pub(crate) struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// From now on they end hearthd only where they are waited for.
    pub(crate) fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
        })
    }

    /// Waits for one, and names it.
    pub(crate) async fn asked(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

impl Events {
    pub(crate) fn new(
        doors: Doors,
        unit: mpsc::Receiver<Unit>,
        requests: mpsc::Receiver<Request>,
        holders_gone: mpsc::Receiver<String>,
        connection: Connection,
        stop: Stop,
    ) -> Self {
        Self {
            doors,
            kernel: listen_to_kernel(),
            unit,
            requests,
            holders_gone,
            connection,
            stop,
            watchdog: watchdog(),
        }
    }

    /// Waits for the next event. `due` is when the next step is.
    pub(crate) async fn next(&mut self, due: Instant) -> Event {
        tokio::select! {
            () = sleep_until(due) => Event::StepDue,
            () = tick(self.watchdog.as_mut()) => Event::WatchdogDue,
            heard = self.doors.next() => Event::Heard(heard),
            event = kernel(&mut self.kernel) => event,
            Some(unit) = self.unit.recv() => Event::Unit(unit),
            Some(request) = self.requests.recv() => Event::Request(request),
            Some(name) = self.holders_gone.recv() => Event::HolderGone(name),
            () = self.connection.closed() => Event::BusLost,
            signal = self.stop.asked() => Event::Stop(signal),
        }
    }

    /// The doors, to answer the engine.
    pub(crate) fn doors(&self) -> &Doors {
        &self.doors
    }

    /// Listens to the kernel no more.
    pub(crate) fn ignore_kernel(&mut self) {
        self.kernel = None;
    }
}

/// A kernel that tells nothing is no reason not to run: the timer looks.
fn listen_to_kernel() -> Option<AsyncFd<KernelEvents>> {
    let listening = KernelEvents::open().map_err(anyhow::Error::new);
    match listening.and_then(readable) {
        Ok(events) => Some(events),
        Err(error) => {
            warn!("{error:#}; changes are noticed by the timer only");
            None
        }
    }
}

#[expect(
    deprecated,
    reason = "its successor is unsafe to call; all it asks is that the descriptor stays the same, and it does"
)]
fn readable(events: KernelEvents) -> anyhow::Result<AsyncFd<KernelEvents>> {
    AsyncFd::with_interest(events, Interest::READABLE).context("cannot wait for the kernel's events")
}

async fn kernel(events: &mut Option<AsyncFd<KernelEvents>>) -> Event {
    let Some(events) = events else {
        return pending().await;
    };
    loop {
        let mut ready = match events.readable_mut().await {
            Ok(ready) => ready,
            Err(error) => {
                warn!("cannot wait for the kernel's events: {error}");
                return pending().await;
            }
        };
        match drain(ready.get_inner_mut()) {
            Ok(Some(devices)) => return Event::Kernel { devices },
            Ok(None) => ready.clear_ready(),
            Err(error) => return Event::Deaf(error),
        }
    }
}

/// Takes all that is told, which asks for one look however much it is. `None`: nothing; else, whether it was of devices.
fn drain(events: &mut KernelEvents) -> Result<Option<bool>, linux::Error> {
    let mut told = None;
    while let Some(event) = events.next()? {
        let devices = matches!(event, KernelEvent::Devices | KernelEvent::Lost);
        told = Some(told.unwrap_or(false) || devices);
    }
    Ok(told)
}

/// Half the time that the service manager allows, if it watches.
fn watchdog() -> Option<Interval> {
    let limit = sd_notify::watchdog_enabled()?;
    let mut ticks = interval(limit / 2);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(ticks)
}

async fn tick(ticks: Option<&mut Interval>) {
    match ticks {
        Some(ticks) => drop(ticks.tick().await),
        None => pending().await,
    }
}
