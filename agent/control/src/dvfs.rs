//! Clocks that follow the engine's phase.
//!
//! Prefill, loading and a request that was announced get the full clock: arithmetic binds them. Decode gets the lowest
//! clock that holds its tokens per second, found by trying ([`sweep`]): memory binds it, mostly. Rest gets the floor, by
//! the governor and not by a cap, so that any other work on the machine still finds its clock. How each is said to a
//! cpufreq driver is in [`drivers`].

mod ceiling;
mod demand;
mod drivers;
mod levels;
mod meter;
mod sweep;
mod trial;

#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::vec::Vec;
use machine::{BoostSwitch, BootTime, Capabilities, PolicySetpoint, PowerProfile, Sample, Tuning};

use crate::utilisation::Utilisation;
use ceiling::Ceiling;
use demand::{Demand, Watch};
use drivers::Want;
use levels::Levels;
use sweep::{Conditions, Shown, Sweep};

/// What the engine's phase wants of the machine, before heat has its say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PowerWish {
    /// cpufreq policies, in the order of the capabilities.
    pub policies: Vec<PolicySetpoint>,
    /// Whether clocks above the nominal one are allowed; `None`: as first found.
    pub boost: Option<bool>,
    /// The ACPI platform profile; `None`: as first found.
    pub platform_profile: Option<String>,
    /// When this wish may change without an event; `None`: only by one.
    pub wake_at: Option<BootTime>,
}

/// The law, and what it has learned about decode.
#[derive(Clone, Debug, Default)]
pub struct Dvfs {
    watch: Watch,
    ceiling: Ceiling,
    sweep: Sweep,
}

impl Dvfs {
    /// A law that has seen nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Decides. Samples come in the order of their time. A change of phase acts in the same step.
    pub fn step(
        &mut self,
        machine: &Capabilities,
        tuning: &Tuning,
        profile: PowerProfile,
        sample: &Sample,
        utilisation: &Utilisation,
    ) -> PowerWish {
        let now = sample.at_usec;
        let levels = Levels::of(machine);
        let top = drivers::highest(machine, &levels, profile);
        let (demand, wake_at) = self.watch.step(sample, utilisation, profile);
        let ceiling = self.ceiling.step(sample, &levels, top);
        let want = match (demand, &sample.engine) {
            (Demand::Decode, Some(engine)) => {
                let shown = Shown {
                    now,
                    engine,
                    energy: package_energy(machine, sample),
                    running: levels.running(sample),
                };
                Want::Pinned(self.decode(shown, ceiling, tuning))
            }
            (Demand::Full | Demand::Decode, _) => Want::Full(top),
            (Demand::Rest { busy }, _) => Want::Rest { highest: top, busy },
        };
        if !matches!(want, Want::Pinned(_)) {
            self.sweep.pause();
        }
        let policies: Vec<_> = machine
            .policies
            .iter()
            .map(|policy| drivers::setpoint(policy, &levels, want))
            .collect();
        self.ceiling.asked(now, levels.asked(want));
        PowerWish {
            policies,
            boost: (profile == PowerProfile::PowerSaver && can_forbid_boost(machine)).then_some(false),
            platform_profile: drivers::platform_profile(machine, profile),
            wake_at,
        }
    }

    fn decode(&mut self, shown: Shown<'_>, ceiling: ceiling::Seen, tuning: &Tuning) -> usize {
        let conditions = Conditions::of(shown.engine, ceiling.level);
        let loss = f64::from(tuning.decode_loss);
        let loss = if loss.is_finite() {
            loss.clamp(0.0, 0.5)
        } else {
            0.0
        };
        self.sweep.step(shown, conditions, ceiling.steady, loss)
    }
}

/// The energy counter of the processor package, in µJ (power/powercap/powercap.rst). With several packages nothing is
/// told: which of them the engine runs on is not known.
fn package_energy(machine: &Capabilities, sample: &Sample) -> Option<u64> {
    let is_package = |name: &String| name.starts_with("package-");
    let mut packages = machine
        .powercap
        .iter()
        .filter(|domain| domain.name.as_ref().is_some_and(is_package));
    let package = packages.next().filter(|_| packages.next().is_none())?;
    let counter = sample.powercap.iter().find(|counter| counter.id == package.id)?;
    counter.energy_uj.map(|energy| energy.0)
}

fn can_forbid_boost(machine: &Capabilities) -> bool {
    matches!(
        machine.boost,
        Some(BoostSwitch::CpufreqBoost | BoostSwitch::IntelNoTurbo)
    )
}
