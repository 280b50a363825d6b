//! Tells hearthd what the engine does, and hears from it how many may be answered at once.
//!
//! hearthd may be absent, restart or be slow: no answer waits for it. A record that cannot be sent is dropped, for the
//! next one says all that it said.

mod link;
mod meter;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use api::phase::{EngineOrder, REPORT_INTERVAL_MS};
use engine::activity::{Activity, Phase};
use engine::engine::Engine;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use link::Link;
use meter::Meter;

/// The first pause before hearthd is sought again; it doubles from there. systemd has it back after as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Reports for as long as the engine runs.
pub(crate) async fn report(socket: PathBuf, engine: Engine) {
    let activity = engine.activity();
    let obey = move |order: EngineOrder| {
        match order.slots {
            Some(slots) => tracing::info!(slots, "hearthd limits how many are answered at once"),
            None => tracing::info!("as many are answered at once as slots were set up"),
        }
        engine.limit_slots(order.slots.map(|slots| slots as usize));
    };
    Reporter::new(socket, activity, obey).run().await;
}

struct Reporter<Obey> {
    socket: PathBuf,
    activity: watch::Receiver<Activity>,
    obey: Obey,
    meter: Meter,
    link: Option<Link>,
    /// The order in force.
    order: EngineOrder,
    /// When a link was last made, or when one may be tried again.
    since: Instant,
    pause: Duration,
    told: bool,
}

/// What the reporter wakes for.
enum Wake {
    /// The time has come to report, or to seek hearthd again.
    Report,
    Order(io::Result<EngineOrder>),
    EngineEnded,
}

impl<Obey: Fn(EngineOrder)> Reporter<Obey> {
    fn new(socket: PathBuf, activity: watch::Receiver<Activity>, obey: Obey) -> Self {
        Self {
            socket,
            activity,
            obey,
            meter: Meter::default(),
            link: None,
            order: EngineOrder::default(),
            since: Instant::now(),
            pause: FIRST_PAUSE,
            told: false,
        }
    }

    async fn run(mut self) {
        loop {
            self.connect();
            self.send();
            match self.wait().await {
                Wake::Report => {}
                Wake::Order(Ok(order)) => self.follow(order),
                Wake::Order(Err(error)) => self.lose(&error),
                Wake::EngineEnded => return,
            }
        }
    }

    async fn wait(&mut self) -> Wake {
        let due = self.due();
        tokio::select! {
            changed = self.activity.changed() => match changed {
                Ok(()) => Wake::Report,
                Err(_) => Wake::EngineEnded,
            },
            order = next_order(self.link.as_ref()) => Wake::Order(order),
            () = until(due) => Wake::Report,
        }
    }

    /// When to wake at the latest; never, if hearthd knows that nothing is done.
    fn due(&self) -> Option<Instant> {
        if self.link.is_none() {
            return Some(self.since);
        }
        let working = self.activity.borrow().phase != Phase::Idle;
        working.then(|| Instant::now() + Duration::from_millis(REPORT_INTERVAL_MS))
    }

    /// Seeks hearthd, if it is time to.
    fn connect(&mut self) {
        if self.link.is_some() || Instant::now() < self.since {
            return;
        }
        match Link::connect(&self.socket) {
            Ok(link) => {
                self.link = Some(link);
                self.since = Instant::now();
                if self.told {
                    tracing::info!("hearthd is told what the engine does, again");
                    self.told = false;
                }
            }
            Err(error) => self.postpone(&error),
        }
    }

    fn send(&mut self) {
        let record = self.meter.record(&self.activity.borrow_and_update());
        let Some(link) = &self.link else { return };
        match link.send(&record.encode()) {
            Ok(true) => {}
            Ok(false) => tracing::debug!("hearthd is slow: a record is dropped"),
            Err(error) => self.lose(&error),
        }
    }

    fn follow(&mut self, order: EngineOrder) {
        if order != self.order {
            self.order = order;
            (self.obey)(order);
        }
    }

    /// Without hearthd nothing is held back: if it comes again it says so again.
    fn lose(&mut self, error: &io::Error) {
        self.link = None;
        self.follow(EngineOrder::default());
        if self.since.elapsed() > LONGEST_PAUSE {
            self.pause = FIRST_PAUSE;
        }
        self.postpone(error);
    }

    fn postpone(&mut self, error: &io::Error) {
        self.since = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        if !self.told {
            tracing::info!(
                socket = %self.socket.display(),
                "hearthd cannot be told what the engine does ({error}); answers go on without"
            );
            self.told = true;
        }
    }
}

async fn next_order(link: Option<&Link>) -> io::Result<EngineOrder> {
    match link {
        Some(link) => link.order().await,
        None => std::future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
