//! The arbiter: what phase and profile want, under what heat permits. The lower clock wins.

use crate::PowerWish;
use alloc::vec::Vec;
use machine::{Capabilities, KiloHertz, Policy, PolicySetpoint};

/// The wish of the phase, capped. Every clock lies within what the policy can do.
pub(crate) fn merge(
    machine: &Capabilities,
    wish: &PowerWish,
    caps: &[(u32, KiloHertz)],
) -> Vec<PolicySetpoint> {
    machine
        .policies
        .iter()
        .map(|policy| {
            let wanted = wish.policies.iter().find(|wanted| wanted.id == policy.id);
            let cap = caps.iter().find(|(id, _)| *id == policy.id).map(|(_, cap)| *cap);
            capped(policy, wanted, cap)
        })
        .collect()
}

fn capped(policy: &Policy, wanted: Option<&PolicySetpoint>, cap: Option<KiloHertz>) -> PolicySetpoint {
    let mut setpoint = wanted.cloned().unwrap_or_default();
    setpoint.id = policy.id;
    let highest = lower(setpoint.scaling_max_freq, cap);
    setpoint.scaling_max_freq = highest.map(|clock| within(policy, clock));
    let lowest = lower(setpoint.scaling_min_freq, setpoint.scaling_min_freq.and(highest));
    setpoint.scaling_min_freq = lowest.map(|clock| within(policy, clock));
    setpoint
}

/// The lower of two clocks, of which either may be left open.
fn lower(one: Option<KiloHertz>, other: Option<KiloHertz>) -> Option<KiloHertz> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}

fn within(policy: &Policy, clock: KiloHertz) -> KiloHertz {
    let clock = clock.max(policy.cpuinfo_min_freq.unwrap_or(KiloHertz(0)));
    clock.min(policy.cpuinfo_max_freq.unwrap_or(clock))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn policy() -> Policy {
        Policy {
            id: 3,
            affected_cpus: vec![3],
            scaling_driver: None,
            cpuinfo_min_freq: Some(KiloHertz(800)),
            cpuinfo_max_freq: Some(KiloHertz(3000)),
            base_frequency: None,
            scaling_available_frequencies: vec![],
            core_type: None,
            scaling_available_governors: vec![],
            energy_performance_available_preferences: vec![],
        }
    }

    fn merged(min: Option<u64>, max: Option<u64>, cap: Option<u64>) -> (Option<u64>, Option<u64>) {
        let machine = Capabilities {
            policies: vec![policy()],
            ..Capabilities::default()
        };
        let wanted = PolicySetpoint {
            id: 3,
            scaling_min_freq: min.map(KiloHertz),
            scaling_max_freq: max.map(KiloHertz),
            ..PolicySetpoint::default()
        };
        let wish = PowerWish {
            policies: vec![wanted],
            ..PowerWish::default()
        };
        let caps: Vec<_> = cap.map(|cap| (3, KiloHertz(cap))).into_iter().collect();
        let merged = &merge(&machine, &wish, &caps)[0];
        (
            merged.scaling_min_freq.map(|clock| clock.0),
            merged.scaling_max_freq.map(|clock| clock.0),
        )
    }

    #[test]
    fn the_lower_clock_wins_and_the_floor_follows_it() {
        assert_eq!(merged(None, None, None), (None, None));
        assert_eq!(merged(None, None, Some(2000)), (None, Some(2000)));
        assert_eq!(
            merged(Some(2500), Some(2800), Some(2000)),
            (Some(2000), Some(2000))
        );
        assert_eq!(merged(Some(900), Some(1500), Some(2000)), (Some(900), Some(1500)));
    }

    #[test]
    fn no_clock_leaves_what_the_policy_can_do() {
        assert_eq!(merged(Some(1), Some(9000), None), (Some(800), Some(3000)));
        assert_eq!(merged(None, None, Some(1)), (None, Some(800)));
    }
}
