//! From a share of power to a clock that the driver has.
//!
//! Between two clocks of a table the output alternates so that the mean share is the wanted one: a first-order
//! sigma-delta modulator over time. Heat integrates, so that it sees the mean. Where any clock will do, the output
//! moves only when it is off by most of a step, so that noise does not become writes.

use crate::share;
use machine::{KiloHertz, Policy};

/// Steps in which a clock without a table is set: what `intel_pstate` rounds to anyway.
const STEP_KHZ: u64 = 100_000;
/// How far off a clock without a table may be, in kHz.
const SLACK_KHZ: u64 = 75_000;
/// The most that may be owed in one direction, in seconds of one step: a longer memory would make longer waves.
const MEMORY: f64 = 0.3;

/// The modulator of one policy.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Dither {
    /// The clock that is out.
    out: Option<KiloHertz>,
    /// Share-seconds that the output has fallen short of the wish.
    owed: f64,
    /// The step between the two clocks that it alternates between, in shares.
    step: f64,
}

impl Dither {
    /// The clock for the next while, when `dt` seconds have passed under the clock before. Never falls when `wanted`
    /// rises.
    pub(super) fn step(&mut self, dt: f64, wanted: f64, policy: &Policy) -> Option<KiloHertz> {
        let highest = policy.cpuinfo_max_freq?;
        let lowest = policy
            .cpuinfo_min_freq
            .unwrap_or(KiloHertz(STEP_KHZ))
            .min(highest);
        let clock = share::to_clock(wanted, highest).clamp(lowest, highest);
        let out = match neighbours(&policy.scaling_available_frequencies, clock) {
            Some(pair) => self.modulate(dt, wanted, pair, highest),
            None => self.settle(clock).clamp(lowest, highest),
        };
        self.out = Some(out);
        Some(out)
    }

    /// The step between the two clocks that it alternates between, in shares of full power.
    pub(super) fn coarseness(&self) -> f64 {
        self.step
    }

    fn modulate(
        &mut self,
        dt: f64,
        wanted: f64,
        pair: (KiloHertz, KiloHertz),
        highest: KiloHertz,
    ) -> KiloHertz {
        let (low, high) = (share::of_clock(pair.0, highest), share::of_clock(pair.1, highest));
        let spent = self.out.map_or(wanted, |out| share::of_clock(out, highest));
        self.step = high - low;
        let bound = MEMORY * self.step;
        self.owed = (self.owed + dt * (wanted - spent)).clamp(-bound, bound);
        // The nearer one while nothing is owed.
        let balance = self.owed + dt * (wanted - 0.5 * (low + high));
        if balance > 0.0 { pair.1 } else { pair.0 }
    }

    fn settle(&self, clock: KiloHertz) -> KiloHertz {
        let rounded = KiloHertz((clock.0.saturating_add(STEP_KHZ / 2) / STEP_KHZ).saturating_mul(STEP_KHZ));
        self.out
            .filter(|out| out.0.abs_diff(clock.0) <= SLACK_KHZ)
            .unwrap_or(rounded)
    }
}

/// The clocks of an ascending table on both sides; twice the same where the clock is in it or beyond it.
fn neighbours(table: &[KiloHertz], clock: KiloHertz) -> Option<(KiloHertz, KiloHertz)> {
    let (first, last) = (*table.first()?, *table.last()?);
    let low = table
        .iter()
        .rev()
        .find(|entry| **entry <= clock)
        .copied()
        .unwrap_or(first);
    let high = table
        .iter()
        .find(|entry| **entry >= clock)
        .copied()
        .unwrap_or(last);
    Some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{vec, vec::Vec};

    fn policy(table: Vec<KiloHertz>) -> Policy {
        Policy {
            id: 0,
            affected_cpus: vec![0],
            scaling_driver: None,
            cpuinfo_min_freq: Some(KiloHertz(800_000)),
            cpuinfo_max_freq: Some(KiloHertz(2_400_000)),
            base_frequency: None,
            scaling_available_frequencies: table,
            core_type: None,
            scaling_available_governors: Vec::new(),
            energy_performance_available_preferences: Vec::new(),
        }
    }

    #[test]
    fn the_mean_share_is_the_wanted_one() {
        let policy = policy([8, 12, 16, 20, 24].map(|clock| KiloHertz(clock * 100_000)).into());
        for wanted in [0.15, 0.5, 0.62, 0.7, 0.9] {
            let mut dither = Dither::default();
            let outs: Vec<KiloHertz> = (0..400)
                .filter_map(|_| dither.step(0.2, wanted, &policy))
                .collect();
            let shares = outs.iter().map(|out| share::of_clock(*out, KiloHertz(2_400_000)));
            assert!((shares.sum::<f64>() / 400.0 - wanted).abs() < 0.01, "{wanted}");
            let mut distinct = outs.clone();
            distinct.sort();
            distinct.dedup();
            assert!(distinct.len() <= 2, "{wanted}: only neighbours: {distinct:?}");
        }
    }

    #[test]
    fn the_ends_of_the_table_are_reached_and_not_left() {
        let policy = policy([8, 24].map(|clock| KiloHertz(clock * 100_000)).into());
        let mut dither = Dither::default();
        assert_eq!(dither.step(0.1, 0.0, &policy), Some(KiloHertz(800_000)));
        assert_eq!(dither.step(0.1, 1.0, &policy), Some(KiloHertz(2_400_000)));
    }

    #[test]
    fn a_clock_without_a_table_ignores_noise() {
        let policy = policy(Vec::new());
        let mut dither = Dither::default();
        assert_eq!(dither.step(0.1, 0.25, &policy), Some(KiloHertz(1_200_000)));
        assert_eq!(dither.step(0.1, 0.27, &policy), Some(KiloHertz(1_200_000)));
        assert_eq!(dither.step(0.1, 0.30, &policy), Some(KiloHertz(1_300_000)));
    }
}
