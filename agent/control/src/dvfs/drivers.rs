//! How a wish is said to each cpufreq driver.
//!
//! Two kinds. In *active* mode (`intel_pstate` of that name, `amd-pstate-epp`) the processor chooses its clock itself, and
//! the preference (EPP) steers it; the kernel asks for governor `powersave` there, for `performance` forbids any other
//! preference (admin-guide/pm/intel_pstate.rst, admin-guide/pm/amd-pstate.rst). With all others (`acpi-cpufreq`,
//! `intel_cpufreq`, `amd-pstate` passive and guided, `cppc_cpufreq`, `cpufreq-dt`) the kernel's governor chooses
//! (admin-guide/pm/cpufreq.rst). Nothing is asked for that the policy does not offer; what has no way to be said is
//! left as it was first found.

use super::levels::Levels;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use machine::{Capabilities, Policy, PolicySetpoint, PowerProfile};

/// Of the highest clock, what `power-saver` leaves where the driver tells no base frequency, in thousandths.
const SAVER_THOUSANDTHS: u64 = 600;

/// What all policies shall do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Want {
    /// Run as fast as this level, now.
    Full(usize),
    /// Run at this level.
    Pinned(usize),
    /// Sink to the floor when nothing works, rise up to a level when something does.
    Rest {
        /// The level that other work may use.
        highest: usize,
        /// Whether other work is there.
        busy: bool,
    },
}

impl Want {
    /// The highest level that may be run.
    pub(super) fn level(self) -> usize {
        match self {
            Self::Full(level) | Self::Pinned(level) | Self::Rest { highest: level, .. } => level,
        }
    }
}

/// The highest level that a profile allows.
pub(super) fn highest(machine: &Capabilities, levels: &Levels, profile: PowerProfile) -> usize {
    if profile != PowerProfile::PowerSaver {
        return levels.top();
    }
    let fastest = machine
        .policies
        .iter()
        .find(|policy| Some(policy.id) == levels.reference());
    let Some((policy, top)) = fastest.and_then(|policy| Some((policy, policy.cpuinfo_max_freq?.0))) else {
        return levels.top();
    };
    let base = policy
        .base_frequency
        .map(|clock| clock.0)
        .filter(|clock| (1..top).contains(clock));
    levels.under(base.unwrap_or(top / 1000 * SAVER_THOUSANDTHS))
}

/// What a policy shall hold.
pub(super) fn setpoint(policy: &Policy, levels: &Levels, want: Want) -> PolicySetpoint {
    let clock = (want.level() < levels.top())
        .then(|| levels.clock(policy, want.level()))
        .flatten();
    let mut setpoint = PolicySetpoint {
        id: policy.id,
        scaling_max_freq: clock,
        ..PolicySetpoint::default()
    };
    if is_active(policy) {
        active(policy, want, &mut setpoint);
    } else {
        governed(policy, levels, want, &mut setpoint);
    }
    setpoint
}

/// The processor chooses its clock itself.
fn is_active(policy: &Policy) -> bool {
    matches!(
        policy.scaling_driver.as_deref(),
        Some("intel_pstate" | "amd-pstate-epp")
    )
}

fn active(policy: &Policy, want: Want, setpoint: &mut PolicySetpoint) {
    let preferences = &policy.energy_performance_available_preferences;
    let order: &[&str] = match want {
        Want::Full(_) | Want::Pinned(_) => &["performance", "balance_performance"],
        Want::Rest { busy: true, .. } => &["balance_performance", "balance_power"],
        Want::Rest { busy: false, .. } => &["power", "balance_power"],
    };
    setpoint.energy_performance_preference = first(preferences, order);
    // Without preferences (a processor without HWP) the governors are what `intel_pstate` steers by.
    let without = preferences.is_empty() && !matches!(want, Want::Rest { .. });
    let order: &[&str] = if without {
        &["performance", "powersave"]
    } else {
        &["powersave"]
    };
    setpoint.scaling_governor = first(&policy.scaling_available_governors, order);
}

fn governed(policy: &Policy, levels: &Levels, want: Want, setpoint: &mut PolicySetpoint) {
    let governors = &policy.scaling_available_governors;
    const FOLLOWING: [&str; 3] = ["schedutil", "ondemand", "conservative"];
    if let Want::Rest { busy, .. } = want {
        // `powersave` would starve other work: only where nothing follows the load, and while there is none.
        let last: &[&str] = if busy { &["performance"] } else { &["powersave"] };
        setpoint.scaling_governor = first(governors, &FOLLOWING).or_else(|| first(governors, last));
        return;
    }
    setpoint.scaling_governor = first(governors, &["performance"]);
    if setpoint.scaling_governor.is_none() {
        setpoint.scaling_governor = first(governors, &FOLLOWING);
        setpoint.scaling_min_freq = levels.clock(policy, want.level());
    }
}

/// The platform profile for a profile, of those the firmware offers. Names: the kernel's
/// Documentation/ABI/testing/sysfs-platform_profile.
pub(super) fn platform_profile(machine: &Capabilities, profile: PowerProfile) -> Option<String> {
    let order: &[&str] = match profile {
        PowerProfile::PowerSaver => &["low-power", "quiet", "cool"],
        PowerProfile::Balanced => &["balanced"],
        PowerProfile::Performance => &["performance", "balanced-performance"],
    };
    first(&machine.platform_profile_choices, order)
}

/// The first of some words that is offered.
fn first(offered: &[String], order: &[&str]) -> Option<String> {
    let found: Vec<_> = order
        .iter()
        .filter(|word| offered.iter().any(|offer| offer == *word))
        .collect();
    found.first().map(|word| word.to_string())
}
