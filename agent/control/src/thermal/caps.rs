//! The clocks that a permitted share of power leaves.

use super::dither::Dither;
use alloc::{collections::BTreeMap, vec::Vec};
use machine::{Capabilities, KiloHertz};

/// Every policy's modulator.
#[derive(Clone, Debug, Default)]
pub(crate) struct Caps {
    dithers: BTreeMap<u32, Dither>,
}

impl Caps {
    /// The highest clock of each policy for the next while, when `dt` seconds have passed; nothing while everything is
    /// permitted.
    pub(crate) fn step(&mut self, dt: f64, permitted: f64, machine: &Capabilities) -> Vec<(u32, KiloHertz)> {
        if permitted >= 1.0 {
            self.dithers.clear();
            return Vec::new();
        }
        self.dithers
            .retain(|id, _| machine.policies.iter().any(|policy| policy.id == *id));
        let caps = machine.policies.iter().filter_map(|policy| {
            let dither = self.dithers.entry(policy.id).or_default();
            Some((policy.id, dither.step(dt, permitted, policy)?))
        });
        caps.collect()
    }

    /// The widest step between two neighbouring clocks that the output alternates between, in shares of full power.
    pub(crate) fn coarseness(&self) -> f64 {
        self.dithers.values().map(Dither::coarseness).fold(0.0, f64::max)
    }
}
