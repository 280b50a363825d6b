//! What the loop waits for.

use crate::bus::Request;
use anyhow::Context;
use std::future::pending;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval, sleep_until};
use zbus::Connection;

/// Everything that can happen to the daemon.
#[derive(Debug)]
pub(crate) enum Event {
    /// It is time for a sample.
    SampleDue,
    /// It is time to tell the service manager that the loop turns.
    WatchdogDue,
    /// A caller on the bus wants something.
    Request(Request),
    /// The bus has closed the connection.
    BusLost,
    /// A signal asks to stop; its name.
    Stop(&'static str),
}

/// The sources of events.
pub(crate) struct Events {
    requests: mpsc::Receiver<Request>,
    connection: Connection,
    terminate: Signal,
    interrupt: Signal,
    watchdog: Option<Interval>,
}

impl Events {
    pub(crate) fn new(requests: mpsc::Receiver<Request>, connection: Connection) -> anyhow::Result<Self> {
        Ok(Self {
            requests,
            connection,
            terminate: signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?,
            watchdog: watchdog(),
        })
    }

    /// Waits for the next event. `due` is when the next sample is.
    pub(crate) async fn next(&mut self, due: Instant) -> Event {
        tokio::select! {
            () = sleep_until(due) => Event::SampleDue,
            () = tick(self.watchdog.as_mut()) => Event::WatchdogDue,
            Some(request) = self.requests.recv() => Event::Request(request),
            () = self.connection.closed() => Event::BusLost,
            _ = self.terminate.recv() => Event::Stop("SIGTERM"),
            _ = self.interrupt.recv() => Event::Stop("SIGINT"),
        }
    }
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
