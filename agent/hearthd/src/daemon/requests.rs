//! What callers on the bus ask for, answered.

use super::events::Events;
use super::{Daemon, told};
use crate::bus::{Caller, Change, Request};
use crate::clock::boot_time;
use crate::engine::Now;
use crate::interval::Interval;
use crate::state::{Ended, NewHold, Owner, Refusal};
use machine::{BootTime, MilliCelsius, PowerProfile};
use tokio::sync::oneshot;
use tracing::{debug, info};

impl Daemon<'_> {
    /// Answers a caller. Whatever it changes is in force before it is told so.
    pub(super) fn answer(&mut self, events: &Events, request: Request) -> anyhow::Result<()> {
        match request {
            Request::Sample(reply) => {
                self.freshen(events)?;
                answer(reply, self.steward.observer.last().clone());
            }
            Request::Capabilities(reply) => answer(reply, self.steward.observer.capabilities().clone()),
            Request::Power(reply) => {
                self.freshen(events)?;
                answer(reply, Box::new(self.steward.power()));
            }
            Request::Thermal(reply) => {
                self.freshen(events)?;
                answer(reply, Box::new(self.steward.thermal()));
            }
            Request::Memory(reply) => {
                self.freshen(events)?;
                let memory = self.steward.memory(boot_time()?);
                answer(reply, Box::new(memory));
            }
            Request::Engine(reply) => answer(reply, self.steward.engine(boot_time()?)),
            Request::Change(change, caller, done) => {
                let changed = self.change(change, &caller, boot_time()?);
                self.step(events, None)?;
                answer(done, changed);
            }
            Request::Hold(hold, seconds, caller, done) => {
                let held = self.hold(hold, seconds, &caller, boot_time()?);
                self.step(events, None)?;
                answer(done, held);
            }
        }
        Ok(())
    }

    /// A holder has left the bus.
    pub(super) fn part(&mut self, events: &Events, name: &str) -> anyhow::Result<()> {
        let ended = self.steward.wishes.leave(name);
        told::ended(&ended, "its holder has left the bus");
        self.step(events, None)
    }

    /// What is shown is a quarter of a second old at most.
    fn freshen(&mut self, events: &Events) -> anyhow::Result<()> {
        if self.steward.observer.is_stale(boot_time()?) {
            self.step(events, None)?;
        }
        Ok(())
    }

    fn change(&mut self, change: Change, caller: &Caller, now: BootTime) -> Result<(), Refusal> {
        match change {
            Change::SampleInterval(interval) => {
                self.set_interval(interval, caller);
                Ok(())
            }
            Change::Profile(profile) => self.choose(profile, caller),
            Change::Target(target) => self.aim(target, caller),
            Change::Release(id) => self.release(id, &Owner::Administrator, caller),
            Change::ReleaseOwn(id) => self.release(id, &Owner::Connection(caller.name.clone()), caller),
            Change::ReleaseModel(name) => self.release_model(name, caller, now),
        }
    }

    fn set_interval(&mut self, interval: Interval, caller: &Caller) {
        let observer = &mut self.steward.observer;
        info!(
            uid = caller.uid,
            caller = caller.name,
            before_ms = observer.interval().millis(),
            after_ms = interval.millis(),
            "time between samples set to {interval} ms by user {}",
            caller.uid
        );
        observer.set_interval(interval);
    }

    fn choose(&mut self, profile: PowerProfile, caller: &Caller) -> Result<(), Refusal> {
        let (ended, kept) = self.steward.wishes.choose(profile);
        told::asked(&format!("the profile was set to {profile}"), caller);
        self.over(&ended, "a profile was chosen");
        kept
    }

    fn aim(&mut self, target: Option<MilliCelsius>, caller: &Caller) -> Result<(), Refusal> {
        let aimed = self.steward.wishes.aim(target);
        // What cannot be kept is in force all the same.
        if matches!(aimed, Ok(()) | Err(Refusal::NotKept(_))) {
            let target = target.map_or("the firmware profile's".to_owned(), |target| target.to_string());
            told::asked(&format!("the target was set to {target}"), caller);
        }
        aimed
    }

    fn hold(
        &mut self,
        mut hold: NewHold,
        seconds: u64,
        caller: &Caller,
        now: BootTime,
    ) -> Result<u32, Refusal> {
        let until = now.0.saturating_add(seconds.saturating_mul(1_000_000));
        hold.until = (seconds > 0).then_some(BootTime(until));
        let said = format!("{} is held for {}: {}", hold.profile, hold.holder, hold.reason);
        let id = self.steward.wishes.hold(hold)?;
        told::asked(&format!("{said} (hold {id})"), caller);
        Ok(id)
    }

    fn release(&mut self, id: u32, by: &Owner, caller: &Caller) -> Result<(), Refusal> {
        let ended = self.steward.wishes.release(id, by)?;
        told::asked(&format!("hold {id} was released"), caller);
        self.over(&ended, "it was released");
        Ok(())
    }

    fn release_model(&mut self, name: String, caller: &Caller, now: BootTime) -> Result<(), Refusal> {
        let released = self.steward.overseer.release(&name, Now::at(now));
        if matches!(released, Ok(false)) {
            return Err(Refusal::NotQuarantined(name));
        }
        told::asked(&format!("the model {name} was released"), caller);
        told::released(&name, "it was released");
        // What cannot be kept is in force all the same.
        released.map(drop).map_err(Refusal::NotKept)
    }

    /// Holders on the bus are told that their holds are over.
    fn over(&self, ended: &[Ended], why: &str) {
        told::ended(ended, why);
        for Ended { hold, owner } in ended {
            if let Owner::Connection(holder) = owner {
                self.bus.tell_released(holder, hold.id);
            }
        }
    }
}

/// A caller that has hung up misses its answer, and that is all.
fn answer<T>(caller: oneshot::Sender<T>, answer: T) {
    if caller.send(answer).is_err() {
        debug!("a caller has hung up");
    }
}
