//! Where the engine says what it does and the gateway that a request has come: two seqpacket sockets, each its
//! speaker's alone. What is heard is a level, not a queue: the last word counts.

mod arrival;
mod connection;
mod pace;
mod phase;
mod porter;
mod sockets;

pub(crate) use sockets::Sockets;

use anyhow::Context;
use api::phase::{EngineOrder, PhaseRecord};
use porter::Porter;
use std::future::pending;
use std::os::unix::net;
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::time::Instant;

/// What was heard, and when.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "one at a time is handed on: copying 200 bytes costs less than a box"
)]
pub(crate) enum Heard {
    /// The engine's word.
    Engine(EngineWord),
    /// The gateway announces a request.
    Arrival,
}

/// Both doors, attended by tasks of their own.
#[derive(Debug)]
pub(crate) struct Doors {
    engine: watch::Receiver<EngineWord>,
    arrivals: watch::Receiver<()>,
    orders: watch::Sender<EngineOrder>,
    asks: watch::Sender<()>,
}

/// What the engine has said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EngineWord {
    /// What it said last, even if it has gone since: that it was about to load a model may be all that it said.
    pub(crate) said: Option<Said>,
    /// When it went; `None` while it is there.
    pub(crate) gone_at: Option<Instant>,
}

/// A record of the engine's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Said {
    pub(crate) record: PhaseRecord,
    /// When it came.
    pub(crate) at: Instant,
    /// Whose it is, where the kernel tells: each run of the engine is another process.
    pub(crate) process: Option<u32>,
}

impl EngineWord {
    /// Its newest record, if it is there.
    pub(crate) fn record(&self) -> Option<PhaseRecord> {
        let said = self.said.filter(|_| self.gone_at.is_none())?;
        Some(said.record)
    }

    /// When it said something, or went.
    pub(crate) fn at(&self) -> Option<Instant> {
        self.gone_at.or(self.said.map(|said| said.at))
    }
}

impl Doors {
    /// Opens the doors that there are sockets for; nothing is ever heard at one without.
    pub(crate) fn open(sockets: Sockets) -> anyhow::Result<Self> {
        let nothing = EngineWord {
            said: None,
            gone_at: None,
        };
        let (say, engine) = watch::channel(nothing);
        let (ring, arrivals) = watch::channel(());
        let (orders, ordered) = watch::channel(EngineOrder::default());
        let (asks, asked) = watch::channel(());
        if let Some(listener) = sockets.phase {
            tokio::spawn(phase::attend(listen(listener)?, say, ordered, asked));
        }
        if let Some(listener) = sockets.arrival {
            tokio::spawn(arrival::attend(listen(listener)?, ring));
        }
        Ok(Self {
            engine,
            arrivals,
            orders,
            asks,
        })
    }

    /// Waits for a word. It can be dropped while it waits; nothing is lost by that.
    pub(crate) async fn next(&mut self) -> Heard {
        tokio::select! {
            Ok(()) = self.engine.changed() => {
                Heard::Engine(*self.engine.borrow_and_update())
            }
            Ok(()) = self.arrivals.changed() => Heard::Arrival,
            // Nobody is at either door.
            else => pending().await,
        }
    }

    /// The engine's newest word, whether it was heard by [`Self::next`] or not.
    pub(crate) fn engine(&self) -> EngineWord {
        *self.engine.borrow()
    }

    /// Tells the engine what is wanted of it, now and whenever it comes anew.
    pub(crate) fn order(&self, order: EngineOrder) {
        self.orders.send_if_modified(|before| {
            let differs = *before != order;
            *before = order;
            differs
        });
    }
}

impl Doors {
    /// Has the engine told again what it was told: each order is answered by a record.
    pub(crate) fn ask(&self) {
        self.asks.send_replace(());
    }
}

fn listen(listener: net::UnixListener) -> anyhow::Result<Porter> {
    let listening = listener
        .set_nonblocking(true)
        .and_then(|()| UnixListener::from_std(listener));
    let listening = listening.map(Porter::new);
    listening.context("cannot wait at a socket for the engine or the gateway")
}
