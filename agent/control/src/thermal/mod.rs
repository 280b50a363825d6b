//! The thermal law: how much of its full power the processor may draw so that a target temperature is held.
//!
//! Predictive, and without knowing the machine. An [`Observer`] tells the temperature `T` and the drift `d` it would
//! have without power. The law wants the gap to the target to close like `e^(−k·t)`, that is a slope of
//! `k·(target − T)`, and permits the power that gives it: `p = (k·(target − T) − d) / b`. A die that warms by 10 K/s
//! is so throttled from `10/k` below the target on, a slow one only when it is there; a plant at rest on its target
//! has `p` at the very power that holds it there, which nobody needs to know beforehand.

mod dither;
mod observer;

use alloc::{collections::BTreeMap, vec::Vec};
use dither::Dither;
use machine::{Capabilities, KiloHertz};
use observer::Observer;

/// How fast the gap to the target closes, in 1/s. Its inverse must be longer than all lags together: a sensor's (up
/// to 1 s), the die's (up to 1 s), the step's and the actuator's (0.3 s).
const APPROACH: f64 = 0.3;
/// How fast full power alone heats, `b`, in K/s. A small cooler's value: overstated for a large one, which makes the
/// law gentler there.
const HEATING: f64 = 12.0;
/// Bandwidth of the observer, in rad/s.
const BANDWIDTH: f64 = 1.0;
/// The sensor's lag and the actuator's delay, as far as the observer is told of them, in seconds.
const LAG: f64 = 0.6;
/// What is kept free below the target for ripple and noise, in K.
const MARGIN: f64 = 1.0;
/// How fast the permitted share may rise, per second.
const RELEASE: f64 = 0.15;
/// How much a jump to full power warms the die at once, before the sink follows, in K.
const JUMP: f64 = 20.0;

/// Seconds between two steps while power is held back: short, for between two clocks of a table the output alternates.
const HOLDING_STEP: f64 = 0.1;
/// Seconds between two steps close to the target.
const CLOSE_STEP: f64 = 0.2;
/// Seconds between two steps far from it.
const IDLE_STEP: f64 = 5.0;
/// Below this share of full power for [`REST`] seconds the processor rests.
const RESTING: f64 = 0.15;
/// Seconds of rest after which no cap is set any more: it stays ready, and bites again as soon as power is drawn.
const REST: f64 = 3.0;

/// What the law is given at one instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heat {
    /// Seconds since the step before.
    pub(crate) dt: f64,
    /// The assumed temperature, in °C.
    pub(crate) temperature: f64,
    /// The temperature to hold, in °C.
    pub(crate) target: f64,
    /// The share of full power that is drawn, 0 to 1.
    pub(crate) drawn: f64,
}

/// The law and what it remembers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Law {
    observer: Option<Observer>,
    /// The share drawn, as late as the sensor shows it.
    felt: f64,
    /// The share that is permitted.
    permitted: Option<f64>,
    /// How long the processor has rested, in seconds.
    rested: f64,
    dithers: BTreeMap<u32, Dither>,
}

impl Law {
    /// Takes in what is; returns how many seconds later to look again at the latest.
    pub(crate) fn step(&mut self, heat: Heat) -> f64 {
        let before = self.permitted.unwrap_or(1.0);
        let observer = self.observer.get_or_insert(Observer::at_rest(heat.temperature));
        if heat.dt > 0.0 {
            self.felt += (heat.drawn - self.felt) * (1.0 - libm::exp(-heat.dt / LAG));
            observer.step(heat.dt, HEATING * self.felt, heat.temperature, BANDWIDTH);
        }
        let gap = heat.target - MARGIN - observer.temperature;
        let wanted = (APPROACH * gap - observer.drift) / HEATING;
        let jump = heat.drawn.max(self.felt) + (heat.target - observer.temperature) / JUMP;
        let permitted = wanted.min(jump).min(before + RELEASE * heat.dt).clamp(0.0, 1.0);
        self.permitted = Some(permitted);
        self.rested = if heat.drawn < RESTING {
            self.rested + heat.dt
        } else {
            0.0
        };
        self.interval(heat)
    }

    /// Whether power is held back.
    pub(crate) fn bites(&self) -> bool {
        self.permitted.is_some_and(|permitted| permitted < 1.0) && self.rested < REST
    }

    /// How long heat can be left alone: while it is held, not at all; else a part of the time in which the fastest
    /// heating that a small cooler allows would use up the gap to the target.
    fn interval(&self, heat: Heat) -> f64 {
        if self.bites() {
            return HOLDING_STEP;
        }
        let gap = heat.target - heat.temperature - if heat.drawn < RESTING { JUMP } else { 0.0 };
        let slope = if heat.drawn < RESTING {
            HEATING
        } else {
            self.slope().max(1.0)
        };
        (gap / (2.0 * slope)).clamp(CLOSE_STEP, IDLE_STEP)
    }

    /// How fast the temperature rises, in K/s.
    pub(crate) fn slope(&self) -> f64 {
        self.observer
            .map_or(0.0, |observer| observer.drift + HEATING * self.felt)
    }

    /// The highest clock of each policy under the permitted share; nothing while everything is permitted.
    pub(crate) fn caps(&mut self, dt: f64, machine: &Capabilities) -> Vec<(u32, KiloHertz)> {
        if !self.bites() {
            self.dithers.clear();
            return Vec::new();
        }
        let permitted = self.permitted.unwrap_or(1.0);
        let dithers = &mut self.dithers;
        let caps = machine.policies.iter().filter_map(|policy| {
            let cap = dithers
                .entry(policy.id)
                .or_default()
                .step(dt, permitted, policy)?;
            Some((policy.id, cap))
        });
        caps.collect()
    }
}
