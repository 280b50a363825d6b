//! The laws together.

use crate::thermal::{Heat, Law};
use crate::{Meter, sensors, share};
use alloc::vec::Vec;
use machine::{
    BootTime, Capabilities, Decision, KiloHertz, MilliCelsius, PolicySetpoint, Rung, Sample, Tuning, Wishes,
};

/// Time between two steps while nothing happens, in microseconds.
const IDLE_STEP_USEC: u64 = 5_000_000;

/// All laws and what they remember.
#[derive(Clone, Debug)]
pub struct Controller {
    capabilities: Capabilities,
    tuning: Tuning,
    wishes: Wishes,
    meter: Meter,
    law: Law,
    at: Option<BootTime>,
}

impl Controller {
    /// Laws for a machine of a kind, which have seen nothing yet.
    pub fn new(capabilities: Capabilities, tuning: Tuning) -> Self {
        Self {
            capabilities,
            tuning,
            wishes: Wishes::default(),
            meter: Meter::default(),
            law: Law::default(),
            at: None,
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

    /// Decides. Samples come in the order of their time.
    pub fn step(&mut self, sample: &Sample) -> Decision {
        let now = sample.at_usec;
        let dt = self.at.map_or(0.0, |at| now.0.saturating_sub(at.0) as f64 / 1e6);
        self.at = Some(now);
        let target = self.wishes.target.unwrap_or(self.tuning.target);
        let mut decision = Decision {
            profile: self.wishes.effective(now),
            wake_at: BootTime(now.0.saturating_add(IDLE_STEP_USEC)),
            ..Decision::default()
        };
        decision.thermal.target = target;
        if let Some(temperature) = sensors::hottest(sample, &self.tuning.ignored_sensors) {
            self.hold(dt, temperature, sample, &mut decision);
        }
        decision
    }

    fn hold(&mut self, dt: f64, temperature: MilliCelsius, sample: &Sample, decision: &mut Decision) {
        let drawn = share::drawn(&self.capabilities, sample, self.meter.step(sample));
        let celsius = |temp: MilliCelsius| temp.0 as f64 / 1000.0;
        let interval = self.law.step(Heat {
            dt,
            temperature: celsius(temperature),
            target: celsius(decision.thermal.target),
            drawn,
        });
        let caps = self.law.caps(dt, &self.capabilities);
        decision.wake_at = BootTime(sample.at_usec.0.saturating_add((interval * 1e6) as u64));
        decision.thermal.assumed = Some(temperature);
        decision.thermal.slope_millicelsius_per_second = (self.law.slope() * 1000.0) as i64;
        decision.thermal.clock_cap = caps.iter().map(|cap| cap.1).min();
        decision.thermal.rung = if caps.is_empty() {
            Rung::Free
        } else {
            Rung::ClockCap
        };
        decision.setpoints.policies = caps.into_iter().map(capped).collect::<Vec<_>>();
    }
}

fn capped((id, clock): (u32, KiloHertz)) -> PolicySetpoint {
    PolicySetpoint {
        id,
        scaling_max_freq: Some(clock),
        ..PolicySetpoint::default()
    }
}
