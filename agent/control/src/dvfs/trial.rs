//! One comparison: does a lower clock hold the speed of the full one?
//!
//! The full clock is measured before and after the lower one, so that what drifts meanwhile (the KV cache grows, the
//! machine warms) is not blamed on the clock.

use super::meter::{Meter, Speed};
use machine::{BootTime, EngineSample};

/// The fewest tokens and seconds that a speed rests on.
const FEWEST_TOKENS: f64 = 16.0;
const SHORTEST_SECONDS: f64 = 1.0;
/// A speed that is still uncertain after so many seconds of decode is taken as it is.
const LONGEST_SECONDS: f64 = 8.0;
/// Tokens after which a clock that is far too low is given up.
const EARLY_TOKENS: f64 = 5.0;
/// A measurement of the full clock that is no older than this begins the next trial as well.
const FRESH_USEC: u64 = 15_000_000;
/// Depths of the cache that differ by no more tokens than this are compared as they are.
const SAME_DEPTH: f64 = 48.0;
/// How far energy counters are trusted, relative.
const METERED: f64 = 0.005;
/// Measurements further apart than this are not compared.
const STALE_USEC: u64 = 120_000_000;

/// How a comparison ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Verdict {
    /// The lower clock holds the speed: this one.
    Holds(Speed),
    /// It does not, but nearly: noise may have tipped it.
    Fails,
    /// It does not by far, or it wastes energy.
    Hopeless,
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
    /// The newest measurement of the full clock.
    reference: Option<Speed>,
}

impl Trial {
    /// Compares `candidate` with `full`, at a depth of the cache; `before` is an earlier measurement of `full`.
    pub(super) fn begin(
        now: BootTime,
        full: usize,
        candidate: usize,
        before: Option<Speed>,
        depth: u32,
    ) -> Self {
        let fresh = before.filter(|speed| now.0.saturating_sub(speed.at.0) < FRESH_USEC);
        let fresh = fresh.filter(|speed| (f64::from(depth) - speed.depth).abs() <= SAME_DEPTH);
        Self {
            full,
            candidate,
            arm: fresh.map_or(Arm::Before, |before| Arm::Probe { before }),
            meter: Meter::begin(now),
            reference: fresh,
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

    /// The newest measurement of the full clock, for the next trial.
    pub(super) fn reference(&self) -> Option<Speed> {
        self.reference
    }

    /// Something else was done meanwhile.
    pub(super) fn interrupt(&mut self, now: BootTime) {
        self.meter.interrupt(now);
    }

    /// Takes a record in, and what the package's energy counter says.
    pub(super) fn step(
        &mut self,
        now: BootTime,
        engine: &EngineSample,
        energy: Option<u64>,
        loss: f64,
    ) -> Option<Verdict> {
        self.meter.record(engine);
        self.meter.energy(now, energy);
        let speed = self.meter.speed()?;
        let is_enough = enough(&self.meter, &speed, loss);
        match self.arm {
            Arm::Probe { before } if hopeless(&before, &speed, loss) => return Some(Verdict::Hopeless),
            _ if !is_enough => return None,
            Arm::Before => {
                self.reference = Some(speed);
                self.turn(now, Arm::Probe { before: speed });
            }
            Arm::Probe { before } if wastes(&before, &speed) => return Some(Verdict::Hopeless),
            Arm::Probe { before } if clear(&before, &speed, loss) => return Some(Verdict::Holds(speed)),
            Arm::Probe { before } => self.turn(now, Arm::After { before, probe: speed }),
            Arm::After { before, probe } => {
                self.reference = Some(speed);
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
    let certain = speed.error <= loss.max(0.01) / 8.0;
    let long = speed.tokens >= FEWEST_TOKENS && meter.lasted() >= SHORTEST_SECONDS;
    (long && certain) || meter.lasted() >= LONGEST_SECONDS
}

/// Far too slow, so that it need not be measured well.
fn hopeless(before: &Speed, probe: &Speed, loss: f64) -> bool {
    let ratio = before.seconds / probe.seconds;
    let error = 3.0 * (before.error + probe.error);
    probe.tokens >= EARLY_TOKENS && ratio + error < 1.0 - 2.0 * loss.max(0.01)
}

/// Takes more energy per token than the full clock: what the cores save, the rest of the package loses by the longer
/// time.
fn wastes(full: &Speed, probe: &Speed) -> bool {
    let is_same_depth = (probe.depth - full.depth).abs() <= SAME_DEPTH;
    // In doubt it does not: the level below will tell more clearly.
    let doubt = 1.0 + METERED + full.error + probe.error;
    let more = matches!((full.joules(), probe.joules()), (Some(full), Some(low)) if low > full * doubt);
    is_same_depth && more
}

/// Holds beyond doubt, though the cache has grown since: no need to look again at the full clock.
fn clear(before: &Speed, probe: &Speed, loss: f64) -> bool {
    let deeper = probe.depth >= before.depth;
    deeper && before.seconds / probe.seconds >= 1.0 - loss + margin(before, probe, loss)
}

/// In doubt a trial fails: the loss that is allowed is a promise.
fn margin(full: &Speed, probe: &Speed, loss: f64) -> f64 {
    libm::sqrt(full.error * full.error + probe.error * probe.error).min(loss / 2.0)
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
    let full = between(before, after, probe.depth);
    if wastes(&full, probe) {
        Verdict::Hopeless
    } else if full.seconds / probe.seconds >= 1.0 - loss + margin(before, probe, loss) {
        Verdict::Holds(*probe)
    } else {
        Verdict::Fails
    }
}

/// The full clock's speed at a depth that lies between two at which it was measured.
fn between(before: &Speed, after: &Speed, depth: f64) -> Speed {
    let span = after.depth - before.depth;
    let weight = if span.abs() > 1.0 {
        ((depth - before.depth) / span).clamp(0.0, 1.0)
    } else {
        0.5
    };
    let mix = |before: f64, after: f64| before + weight * (after - before);
    Speed {
        seconds: mix(before.seconds, after.seconds),
        depth,
        watts: before
            .watts
            .zip(after.watts)
            .map(|(before, after)| mix(before, after)),
        ..*before
    }
}
