//! cpufreq policies. Source: the kernel's `admin-guide/pm/cpufreq.rst`.

use crate::parse;
use crate::reader::Reader;
use machine::{BoostSwitch, Policy, PolicySample};

pub(crate) const DIR: &str = "/sys/devices/system/cpu/cpufreq";
/// 1 allows clocks above the nominal one.
pub(crate) const BOOST: &str = "/sys/devices/system/cpu/cpufreq/boost";
/// 1 forbids them.
pub(crate) const NO_TURBO: &str = "/sys/devices/system/cpu/intel_pstate/no_turbo";

pub(crate) fn discover(reader: &mut Reader<'_>) -> Vec<Policy> {
    let ids = reader.numbered(DIR, "policy", "");
    ids.into_iter().map(|id| policy(reader, id)).collect()
}

fn policy(reader: &mut Reader<'_>, id: u32) -> Policy {
    let mut entry = reader.entry(format!("{DIR}/policy{id}"));
    Policy {
        id,
        affected_cpus: entry.required("affected_cpus", parse::cpus).unwrap_or_default(),
        scaling_driver: entry.required("scaling_driver", parse::name),
        cpuinfo_min_freq: entry.required("cpuinfo_min_freq", parse::clock),
        cpuinfo_max_freq: entry.required("cpuinfo_max_freq", parse::clock),
        base_frequency: entry.optional("base_frequency", parse::clock),
        scaling_available_frequencies: Vec::new(),
        core_type: None,
        scaling_available_governors: entry
            .required("scaling_available_governors", parse::names)
            .unwrap_or_default(),
        energy_performance_available_preferences: entry
            .optional("energy_performance_available_preferences", parse::names)
            .unwrap_or_default(),
    }
}

pub(crate) fn sample(reader: &mut Reader<'_>, policy: &Policy) -> PolicySample {
    let mut entry = reader.entry(format!("{DIR}/policy{}", policy.id));
    PolicySample {
        id: policy.id,
        scaling_cur_freq: entry.required("scaling_cur_freq", parse::clock),
        scaling_min_freq: entry.required("scaling_min_freq", parse::clock),
        scaling_max_freq: entry.required("scaling_max_freq", parse::clock),
        bios_limit: entry.optional("bios_limit", parse::clock),
        scaling_governor: entry.required("scaling_governor", parse::name),
        energy_performance_preference: entry.optional("energy_performance_preference", parse::name),
    }
}

/// How clocks above the nominal one can be forbidden. `intel_pstate` that is `off` has its switch, and does not answer.
pub(crate) fn boost_switch(reader: &mut Reader<'_>) -> Option<BoostSwitch> {
    if reader.optional(BOOST, parse::flag).is_some() {
        return Some(BoostSwitch::CpufreqBoost);
    }
    let no_turbo = reader.optional(NO_TURBO, parse::flag);
    no_turbo.map(|_| BoostSwitch::IntelNoTurbo)
}

/// Whether clocks above the nominal one are allowed.
pub(crate) fn boost(reader: &mut Reader<'_>, switch: BoostSwitch) -> Option<bool> {
    match switch {
        BoostSwitch::CpufreqBoost => reader.required(BOOST, parse::flag),
        BoostSwitch::IntelNoTurbo => reader.required(NO_TURBO, parse::flag).map(|forbidden| !forbidden),
    }
}
