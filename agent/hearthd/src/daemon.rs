//! `hearthd run`: one loop that owns all state.

use crate::agent::{Agent, watched};
use crate::alerts::Change;
use crate::bus::{Bus, Caller, Request};
use crate::cli::RunOptions;
use crate::clock::boot_time;
use crate::events::{Event, Events};
use crate::interval::Interval;
use crate::{journal, privileges};
use anyhow::{Context, bail};
use linux::{Sampler, Tree};
use sd_notify::NotifyState;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// How many callers' requests wait for the loop before further callers wait for a place.
const QUEUE: usize = 16;

/// Runs until a signal asks to stop.
pub(crate) fn run(options: &RunOptions) -> anyhow::Result<()> {
    // Before any thread could be started, as capabilities are a thread's own.
    privileges::drop_all().context("cannot drop capabilities")?;
    journal::start()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .context("cannot start the event loop")?
        .block_on(serve(options))
}

async fn serve(options: &RunOptions) -> anyhow::Result<()> {
    let sampler = Sampler::new(Tree::open(&options.root)?, watched());
    let mut agent = Agent::new(sampler, options.interval);
    report(&agent.sample(boot_time()?));

    let (sender, requests) = mpsc::channel(QUEUE);
    let bus = Bus::connect(&options.bus, agent.published(), sender).await?;
    let events = Events::new(requests, bus.connection.clone())?;
    let found = agent.capabilities();
    info!(
        version = env!("CARGO_PKG_VERSION"),
        policies = found.policies.len(),
        zones = found.zones.len(),
        hwmon = found.hwmon.len(),
        "publishing on {}",
        options.bus
    );
    notify(&[NotifyState::Ready])?;

    let mut daemon = Daemon {
        due: Instant::now() + agent.interval().duration(),
        agent,
        bus,
        status: String::new(),
    };
    daemon.turn(events).await?;
    notify(&[NotifyState::Stopping])?;
    daemon.bus.connection.graceful_shutdown().await;
    Ok(())
}

struct Daemon {
    agent: Agent,
    bus: Bus,
    /// When the next sample is.
    due: Instant,
    /// What `systemctl status` shows.
    status: String,
}

impl Daemon {
    async fn turn(&mut self, mut events: Events) -> anyhow::Result<()> {
        loop {
            self.tell_status()?;
            match events.next(self.due).await {
                Event::SampleDue => {
                    self.due = Instant::now() + self.agent.interval().duration();
                    self.sample().await?;
                }
                Event::WatchdogDue => notify(&[NotifyState::Watchdog])?,
                Event::Request(request) => self.answer(request).await?,
                Event::BusLost => bail!("the bus has closed the connection"),
                Event::Stop(signal) => {
                    info!(signal, "stopping");
                    return Ok(());
                }
            }
        }
    }

    async fn sample(&mut self) -> anyhow::Result<()> {
        report(&self.agent.sample(boot_time()?));
        self.publish().await
    }

    async fn publish(&self) -> anyhow::Result<()> {
        let published = self.bus.publish(self.agent.published()).await;
        published.context("cannot tell the bus what has changed")
    }

    async fn answer(&mut self, request: Request) -> anyhow::Result<()> {
        match request {
            Request::Sample(reply) => {
                if self.agent.is_stale(boot_time()?) {
                    self.sample().await?;
                }
                answer(reply, self.agent.last().clone());
            }
            Request::Capabilities(reply) => answer(reply, self.agent.capabilities().clone()),
            Request::SetSampleInterval(interval, caller, done) => {
                self.set_interval(interval, &caller).await?;
                answer(done, ());
            }
        }
        Ok(())
    }

    async fn set_interval(&mut self, interval: Interval, caller: &Caller) -> anyhow::Result<()> {
        info!(
            uid = caller.uid,
            caller = caller.name,
            before_ms = self.agent.interval().millis(),
            after_ms = interval.millis(),
            "time between samples set to {interval} ms by user {}",
            caller.uid
        );
        self.agent.set_interval(interval);
        self.due = Instant::now() + interval.duration();
        self.publish().await
    }

    fn tell_status(&mut self) -> anyhow::Result<()> {
        let status = self.agent.status();
        if status != self.status {
            notify(&[NotifyState::Status(&status)])?;
            self.status = status;
        }
        Ok(())
    }
}

/// A caller that has hung up misses its answer, and that is all.
fn answer<T>(caller: oneshot::Sender<T>, answer: T) {
    if caller.send(answer).is_err() {
        debug!("a caller has hung up");
    }
}

fn report(changes: &[Change]) {
    for change in changes {
        match change {
            Change::Appeared(warning) => {
                warn!(
                    path = warning.path,
                    problem = warning.problem,
                    "{} {}",
                    warning.path,
                    warning.problem
                );
            }
            Change::Cleared(path) => info!(path, "{path} can be read again"),
        }
    }
}

fn notify(state: &[NotifyState<'_>]) -> anyhow::Result<()> {
    sd_notify::notify(state).context("cannot notify the service manager")
}
