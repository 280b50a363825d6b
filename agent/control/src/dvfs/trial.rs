//! One comparison: does a lower clock hold the speed of the full one?
//!
//! The full clock is measured before and after the lower one, so that what drifts meanwhile (the KV cache grows, the
//! machine warms) is not blamed on the clock.

use super::meter::{Meter, Speed};
use machine::{BootTime, EngineSample};

/// The fewest tokens and seconds that a speed rests on.
const FEWEST_TOKENS: f64 = 12.0;
const SHORTEST_SECONDS: f64 = 1.0;
/// A speed that is still uncertain after so many seconds of decode is taken as it is.
const LONGEST_SECONDS: f64 = 20.0;
/// Tokens after which a clock that is far too low is given up.
const EARLY_TOKENS: f64 = 5.0;
/// Measurements further apart than this are not compared.
const STALE_USEC: u64 = 120_000_000;

/// How a comparison ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// The lower clock holds the speed: this one.
    Holds(Speed),
    /// It does not.
    Fails,
    /// It cannot be told: too much has changed meanwhile.
    Unclear,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Arm {
    Before,
    Probe { before: Speed },
    After { before: Speed, probe: Speed },
}

/// A comparison under way.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    full: usize,
    candidate: usize,
    arm: Arm,
    meter: Meter,
    after: Option<Speed>,
}

impl Trial {
    /// Compares `candidate` with `full`; `before` is a fresh measurement of `full`, if there is one.
    pub(super) fn begin(now: BootTime, full: usize, candidate: usize, before: Option<Speed>) -> Self {
        let fresh = before.filter(|speed| now.0.saturating_sub(speed.at.0) < 2_000_000);
        Self {
            full,
            candidate,
            arm: fresh.map_or(Arm::Before, |before| Arm::Probe { before }),
            meter: Meter::begin(now),
            after: None,
        }
    }

    /// The level to run now.
    pub(super) fn level(&self) -> usize {
        match self.arm {
            Arm::Probe { .. } => self.candidate,
            Arm::Before | Arm::After { .. } => self.full,
        }
    }

    /// The level that is tried.
    pub(super) fn candidate(&self) -> usize {
        self.candidate
    }

    /// The full clock's speed after the probe, for the next trial.
    pub(super) fn after(&self) -> Option<Speed> {
        self.after
    }

    /// Something else was done meanwhile.
    pub(super) fn interrupt(&mut self, now: BootTime) {
        self.meter.interrupt(now);
    }

    /// Takes a record in.
    pub(super) fn step(&mut self, now: BootTime, engine: &EngineSample, loss: f64) -> Option<Verdict> {
        self.meter.record(engine);
        let speed = self.meter.speed()?;
        let is_enough = enough(&self.meter, &speed, loss);
        match self.arm {
            Arm::Probe { before } if hopeless(&before, &speed, loss) => return Some(Verdict::Fails),
            _ if !is_enough => return None,
            Arm::Before => self.turn(now, Arm::Probe { before: speed }),
            Arm::Probe { before } => self.turn(now, Arm::After { before, probe: speed }),
            Arm::After { before, probe } => {
                self.after = Some(speed);
                return Some(judge(&before, &probe, &speed, loss));
            }
        }
        None
    }

    fn turn(&mut self, now: BootTime, arm: Arm) {
        self.arm = arm;
        self.meter = Meter::begin(now);
    }
}

/// Whether a speed is known well enough to be judged by.
pub(super) fn enough(meter: &Meter, speed: &Speed, loss: f64) -> bool {
    let certain = speed.error <= loss.max(0.01) / 4.0;
    let long = speed.tokens >= FEWEST_TOKENS && meter.lasted() >= SHORTEST_SECONDS;
    (long && certain) || meter.lasted() >= LONGEST_SECONDS
}

fn hopeless(before: &Speed, probe: &Speed, loss: f64) -> bool {
    let ratio = before.seconds / probe.seconds;
    let error = 3.0 * (before.error + probe.error);
    probe.tokens >= EARLY_TOKENS && ratio + error < 1.0 - 2.0 * loss.max(0.01)
}

fn judge(before: &Speed, probe: &Speed, after: &Speed, loss: f64) -> Verdict {
    if after.at.0.saturating_sub(before.at.0) > STALE_USEC {
        return Verdict::Unclear;
    }
    let (low, high) = (before.depth.min(after.depth), before.depth.max(after.depth));
    let slack = 16.0 + 0.05 * high;
    if probe.depth < low - slack || probe.depth > high + slack {
        return Verdict::Unclear;
    }
    let weight = if high - low > 1.0 {
        ((probe.depth - before.depth) / (after.depth - before.depth)).clamp(0.0, 1.0)
    } else {
        0.5
    };
    let full = before.seconds + weight * (after.seconds - before.seconds);
    let error = libm::sqrt(probe.error * probe.error + before.error.max(after.error) * before.error.max(after.error));
    // In doubt it fails: the loss that is allowed is a promise.
    if full / probe.seconds >= 1.0 - loss + error.min(loss / 2.0) {
        Verdict::Holds(*probe)
    } else {
        Verdict::Fails
    }
}
