//! What if a group of numbers is wrong: each group by the same factor.

use super::Machine;

/// Numbers that are wrong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Power at rest and of what is awake beside the cores.
    Static,
    /// Energy of moving a bit.
    Memory,
    /// Switched capacitance: the cores' power.
    Cores,
    /// Leakage of the cores.
    Leakage,
    /// Activity of a waiting core.
    Stalled,
    /// Bandwidth.
    Bandwidth,
    /// How much bandwidth a low clock loses.
    Slope,
    /// Arithmetic per cycle.
    Arithmetic,
    /// What does not overlap, and the engine's own cycles.
    Overhead,
    /// The sustained power limit.
    Limit,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Static,
        Self::Memory,
        Self::Cores,
        Self::Leakage,
        Self::Stalled,
        Self::Bandwidth,
        Self::Slope,
        Self::Arithmetic,
        Self::Overhead,
        Self::Limit,
    ];

    /// In words, for a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Static => "idle and uncore power",
            Self::Memory => "memory's energy per bit",
            Self::Cores => "cores' switched capacitance",
            Self::Leakage => "cores' leakage",
            Self::Stalled => "activity of a waiting core",
            Self::Bandwidth => "memory bandwidth",
            Self::Slope => "bandwidth lost at low clocks",
            Self::Arithmetic => "arithmetic per cycle",
            Self::Overhead => "overhead, what does not overlap",
            Self::Limit => "sustained power limit",
        }
    }

    /// A machine in which this group is so much larger or smaller, for example 1.3.
    pub fn scaled(self, mut machine: Machine, factor: f64) -> Machine {
        let (speed, power) = (&mut machine.speed, &mut machine.power);
        match self {
            Self::Static => {
                power.idle *= factor;
                power.uncore *= factor;
            }
            Self::Memory => power.memory_picojoules_per_bit *= factor,
            Self::Cores => power.capacitance *= factor,
            Self::Leakage => power.leakage *= factor,
            Self::Stalled => power.stalled = (power.stalled * factor).min(1.0),
            Self::Bandwidth => speed.bandwidth *= factor,
            Self::Slope => speed.bandwidth_slope *= factor,
            Self::Arithmetic => speed.operations_per_cycle *= factor,
            Self::Overhead => {
                speed.overlap = 1.0 - (1.0 - speed.overlap) * factor;
                speed.overhead_cycles *= factor;
            }
            Self::Limit => power.sustained *= factor,
        }
        machine
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roofline::machines;

    #[test]
    fn every_group_changes_something_and_nothing_at_one() {
        for group in Group::ALL {
            assert_ne!(
                group.scaled(machines::n100(), 1.3),
                machines::n100(),
                "{}",
                group.name()
            );
            let same = group.scaled(machines::n100(), 1.0);
            assert!((same.speed.overlap - machines::n100().speed.overlap).abs() < 1e-12);
            assert_eq!(same.power, machines::n100().power);
        }
    }
}
