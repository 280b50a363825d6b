//! Observe, decide, act: the loop's one step, without a bus and without waiting for anything.

use super::laws::Laws;
use super::observer::{Observer, watched};
use super::pressure::Relief;
use super::reclaim::{RECLAIMED, ReclaimLaw};
use super::told::{self, Told};
use crate::actuators::{Actuators, Errand, Folders};
use crate::cli::RunOptions;
use crate::clock::{boot_time, unix_time};
use crate::doors::EngineWord;
use crate::engine::{AdministeredBook, Circumstances, News, Now, Overseer, Room, Verdict};
use crate::history::HistoryBook;
use crate::recording::Recorder;
use crate::state::{PowerOff, WishBook};
use crate::tuning::tuning_for;
use crate::view::{
    PackagePower, PowerFacts, Profiles, Published, Reactions, Readings, ThermalFacts, memory, power, row,
    thermal,
};
use anyhow::Context;
use api::engine::{Engine, EngineLimits, Unit};
use api::memory::MemoryUse;
use api::phase::EngineOrder;
use api::power::{Power, Thermal};
use api::samples::Samples;
use linux::{Reclaimer, Sampler, Tree, Writer};
use machine::{BootTime, Decision, Sample};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{info, warn};

/// No two steps by the timer are closer than this, whatever the laws say.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);

/// What is asked of a hearthd that changes nothing.
const WATCHES: &str = "hearthd only watches: it was started with --watch-only";

/// All that hearthd knows and can do but the bus.
#[derive(Debug)]
pub(crate) struct Steward {
    pub(crate) observer: Observer,
    pub(crate) wishes: WishBook,
    laws: Laws,
    reclaim: ReclaimLaw,
    relief: Relief,
    pub(crate) overseer: Overseer,
    pub(crate) administered: AdministeredBook,
    /// When the engine's last word came that the overseer has heard.
    heard_at: Option<Instant>,
    /// When it is looked next whether the engine is stuck, if it is watched.
    look_at: Option<BootTime>,
    /// When the last step was.
    stepped_at: BootTime,
    /// Folders of firmware profiles.
    folders: Vec<PathBuf>,
    /// `None`: hearthd only watches.
    actuators: Option<Actuators>,
    recorder: Option<Recorder>,
    told: Told,
    package: PackagePower,
    history: HistoryBook,
    reactions: Reactions,
}

impl Steward {
    /// Looks at the machine, and takes over what a run that crashed has left.
    pub(crate) fn new(options: &RunOptions) -> anyhow::Result<Self> {
        tell_last_power_off(options.state.as_deref());
        let sampler = Sampler::new(Tree::open(&options.root)?, watched());
        let mut told = Told::default();
        let actuators = actuators(options, &mut told)?;
        let tuning = tuning_for(sampler.capabilities(), &options.profiles);
        info!(
            profile = tuning.profile,
            "the firmware profile is {}", tuning.profile
        );
        let recorder = options.record.as_deref().map(Recorder::create).transpose()?;
        let kept = |name: &str| options.state.as_ref().map(|folder| folder.join(name));
        let wishes = WishBook::open(kept("wishes.json"));
        let mut laws = Laws::new(sampler.capabilities().clone(), tuning);
        laws.heed(wishes.wishes());
        let cpus = sampler.sample(boot_time()?).cpus;
        let processors: Vec<u32> = cpus.iter().map(|cpu| cpu.id).collect();
        let room = Room {
            mem_total: sampler.capabilities().mem_total,
            processors: &processors,
        };
        let administered = AdministeredBook::open(kept("administered.json"), room);
        Ok(Self {
            observer: Observer::new(sampler, options.interval),
            wishes,
            laws,
            reclaim: ReclaimLaw::new(),
            relief: Relief::default(),
            overseer: Overseer::open(kept("quarantine.json")),
            administered,
            heard_at: None,
            look_at: None,
            stepped_at: BootTime(0),
            folders: options.profiles.clone(),
            actuators,
            recorder,
            told,
            package: PackagePower::default(),
            history: HistoryBook::open(kept("history.json")),
            reactions: Reactions::default(),
        })
    }

    /// Reads the machine, decides, and carries the decision out. `heard` is when the engine's word came, if it was one.
    pub(crate) fn step(&mut self, heard: Option<Instant>) -> anyhow::Result<()> {
        let now = boot_time()?;
        self.stepped_at = now;
        let ended = self.wishes.expire(now);
        told::ended(&ended, "its time is up");
        told::readings(&self.observer.sample(now));
        self.decide();
        let applied = match &mut self.actuators {
            Some(actuators) => actuators.apply(self.laws.decision(), self.administered.now()),
            None => linux::Applied::default(),
        };
        if let Some(heard) = heard.filter(|_| !applied.changes.is_empty()) {
            self.reactions.note(heard.elapsed());
        }
        self.told.decision(now, self.laws.decision());
        self.told.applied(now, &applied);
        self.relieve(now);
        told::engine(&self.overseer.lapse(Now::at(now)));
        self.watch_engine(now);
        self.give_memory_back(now);
        self.package
            .update(self.observer.capabilities(), self.observer.last());
        self.history.take(row(
            unix_time(),
            self.observer.capabilities(),
            self.observer.last(),
            self.laws.decision(),
            &self.package,
        ));
        Ok(())
    }

    /// Looks whether memory is short, if it is time to. What the engine is to do about it is in its next order.
    fn relieve(&mut self, now: BootTime) {
        if self.relief.is_due(now, self.observer.engine_runs()) {
            self.look_at_memory(now);
            // An engine that is gone counts as it was seen last.
            if self.observer.engine_runs() && self.relief.was_short(now) {
                self.relief.note(self.observer.engine_share(now));
            }
        }
    }

    fn look_at_memory(&mut self, now: BootTime) {
        let sample = self.observer.pressure_sample(now);
        if let Some(recorder) = &mut self.recorder {
            recorder.note_pressure(&sample);
        }
        let before = self.relief.step(&sample);
        told::pressure(&before, self.relief.decision());
    }

    /// The engine says something, or has gone.
    pub(crate) fn hear_engine(&mut self, word: &EngineWord, now: BootTime) {
        if let Some(said) = &word.said
            && self.heard_at != Some(said.at)
        {
            self.heard_at = Some(said.at);
            let news = self.overseer.hear(&said.record, said.process, Now::at(now));
            told::engine(&news);
        }
        if word.record().is_none() {
            self.overseer.gone();
        }
        self.observer.hear_engine(word.record(), now);
    }

    /// The gateway announces a request. Whether the engine is to be asked if it lives: one that is there and at rest says
    /// nothing by itself, and the request is for it.
    pub(crate) fn hear_arrival(&mut self, now: BootTime) -> bool {
        self.observer.hear_arrival(now);
        self.observer.last().engine.is_some() && self.overseer.ask(now)
    }

    /// systemd tells something of the engine's unit.
    pub(crate) fn hear_systemd(&mut self, unit: Unit) -> anyhow::Result<()> {
        let now = boot_time()?;
        if unit.result.is_failure() {
            // It may have been ended for want of memory, and between two looks memory can run out.
            self.look_at_memory(now);
        }
        let what = Circumstances {
            is_stopped: self.is_stopped(),
            is_excused: self.relief.others_took_it(now),
        };
        let news = self.overseer.hear_systemd(unit, what, Now::at(now));
        told::engine(&news);
        Ok(())
    }

    /// Whether hearthd keeps the engine from running, for heat or for an administrator.
    fn is_stopped(&self) -> bool {
        self.laws.decision().engine.stopped || self.administered.now().is_held()
    }

    /// Why heat keeps the engine from running, if it does.
    pub(crate) fn heat(&self) -> Option<String> {
        let decision = self.laws.decision();
        let last = || self.laws.steps().last().map(|step| step.note.reason.clone());
        let stopped = decision.engine.stopped;
        stopped.then(|| last().unwrap_or_else(|| "the machine is too hot".to_owned()))
    }

    /// Whether orders can be carried out; the future asks whether systemd is there.
    pub(crate) fn takes_orders(
        &self,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + Send + use<>> {
        self.actuators.as_ref().context(WATCHES)?.takes_orders()
    }

    /// Has an administrator's order carried out that was applied.
    pub(crate) fn carry_out(
        &mut self,
        errand: Errand,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<()>> + Send + use<>> {
        let actuators = self.actuators.as_mut().context(WATCHES)?;
        actuators.carry_out(errand)
    }

    /// What the engine's unit may have, as systemd tells it.
    pub(crate) fn engine_limits(
        &self,
    ) -> anyhow::Result<impl Future<Output = anyhow::Result<EngineLimits>> + Send + use<>> {
        self.actuators.as_ref().context(WATCHES)?.engine_limits()
    }

    /// How many processors' time the engine may use at most, by its quota and by how many it may run on.
    fn engine_processors(&self) -> Option<f64> {
        let allowed = self.administered.now().limits.allowed_cpus.as_ref();
        let limits = [
            self.observer.engine_cpu_limit(),
            allowed.map(|cpus| cpus.len() as f64),
        ];
        limits.into_iter().flatten().reduce(f64::min)
    }

    /// Has an engine ended that is stuck.
    fn watch_engine(&mut self, now: BootTime) {
        let (last, decision) = (self.observer.last(), self.laws.decision());
        let engine = last.engine.as_ref().filter(|_| !self.is_stopped());
        let limit = engine.and_then(|_| self.engine_processors());
        let share = share(decision, limit, last);
        self.look_at = match self.overseer.look(engine, share, now) {
            Verdict::Rest => None,
            Verdict::Watch(at) => Some(at),
            Verdict::Stuck(stuck) => {
                told::engine(&[News::Stuck(stuck)]);
                if let Some(actuators) = &mut self.actuators {
                    actuators.abort_engine(self.overseer.run());
                }
                Some(now)
            }
        };
    }

    /// Looks whether memory can be given back, if it is time to.
    fn give_memory_back(&mut self, now: BootTime) {
        if !self.reclaim.is_due(now, self.observer.quiet_since()) {
            return;
        }
        let sample = self.observer.memory_sample(now, &RECLAIMED);
        if let Some(recorder) = &mut self.recorder {
            recorder.note_memory(&sample);
        }
        let before = self.reclaim.step(&sample);
        let done = match &self.actuators {
            Some(actuators) => actuators.reclaim(self.reclaim.decision()),
            None => Vec::new(),
        };
        done.iter().for_each(|done| self.reclaim.note(done));
        self.told.reclaimed(now, &before, &self.reclaim, &sample, &done);
    }

    fn decide(&mut self) {
        let Self {
            laws,
            observer,
            folders,
            ..
        } = self;
        let found = observer.capabilities();
        laws.meet(found, || tuning_for(found, folders));
        laws.heed(self.wishes.wishes());
        if let Some(recorder) = &mut self.recorder {
            recorder.note(found, laws.tuning(), self.wishes.wishes(), observer.last());
        }
        laws.step(observer.last());
    }

    /// When to step again. It depends on nothing that happens between two steps, or events in quick succession would
    /// put the step off for ever.
    pub(crate) fn next_step(&self) -> anyhow::Result<Instant> {
        let wait = self.next_step_at().0.saturating_sub(boot_time()?.0);
        Ok(Instant::now() + Duration::from_micros(wait))
    }

    /// When the laws ask for it, but not later than people have set or the next hold ends.
    fn next_step_at(&self) -> BootTime {
        let after = |wait: Duration| BootTime(self.stepped_at.0.saturating_add(wait.as_micros() as u64));
        let asked = [
            Some(after(self.observer.interval().duration())),
            Some(self.laws.wake_at()),
            Some(self.reclaim.wake_at()),
            Some(self.relief.wake_at()),
            self.look_at,
            self.wishes.next_end(),
        ];
        let first = asked.into_iter().flatten().min();
        first.unwrap_or_default().max(after(SHORTEST_WAIT))
    }

    /// Lets systemd be asked too, over this connection.
    pub(crate) fn supervise(
        &mut self,
        connection: zbus::Connection,
        options: &RunOptions,
        unit: watch::Receiver<Unit>,
    ) {
        if let Some(actuators) = &mut self.actuators {
            let folders = Folders {
                runtime: options.runtime.clone(),
                state: options.state.clone(),
            };
            actuators.supervise(connection, folders, unit);
        }
    }

    /// What the engine is to be told.
    pub(crate) fn order(&self) -> EngineOrder {
        let relief = self.relief.decision();
        let (quarantined, fallback) = self.overseer.told();
        EngineOrder {
            slots: self.laws.decision().engine.slots,
            pressure: relief.level,
            context: relief.context,
            quarantined,
            fallback,
        }
    }

    /// Puts everything back.
    pub(crate) async fn restore(&mut self) {
        told::engine(&self.overseer.close());
        self.history.keep();
        if let Some(actuators) = self.actuators.take() {
            let applied = actuators.restore().await;
            self.told.restored(&applied);
        }
    }

    /// What the bus shows.
    pub(crate) fn published(&self) -> Published {
        let (last, decision) = (self.observer.last(), self.laws.decision());
        let degraded = &decision.performance_degraded;
        Published {
            readings: Readings::new(self.observer.interval(), last, self.observer.missing()),
            profiles: Profiles::new(self.wishes.wishes(), last.at_usec, degraded),
        }
    }

    /// Power and clocks.
    pub(crate) fn power(&self) -> Power {
        power(&PowerFacts {
            found: self.observer.capabilities(),
            tuning: self.laws.tuning(),
            wishes: self.wishes.wishes(),
            sample: self.observer.last(),
            decision: self.laws.decision(),
            package: &self.package,
            foreign: self.told.foreign(),
            reactions: &self.reactions,
        })
    }

    /// Heat, and what is done about it.
    pub(crate) fn thermal(&self) -> Thermal {
        thermal(ThermalFacts {
            found: self.observer.capabilities(),
            tuning: self.laws.tuning(),
            wishes: self.wishes.wishes(),
            sample: self.observer.last(),
            decision: self.laws.decision(),
            steps: self.laws.steps(),
        })
    }

    /// Who holds memory, and what is done about it.
    pub(crate) fn memory(&mut self, now: BootTime) -> MemoryUse {
        memory(
            self.observer.memory_breakdown(now),
            self.reclaim.goal(),
            self.reclaim.status(),
            self.relief.decision().clone(),
        )
    }

    /// What the machine showed over so many seconds.
    pub(crate) fn samples(&self, seconds: u32) -> Samples {
        let interval = self.observer.interval().duration().as_secs_f64().ceil();
        self.history.tell(seconds, unix_time(), interval as u32)
    }

    /// How the engine fares.
    pub(crate) fn engine(&self, now: BootTime) -> Engine {
        self.overseer.shown(self.administered.now(), now)
    }

    /// One line for `systemctl status`.
    pub(crate) fn status(&self) -> String {
        let decision = self.laws.decision();
        let heat = match (decision.thermal.assumed, decision.thermal.clock_cap) {
            (None, _) => "no temperature".to_owned(),
            (Some(temp), None) => format!("{temp}"),
            (Some(temp), Some(cap)) => format!("{temp}, clock capped at {cap}"),
        };
        let missing = match self.observer.missing() {
            0 => "everything can be read".to_owned(),
            1 => "1 file cannot be read or believed".to_owned(),
            count => format!("{count} files cannot be read or believed"),
        };
        format!("{}; {heat}; {missing}", decision.profile)
    }
}

/// The share of the processors' time that the engine can use: what its quota leaves it, and what is not lost to memory
/// and storage that everybody waits for. `limit` is what is in force, in processors: an administrator's, or hearthd's
/// own, which counts from when it is decided, for systemd sets it a moment later.
fn share(decision: &Decision, limit: Option<f64>, sample: &Sample) -> f64 {
    let decided = decision.engine.cpu_quota_percent;
    let quotas = [limit, decided.map(|percent| f64::from(percent) / 100.0)];
    let quota = quotas.into_iter().flatten().fold(f64::INFINITY, f64::min) / sample.cpus.len().max(1) as f64;
    let stalls = [&sample.pressure.memory, &sample.pressure.io];
    let lost = stalls
        .into_iter()
        .filter_map(|stall| Some(f64::from(stall.as_ref()?.full.as_ref()?.avg10) / 100.0))
        .fold(0.0, f64::max);
    quota.min(1.0) * (1.0 - lost).clamp(0.0, 1.0)
}

fn actuators(options: &RunOptions, told: &mut Told) -> anyhow::Result<Option<Actuators>> {
    if options.watch_only {
        info!("only watching: decisions are published and not carried out");
        return Ok(None);
    }
    let folder = options.runtime.as_deref().context(
        "hearthd has no folder for what the machine's files first held; name one with --runtime, or use --watch-only",
    )?;
    let (writer, applied) = Writer::open(Tree::open(&options.root)?, folder.join("first-seen.json"))?;
    if writer.inherited() > 0 {
        warn!(
            files = writer.inherited(),
            "hearthd was not ended in order last time; it knows what the files first held, and goes on from what it finds"
        );
    }
    told.restored(&applied);
    Ok(Some(Actuators::new(
        writer,
        Reclaimer::new(Tree::open(&options.root)?),
    )))
}

fn tell_last_power_off(state: Option<&Path>) {
    match state.map(PowerOff::take) {
        None | Some(Ok(None)) => {}
        Some(Ok(Some(off))) => told::power_off(&off),
        Some(Err(error)) => warn!("{:#}", anyhow::Error::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::{CpuSample, EngineLimits, MicroSeconds};

    fn cpu(id: u32) -> CpuSample {
        CpuSample {
            id,
            busy_usec: MicroSeconds(0),
            idle_usec: MicroSeconds(0),
        }
    }

    #[test]
    fn the_smaller_of_the_quotas_is_what_the_engine_can_use() {
        let sample = Sample {
            cpus: (0..4).map(cpu).collect(),
            ..Sample::default()
        };
        let share = |percent, limit| {
            let decision = Decision {
                engine: EngineLimits {
                    cpu_quota_percent: percent,
                    ..EngineLimits::default()
                },
                ..Decision::default()
            };
            share(&decision, limit, &sample)
        };
        assert_eq!(share(None, None), 1.0);
        assert_eq!(share(Some(100), None), 0.25);
        assert_eq!(share(None, Some(0.4)), 0.1);
        assert_eq!(share(Some(100), Some(0.4)), 0.1);
        assert_eq!(share(None, Some(9.0)), 1.0, "more than there is");
    }
}
