//! Where plants are drawn from.

use super::TARGET;
use twin::description::Description;
use twin::plant::{Dice, Parameters, Processor};
use twin::range::Lot;

/// A range of machines that no law has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// Two cores, about 30 W, any table of clocks; a tenth of a real machine's time constants.
    Shortened,
    /// The same with the time constants of a real machine.
    Real,
    /// What the virtual machine's tests draw: full power would heat by up to 140 K, up to 50 K of it at once.
    Twin,
}

impl Family {
    pub(crate) const ALL: [Self; 3] = [Self::Shortened, Self::Real, Self::Twin];

    /// How many seconds of full load its heat sinks need.
    pub(crate) fn settling(self) -> f64 {
        if self == Self::Real { 900.0 } else { 120.0 }
    }

    pub(super) fn fan_level(self) -> f64 {
        if self == Self::Twin { 3.0 } else { 0.0 }
    }

    pub(super) fn draw(self, seed: u64, dice: &mut Dice) -> (Parameters, Processor) {
        match self {
            Self::Shortened => (Parameters::drawn(dice, true), Processor::drawn(dice)),
            Self::Real => (Parameters::drawn(dice, false), Processor::drawn(dice)),
            Self::Twin => {
                let machine = Description::mini_pc(2);
                (Lot::new(seed).plant(&machine, TARGET), processor(&machine))
            }
        }
    }
}

/// The described machine's processor: the same power at every clock but for rounding to mW.
fn processor(machine: &Description) -> Processor {
    Processor {
        cores: machine.processors,
        clocks: (machine.slowest()..=machine.fastest())
            .step_by(100)
            .map(|mega| u64::from(mega) * 1000)
            .collect(),
        idle_watts: f64::from(machine.base_milliwatts) / 1000.0,
        core_watts: machine.watts(f64::from(machine.fastest())),
        voltage_offset: 0.55 / 1.15,
    }
}
