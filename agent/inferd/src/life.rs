//! The engine's life, from its first request to its end: what `law` decides is carried out here.

mod keep_alive;
mod law;

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use engine::activity::{Activity, State};
use engine::engine::Engine;
use machine::PressureLevel;
use tokio::sync::{Notify, watch};
use tokio::time::sleep_until;

use crate::report::Orders;
pub(crate) use keep_alive::{KeepAlive, NoKeepAlive};
use law::{Law, Step};
pub(crate) use law::{Limits, Wish};

/// What the rest of the daemon tells the law by.
#[derive(Clone)]
pub(crate) struct Life(Arc<Shared>);

struct Shared {
    law: Mutex<Law>,
    changed: Notify,
    /// Somebody has connected since it was last asked.
    met: Notify,
}

/// Why the process is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// Nobody has asked anything for long. Nobody may be connected: see [`Life::may_leave`].
    Idle,
    /// Memory is short: the next process begins with a smaller context.
    Shrink,
}

/// A connection is open for as long as this is there.
pub(crate) struct Connection(Life);

impl Drop for Connection {
    fn drop(&mut self) {
        self.0.tell(Law::disconnect);
    }
}

/// A request is being answered for as long as this is there.
pub(crate) struct Asking {
    life: Life,
    /// What it wishes for its model; `None` until that is known.
    wish: Option<Wish>,
    is_answered: bool,
}

impl Asking {
    /// With what it wishes for its model.
    pub(crate) fn wishing(self, wish: Wish) -> Self {
        let mut asking = self;
        asking.wish = Some(wish);
        asking
    }

    /// The model is loaded and answers: what the request wishes for it counts.
    pub(crate) fn answered(&mut self) {
        self.is_answered = true;
        self.life.tell(Law::loaded);
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        let wish = self.wish.take().filter(|_| self.is_answered);
        self.life.tell(|law| law.end(wish, Instant::now()));
    }
}

impl Life {
    /// Of an engine that begins now.
    pub(crate) fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared {
            law: Mutex::new(Law::new(limits, Instant::now())),
            changed: Notify::new(),
            met: Notify::new(),
        }))
    }

    /// Somebody has connected.
    pub(crate) fn connection(&self) -> Connection {
        self.tell(Law::connect);
        self.0.met.notify_one();
        Connection(self.clone())
    }

    /// Waits until somebody has connected. One at a time may.
    pub(crate) async fn met(&self) {
        self.0.met.notified().await;
    }

    /// Somebody wants to be answered. None: memory is too short for that.
    pub(crate) fn ask(&self) -> Option<Asking> {
        self.tell(Law::begin).then(|| Asking {
            life: self.clone(),
            wish: None,
            is_answered: false,
        })
    }

    /// The same for what nobody has asked for: not where somebody has asked for something by now.
    pub(crate) fn ask_unless_asked(&self, wish: Wish) -> Option<Asking> {
        let was_asked = self.tell_silently(|law| law.was_asked());
        (!was_asked)
            .then(|| self.ask())
            .flatten()
            .map(|asking| asking.wishing(wish))
    }

    /// Somebody wants a model out of memory.
    pub(crate) fn unload(&self, model: &str) {
        self.tell(|law| law.unload(model));
    }

    /// So short is memory on the machine.
    pub(crate) fn press(&self, pressure: PressureLevel) {
        self.tell(|law| law.press(pressure));
    }

    /// Whether the process may end, now that it accepts nothing any more. If not, it is to accept again.
    pub(crate) fn may_leave(&self) -> bool {
        self.tell(Law::may_leave)
    }

    /// Carries out what the law says, until it says that the process is to end.
    pub(crate) async fn run(&self, engine: &Engine, orders: &mut Orders) -> Departure {
        let mut activity = engine.activity();
        loop {
            // A model is there before anybody is answered by it, and wishes come after that.
            if activity.borrow_and_update().state == State::Empty {
                self.tell_silently(Law::gone);
            }
            match self.tell_silently(|law| law.next(Instant::now())) {
                Some(Step::Park) => self.park(engine, orders).await,
                Some(Step::ParkSessions) => engine.park_sessions(),
                Some(Step::Leave) => return Departure::Idle,
                Some(Step::Shrink) => return Departure::Shrink,
                None => self.wait(orders, &mut activity).await,
            }
        }
    }

    async fn park(&self, engine: &Engine, orders: &mut Orders) {
        let begun = Instant::now();
        let mut parking = pin!(engine.park());
        let parked = loop {
            tokio::select! {
                parked = &mut parking => break parked,
                order = orders.changed() => self.press(order.pressure),
            }
        };
        let parked = parked.unwrap_or_else(|error| {
            tracing::warn!("the engine is not parked: {error}");
            false
        });
        let milliseconds = begun.elapsed().as_millis() as u64;
        if parked {
            tracing::info!(milliseconds, "parked");
        }
        self.tell_silently(|law| law.parked(parked));
    }

    /// Waits until something changes or is due.
    async fn wait(&self, orders: &mut Orders, activity: &mut watch::Receiver<Activity>) {
        let deadline = self.tell_silently(|law| law.deadline());
        tokio::select! {
            () = self.0.changed.notified() => {}
            () = until(deadline) => {}
            order = orders.changed() => self.press(order.pressure),
            // Where the engine has ended, the process ends by that.
            Ok(()) = activity.changed() => {}
        }
    }

    /// Tells the law something, and whoever carries it out that there may be something to do.
    fn tell<T>(&self, tell: impl FnOnce(&mut Law) -> T) -> T {
        let told = self.tell_silently(tell);
        self.0.changed.notify_one();
        told
    }

    fn tell_silently<T>(&self, tell: impl FnOnce(&mut Law) -> T) -> T {
        tell(&mut self.law())
    }

    fn law(&self) -> MutexGuard<'_, Law> {
        self.0.law.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
