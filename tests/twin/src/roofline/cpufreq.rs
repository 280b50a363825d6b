//! What cpufreq makes of settings: the kernel's governors, and processors that choose by a preference.

use super::Machine;
use machine::{Capabilities, KiloHertz, Policy, PolicySample, PolicySetpoint};

/// A task's weight in `util_avg` halves in 32 ms (scheduler/schedutil.rst, "PELT").
const HALF_LIFE_USEC: f64 = 32_000.0;

/// One policy over all cores.
#[derive(Clone, Debug)]
pub struct Cpufreq {
    policy: Policy,
    governor: String,
    preference: Option<String>,
    limit: u64,
    floor: u64,
    /// The busiest core's utilisation, invariant of the clock: 1 is a core busy at the highest clock.
    utilisation: f64,
}

impl Cpufreq {
    /// As a machine comes up: `schedutil`, or the processor's own choice with a balanced preference.
    pub fn new(machine: &Machine) -> Self {
        let policy = policy(machine);
        let active = is_active(&policy);
        Self {
            governor: if active { "powersave" } else { "schedutil" }.into(),
            preference: active.then(|| "balance_performance".into()),
            limit: khz(machine.clock_max),
            floor: khz(machine.clock_min),
            utilisation: 0.0,
            policy,
        }
    }

    /// One with a governor of the generic kind, whatever the driver.
    pub fn governed(machine: &Machine, governor: &str) -> Self {
        let mut machine = machine.clone();
        machine.driver = "acpi-cpufreq";
        let mut cpufreq = Self::new(&machine);
        cpufreq.governor = governor.into();
        cpufreq
    }

    /// The capabilities of a machine with this policy.
    pub fn capabilities(&self) -> Capabilities {
        Capabilities {
            policies: vec![self.policy.clone()],
            ..Capabilities::default()
        }
    }

    /// Takes a setpoint over; what is left out is as it was first found.
    ///
    /// # Panics
    /// If a value is asked for that the policy does not offer.
    pub fn apply(&mut self, setpoint: &PolicySetpoint) {
        let lowest = self.policy.cpuinfo_min_freq.map_or(0, |clock| clock.0);
        let highest = self.policy.cpuinfo_max_freq.map_or(0, |clock| clock.0);
        self.limit = setpoint.scaling_max_freq.map_or(highest, |clock| clock.0);
        self.floor = setpoint.scaling_min_freq.map_or(lowest, |clock| clock.0);
        assert!(
            lowest <= self.floor && self.floor <= self.limit && self.limit <= highest,
            "{setpoint:?}"
        );
        if let Some(governor) = &setpoint.scaling_governor {
            assert!(
                self.policy.scaling_available_governors.contains(governor),
                "{setpoint:?}"
            );
            self.governor.clone_from(governor);
        }
        if let Some(preference) = &setpoint.energy_performance_preference {
            let offered = &self.policy.energy_performance_available_preferences;
            assert!(offered.contains(preference), "{setpoint:?}");
            self.preference = Some(preference.clone());
        }
    }

    /// Lets time pass with the cores busy or not, and tells the clock in GHz that is asked of the hardware.
    pub fn advance(&mut self, machine: &Machine, usec: u64, busy: f64, clock: f64) -> f64 {
        let decay = 0.5f64.powf(usec as f64 / HALF_LIFE_USEC);
        let now = busy * clock / machine.clock_max;
        self.utilisation = now + (self.utilisation - now) * decay;
        let range = (self.floor as f64 / 1e6, self.limit as f64 / 1e6);
        // `next_freq = C · max_freq · util / max` with C = 1.25 (admin-guide/pm/cpufreq.rst, `schedutil`).
        let following = 1.25 * machine.clock_max * self.utilisation;
        let wanted = match (self.governor.as_str(), self.preference.as_deref()) {
            ("performance", _) | (_, Some("performance")) => range.1,
            ("powersave", None) => range.0,
            _ => following,
        };
        self.offered(machine, wanted.clamp(range.0, range.1))
    }

    /// The lowest clock of the table that is no lower, as `CPUFREQ_RELATION_L` has it, but within the limit.
    fn offered(&self, machine: &Machine, wanted: f64) -> f64 {
        let limit = self.limit as f64 / 1e6 + 1e-9;
        let above = machine.table.iter().find(|clock| **clock >= wanted - 1e-9);
        above.copied().filter(|clock| *clock <= limit).unwrap_or(wanted)
    }

    /// The policy as a sample shows it, at a clock in GHz.
    pub fn sample(&self, clock: f64) -> PolicySample {
        PolicySample {
            id: 0,
            scaling_cur_freq: Some(KiloHertz(khz(clock))),
            scaling_min_freq: Some(KiloHertz(self.floor)),
            scaling_max_freq: Some(KiloHertz(self.limit)),
            bios_limit: None,
            scaling_governor: Some(self.governor.clone()),
            energy_performance_preference: self.preference.clone(),
        }
    }
}

fn khz(clock: f64) -> u64 {
    (clock * 1e6).round() as u64
}

fn is_active(policy: &Policy) -> bool {
    matches!(
        policy.scaling_driver.as_deref(),
        Some("intel_pstate" | "amd-pstate-epp")
    )
}

fn policy(machine: &Machine) -> Policy {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let mut policy = Policy {
        id: 0,
        affected_cpus: (0..machine.cores).collect(),
        scaling_driver: Some(machine.driver.into()),
        cpuinfo_min_freq: Some(KiloHertz(khz(machine.clock_min))),
        cpuinfo_max_freq: Some(KiloHertz(khz(machine.clock_max))),
        base_frequency: None,
        scaling_available_frequencies: machine.table.iter().map(|clock| KiloHertz(khz(*clock))).collect(),
        core_type: None,
        scaling_available_governors: words(&["performance", "schedutil", "powersave"]),
        energy_performance_available_preferences: Vec::new(),
    };
    if is_active(&policy) {
        policy.scaling_available_governors = words(&["performance", "powersave"]);
        policy.energy_performance_available_preferences = words(&[
            "default",
            "performance",
            "balance_performance",
            "balance_power",
            "power",
        ]);
    }
    policy
}
