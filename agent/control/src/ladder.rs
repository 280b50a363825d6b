//! The ladder: what is done when the clock alone does not hold the heat, one rung after another, and undone in the same
//! order. [`machine::Rung`] names them.

use alloc::{format, string::String, vec::Vec};
use machine::{EngineLimits, Note, Rung};

/// Over the target by this much, in K, with the clock at its floor, is too hot.
const TOO_HOT: f64 = 2.0;
/// Below the target by this much, in K, is cool enough to undo a step.
const COOL: f64 = 3.0;
/// A temperature that falls faster than this, in K/s, is on its way: no further step.
const FALLING: f64 = -0.1;
/// One that rises faster than this, in K/s, is not cool enough to undo a step.
const RISING: f64 = 0.3;
/// Seconds that it must be too hot for the next step.
const CLIMB: f64 = 3.0;
/// The same when the plug is near.
const CLIMB_URGENT: f64 = 0.5;
/// Seconds that it must be cool to undo one.
const DESCEND: f64 = 5.0;
/// The same for letting the engine run again, which costs most when it was wrong.
const RESTART: f64 = 20.0;
/// Less than this much below the firmware's critical temperature the machine is powered off, in K.
const LAST_MARGIN: f64 = 3.0;
/// How far ahead is looked for that, in seconds, and for urgency.
const AHEAD: f64 = 1.0;
const AHEAD_URGENT: f64 = 5.0;
/// How much nearer than looking ahead reaches a reading itself must be, in K.
const NEAR: f64 = 3.0;
/// Samples, and seconds from the first of them, that must agree on powering off.
const CONFIRMATIONS: u32 = 3;
const CONFIRMED_AFTER: f64 = 0.4;
/// Shares of all processors that the engine is rationed to, in per cent, step by step.
const QUOTAS: [u32; 4] = [75, 50, 30, 15];
/// Steps: the quotas, fewer slots, engine stopped.
const SLOTS_STEP: usize = QUOTAS.len() + 1;
const STOP_STEP: usize = QUOTAS.len() + 2;

/// What the ladder is told at one instant. Temperatures in °C.
#[derive(Clone, Debug)]
pub(crate) struct Heat {
    /// Seconds since the step before.
    pub(crate) dt: f64,
    /// The assumed temperature.
    pub(crate) temperature: f64,
    /// How fast it rises, in K/s.
    pub(crate) slope: f64,
    /// The temperature to hold.
    pub(crate) target: f64,
    /// Where the firmware pulls the plug.
    pub(crate) critical: Option<f64>,
    /// The hottest reading that is believed, of a sensor that has shown that it lives.
    pub(crate) proven: Option<(f64, String)>,
    /// Whether the clock is capped.
    pub(crate) capped: bool,
    /// Whether it is at its floor.
    pub(crate) floored: bool,
    /// Whether the temperature is not known: nothing is climbed on a guess, nor undone.
    pub(crate) blind: bool,
    /// Logical processors.
    pub(crate) processors: u32,
}

/// Where on the ladder we are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ladder {
    /// Steps beyond the clock.
    step: usize,
    capped: bool,
    /// Seconds for which it has been too hot, or cool enough.
    hot: f64,
    cool: f64,
    /// How many samples in a row have shown the critical approach, and for how many seconds.
    approach: (u32, f64),
    power_off: Option<String>,
}

impl Ladder {
    /// Climbs or descends by at most one step, and says so.
    pub(crate) fn step(&mut self, heat: &Heat) -> Vec<Note> {
        let mut notes = Vec::new();
        notes.extend(self.cap(heat));
        notes.extend(self.last_resort(heat));
        if heat.blind {
            (self.hot, self.cool) = (0.0, 0.0);
            return notes;
        }
        let too_hot = heat.floored && heat.temperature > heat.target + TOO_HOT && heat.slope > FALLING;
        let cool = heat.temperature < heat.target - COOL && heat.slope < RISING;
        self.hot = if too_hot { self.hot + heat.dt } else { 0.0 };
        self.cool = if cool { self.cool + heat.dt } else { 0.0 };
        if self.hot >= climb_after(heat) && self.step < STOP_STEP {
            self.step += 1;
            self.hot = 0.0;
            notes.push(self.note(heat, "at the lowest clock"));
        } else if self.step > 0 && self.cool >= self.descend_after() {
            self.step -= 1;
            self.cool = 0.0;
            notes.push(self.note(heat, "cool again"));
        }
        notes
    }

    /// The rung.
    pub(crate) fn rung(&self) -> Rung {
        match self.step {
            _ if self.power_off.is_some() => Rung::PowerOff,
            0 if self.capped => Rung::ClockCap,
            0 => Rung::Free,
            SLOTS_STEP => Rung::FewerSlots,
            STOP_STEP.. => Rung::EngineStopped,
            _ => Rung::CpuQuota,
        }
    }

    /// Why the machine must be powered off.
    pub(crate) fn power_off(&self) -> Option<&str> {
        self.power_off.as_deref()
    }

    /// What is left to the engine.
    pub(crate) fn limits(&self, processors: u32) -> EngineLimits {
        let quota = QUOTAS.get(self.step.min(QUOTAS.len()).wrapping_sub(1));
        EngineLimits {
            cpu_quota_percent: quota.map(|share| (share * processors.clamp(1, 100_000)).max(5)),
            slots: (self.step >= SLOTS_STEP).then_some(1),
            stopped: self.step >= STOP_STEP || self.power_off.is_some(),
        }
    }

    /// Whether the next look must not wait.
    pub(crate) fn tense(&self) -> bool {
        self.hot > 0.0 || self.approach.0 > 0
    }

    fn cap(&mut self, heat: &Heat) -> Option<Note> {
        if heat.capped == self.capped {
            return None;
        }
        self.capped = heat.capped;
        let step = if heat.capped {
            "clock capped"
        } else {
            "clock free again"
        };
        Some(Note {
            step: step.into(),
            reason: figures(heat),
        })
    }

    /// Powers off when a sensor that is believed and lives is, or within a second will be, next to the critical
    /// temperature, in several samples.
    fn last_resort(&mut self, heat: &Heat) -> Option<Note> {
        let limit = heat.critical? - LAST_MARGIN;
        let (reading, sensor) = heat.proven.as_ref()?;
        let ahead = reading + AHEAD * heat.slope.max(0.0);
        if *reading < limit && (ahead < limit || *reading < limit - NEAR) {
            self.approach = (0, 0.0);
            return None;
        }
        let since = if self.approach.0 == 0 {
            0.0
        } else {
            self.approach.1 + heat.dt
        };
        self.approach = (self.approach.0.saturating_add(1), since);
        if self.power_off.is_some() || self.approach.0 < CONFIRMATIONS || since < CONFIRMED_AFTER {
            return None;
        }
        let reason = format!(
            "{sensor} reads {reading:.1} °C and rises by {:.1} K/s; the firmware cuts power at {:.1} °C",
            heat.slope,
            limit + LAST_MARGIN
        );
        self.power_off = Some(reason.clone());
        Some(Note {
            step: "power off".into(),
            reason,
        })
    }

    fn descend_after(&self) -> f64 {
        if self.step >= STOP_STEP { RESTART } else { DESCEND }
    }

    fn note(&self, heat: &Heat, why: &str) -> Note {
        let limits = self.limits(heat.processors);
        let step = match (limits.stopped, limits.slots, limits.cpu_quota_percent) {
            (true, ..) => "engine stopped".into(),
            (_, Some(slots), _) => format!("engine held to {slots} slot"),
            (_, _, Some(quota)) => format!("engine rationed to {quota} % of a processor"),
            _ => "engine free again".into(),
        };
        Note {
            step,
            reason: format!("{}, {why}", figures(heat)),
        }
    }
}

/// How long it must be too hot for the next step: less when the plug is near.
fn climb_after(heat: &Heat) -> f64 {
    let ahead = heat.temperature + AHEAD_URGENT * heat.slope.max(0.0);
    let near = heat
        .critical
        .is_some_and(|critical| ahead > critical - 2.0 * LAST_MARGIN);
    if near { CLIMB_URGENT } else { CLIMB }
}

fn figures(heat: &Heat) -> String {
    let sign = if heat.slope < 0.0 { "falling" } else { "rising" };
    format!(
        "{:.1} °C {sign} by {:.1} K/s, target {:.1} °C",
        heat.temperature,
        heat.slope.abs(),
        heat.target
    )
}
