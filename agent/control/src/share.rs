//! Power as a share of the most that the processor can draw: the quantity that heat follows.
//!
//! Dynamic power is `C·V²·f`, and the voltage rises with the clock over an offset, so that a core's power at full load
//! goes about with the square of its clock between the floor and the top (the P-state tables of mini PCs' processors
//! lie between f^1.7 and f^2.5). The laws need no more than that: what the square misses, their feedback finds.

use crate::Utilisation;
use machine::{Capabilities, KiloHertz, Policy, PolicySample, Sample};

/// The sensor's lag and the actuator's delay together, as far as the laws reckon with them, in seconds.
const LAG: f64 = 0.6;
/// How far back "lately" reaches, in seconds.
const LATELY: f64 = 2.0;
/// A fall of power by this share lets a temperature fall as it likes; so does less than this share of processor time.
const RELIEF: f64 = 0.1;
const IDLE: f64 = 0.2;

/// The share of full power that a clock costs under full load.
pub(crate) fn of_clock(clock: KiloHertz, highest: KiloHertz) -> f64 {
    let ratio = (clock.0 as f64 / highest.0.max(1) as f64).min(1.0);
    ratio * ratio
}

/// The clock that costs a share of full power under full load.
pub(crate) fn to_clock(share: f64, highest: KiloHertz) -> KiloHertz {
    let ratio = libm::sqrt(share.clamp(0.0, 1.0));
    KiloHertz((ratio * highest.0 as f64) as u64)
}

/// What is drawn, now and as late as a sensor shows it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Drawn {
    /// The share of full power that is drawn, 0 to 1.
    pub(crate) now: f64,
    /// The same behind a lag.
    pub(crate) felt: f64,
    /// The share of all processors' time that is worked, whatever the clock.
    pub(crate) busy: f64,
    /// The same over the last seconds: bursts do not lift it far.
    pub(crate) lately: f64,
}

impl Drawn {
    /// `dt` seconds later, `now` is drawn.
    pub(crate) fn step(&mut self, dt: f64, now: f64, busy: f64) {
        self.now = now;
        self.felt += (now - self.felt) * (1.0 - libm::exp(-dt / LAG));
        self.busy = busy;
        self.lately += (busy - self.lately) * (1.0 - libm::exp(-dt / LATELY));
    }

    /// Whether so little is worked, or so much less drawn than before, that a temperature may fall as it likes.
    pub(crate) fn relieved(&self) -> bool {
        self.busy < IDLE || self.now < self.felt - RELIEF
    }
}

/// The share that is drawn, 0 to 1: the mean over the processors of busy share times clock's share. What is not known
/// counts as full.
pub(crate) fn drawn(machine: &Capabilities, sample: &Sample, utilisation: &Utilisation) -> f64 {
    let parts = machine.policies.iter().map(|policy| {
        let busy = utilisation.mean_of(&policy.affected_cpus).unwrap_or(1.0);
        let now = sample.policies.iter().find(|now| now.id == policy.id);
        let cores = policy.affected_cpus.len().max(1) as f64;
        (cores, cores * busy * clock_share(policy, now))
    });
    let (cores, sum) = parts.fold((0.0, 0.0), |(cores, sum), part| (cores + part.0, sum + part.1));
    if cores > 0.0 {
        sum / cores
    } else {
        utilisation.mean().unwrap_or(1.0)
    }
}

fn clock_share(policy: &Policy, now: Option<&PolicySample>) -> f64 {
    let now = now.and_then(|now| now.scaling_cur_freq.or(now.scaling_max_freq));
    match (now, policy.cpuinfo_max_freq) {
        (Some(now), Some(highest)) => of_clock(now, highest),
        _ => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    #[test]
    fn half_the_clock_costs_a_quarter_of_the_power() {
        let top = KiloHertz(2_000_000);
        assert_eq!(of_clock(KiloHertz(1_000_000), top), 0.25);
        assert_eq!(to_clock(0.25, top), KiloHertz(1_000_000));
        assert_eq!(of_clock(KiloHertz(u64::MAX), KiloHertz(0)), 1.0);
    }

    #[test]
    fn a_machine_without_policies_draws_what_its_processors_are_busy() {
        let busy = Utilisation::of(vec![(0, 0.5), (1, 0.0)]);
        assert_eq!(drawn(&Capabilities::default(), &Sample::default(), &busy), 0.25);
    }
}
