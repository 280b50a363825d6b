//! When the engine parks and when its process ends: a pure state law.
//!
//! `Up → Parking → Parked → Leaving`, and back to `Up` with each request. It asks no clock and does no IO: whoever
//! carries it out tells it of connections, requests and the time, asks for the next [`Step`], and reports back. From
//! outside a process that has left is the state *stopped*: its socket stays with systemd, and wakes the next.

use std::sync::Arc;
use std::time::{Duration, Instant};

use machine::PressureLevel;

use super::keep_alive::KeepAlive;

/// How long a process waits at least for whoever it was started for.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long what stays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// A model after its last answer, where neither a request nor the model's settings say.
    pub(crate) keep_alive: KeepAlive,
    /// The process after the last answer, once the model is parked.
    pub(crate) exit: KeepAlive,
}

/// What is wished for a model, by a request that it has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// The model.
    pub(crate) model: Arc<str>,
    /// How long the request wants it to stay.
    pub(crate) keep_alive: Option<KeepAlive>,
    /// How long its settings want it to stay.
    pub(crate) usual: Option<KeepAlive>,
    /// Whether its settings want it never to be parked.
    pub(crate) pinned: bool,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Conversations are to leave memory and the model is to be unmapped; [`Law::parked`] is to be told.
    Park,
    /// Conversations that nobody is answered in are to leave memory, the model stays.
    ParkSessions,
    /// No connection is to be accepted any more; then [`Law::may_leave`] is to be asked once more.
    Leave,
    /// The process is to end, and to come back with what context it is told then. Answers that are under way have the time
    /// to end that they have at each end.
    Shrink,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A model is loaded, or may be at any time.
    Up,
    /// It is on its way out of memory.
    Parking,
    /// It is not in memory.
    Parked,
    /// Nothing is accepted, for the process is to end.
    Leaving,
}

/// The law and what it knows.
#[derive(Debug)]
pub(crate) struct Law {
    limits: Limits,
    state: State,
    /// When the process began.
    begun: Instant,
    connections: usize,
    /// Whether there ever was one.
    is_met: bool,
    /// Requests that are being answered, or wait to be.
    requests: usize,
    /// When the last of them ended.
    idle_since: Instant,
    /// The model that the wishes are for.
    model: Option<Arc<str>>,
    /// Models that are wanted out of memory by somebody who came while requests were being answered.
    unwanted: Vec<Arc<str>>,
    /// What its stay was before a request said otherwise.
    usual: KeepAlive,
    /// A request's word holds until another's, or until the model goes.
    keep_alive: KeepAlive,
    pinned: bool,
    pressure: PressureLevel,
    /// Whether there is nothing more to be gained of conversations in memory.
    sessions_parked: bool,
    /// Whether a model was loaded in this process: what was not is loaded with the context that hearthd says.
    was_up: bool,
}

impl Law {
    /// For an engine that begins now.
    pub(crate) fn new(limits: Limits, now: Instant) -> Self {
        Self {
            limits,
            state: State::Up,
            begun: now,
            connections: 0,
            is_met: false,
            requests: 0,
            idle_since: now,
            model: None,
            unwanted: Vec::new(),
            usual: limits.keep_alive,
            keep_alive: limits.keep_alive,
            pinned: false,
            pressure: PressureLevel::None,
            sessions_parked: true,
            was_up: false,
        }
    }

    /// A connection was accepted.
    pub(crate) fn connect(&mut self) {
        self.connections += 1;
        self.is_met = true;
    }

    /// It has ended.
    pub(crate) fn disconnect(&mut self) {
        self.connections -= 1;
    }

    /// A request has come. Whether it may be answered: it may, but for want of memory.
    pub(crate) fn begin(&mut self) -> bool {
        if self.pressure >= PressureLevel::Refuse {
            return false;
        }
        self.requests += 1;
        self.state = State::Up;
        true
    }

    /// Whether a request has come in this process.
    pub(crate) fn was_asked(&self) -> bool {
        self.was_up || self.requests > 0
    }

    /// A model is loaded for it.
    pub(crate) fn loaded(&mut self) {
        self.was_up = true;
    }

    /// It has ended. If a model has answered it, with what is wished for that. Its conversation may be in memory now.
    pub(crate) fn end(&mut self, wish: Option<Wish>, now: Instant) {
        self.requests -= 1;
        self.idle_since = now;
        self.sessions_parked = false;
        if let Some(wish) = wish {
            self.heed(wish);
        }
        if self.requests == 0 {
            self.unwanted.clear();
        }
    }

    /// There is no model in memory. If nobody is being answered, none has wishes any more: it was parked, or was removed.
    pub(crate) fn gone(&mut self) {
        if self.requests == 0 {
            self.model = None;
            self.pinned = false;
            self.keep_alive = self.limits.keep_alive;
        }
    }

    fn heed(&mut self, wish: Wish) {
        let usual = wish.usual.unwrap_or(self.limits.keep_alive);
        if self.model.as_ref() != Some(&wish.model) || self.usual != usual {
            self.keep_alive = usual;
        }
        self.usual = usual;
        self.pinned = wish.pinned;
        self.keep_alive = wish.keep_alive.unwrap_or(self.keep_alive);
        if self.unwanted.contains(&wish.model) {
            self.let_go();
        }
        self.model = Some(wish.model);
    }

    /// A model is wanted out of memory as soon as nobody is being answered, if it is the one that is there then: whichever
    /// answers under way are its own is known when they end, and what they wish for it was said before.
    pub(crate) fn unload(&mut self, model: &str) {
        if self.model.as_deref() == Some(model) {
            self.let_go();
        }
        if self.requests > 0 && self.unwanted.iter().all(|unwanted| **unwanted != *model) {
            self.unwanted.push(model.into());
        }
    }

    fn let_go(&mut self) {
        self.keep_alive = KeepAlive::For(Duration::ZERO);
        self.pinned = false;
    }

    /// So short is memory on the machine.
    pub(crate) fn press(&mut self, pressure: PressureLevel) {
        self.pressure = pressure;
    }

    /// What to do now, if anything is to be done. It counts as begun.
    pub(crate) fn next(&mut self, now: Instant) -> Option<Step> {
        if self.pressure == PressureLevel::Shrink && self.was_up && self.state != State::Leaving {
            self.state = State::Leaving;
            return Some(Step::Shrink);
        }
        let is_idle = self.requests == 0;
        let over = |limit: Option<Instant>| limit.is_some_and(|limit| limit <= now);
        match self.state {
            State::Up if is_idle && over(self.park_at()) => {
                self.state = State::Parking;
                self.sessions_parked = true;
                Some(Step::Park)
            }
            // Also while others are being answered.
            State::Up if self.is_pressed() && !self.sessions_parked => {
                self.sessions_parked = true;
                Some(Step::ParkSessions)
            }
            State::Parked if is_idle && self.connections == 0 && over(self.leave_at()) => {
                self.state = State::Leaving;
                Some(Step::Leave)
            }
            _ => None,
        }
    }

    /// When there will be something to do, if nothing happens until then.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        match self.state {
            _ if self.requests > 0 => None,
            State::Up => self.park_at(),
            State::Parked if self.connections == 0 => self.leave_at(),
            _ => None,
        }
    }

    /// The engine has parked, or has not because somebody was being answered.
    pub(crate) fn parked(&mut self, has: bool) {
        if self.state == State::Parking {
            self.state = if has { State::Parked } else { State::Up };
        }
        if has {
            self.gone();
        }
    }

    /// Whether the process may end now that nothing is accepted any more. If not, it is to accept again.
    pub(crate) fn may_leave(&mut self) -> bool {
        let may = self.state == State::Leaving && self.connections == 0;
        if !may && self.state == State::Leaving {
            self.state = State::Parked;
        }
        may
    }

    fn is_pressed(&self) -> bool {
        self.pressure >= PressureLevel::Park
    }

    /// When the model goes: a pinned one never does, and one that is not used at once where memory is short.
    fn park_at(&self) -> Option<Instant> {
        if self.pinned {
            None
        } else if self.is_pressed() {
            Some(self.idle_since)
        } else {
            self.awaited(self.keep_alive)
        }
    }

    fn leave_at(&self) -> Option<Instant> {
        self.awaited(self.limits.exit)
    }

    /// So long after the last answer; not before whoever started the process could come in.
    fn awaited(&self, time: KeepAlive) -> Option<Instant> {
        let over = time.after(self.idle_since)?;
        let patience = if self.is_met { Duration::ZERO } else { PATIENCE };
        Some(over.max(self.begun + patience))
    }
}

#[cfg(test)]
mod tests;
