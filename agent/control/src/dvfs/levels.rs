//! Clocks as steps that all policies climb together.

use super::drivers::Want;
use alloc::vec::Vec;
use machine::{Capabilities, KiloHertz, Policy, Sample};

/// Steps where a driver takes any clock; a table longer than this is thinned.
const STEPS: u64 = 24;

/// Shares of the full clock, in thousandths, ascending; the last is 1000. A policy with a smaller range than the fastest
/// one follows in proportion.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Levels {
    thousandths: Vec<u64>,
    /// The fastest policy's number and highest clock: what is seen there tells whether the firmware or heat holds back.
    reference: Option<(u32, u64)>,
}

impl Levels {
    /// Those of a machine.
    pub(super) fn of(machine: &Capabilities) -> Self {
        let fastest = machine.policies.iter().filter(|policy| range(policy).is_some());
        let fastest = fastest.max_by_key(|policy| policy.cpuinfo_max_freq);
        let mut thousandths = fastest.map(steps).unwrap_or_default();
        thousandths.push(1000);
        thousandths.sort_unstable();
        thousandths.dedup();
        Self {
            thousandths,
            reference: fastest.and_then(|policy| Some((policy.id, policy.cpuinfo_max_freq?.0))),
        }
    }

    /// The number of the highest.
    pub(super) fn top(&self) -> usize {
        self.thousandths.len() - 1
    }

    /// The fastest policy's number.
    pub(super) fn reference(&self) -> Option<u32> {
        self.reference.map(|(id, _)| id)
    }

    /// The clock of a level in a policy: one that it offers, and no lower than the level's share of its highest.
    pub(super) fn clock(&self, policy: &Policy, level: usize) -> Option<KiloHertz> {
        let (lowest, highest) = range(policy)?;
        if level >= self.top() {
            return Some(KiloHertz(highest));
        }
        let wanted = share(highest, self.thousandths[level]).clamp(lowest, highest);
        let table = &policy.scaling_available_frequencies;
        let offered = table
            .iter()
            .filter(|clock| (wanted..=highest).contains(&clock.0))
            .min();
        match offered {
            Some(clock) => Some(*clock),
            None if table.is_empty() => Some(KiloHertz(wanted)),
            None => Some(KiloHertz(highest)),
        }
    }

    /// What the fastest policy is asked to keep below.
    pub(super) fn asked(&self, want: Want) -> u64 {
        let highest = self.reference.map_or(0, |(_, highest)| highest);
        share(highest, self.thousandths[want.level().min(self.top())])
    }

    /// The level that the fastest policy really runs, as far as its driver tells.
    pub(super) fn running(&self, sample: &Sample) -> Option<usize> {
        let reference = self.reference()?;
        let policy = sample.policies.iter().find(|policy| policy.id == reference)?;
        Some(self.under(policy.scaling_cur_freq?.0))
    }

    /// The highest level that a limit of the fastest policy's clock leaves.
    pub(super) fn under(&self, limit: u64) -> usize {
        let highest = self.reference.map_or(0, |(_, highest)| highest);
        let fits = |thousandths: &&u64| share(highest, **thousandths) <= limit.saturating_add(1000);
        self.thousandths.iter().filter(fits).count().saturating_sub(1)
    }
}

/// The lowest and highest clock of a policy in kHz, if they make sense.
fn range(policy: &Policy) -> Option<(u64, u64)> {
    let (lowest, highest) = (policy.cpuinfo_min_freq?.0, policy.cpuinfo_max_freq?.0);
    (lowest > 0 && lowest <= highest).then_some((lowest, highest))
}

fn share(clock: u64, thousandths: u64) -> u64 {
    let wide = u128::from(clock) * u128::from(thousandths) / 1000;
    u64::try_from(wide).unwrap_or(u64::MAX)
}

fn steps(policy: &Policy) -> Vec<u64> {
    let Some((lowest, highest)) = range(policy) else {
        return Vec::new();
    };
    let thousandth = |clock: u64| (u128::from(clock) * 1000).div_ceil(u128::from(highest)).min(1000) as u64;
    let table = &policy.scaling_available_frequencies;
    if table.is_empty() {
        let span = u128::from(highest - lowest);
        let step = |number: u64| lowest + (span * u128::from(number) / u128::from(STEPS - 1)) as u64;
        return (0..STEPS).map(|number| thousandth(step(number))).collect();
    }
    let every = table.len().div_ceil(STEPS as usize).max(1);
    let inside = table.iter().filter(|clock| (lowest..=highest).contains(&clock.0));
    // Rounded down: the share of a table's clock must lead back to that very clock.
    let rounded = |clock: u64| (u128::from(clock) * 1000 / u128::from(highest)) as u64;
    inside
        .rev()
        .step_by(every)
        .map(|clock| rounded(clock.0))
        .collect()
}
