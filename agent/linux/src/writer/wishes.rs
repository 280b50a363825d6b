//! What is wanted, file by file.

use super::attribute::{Attribute, PolicyFile};
use crate::powercap;
use machine::{BoostSwitch, PolicySetpoint, PowerSetpoint, Setpoints};
use std::collections::BTreeMap;

/// What each file shall hold.
pub(super) type Wishes = BTreeMap<Attribute, String>;

/// Takes setpoints apart. A wish for boost on a machine without a switch for it is left out.
pub(super) fn wishes(wanted: &Setpoints, switch: Option<BoostSwitch>) -> Wishes {
    let mut wishes = Wishes::new();
    if let (Some(boost), Some(switch)) = (wanted.boost, switch) {
        // One file allows, the other forbids.
        let on = boost == (switch == BoostSwitch::CpufreqBoost);
        wishes.insert(Attribute::boost(switch), u8::from(on).to_string());
    }
    if let Some(profile) = &wanted.platform_profile {
        wishes.insert(Attribute::PlatformProfile, profile.clone());
    }
    wanted
        .policies
        .iter()
        .for_each(|policy| clock(&mut wishes, policy));
    wanted
        .powercap
        .iter()
        .for_each(|domain| power(&mut wishes, domain));
    wishes
}

/// A minimum above the maximum gives way: the cooler one wins.
fn clock(wishes: &mut Wishes, policy: &PolicySetpoint) {
    let max = policy.scaling_max_freq;
    let min = policy
        .scaling_min_freq
        .map(|min| max.map_or(min, |max| min.min(max)));
    let files = [
        (PolicyFile::Governor, policy.scaling_governor.clone()),
        (
            PolicyFile::Preference,
            policy.energy_performance_preference.clone(),
        ),
        (PolicyFile::MinFreq, min.map(|min| min.0.to_string())),
        (PolicyFile::MaxFreq, max.map(|max| max.0.to_string())),
    ];
    for (file, value) in files {
        if let Some(value) = value {
            wishes.insert(Attribute::Policy { id: policy.id, file }, value);
        }
    }
}

fn power(wishes: &mut Wishes, domain: &PowerSetpoint) {
    // Another name would lead out of the class.
    if !powercap::is_domain(&domain.id) {
        return;
    }
    for limit in &domain.limits {
        if let Some(watts) = limit.power_limit_uw {
            let attribute = Attribute::PowerLimit {
                domain: domain.id.clone(),
                constraint: limit.constraint,
            };
            wishes.insert(attribute, watts.0.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::{KiloHertz, MicroWatts, PowerLimit};

    #[test]
    fn boost_is_told_to_the_switch_in_its_own_sense() {
        let wanted = Setpoints {
            boost: Some(false),
            ..Setpoints::default()
        };
        let told = |switch| wishes(&wanted, Some(switch)).into_values().collect::<Vec<_>>();
        assert_eq!(told(BoostSwitch::CpufreqBoost), ["0"]);
        assert_eq!(told(BoostSwitch::IntelNoTurbo), ["1"]);
        assert!(wishes(&wanted, None).is_empty());
    }

    #[test]
    fn a_minimum_never_exceeds_its_maximum() {
        let policy = PolicySetpoint {
            scaling_min_freq: Some(KiloHertz(2_000_000)),
            scaling_max_freq: Some(KiloHertz(1_000_000)),
            ..PolicySetpoint::default()
        };
        let wanted = Setpoints {
            policies: vec![policy],
            ..Setpoints::default()
        };
        let values: Vec<_> = wishes(&wanted, None).into_values().collect();
        assert_eq!(values, ["1000000", "1000000"]);
    }

    #[test]
    fn a_domain_that_is_no_name_is_left_out() {
        for (id, count) in [("intel-rapl:0", 1), ("../x:0", 0), ("intel-rapl", 0)] {
            let limits = vec![PowerLimit {
                constraint: 0,
                power_limit_uw: Some(MicroWatts(9)),
            }];
            let wanted = Setpoints {
                powercap: vec![PowerSetpoint {
                    id: id.into(),
                    limits,
                }],
                ..Setpoints::default()
            };
            assert_eq!(wishes(&wanted, None).len(), count, "{id}");
        }
    }
}
