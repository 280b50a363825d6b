//! What a simulated machine is made of, as its firmware would tell it.

/// A machine.
#[derive(Clone, Debug, PartialEq)]
pub struct Description {
    /// Processors, each a cpufreq policy of its own.
    pub processors: u32,
    /// What each processor can run at, the fastest first.
    pub pstates: Vec<PState>,
    /// Where the thermal zone's trip points lie.
    pub trips: Trips,
    /// The fan's speeds in revolutions per minute, level 0 first.
    pub fan_rpm: Vec<u32>,
    /// What the machine draws besides its processors, in mW.
    pub base_milliwatts: u32,
}

/// A P-state (ACPI 6.5, 8.4.5.2 `_PSS`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PState {
    /// Clock in MHz, a multiple of 100: the guest's write tells no more.
    pub megahertz: u32,
    /// Power of a processor that does nothing but work, in mW.
    pub milliwatts: u32,
}

/// Trip points in °C (ACPI 6.5, 11.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trips {
    /// `_CRT`: the kernel powers off.
    pub critical: u32,
    /// `_HOT`: the kernel tells.
    pub hot: u32,
    /// `_PSV`: the kernel itself lowers clocks. High, so that what cools is the agent.
    pub passive: u32,
    /// `_AC0`: the kernel lets the fan run.
    pub active: u32,
}

impl Description {
    /// A small machine that cannot cool its own full clock: 800 MHz to 3.2 GHz in steps of 100 MHz, one fan with three
    /// speeds, mains and a battery.
    pub fn mini_pc(processors: u32) -> Self {
        Self {
            processors,
            pstates: (8..=32).rev().map(PState::at).collect(),
            trips: Trips {
                critical: 105,
                hot: 104,
                passive: 103,
                active: 60,
            },
            fan_rpm: vec![0, 1200, 2400, 3600],
            base_milliwatts: 1500,
        }
    }

    /// The fastest P-state's clock in MHz.
    pub fn fastest(&self) -> u32 {
        self.pstates
            .iter()
            .map(|state| state.megahertz)
            .max()
            .unwrap_or(0)
    }

    /// The slowest P-state's clock in MHz.
    pub fn slowest(&self) -> u32 {
        self.pstates
            .iter()
            .map(|state| state.megahertz)
            .min()
            .unwrap_or(0)
    }

    /// Power in watts of one processor that works all the time at a clock, straight between neighbouring P-states: what
    /// switching between the two costs.
    pub fn watts(&self, megahertz: f64) -> f64 {
        let at = |state: &PState| (f64::from(state.megahertz), f64::from(state.milliwatts) / 1000.0);
        let above = self.pstates.iter().rfind(|state| at(state).0 >= megahertz);
        let below = self.pstates.iter().find(|state| at(state).0 <= megahertz);
        match (below.map(at), above.map(at)) {
            (Some((low, less)), Some((high, more))) if high > low => {
                less + (more - less) * (megahertz - low) / (high - low)
            }
            (Some((_, watts)), _) | (None, Some((_, watts))) => watts,
            (None, None) => 0.0,
        }
    }

    /// Power in watts of the machine whose processors all work all the time at one clock.
    pub fn busy_watts(&self, megahertz: f64) -> f64 {
        f64::from(self.base_milliwatts) / 1000.0 + f64::from(self.processors) * self.watts(megahertz)
    }
}

impl PState {
    /// At `hundreds` × 100 MHz, with the power that a voltage rising linearly from 0.7 V at 800 MHz to 1.15 V at
    /// 3.2 GHz asks for: `C · V² · f`, 12 W at the top.
    fn at(hundreds: u32) -> Self {
        let gigahertz = f64::from(hundreds) / 10.0;
        let volts = 0.7 + 0.45 * (gigahertz - 0.8) / 2.4;
        let watts = 12.0 * (gigahertz / 3.2) * (volts / 1.15).powi(2);
        Self {
            megahertz: hundreds * 100,
            milliwatts: (watts * 1000.0).round() as u32,
        }
    }

    /// What the guest writes to reach it.
    pub fn control(&self) -> u8 {
        u8::try_from(self.megahertz / 100).unwrap_or(u8::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_rises_faster_than_the_clock() {
        let machine = Description::mini_pc(2);
        assert_eq!((machine.slowest(), machine.fastest()), (800, 3200));
        assert!((machine.watts(3200.0) - 12.0).abs() < 1e-9);
        assert!(machine.watts(1600.0) < 4.5);
        assert!(
            machine
                .pstates
                .is_sorted_by(|fast, slow| fast.milliwatts > slow.milliwatts)
        );
    }

    #[test]
    fn between_two_clocks_power_lies_between_theirs() {
        let machine = Description::mini_pc(2);
        let middle = machine.watts(1650.0);
        let mean = (machine.watts(1600.0) + machine.watts(1700.0)) / 2.0;
        assert!((middle - mean).abs() < 1e-9, "{middle} {mean}");
        assert_eq!(machine.watts(9000.0), machine.watts(3200.0));
        assert_eq!(machine.watts(1.0), machine.watts(800.0));
        assert!((machine.busy_watts(3200.0) - 25.5).abs() < 1e-9);
    }
}
