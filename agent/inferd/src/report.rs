//! Tells hearthd what the engine does, and hears from it what it wants of the engine.
//!
//! hearthd may be absent, restart or be slow: no answer waits for it. A record that cannot be sent is dropped, for the
//! next one says all that it said.

mod link;
mod meter;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use api::phase::{EngineOrder, FIRST_ORDER_MS, REPORT_INTERVAL_MS};
use engine::activity::{Activity, Phase, Pulse, Witness};
use engine::engine::Engine;
use machine::PressureLevel;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use link::Link;
use meter::Meter;

/// The first pause before hearthd is sought again; it doubles from there. systemd has it back after as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// What hearthd wants of the engine; `None` until the first order has come or there turned out to be no hearthd.
#[derive(Clone)]
pub(crate) struct Orders(watch::Receiver<Option<EngineOrder>>);

impl Orders {
    /// This order and no other.
    #[cfg(test)]
    pub(crate) fn of(order: EngineOrder) -> Self {
        Self(watch::channel(Some(order)).1)
    }

    /// The next order.
    pub(crate) async fn changed(&mut self) -> EngineOrder {
        match self.0.changed().await {
            Ok(()) => self.0.borrow_and_update().unwrap_or_default(),
            // The engine has ended.
            Err(_) => std::future::pending().await,
        }
    }

    /// The order in force; the first one is waited for. Where none comes in time the engine goes on without.
    pub(crate) async fn first(&mut self) -> EngineOrder {
        let limit = Duration::from_millis(FIRST_ORDER_MS);
        match timeout(limit, self.0.wait_for(Option::is_some)).await {
            Ok(Ok(order)) => order.unwrap_or_default(),
            Ok(Err(_)) | Err(_) => EngineOrder::default(),
        }
    }
}

/// Reports for as long as the engine runs.
pub(crate) fn start(socket: PathBuf, engine: Engine) -> Orders {
    let (give, orders) = watch::channel(None);
    let watched = Watched {
        activity: engine.activity(),
        pulse: engine.pulse(),
        witness: engine.witness(),
    };
    let obey = move |order: EngineOrder| {
        engine.trim(order.pressure >= PressureLevel::Trim);
        engine.limit_context(order.context.map(|tokens| tokens as usize));
        let before = give.send_replace(Some(order)).unwrap_or_default();
        if before.slots != order.slots {
            match order.slots {
                Some(slots) => tracing::info!(slots, "hearthd limits how many are answered at once"),
                None => tracing::info!("as many are answered at once as slots were set up"),
            }
            engine.limit_slots(order.slots.map(|slots| slots as usize));
        }
    };
    tokio::spawn(Reporter::new(socket, watched, obey).run());
    Orders(orders)
}

/// What is told of the engine.
struct Watched {
    activity: watch::Receiver<Activity>,
    pulse: Pulse,
    witness: Witness,
}

struct Reporter<Obey> {
    socket: PathBuf,
    activity: watch::Receiver<Activity>,
    witness: Witness,
    obey: Obey,
    meter: Meter,
    link: Option<Link>,
    /// The order in force; `None` before the first.
    order: Option<EngineOrder>,
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
    fn new(socket: PathBuf, watched: Watched, obey: Obey) -> Self {
        Self {
            socket,
            activity: watched.activity,
            witness: watched.witness,
            obey,
            meter: Meter::new(watched.pulse),
            link: None,
            order: None,
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
                self.witness.attend();
                self.since = Instant::now();
                if self.told {
                    tracing::info!("hearthd is told what the engine does, again");
                    self.told = false;
                }
            }
            Err(error) => {
                self.go_on_alone();
                self.postpone(&error);
            }
        }
    }

    fn send(&mut self) {
        let (record, loads) = {
            let activity = self.activity.borrow_and_update();
            (self.meter.record(&activity), activity.loads)
        };
        let Some(link) = &self.link else { return };
        match link.send(&record.encode()) {
            Ok(true) => self.witness.told(loads),
            Ok(false) => tracing::debug!("hearthd is slow: a record is dropped"),
            Err(error) => self.lose(&error),
        }
    }

    fn follow(&mut self, order: EngineOrder) {
        if self.order != Some(order) {
            self.order = Some(order);
            (self.obey)(order);
        }
    }

    /// Without hearthd nothing is held back: if it comes again it says so again. Only a model that has ended the engine
    /// time and again stays what it was.
    fn go_on_alone(&mut self) {
        let last = self.order.unwrap_or_default();
        self.follow(EngineOrder {
            quarantined: last.quarantined,
            fallback: last.fallback,
            ..EngineOrder::default()
        });
    }

    fn lose(&mut self, error: &io::Error) {
        self.link = None;
        self.witness.leave();
        self.go_on_alone();
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
