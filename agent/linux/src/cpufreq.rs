//! cpufreq policies. Sources: the kernel's `admin-guide/pm/cpufreq.rst`, `intel_pstate.rst` and `amd-pstate.rst`.

use crate::core_type;
use crate::parse;
use crate::reader::{Entry, Reader};
use machine::{BoostSwitch, KiloHertz, Policy, PolicySample};

pub(crate) const DIR: &str = "/sys/devices/system/cpu/cpufreq";
/// 1 allows clocks above the nominal one.
pub(crate) const BOOST: &str = "/sys/devices/system/cpu/cpufreq/boost";
/// The mode of `intel_pstate`.
pub(crate) const INTEL_STATUS: &str = "/sys/devices/system/cpu/intel_pstate/status";
/// The mode of `amd-pstate`.
pub(crate) const AMD_STATUS: &str = "/sys/devices/system/cpu/amd_pstate/status";
/// 1 forbids them.
pub(crate) const NO_TURBO: &str = "/sys/devices/system/cpu/intel_pstate/no_turbo";

pub(crate) fn discover(reader: &mut Reader<'_>) -> Vec<Policy> {
    let ids = reader.numbered(DIR, "policy", "");
    // The kernel keeps a policy whose processors are offline, and answers EBUSY for it.
    let ids = ids
        .into_iter()
        .filter(|id| !reader.is_busy(&format!("{DIR}/policy{id}/affected_cpus")));
    let ids: Vec<_> = ids.collect();
    let mut policies: Vec<_> = ids.into_iter().map(|id| policy(reader, id)).collect();
    core_type::tell(reader, &mut policies);
    policies
}

fn policy(reader: &mut Reader<'_>, id: u32) -> Policy {
    let mut entry = reader.entry(format!("{DIR}/policy{id}"));
    Policy {
        id,
        affected_cpus: entry.required("affected_cpus", parse::cpus).unwrap_or_default(),
        scaling_driver: entry.required("scaling_driver", parse::name),
        cpuinfo_min_freq: entry.required("cpuinfo_min_freq", parse::clock),
        cpuinfo_max_freq: entry.required("cpuinfo_max_freq", parse::clock),
        base_frequency: entry.told("base_frequency", parse::maybe_clock),
        scaling_available_frequencies: frequencies(&mut entry),
        core_type: None,
        scaling_available_governors: entry
            .required("scaling_available_governors", parse::names)
            .unwrap_or_default(),
        energy_performance_available_preferences: entry
            .optional("energy_performance_available_preferences", parse::names)
            .unwrap_or_default(),
    }
}

/// The table of a driver that has one, and the clocks above it that it shows apart.
fn frequencies(entry: &mut Entry<'_, '_>) -> Vec<KiloHertz> {
    let mut table = Vec::new();
    for file in ["scaling_available_frequencies", "scaling_boost_frequencies"] {
        table.extend(entry.optional(file, parse::clocks).unwrap_or_default());
    }
    table.sort_unstable();
    table.dedup();
    table
}

pub(crate) fn sample(reader: &mut Reader<'_>, policy: &Policy) -> PolicySample {
    let mut entry = reader.entry(format!("{DIR}/policy{}", policy.id));
    // A driver that lists preferences has one in force.
    let has_preference = !policy.energy_performance_available_preferences.is_empty();
    PolicySample {
        id: policy.id,
        scaling_cur_freq: entry.required("scaling_cur_freq", parse::clock),
        scaling_min_freq: entry.required("scaling_min_freq", parse::clock),
        scaling_max_freq: entry.required("scaling_max_freq", parse::clock),
        bios_limit: entry.told("bios_limit", parse::maybe_clock),
        scaling_governor: entry.required("scaling_governor", parse::name),
        energy_performance_preference: if has_preference {
            entry.required("energy_performance_preference", parse::name)
        } else {
            entry.optional("energy_performance_preference", parse::name)
        },
    }
}

/// The clock and what limits it; the settings are `last`'s.
pub(crate) fn sample_clock(reader: &mut Reader<'_>, last: &PolicySample) -> PolicySample {
    let mut entry = reader.entry(format!("{DIR}/policy{}", last.id));
    PolicySample {
        scaling_cur_freq: entry.required("scaling_cur_freq", parse::clock),
        scaling_max_freq: entry.required("scaling_max_freq", parse::clock),
        bios_limit: entry.told("bios_limit", parse::maybe_clock),
        ..last.clone()
    }
}

/// How clocks above the nominal one can be forbidden. `intel_pstate` that is `off` has its switch, and does not answer.
pub(crate) fn boost_switch(reader: &mut Reader<'_>) -> Option<BoostSwitch> {
    let mut flag = |file| reader.told(file, |text| parse::flag(text).map(Some));
    if flag(BOOST).is_some() {
        return Some(BoostSwitch::CpufreqBoost);
    }
    flag(NO_TURBO).map(|_| BoostSwitch::IntelNoTurbo)
}

/// Whether clocks above the nominal one are allowed.
pub(crate) fn boost(reader: &mut Reader<'_>, switch: BoostSwitch) -> Option<bool> {
    match switch {
        BoostSwitch::CpufreqBoost => reader.required(BOOST, parse::flag),
        BoostSwitch::IntelNoTurbo => reader.required(NO_TURBO, parse::flag).map(|forbidden| !forbidden),
    }
}

/// The mode of a driver that has several.
pub(crate) fn mode(reader: &mut Reader<'_>, status: &str) -> Option<String> {
    reader.optional(status, parse::name)
}
