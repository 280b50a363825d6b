//! How busy the processors were between two samples.

use alloc::vec::Vec;
use machine::{BootTime, CpuSample, Policy, Sample};

/// `/proc/stat` counts in ticks of 10 ms: over less than this the share means nothing.
const SHORTEST_WINDOW_USEC: u64 = 50_000;

/// The busy share of each processor, 0 to 1, between the last two samples that were far enough apart.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Utilisation {
    /// Processor's number and busy share, by number.
    shares: Vec<(u32, f64)>,
}

impl Utilisation {
    /// From shares that are known; each is clamped to 0…1, and what is no number counts as busy.
    pub fn of(shares: impl IntoIterator<Item = (u32, f64)>) -> Self {
        let clamp = |share: f64| {
            if share.is_nan() {
                1.0
            } else {
                share.clamp(0.0, 1.0)
            }
        };
        Self {
            shares: shares.into_iter().map(|(id, share)| (id, clamp(share))).collect(),
        }
    }

    /// The busy share of a processor; `None` before the second sample, or if the processor is not online.
    pub fn cpu(&self, id: u32) -> Option<f64> {
        self.shares
            .iter()
            .find(|(cpu, _)| *cpu == id)
            .map(|(_, share)| *share)
    }

    /// The share of the busiest processor of a policy: it is the one that wants the clock.
    pub fn policy(&self, policy: &Policy) -> Option<f64> {
        let shares = policy.affected_cpus.iter().filter_map(|cpu| self.cpu(*cpu));
        shares.reduce(f64::max)
    }

    /// The mean over some processors; `None` if none of them is known.
    pub fn mean_of(&self, cpus: &[u32]) -> Option<f64> {
        mean(cpus.iter().filter_map(|cpu| self.cpu(*cpu)))
    }

    /// The mean over all processors.
    pub fn mean(&self) -> Option<f64> {
        mean(self.shares.iter().map(|(_, share)| *share))
    }

    /// The share of the busiest processor.
    pub fn busiest(&self) -> Option<f64> {
        self.shares.iter().map(|(_, share)| *share).reduce(f64::max)
    }
}

fn mean(shares: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = shares.fold((0.0, 0u32), |(sum, count), share| (sum + share, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

/// Makes shares out of the counters of successive samples.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    before: Option<(BootTime, Vec<CpuSample>)>,
    last: Utilisation,
}

impl Meter {
    /// The shares up to this sample. Samples that follow too closely get the shares of the window before.
    pub fn step(&mut self, sample: &Sample) -> &Utilisation {
        match &self.before {
            Some((at, _)) if sample.at_usec.0 < at.0.saturating_add(SHORTEST_WINDOW_USEC) => {}
            Some((_, before)) => {
                let shares = sample.cpus.iter().filter_map(|now| share(before, now));
                self.last = Utilisation::of(shares);
                self.before = Some((sample.at_usec, sample.cpus.clone()));
            }
            None => self.before = Some((sample.at_usec, sample.cpus.clone())),
        }
        &self.last
    }
}

/// `busy ÷ (busy + idle)` over the window. A counter that ran backwards (`idle` may, see `proc_stat`(5)) counts as
/// standing still; a processor whose counters both stood still is unknown.
fn share(before: &[CpuSample], now: &CpuSample) -> Option<(u32, f64)> {
    let before = before.iter().find(|cpu| cpu.id == now.id)?;
    let busy = now.busy_usec.0.saturating_sub(before.busy_usec.0);
    let idle = now.idle_usec.0.saturating_sub(before.idle_usec.0);
    let total = busy.saturating_add(idle);
    (total > 0).then(|| (now.id, busy as f64 / total as f64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use machine::MicroSeconds;

    fn sample(at: u64, counters: &[(u64, u64)]) -> Sample {
        let cpu = |(id, (busy, idle)): (usize, &(u64, u64))| CpuSample {
            id: id as u32,
            busy_usec: MicroSeconds(*busy),
            idle_usec: MicroSeconds(*idle),
        };
        Sample {
            at_usec: BootTime(at),
            cpus: counters.iter().enumerate().map(cpu).collect(),
            ..Sample::default()
        }
    }

    #[test]
    fn shares_are_those_of_the_window() {
        let mut meter = Meter::default();
        assert_eq!(meter.step(&sample(0, &[(500, 500), (0, 0)])).busiest(), None);
        let shares = meter.step(&sample(1_000_000, &[(250_500, 750_500), (1_000_000, 0)]));
        assert_eq!((shares.cpu(0), shares.cpu(1)), (Some(0.25), Some(1.0)));
        assert_eq!((shares.mean(), shares.busiest()), (Some(0.625), Some(1.0)));
        assert_eq!(shares.mean_of(&[0, 7]), Some(0.25));
    }

    #[test]
    fn a_window_too_short_or_backwards_keeps_the_shares_before() {
        let mut meter = Meter::default();
        meter.step(&sample(0, &[(0, 0)]));
        meter.step(&sample(100_000, &[(100_000, 0)]));
        assert_eq!(meter.step(&sample(100_000, &[(0, 900)])).cpu(0), Some(1.0));
        assert_eq!(meter.step(&sample(90_000, &[(0, 900)])).cpu(0), Some(1.0));
        let shares = meter.step(&sample(200_000, &[(100_000, 100_000)]));
        assert_eq!(shares.cpu(0), Some(0.0), "the window began at 100 ms");
    }

    #[test]
    fn counters_that_run_backwards_or_stand_still_make_no_nonsense() {
        let mut meter = Meter::default();
        meter.step(&sample(0, &[(900, 900), (5, 5)]));
        let shares = meter.step(&sample(1_000_000, &[(1_000, 100), (5, 5)]));
        assert_eq!((shares.cpu(0), shares.cpu(1)), (Some(1.0), None));
        assert_eq!(Utilisation::of(vec![(0, f64::NAN), (1, -3.0)]).mean(), Some(0.5));
    }
}
