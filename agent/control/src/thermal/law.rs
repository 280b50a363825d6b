//! How much of its full power the processor may draw.

use super::observer::Observer;
use super::reach::Reach;
use crate::share::Drawn;

/// How fast the gap to the target closes, in 1/s. Its inverse must be longer than all lags together: a sensor's (up
/// to 1 s), the die's (up to 1 s), the step's and the actuator's (0.3 s).
const APPROACH: f64 = 0.3;
/// How fast full power alone heats, `b`, in K/s. A small cooler's value: overstated for a large one, which makes the
/// law gentler there.
const HEATING: f64 = 12.0;
/// Bandwidth of the observer, in rad/s.
const BANDWIDTH: f64 = 1.0;
/// What is kept free below the target for noise, in K.
const MARGIN: f64 = 0.9;
/// What is kept free beside it for the ripple of alternating between two clocks, in K per share between them.
const RIPPLE: f64 = 3.5;
/// How fast the permitted share may rise, per second.
const RELEASE: f64 = 0.15;
/// How fast the permitted share falls to the safe one when the temperature is not known any more, per second.
const LOSS: f64 = 0.33;
/// How fast it rises to the safe one, per second.
const REGAIN: f64 = 0.05;
/// Below this share of processor time for [`REST`] seconds the processor rests.
const RESTING: f64 = 0.15;
/// Seconds of rest after which power is not held back any more: the permitted share stays known, and holds again as
/// soon as power is drawn.
const REST: f64 = 3.0;
/// How far below the target a resting processor must be for that, in K.
const COOLER: f64 = 2.0;
/// Below this share of processor time over the last seconds, and below [`FULL`] now, work is light: it rests as well,
/// while what full power warms at once is less than [`AT_ONCE`] of the gap to the target. A cap on bursts far below the
/// target would cost speed for nothing.
const LIGHT: f64 = 0.4;
const FULL: f64 = 0.9;
const AT_ONCE: f64 = 1.3;
/// Seconds between two steps while power is held back and less than half of what is permitted is drawn, at the most.
const UNBOUND_STEP: f64 = 0.5;
/// Seconds between two steps while power is held back: short, for between two clocks of a table the output alternates.
const HOLDING_STEP: f64 = 0.1;
/// Seconds between two steps close to the target.
const CLOSE_STEP: f64 = 0.2;
/// Further than this from the target, in K, a resting machine is not looked at more often than every so many seconds:
/// what jumps further within them cannot be met by looking.
const FAR: f64 = 25.0;
const FAR_STEP: f64 = 1.0;
/// Seconds between two steps of a busy machine far from it.
const BUSY_STEP: f64 = 1.0;
/// Seconds between two steps of a resting machine far from it.
const IDLE_STEP: f64 = 5.0;

/// What the law is given at one instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heat {
    /// Seconds since the step before.
    pub(crate) dt: f64,
    /// The assumed temperature, in °C.
    pub(crate) temperature: f64,
    /// The temperature to hold, in °C.
    pub(crate) target: f64,
    /// The share of full power that is drawn.
    pub(crate) drawn: Drawn,
    /// The widest step between two clocks that the output alternates between, in shares of full power.
    pub(crate) coarseness: f64,
    /// Whether work is known to be there or to come, whatever is drawn yet.
    pub(crate) expected: bool,
}

/// The law and what it remembers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Law {
    observer: Option<Observer>,
    /// The share that is permitted.
    permitted: f64,
    /// How long the processor has rested, in seconds.
    rested: f64,
    slope: f64,
    reach: Reach,
}

impl Default for Law {
    fn default() -> Self {
        Self {
            observer: None,
            permitted: 1.0,
            rested: 0.0,
            slope: 0.0,
            reach: Reach::default(),
        }
    }
}

impl Law {
    /// Takes in what is; returns how many seconds later to look again at the latest.
    pub(crate) fn step(&mut self, heat: Heat) -> f64 {
        self.reach.step(heat.dt, heat.temperature, heat.drawn);
        let observer = self.observer.get_or_insert(Observer::at_rest(heat.temperature));
        if heat.dt > 0.0 {
            observer.step(heat.dt, HEATING * heat.drawn.felt, heat.temperature, BANDWIDTH);
        }
        self.slope = observer.drift + HEATING * heat.drawn.felt;
        let gap = heat.target - MARGIN - RIPPLE * heat.coarseness - observer.temperature;
        let wanted = (APPROACH * gap - observer.drift) / HEATING;
        let jump =
            heat.drawn.now.max(heat.drawn.felt) + (heat.target - observer.temperature) / self.reach.jump();
        let rise = self.permitted + RELEASE * heat.dt;
        self.permitted = wanted.min(jump).min(rise).clamp(0.0, 1.0);
        self.rested = if self.rests(heat) {
            self.rested + heat.dt
        } else {
            0.0
        };
        self.interval(heat)
    }

    /// Whether so little is worked, and so far from the target, that power need not be held back.
    fn rests(&self, heat: Heat) -> bool {
        let gap = heat.target - heat.temperature;
        let idle = heat.drawn.busy < RESTING && gap > COOLER;
        let light = heat.drawn.lately < LIGHT && heat.drawn.busy < FULL && gap * AT_ONCE > self.reach.jump();
        !heat.expected && (idle || light)
    }

    /// The temperature is not known, in `heat` is the last one that was: the permitted share goes to a safe one, and
    /// until it is there no higher than if the temperature went on as it did, or stood still.
    pub(crate) fn step_blind(&mut self, heat: Heat, safe: f64) -> f64 {
        let before = self.permitted;
        if before <= safe {
            *self = Self {
                permitted: (before + REGAIN * heat.dt).min(safe),
                reach: self.reach,
                slope: self.slope.max(0.0),
                ..Self::default()
            };
            // Nothing moves any more until a sensor does.
            return if self.permitted < safe {
                CLOSE_STEP
            } else {
                BUSY_STEP
            };
        }
        let ahead = self.observer.map_or(heat.temperature, |observer| {
            observer.temperature + heat.dt * (observer.drift + HEATING * heat.drawn.felt)
        });
        self.step(Heat {
            temperature: heat.temperature.max(ahead),
            ..heat
        });
        self.permitted = self.permitted.min((before - LOSS * heat.dt).max(safe));
        self.rested = 0.0;
        CLOSE_STEP
    }

    /// The share of full power that is permitted, 0 to 1.
    pub(crate) fn permitted(&self) -> f64 {
        if self.rested < REST { self.permitted } else { 1.0 }
    }

    /// The share that heat would permit to work, rest or not.
    pub(crate) fn held(&self) -> f64 {
        self.permitted
    }

    /// How fast the temperature rises, in K/s.
    pub(crate) fn slope(&self) -> f64 {
        self.slope
    }

    /// How long heat can be left alone: while it is held, not at all; else a part of the time in which full power
    /// would use up the gap to the target.
    fn interval(&self, heat: Heat) -> f64 {
        let gap = heat.target - heat.temperature;
        if self.permitted() < 1.0 {
            let unbound = heat.drawn.felt.max(heat.drawn.now) < self.permitted / 2.0;
            let longest = if unbound { UNBOUND_STEP } else { HOLDING_STEP };
            return (gap / (2.0 * HEATING)).clamp(HOLDING_STEP, longest);
        }
        if heat.drawn.busy < RESTING && !heat.expected {
            let least = if gap > FAR { FAR_STEP } else { CLOSE_STEP };
            return self.reach.seconds(gap).clamp(least, IDLE_STEP);
        }
        (gap / (4.0 * self.slope.max(HEATING))).clamp(HOLDING_STEP, BUSY_STEP)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two busy minutes on the target, then light work in bursts while the die cools to a temperature; the seconds
    /// until power is not held back any more.
    fn freed_after(cooled: f64, busy: [f64; 2]) -> Option<f64> {
        let mut law = Law::default();
        let mut drawn = Drawn::default();
        let mut step = |law: &mut Law, temperature, busy: f64| {
            drawn.step(0.1, busy * law.permitted(), busy);
            law.step(Heat {
                dt: 0.1,
                temperature,
                target: 80.0,
                drawn,
                coarseness: 0.05,
                expected: false,
            });
        };
        for _ in 0..1200 {
            step(&mut law, 79.0, 1.0);
        }
        assert!(law.permitted() < 0.9);
        let tenths = (0..600).find(|tenth| {
            // A burst of half a second in two and a half.
            let burst = usize::from(tenth % 25 < 5);
            let temperature = cooled + (79.0 - cooled) * libm::exp(-f64::from(*tenth) / 30.0);
            step(&mut law, temperature, busy[burst]);
            law.permitted() >= 1.0
        });
        tenths.map(|tenths| f64::from(tenths) / 10.0)
    }

    #[test]
    fn bursts_far_below_the_target_are_not_held_back() {
        let freed = freed_after(58.0, [0.2, 0.7]);
        assert!(freed.is_some_and(|seconds| seconds < 10.0), "{freed:?}");
    }

    #[test]
    fn bursts_close_to_it_and_steady_work_are() {
        assert_eq!(freed_after(74.0, [0.2, 0.7]), None);
        assert_eq!(freed_after(66.0, [0.6, 0.9]), None);
    }
}
