//! The answer to `Power`.

use super::{PackagePower, Reactions};
use api::power::{PolicyStatus, Power};
use machine::{
    Capabilities, Decision, Policy, PolicySample, Sample, Supply, SupplySample, Tuning, Warning, Wishes,
};

/// What the answer is made of.
pub(crate) struct PowerFacts<'a> {
    pub(crate) found: &'a Capabilities,
    pub(crate) tuning: &'a Tuning,
    pub(crate) wishes: &'a Wishes,
    pub(crate) sample: &'a Sample,
    pub(crate) decision: &'a Decision,
    pub(crate) package: &'a PackagePower,
    pub(crate) foreign: &'a [Warning],
    pub(crate) reactions: &'a Reactions,
}

/// Power and clocks.
pub(crate) fn power(facts: &PowerFacts<'_>) -> Power {
    let (sample, decision) = (facts.sample, facts.decision);
    let policies = facts.found.policies.iter();
    Power {
        profile: facts.wishes.profile,
        effective_profile: decision.profile,
        performance_degraded: decision.performance_degraded.clone(),
        holds: facts.wishes.holds.clone(),
        firmware_profile: facts.tuning.profile.clone(),
        engine: sample.engine.clone(),
        engine_limits: decision.engine,
        policies: policies.map(|policy| status(policy, sample, decision)).collect(),
        boost_switch: facts.found.boost,
        boost: sample.boost,
        platform_profile: sample.platform_profile.clone(),
        on_battery: on_battery(&facts.found.supplies, &sample.supplies),
        package_watts: facts.package.watts(),
        foreign_writers: facts.foreign.to_vec(),
        reaction_median_usec: facts.reactions.median_usec(),
    }
}

fn status(policy: &Policy, sample: &Sample, decision: &Decision) -> PolicyStatus {
    let now = sample.policies.iter().find(|now| now.id == policy.id);
    let wanted = decision
        .setpoints
        .policies
        .iter()
        .find(|wanted| wanted.id == policy.id);
    let reading = |read: fn(&PolicySample) -> Option<machine::KiloHertz>| now.and_then(read);
    PolicyStatus {
        id: policy.id,
        scaling_driver: policy.scaling_driver.clone(),
        cpuinfo_min_freq: policy.cpuinfo_min_freq,
        cpuinfo_max_freq: policy.cpuinfo_max_freq,
        scaling_cur_freq: reading(|now| now.scaling_cur_freq),
        scaling_max_freq: reading(|now| now.scaling_max_freq),
        bios_limit: reading(|now| now.bios_limit),
        scaling_governor: now.and_then(|now| now.scaling_governor.clone()),
        energy_performance_preference: now.and_then(|now| now.energy_performance_preference.clone()),
        setpoint: wanted.cloned(),
    }
}

/// Whether no mains adapter feeds the machine; where there is none that tells, whether a battery is discharged.
fn on_battery(found: &[Supply], now: &[SupplySample]) -> Option<bool> {
    let of_kind = |kind: &'static str| {
        let found = found
            .iter()
            .filter(move |supply| supply.kind.as_deref() == Some(kind));
        found.filter_map(move |supply| now.iter().find(|now| now.name == supply.name))
    };
    let mains: Vec<bool> = of_kind("Mains").filter_map(|mains| mains.online).collect();
    if !mains.is_empty() {
        return Some(!mains.contains(&true));
    }
    let states: Vec<&str> = of_kind("Battery")
        .filter_map(|battery| battery.status.as_deref())
        .collect();
    (!states.is_empty()).then(|| states.contains(&"Discharging"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn supply(name: &str, kind: &str) -> Supply {
        Supply {
            name: name.to_owned(),
            kind: Some(kind.to_owned()),
        }
    }

    fn state(name: &str, online: Option<bool>, status: Option<&str>) -> SupplySample {
        SupplySample {
            name: name.to_owned(),
            online,
            capacity: None,
            status: status.map(str::to_owned),
        }
    }

    #[test]
    fn a_machine_without_mains_runs_from_its_battery() {
        let found = [supply("AC", "Mains"), supply("BAT0", "Battery")];
        let discharging = state("BAT0", None, Some("Discharging"));
        let with = |online| on_battery(&found, &[state("AC", online, None), discharging.clone()]);
        assert_eq!(with(Some(true)), Some(false));
        assert_eq!(with(Some(false)), Some(true));
        assert_eq!(with(None), Some(true), "the battery tells");
        assert_eq!(
            on_battery(&found[1..], &[state("BAT0", None, Some("Full"))]),
            Some(false)
        );
        assert_eq!(on_battery(&[], &[]), None);
    }
}
