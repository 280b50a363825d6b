//! cpufreq policies. Source: the kernel's `admin-guide/pm/cpufreq.rst`.

use crate::parse;
use crate::reader::Reader;
use machine::{Policy, PolicySample};

pub(crate) const DIR: &str = "/sys/devices/system/cpu/cpufreq";

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
