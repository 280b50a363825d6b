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
pub(crate) enum Heard {
    /// The engine's newest record; `None`: it is gone.
    Engine(Option<PhaseRecord>, Instant),
    /// The gateway announces a request.
    Arrival,
}

/// Both doors, attended by tasks of their own.
#[derive(Debug)]
pub(crate) struct Doors {
    engine: watch::Receiver<EngineWord>,
    arrivals: watch::Receiver<()>,
    orders: watch::Sender<EngineOrder>,
}

#[derive(Clone, Copy, Debug)]
struct EngineWord {
    record: Option<PhaseRecord>,
    at: Instant,
}

impl Doors {
    /// Opens the doors that there are sockets for; nothing is ever heard at one without.
    pub(crate) fn open(sockets: Sockets) -> anyhow::Result<Self> {
        let gone = EngineWord {
            record: None,
            at: Instant::now(),
        };
        let (say, engine) = watch::channel(gone);
        let (ring, arrivals) = watch::channel(());
        let (orders, ordered) = watch::channel(EngineOrder::default());
        if let Some(listener) = sockets.phase {
            tokio::spawn(phase::attend(listen(listener)?, say, ordered));
        }
        if let Some(listener) = sockets.arrival {
            tokio::spawn(arrival::attend(listen(listener)?, ring));
        }
        Ok(Self {
            engine,
            arrivals,
            orders,
        })
    }

    /// Waits for a word. It can be dropped while it waits; nothing is lost by that.
    pub(crate) async fn next(&mut self) -> Heard {
        tokio::select! {
            Ok(()) = self.engine.changed() => {
                let EngineWord { record, at } = *self.engine.borrow_and_update();
                Heard::Engine(record, at)
            }
            Ok(()) = self.arrivals.changed() => Heard::Arrival,
            // Nobody is at either door.
            else => pending().await,
        }
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

fn listen(listener: net::UnixListener) -> anyhow::Result<Porter> {
    let listening = listener
        .set_nonblocking(true)
        .and_then(|()| UnixListener::from_std(listener));
    let listening = listening.map(Porter::new);
    listening.context("cannot wait at a socket for the engine or the gateway")
}
