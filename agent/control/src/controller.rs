//! The laws together.

use crate::arbiter;
use crate::budget::Budget;
use crate::fans::Fans;
use crate::ladder::{self, Ladder};
use crate::sensors::{self, Blind, Sensors, View, celsius};
use crate::share::{self, Drawn};
use crate::supply;
use crate::thermal::{self, Caps, Law};
use crate::{Dvfs, Meter};
use alloc::{string::String, vec::Vec};
use machine::{
    BootTime, Capabilities, Decision, KiloHertz, MilliCelsius, Note, Phase, PowerProfile, Rung, Sample,
    Setpoints, ThermalState, Tuning, Warning, Wishes,
};

/// The longest time between two steps that the laws reckon with, in seconds: a machine that slept wakes up anew.
const LONGEST_STEP: f64 = 10.0;
/// The lowest target that people can set, in °C.
const LOWEST_TARGET: f64 = 45.0;
/// The highest one on a machine that tells no critical temperature, in °C.
const HIGHEST_TARGET: f64 = 95.0;
/// How far below the critical temperature a target must stay, in K.
const BELOW_CRITICAL: f64 = 10.0;
/// How much over its limit a disk or a radio may be before the processor is down to [`OTHERS_SHARE`], in K.
const OTHERS_RANGE: f64 = 5.0;
/// The share of full power that the processor keeps however hot anything else is.
const OTHERS_SHARE: f64 = 0.2;
/// What is left of the permitted share while hot sensors that have long stood still are put to the test: under a constant
/// power one that is stuck looks like one that is held. The first that moves ends it.
const TEST_SHARE: f64 = 0.5;
/// The least share of processor time over the last seconds for such a test: else a clock changes nothing.
const WORKING: f64 = 0.5;
/// Seconds between two steps of a machine that has no sensor to watch.
const UNWATCHED_STEP: f64 = 5.0;
/// How long an announced request is waited for, in microseconds.
const ANNOUNCED_USEC: u64 = 5_000_000;
/// Seconds between two steps while the ladder is about to be climbed, or something else than the processor is too hot.
const URGENT_STEP: f64 = 0.1;
/// The safe clock of a machine that tells no base clock, as a share of full power: half the clock.
const SAFE_SHARE: f64 = 0.25;

/// All laws and what they remember.
#[derive(Clone, Debug)]
pub struct Controller {
    capabilities: Capabilities,
    tuning: Tuning,
    wishes: Wishes,
    at: Option<BootTime>,
    meter: Meter,
    drawn: Drawn,
    sensors: Sensors,
    fans: Fans,
    law: Law,
    caps: Caps,
    ladder: Ladder,
    budget: Budget,
    dvfs: Dvfs,
    seen: Seen,
}

/// What the last step that time passed before has found.
#[derive(Clone, Debug, Default)]
struct Seen {
    view: View,
    caps: Vec<(u32, KiloHertz)>,
    fans: Vec<Warning>,
    /// Seconds after which heat wants to be looked at again.
    interval: f64,
}

impl Controller {
    /// Laws for a machine of a kind, which have seen nothing yet.
    pub fn new(capabilities: Capabilities, tuning: Tuning) -> Self {
        Self {
            capabilities,
            tuning,
            wishes: Wishes::default(),
            at: None,
            meter: Meter::default(),
            drawn: Drawn::default(),
            sensors: Sensors::default(),
            fans: Fans::default(),
            law: Law::default(),
            caps: Caps::default(),
            ladder: Ladder::default(),
            budget: Budget::default(),
            dvfs: Dvfs::new(),
            seen: Seen::default(),
        }
    }

    /// Something has come or gone, or was matched anew. What was learned about what stays is kept.
    pub fn set_machine(&mut self, capabilities: Capabilities, tuning: Tuning) {
        self.capabilities = capabilities;
        self.tuning = tuning;
    }

    /// People want something else.
    pub fn set_wishes(&mut self, wishes: Wishes) {
        self.wishes = wishes;
    }

    /// Decides. Samples come in the order of their time; one that is not later than the one before moves no law.
    pub fn step(&mut self, sample: &Sample) -> Decision {
        let utilisation = self.meter.step(sample).clone();
        let notes = match self.elapsed(sample.at_usec) {
            Some(dt) => {
                let now = share::drawn(&self.capabilities, sample, &utilisation);
                self.drawn.step(dt, now, utilisation.mean().unwrap_or(1.0));
                self.heat(dt, sample)
            }
            None => Vec::new(),
        };
        let profile = supply::profile(&self.wishes, &self.capabilities, sample);
        let wish = self
            .dvfs
            .step(&self.capabilities, &self.tuning, profile, sample, &utilisation);
        let wake_at = sample.at_usec.0.saturating_add((self.seen.interval * 1e6) as u64);
        Decision {
            setpoints: Setpoints {
                policies: arbiter::merge(&self.capabilities, &wish, &self.seen.caps),
                boost: wish.boost,
                platform_profile: wish.platform_profile,
                powercap: self.budget.step(&self.capabilities, &self.tuning, sample),
            },
            engine: self.ladder.limits(processors(&self.capabilities, sample)),
            power_off: self.ladder.power_off().map(String::from),
            thermal: self.thermal(),
            profile,
            performance_degraded: self.degraded(profile).into(),
            notes,
            warnings: [self.seen.view.warnings.as_slice(), &self.seen.fans].concat(),
            wake_at: wish
                .wake_at
                .map_or(BootTime(wake_at), |wish| wish.min(BootTime(wake_at))),
        }
    }

    /// Seconds since the step before, 0 for the first one; `None` if no time has passed.
    fn elapsed(&mut self, now: BootTime) -> Option<f64> {
        let Some(before) = self.at.replace(now) else {
            return Some(0.0);
        };
        if now <= before {
            self.at = Some(before);
            return None;
        }
        Some(((now.0 - before.0) as f64 / 1e6).min(LONGEST_STEP))
    }

    /// Moves everything that concerns heat on by `dt` seconds.
    fn heat(&mut self, dt: f64, sample: &Sample) -> Vec<Note> {
        let view = self
            .sensors
            .step(dt, &self.capabilities, &self.tuning, sample, &self.drawn);
        let target = self.target();
        let interval = self.hold(dt, &view, sample);
        let others = others_share(&view);
        let hot = view
            .assumed
            .is_some_and(|assumed| assumed > target - BELOW_CRITICAL);
        let tested = hot && view.stands && self.drawn.lately > WORKING;
        let permitted = self.law.permitted() * if tested { TEST_SHARE } else { 1.0 };
        let permitted = permitted.min(others);
        self.seen.caps = self.caps.step(dt, permitted, &self.capabilities);
        let notes = match view.assumed {
            Some(temperature) => self.climb(dt, temperature, permitted, &view, sample),
            None => Vec::new(),
        };
        self.seen.fans = self.fans.step(dt, &self.capabilities, &self.tuning, sample, hot);
        // The law itself says how often its own cap wants to be looked at.
        let urgent = self.ladder.tense() || (others < 1.0 && view.blind.is_none());
        self.seen.interval = if urgent {
            interval.min(URGENT_STEP)
        } else {
            interval
        };
        self.seen.view = view;
        notes
    }

    /// Steps the thermal law; returns after how many seconds it wants to be stepped again.
    fn hold(&mut self, dt: f64, view: &View, sample: &Sample) -> f64 {
        // A sensor that has never told anything counts as one that tells the target.
        let Some(temperature) = view.assumed.or(view.blind.map(|_| self.target())) else {
            return UNWATCHED_STEP;
        };
        let heat = thermal::Heat {
            dt,
            temperature,
            target: self.target(),
            drawn: self.drawn,
            coarseness: self.caps.coarseness(),
            expected: is_work_near(sample),
        };
        match view.blind {
            Some(blind) => self.law.step_blind(heat, self.safe_share(blind)),
            None => self.law.step(heat),
        }
    }

    fn climb(
        &mut self,
        dt: f64,
        temperature: f64,
        permitted: f64,
        view: &View,
        sample: &Sample,
    ) -> Vec<Note> {
        self.ladder.step(&ladder::Heat {
            dt,
            temperature,
            slope: self.law.slope(),
            target: self.target(),
            critical: self.critical(),
            lived: view.lived,
            proof: view.proof.clone(),
            cap: self.seen.caps.iter().map(|(_, cap)| *cap).min(),
            permitted,
            floor: self.floor_share(),
            blind: view.blind.is_some(),
            processors: processors(&self.capabilities, sample),
        })
    }

    /// Where the firmware pulls the plug, in °C: by a zone that is there, or by one that has gone.
    fn critical(&self) -> Option<f64> {
        let found = sensors::critical(&self.capabilities, &self.tuning);
        [found, self.sensors.critical()]
            .into_iter()
            .flatten()
            .reduce(f64::min)
    }

    /// The temperature to hold, in °C: people's or the firmware profile's, and safe.
    fn target(&self) -> f64 {
        let highest = self.critical().map_or(HIGHEST_TARGET, |critical| {
            (critical - BELOW_CRITICAL).min(HIGHEST_TARGET)
        });
        let wanted = celsius(self.wishes.target.unwrap_or(self.tuning.target));
        wanted.clamp(LOWEST_TARGET, highest)
    }

    /// What may be drawn while the temperature is not known: nothing beyond the lowest clock when a sensor has broken; no
    /// more than before when one that lived stands; the base clock on a machine whose sensors never worked and which
    /// must be usable nevertheless.
    fn safe_share(&self, blind: Blind) -> f64 {
        let shares = self
            .capabilities
            .policies
            .iter()
            .filter_map(|policy| Some(share::of_clock(policy.base_frequency?, policy.cpuinfo_max_freq?)));
        let base = shares.reduce(f64::min).unwrap_or(SAFE_SHARE);
        match blind {
            Blind::Lost => 0.0,
            Blind::Doubted => base.min(self.law.held()),
            Blind::Dead => base,
        }
    }

    /// The share of full power that the lowest clock costs; a machine without clocks has nothing to lower.
    fn floor_share(&self) -> f64 {
        let shares = self.capabilities.policies.iter().filter_map(|policy| {
            Some(share::of_clock(
                policy.cpuinfo_min_freq?,
                policy.cpuinfo_max_freq?,
            ))
        });
        shares.reduce(f64::max).unwrap_or(1.0)
    }

    fn thermal(&self) -> ThermalState {
        let view = &self.seen.view;
        let milli = |temp: f64| MilliCelsius((temp * 1000.0) as i64);
        let over = view.other.as_ref().filter(|(over, _)| *over > 0.0);
        let over_there = over.map(|(over, _)| self.target() + over);
        let assumed = [view.assumed, over_there].into_iter().flatten().reduce(f64::max);
        ThermalState {
            target: milli(self.target()),
            assumed: assumed.map(milli),
            hottest: over
                .map(|(_, name)| name.clone())
                .or_else(|| view.hottest.clone()),
            slope_millicelsius_per_second: (self.law.slope() * 1000.0) as i64,
            critical: self.critical().map(milli),
            rung: self.ladder.rung(),
            clock_cap: self.seen.caps.iter().map(|(_, cap)| *cap).min(),
            sensors: view.states.clone(),
        }
    }

    /// Why the profile cannot give all it promises, in the words of `org.freedesktop.UPower.PowerProfiles`.
    fn degraded(&self, profile: PowerProfile) -> &'static str {
        let hot = self.ladder.rung() > Rung::Free;
        if hot && profile == PowerProfile::Performance {
            "high-operating-temperature"
        } else {
            ""
        }
    }
}

/// What is left to the processor while a disk or a radio is hotter than its limit.
fn others_share(view: &View) -> f64 {
    let over = view.other.as_ref().map_or(0.0, |(over, _)| *over);
    (1.0 - over / OTHERS_RANGE).clamp(OTHERS_SHARE, 1.0)
}

/// Whether the engine works, or will as soon as it has read the request that was announced.
fn is_work_near(sample: &Sample) -> bool {
    let works = sample
        .engine
        .as_ref()
        .is_some_and(|engine| engine.phase != Phase::Idle);
    let announced = sample
        .announced_at_usec
        .map(|at| sample.at_usec.0.saturating_sub(at.0));
    works || announced.is_some_and(|since| since < ANNOUNCED_USEC)
}

fn processors(machine: &Capabilities, sample: &Sample) -> u32 {
    let counted = u32::try_from(sample.cpus.len()).unwrap_or(u32::MAX);
    machine.topology.threads.unwrap_or(counted).max(1)
}
