//! The engine's door. There is one engine: a new connection replaces the old one.

use super::connection::{Connection, Packet, newest};
use super::pace::Pace;
use super::porter::Porter;
use super::{EngineWord, Said};
use api::phase::{EngineOrder, Malformed, PhaseRecord};
use std::future::pending;
use std::io;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info, warn};

/// Listens until hearthd ends.
pub(super) async fn attend(
    mut porter: Porter,
    say: watch::Sender<EngineWord>,
    mut orders: watch::Receiver<EngineOrder>,
    mut asks: watch::Receiver<()>,
) {
    let mut door = Door {
        say,
        engine: None,
        owed: false,
        complained: false,
    };
    let mut pace = Pace::of_words();
    loop {
        let order = door.owed.then(|| *orders.borrow());
        tokio::select! {
            engine = porter.admit() => door.admit(engine),
            packet = newest(door.engine.as_ref()) => {
                door.hear(packet);
                pace.next().await;
            }
            sent = pay(door.engine.as_ref(), order) => door.paid(sent),
            Ok(()) = asks.changed() => door.owed = true,
            changed = orders.changed() => match changed {
                Ok(()) => door.owed = true,
                // hearthd is ending.
                Err(_) => return,
            },
        }
    }
}

struct Door {
    say: watch::Sender<EngineWord>,
    engine: Option<Connection>,
    /// The engine has not been told the newest order.
    owed: bool,
    /// A malformed packet was told, and no good one has come since.
    complained: bool,
}

impl Door {
    fn admit(&mut self, engine: Connection) {
        self.part();
        info!("the engine has connected");
        self.engine = Some(engine);
        self.owed = true;
    }

    fn hear(&mut self, packet: io::Result<Option<Packet>>) {
        match packet {
            Ok(Some(packet)) => match PhaseRecord::decode(packet.bytes()) {
                Ok(record) => self.heard(record),
                Err(problem) => self.refuse(problem),
            },
            Ok(None) => self.gone(),
            Err(error) => {
                debug!("the engine's connection broke: {error}");
                self.gone();
            }
        }
    }

    fn heard(&mut self, record: PhaseRecord) {
        self.complained = false;
        self.say.send_replace(EngineWord {
            said: Some(Said {
                record,
                at: Instant::now(),
                process: self.engine.as_ref().and_then(Connection::process),
            }),
            gone_at: None,
        });
    }

    fn refuse(&mut self, problem: Malformed) {
        if !self.complained {
            warn!("closing the engine's connection: {problem}");
            self.complained = true;
        }
        self.gone();
    }

    fn gone(&mut self) {
        if self.engine.take().is_some() {
            info!("the engine has gone");
            self.say.send_modify(|word| word.gone_at = Some(Instant::now()));
        }
    }

    /// Leaves the engine that there is. Its last word counts: it tells with which model it has ended.
    fn part(&mut self) {
        let rest = self.engine.as_ref().and_then(Connection::rest);
        if let Some(Ok(record)) = rest.map(|packet| PhaseRecord::decode(packet.bytes())) {
            self.heard(record);
        }
        self.gone();
    }

    fn paid(&mut self, sent: io::Result<()>) {
        self.owed = false;
        if let Err(error) = sent {
            debug!("the engine cannot be told what is wanted of it: {error}");
            self.part();
        }
    }
}

/// Sends an order that the engine has not been told yet.
async fn pay(engine: Option<&Connection>, order: Option<EngineOrder>) -> io::Result<()> {
    match (engine, order) {
        (Some(engine), Some(order)) => engine.send(&order.encode()).await,
        _ => pending().await,
    }
}
