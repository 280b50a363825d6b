//! What callers on the bus ask for, answered.

use super::events::Events;
use super::{Daemon, told};
use crate::actuators::{Ending, Errand};
use crate::bus::{Caller, Change, Order, Request};
use crate::clock::boot_time;
use crate::engine::{Now, Room, check};
use crate::interval::Interval;
use crate::state::{Ended, FileError, NewHold, Owner, Refusal};
use api::engine::UnitLimits;
use machine::{BootTime, MilliCelsius, PowerProfile};
use time::OffsetDateTime;
use tokio::sync::oneshot;
use tracing::{debug, info};

/// What an order comes to.
struct Wanted {
    /// What is left for systemd to do once.
    errand: Errand,
    /// Whether what is wanted could be written down. It is carried out all the same, and whoever has ordered it is told
    /// then.
    kept: Result<(), FileError>,
}

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
            Request::Samples(seconds, reply) => {
                self.freshen(events)?;
                answer(reply, self.steward.samples(seconds));
            }
            Request::Engine(reply) => answer(reply, self.steward.engine(boot_time()?)),
            Request::EngineLimits(reply) => match self.steward.engine_limits() {
                Ok(limits) => later(reply, limits),
                Err(error) => answer(reply, Err(error)),
            },
            Request::TakesOrders(reply) => match self.steward.takes_orders() {
                Ok(takes) => later(reply, takes),
                Err(error) => answer(reply, Err(error)),
            },
            Request::Order(order, caller, done) => self.order(events, order, &caller, done)?,
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
            Change::ForgetModel(name) => self.forget_model(&name, now),
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

    /// Who has removed it has told so already.
    fn forget_model(&mut self, name: &str, now: BootTime) -> Result<(), Refusal> {
        let overseer = &mut self.steward.overseer;
        if overseer.holds(name) {
            told::released(name, "it was removed");
        }
        overseer.forget(name, Now::at(now)).map_err(Refusal::NotKept)
    }

    /// An administrator orders something of the engine's unit. What is wanted is in force at once; who has asked is told
    /// when systemd has carried it out.
    fn order(
        &mut self,
        events: &Events,
        order: Order,
        caller: &Caller,
        done: oneshot::Sender<Result<(), Refusal>>,
    ) -> anyhow::Result<()> {
        let wanted = self.administer(order, caller);
        self.step(events, None)?;
        let wanted = match wanted {
            Ok(wanted) => wanted,
            Err(refusal) => {
                answer(done, Err(refusal));
                return Ok(());
            }
        };
        match self.steward.carry_out(wanted.errand) {
            Ok(carried_out) => later(done, async move {
                carried_out.await.map_err(not_done)?;
                wanted.kept.map_err(Refusal::NotKept)
            }),
            Err(error) => answer(done, Err(not_done(error))),
        }
        Ok(())
    }

    /// Notes what is wanted from now on.
    fn administer(&mut self, order: Order, caller: &Caller) -> Result<Wanted, Refusal> {
        let heat = self.steward.heat();
        let book = &mut self.steward.administered;
        match order {
            Order::Stop => {
                told::asked("the engine was stopped", caller);
                Ok(Wanted {
                    errand: Errand::Stop,
                    kept: book.hold(Some(OffsetDateTime::now_utc())),
                })
            }
            Order::Start => {
                let kept = book.hold(None);
                if let Some(why) = heat {
                    told::asked("the engine was released, and heat keeps it stopped", caller);
                    kept.map_err(Refusal::NotKept)?;
                    return Err(Refusal::Hot(why));
                }
                told::asked("the engine was started", caller);
                Ok(Wanted {
                    errand: Errand::Start,
                    kept,
                })
            }
            Order::Restart => match heat {
                Some(why) => Err(Refusal::Hot(why)),
                None if book.now().is_held() => Err(Refusal::Held),
                None => {
                    told::asked("the engine was restarted", caller);
                    Ok(Wanted {
                        errand: Errand::Restart,
                        kept: Ok(()),
                    })
                }
            },
            Order::End(ending) => {
                let what = match ending {
                    Ending::PowerOff => "the machine is powered off",
                    Ending::Reboot => "the machine is restarted",
                };
                told::asked(what, caller);
                Ok(Wanted {
                    errand: Errand::End(ending),
                    kept: Ok(()),
                })
            }
            Order::Limit(limits) => self.limit(limits, caller),
        }
    }

    fn limit(&mut self, limits: UnitLimits, caller: &Caller) -> Result<Wanted, Refusal> {
        let steward = &mut *self.steward;
        let cpus = steward.observer.last().cpus.iter();
        let processors: Vec<u32> = cpus.map(|cpu| cpu.id).collect();
        let room = Room {
            mem_total: steward.observer.capabilities().mem_total,
            processors: &processors,
        };
        check(&limits, room)?;
        told::asked(&format!("the engine's limits were set to {limits:?}"), caller);
        Ok(Wanted {
            errand: Errand::Nothing,
            kept: steward.administered.limit(limits),
        })
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

fn not_done(error: anyhow::Error) -> Refusal {
    Refusal::NotDone(format!("{error:#}"))
}

/// Answers when it is known what to: the loop does not wait for systemd.
fn later<T: Send + 'static>(caller: oneshot::Sender<T>, outcome: impl Future<Output = T> + Send + 'static) {
    tokio::spawn(async move { answer(caller, outcome.await) });
}

/// A caller that has hung up misses its answer, and that is all.
fn answer<T>(caller: oneshot::Sender<T>, answer: T) {
    if caller.send(answer).is_err() {
        debug!("a caller has hung up");
    }
}
