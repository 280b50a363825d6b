//! The loop closed without a kernel: a plant drawn by lot, a processor, and the controller, on a virtual clock.
//!
//! What lies between a decision and the heat is here too: the actuator is late, steps come late, some twice as late
//! as they were wished for.

mod family;
mod figures;
mod scenarios;
pub(crate) mod table;

use control::Controller;
use family::Family;
use machine::{
    BootTime, Capabilities, CpuSample, Decision, EngineSample, KiloHertz, MicroSeconds, MilliCelsius, Phase,
    Policy, PolicySample, Sample, TripPoint, Tuning, Zone, ZoneSample,
};
use std::collections::VecDeque;
use twin::plant::{Dice, Plant, Processor};

/// The target of all runs, in °C.
pub(crate) const TARGET: f64 = 80.0;
/// Where the firmware would pull the plug, in °C.
pub(crate) const CRITICAL: f64 = 105.0;
/// The virtual clock's tick, in seconds.
pub(crate) const TICK: f64 = 0.01;
/// Where the sensor's file would be.
pub(crate) const SENSOR: &str = "/sys/class/thermal/thermal_zone0/temp";

/// What was true at one tick.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    /// The die's true temperature, in °C.
    pub(crate) die: f64,
    /// The clock, in kHz.
    pub(crate) clock: f64,
}

/// Who causes a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Nobody: 2 % of each processor.
    Rest,
    /// The engine, which tells its phase when it begins and every 250 ms, and each record is a step.
    Engine,
    /// Any other program, which tells nobody.
    Other,
}

/// A machine in a loop.
pub(crate) struct Rig {
    pub(crate) plant: Plant,
    pub(crate) decision: Decision,
    /// Everything that was ever noted.
    pub(crate) notes: Vec<machine::Note>,
    pub(crate) fan_level: f64,
    /// Seconds since the start.
    pub(crate) at: f64,
    pub(crate) steps: u32,
    processor: Processor,
    controller: Controller,
    dice: Dice,
    /// The actuator's delay, in seconds, and what it has not carried out yet.
    delay: f64,
    pending: VecDeque<(f64, f64)>,
    clock: f64,
    /// When the next step is due, and when the engine last told its phase.
    due: f64,
    told: f64,
    busy: f64,
}

impl Rig {
    /// A machine that has rested; everything follows from family and seed.
    pub(crate) fn new(family: Family, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let (parameters, processor) = family.draw(seed, &mut dice);
        Self {
            plant: Plant::at_rest(parameters, dice.between(1.0, 1e9) as u64),
            decision: Decision::default(),
            notes: Vec::new(),
            fan_level: family.fan_level(),
            at: 0.0,
            steps: 0,
            controller: Controller::new(capabilities(&processor), tuning()),
            delay: dice.by_octaves(0.03, 0.3),
            pending: VecDeque::new(),
            clock: processor.highest() as f64,
            processor,
            dice,
            due: 0.0,
            told: f64::NEG_INFINITY,
            busy: 0.0,
        }
    }

    /// The clock in kHz that full load could hold for ever at the target, no more than the highest there is.
    pub(crate) fn best_clock(&self) -> f64 {
        self.processor
            .clock_within(self.plant.holding(TARGET, self.fan_level))
    }

    /// The lowest clock, in kHz.
    pub(crate) fn floor(&self) -> f64 {
        self.processor.clocks.first().map_or(0.0, |clock| *clock as f64)
    }

    /// Runs for some seconds under a load.
    pub(crate) fn run(&mut self, seconds: f64, load: Load) -> Vec<Point> {
        self.run_spoilt(seconds, load, |_| ())
    }

    /// Runs while something is wrong with every sample.
    pub(crate) fn run_spoilt(&mut self, seconds: f64, load: Load, spoil: impl Fn(&mut Sample)) -> Vec<Point> {
        let ticks = (seconds / TICK).round() as usize;
        (0..ticks).map(|_| self.tick(load, &spoil)).collect()
    }

    fn tick(&mut self, load: Load, spoil: &impl Fn(&mut Sample)) -> Point {
        let record = load == Load::Engine && self.at >= self.told + 0.25;
        if record {
            self.told = self.at;
        }
        if record || self.at >= self.due {
            self.step(load, spoil);
        }
        while self.pending.front().is_some_and(|(when, _)| *when <= self.at) {
            self.clock = self.pending.pop_front().map_or(self.clock, |(_, clock)| clock);
        }
        let share = self.share(load);
        self.plant
            .advance(TICK, self.processor.watts(self.clock, share), self.fan_level);
        self.at += TICK;
        self.busy += TICK * share;
        Point {
            die: self.plant.die(),
            clock: self.clock,
        }
    }

    /// The busy share of every processor.
    fn share(&self, load: Load) -> f64 {
        let engine = &self.decision.engine;
        let processors = f64::from(self.processor.cores);
        match load {
            Load::Rest => 0.02,
            Load::Engine if engine.stopped => 0.02,
            Load::Engine => engine
                .cpu_quota_percent
                .map_or(1.0, |quota| f64::from(quota) / 100.0 / processors)
                .min(1.0),
            Load::Other => 1.0,
        }
    }

    fn step(&mut self, load: Load, spoil: &impl Fn(&mut Sample)) {
        let mut sample = self.sample(load);
        spoil(&mut sample);
        self.decision = self.controller.step(&sample);
        self.notes.extend(self.decision.notes.iter().cloned());
        self.steps += 1;
        let cap = self
            .decision
            .setpoints
            .policies
            .first()
            .and_then(|policy| policy.scaling_max_freq);
        let clock = cap.map_or(self.processor.highest(), |cap| cap.0) as f64;
        self.pending.push_back((self.at + self.delay, clock));
        let wait = (self.decision.wake_at.0 as f64 / 1e6 - self.at).max(0.0);
        let late = if self.dice.between(0.0, 1.0) < 0.05 {
            1.0
        } else {
            self.dice.between(0.0, 0.2)
        };
        self.due = self.at + wait * (1.0 + late) + 0.002;
    }

    fn sample(&mut self, load: Load) -> Sample {
        let temp = MilliCelsius((self.plant.reading() * 1000.0).round() as i64);
        let cores = 0..self.processor.cores;
        // Ticks of 10 ms, as /proc/stat counts.
        let usec = |seconds: f64| MicroSeconds((seconds * 100.0) as u64 * 10_000);
        let (busy_usec, idle_usec) = (usec(self.busy), usec(self.at - self.busy));
        Sample {
            at_usec: BootTime((self.at * 1e6) as u64 + 1),
            policies: cores.clone().map(|id| policy_sample(id, self.clock)).collect(),
            cpus: cores
                .map(|id| CpuSample {
                    id,
                    busy_usec,
                    idle_usec,
                })
                .collect(),
            zones: vec![ZoneSample {
                id: 0,
                kind: Some("acpitz".into()),
                temp: Some(temp),
            }],
            engine: Some(EngineSample {
                at_usec: BootTime((self.told.max(0.0) * 1e6) as u64),
                phase: if load == Load::Engine {
                    Phase::Prefill
                } else {
                    Phase::Idle
                },
                ..EngineSample::default()
            }),
            ..Sample::default()
        }
    }
}

fn policy_sample(id: u32, clock: f64) -> PolicySample {
    PolicySample {
        id,
        scaling_cur_freq: Some(KiloHertz(clock as u64)),
        scaling_min_freq: None,
        scaling_max_freq: None,
        bios_limit: None,
        scaling_governor: Some("schedutil".into()),
        energy_performance_preference: None,
    }
}

fn tuning() -> Tuning {
    Tuning {
        target: MilliCelsius((TARGET * 1000.0) as i64),
        ..Tuning::default()
    }
}

/// What hearthd would find on such a machine.
fn capabilities(processor: &Processor) -> Capabilities {
    let policy = |id| Policy {
        id,
        affected_cpus: vec![id],
        scaling_driver: Some("acpi-cpufreq".into()),
        cpuinfo_min_freq: processor.clocks.first().copied().map(KiloHertz),
        cpuinfo_max_freq: processor.clocks.last().copied().map(KiloHertz),
        base_frequency: None,
        scaling_available_frequencies: processor.clocks.iter().copied().map(KiloHertz).collect(),
        core_type: None,
        scaling_available_governors: ["performance", "powersave", "schedutil"].map(String::from).into(),
        energy_performance_available_preferences: Vec::new(),
    };
    let critical = TripPoint {
        id: 0,
        kind: "critical".into(),
        temp: MilliCelsius((CRITICAL * 1000.0) as i64),
    };
    Capabilities {
        policies: (0..processor.cores).map(policy).collect(),
        zones: vec![Zone {
            id: 0,
            kind: Some("acpitz".into()),
            trip_points: vec![critical],
        }],
        ..Capabilities::default()
    }
}
