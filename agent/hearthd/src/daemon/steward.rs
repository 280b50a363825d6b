//! Observe, decide, act: the loop's one step, without a bus and without waiting for anything.

use super::laws::Laws;
use super::observer::{Observer, watched};
use super::pressure::Relief;
use super::reclaim::{RECLAIMED, ReclaimLaw};
use super::told::{self, Told};
use crate::actuators::{Actuators, Folders};
use crate::cli::RunOptions;
use crate::clock::boot_time;
use crate::recording::Recorder;
use crate::state::{PowerOff, WishBook};
use crate::tuning::tuning_for;
use crate::view::{
    PackagePower, PowerFacts, Profiles, Published, Reactions, Readings, ThermalFacts, memory, power, thermal,
};
use anyhow::Context;
use api::memory::MemoryUse;
use api::phase::EngineOrder;
use api::power::{Power, Thermal};
use linux::{Reclaimer, Sampler, Tree, Writer};
use machine::BootTime;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;
use tracing::{info, warn};

/// No two steps by the timer are closer than this, whatever the laws say.
const SHORTEST_WAIT: Duration = Duration::from_millis(20);

/// All that hearthd knows and can do but the bus.
#[derive(Debug)]
pub(crate) struct Steward {
    pub(crate) observer: Observer,
    pub(crate) wishes: WishBook,
    laws: Laws,
    reclaim: ReclaimLaw,
    relief: Relief,
    /// Folders of firmware profiles.
    folders: Vec<PathBuf>,
    /// `None`: hearthd only watches.
    actuators: Option<Actuators>,
    recorder: Option<Recorder>,
    told: Told,
    package: PackagePower,
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
        let wishes = WishBook::open(options.state.as_ref().map(|folder| folder.join("wishes.json")));
        let mut laws = Laws::new(sampler.capabilities().clone(), tuning);
        laws.heed(wishes.wishes());
        Ok(Self {
            observer: Observer::new(sampler, options.interval),
            wishes,
            laws,
            reclaim: ReclaimLaw::new(),
            relief: Relief::default(),
            folders: options.profiles.clone(),
            actuators,
            recorder,
            told,
            package: PackagePower::default(),
            reactions: Reactions::default(),
        })
    }

    /// Reads the machine, decides, and carries the decision out. `heard` is when the engine's word came, if it was one.
    pub(crate) fn step(&mut self, heard: Option<Instant>) -> anyhow::Result<()> {
        let now = boot_time()?;
        let ended = self.wishes.expire(now);
        told::ended(&ended, "its time is up");
        told::readings(&self.observer.sample(now));
        self.decide();
        let applied = match &mut self.actuators {
            Some(actuators) => actuators.apply(self.laws.decision()),
            None => linux::Applied::default(),
        };
        if let Some(heard) = heard.filter(|_| !applied.changes.is_empty()) {
            self.reactions.note(heard.elapsed());
        }
        self.told.decision(now, self.laws.decision());
        self.told.applied(now, &applied);
        self.relieve(now);
        self.give_memory_back(now);
        self.package
            .update(self.observer.capabilities(), self.observer.last());
        Ok(())
    }

    /// Looks whether memory is short, if it is time to. What the engine is to do about it is in its next order.
    fn relieve(&mut self, now: BootTime) {
        if !self.relief.is_due(now, self.observer.engine_runs()) {
            return;
        }
        let sample = self.observer.pressure_sample(now);
        if let Some(recorder) = &mut self.recorder {
            recorder.note_pressure(&sample);
        }
        let before = self.relief.step(&sample);
        told::pressure(&before, self.relief.decision());
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

    /// When to step again: when the laws ask for it, but not later than people have set or the next hold ends.
    pub(crate) fn next_step(&self) -> anyhow::Result<Instant> {
        let now = boot_time()?;
        let until = |at: BootTime| Duration::from_micros(at.0.saturating_sub(now.0));
        let longest = self.observer.interval().duration();
        let memory = self.reclaim.wake_at().min(self.relief.wake_at());
        let wait = until(self.laws.wake_at().min(memory)).min(longest);
        let wait = self.wishes.next_end().map_or(wait, |end| wait.min(until(end)));
        Ok(Instant::now() + wait.max(SHORTEST_WAIT))
    }

    /// Lets systemd be asked too, over this connection.
    pub(crate) fn supervise(&mut self, connection: zbus::Connection, options: &RunOptions) {
        if let Some(actuators) = &mut self.actuators {
            let folders = Folders {
                runtime: options.runtime.clone(),
                state: options.state.clone(),
            };
            actuators.supervise(connection, folders);
        }
    }

    /// What the engine is to be told.
    pub(crate) fn order(&self) -> EngineOrder {
        let relief = self.relief.decision();
        EngineOrder {
            slots: self.laws.decision().engine.slots,
            pressure: relief.level,
            context: relief.context,
            ..EngineOrder::default()
        }
    }

    /// Puts everything back.
    pub(crate) async fn restore(&mut self) {
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
