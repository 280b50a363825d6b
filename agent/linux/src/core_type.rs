//! Which cores of a hybrid processor are fast and which are small.

use crate::parse;
use crate::reader::Reader;
use crate::topology;
use machine::{CoreType, Policy};

/// Tells each policy which kind of core it clocks, on a machine that has two. Intel's tell it by the processors of their
/// performance counters (`ABI/testing/sysfs-bus-event_source-devices`); Arm's by `cpu_capacity`
/// (`scheduler/sched-capacity.rst`), of which the largest kind is the fast one.
pub(crate) fn tell(reader: &mut Reader<'_>, policies: &mut [Policy]) {
    let mut counted = |kind: &str| reader.optional(&format!("/sys/devices/{kind}/cpus"), parse::cpus);
    let (fast, small) = (counted("cpu_core"), counted("cpu_atom"));
    if let (Some(fast), Some(small)) = (fast, small) {
        for policy in policies {
            policy.core_type = by_counter(policy, &fast, &small);
        }
        return;
    }
    let capacities: Vec<_> = policies.iter().map(|policy| capacity(reader, policy)).collect();
    for (policy, kind) in policies.iter_mut().zip(by_capacity(&capacities)) {
        policy.core_type = kind;
    }
}

fn by_counter(policy: &Policy, fast: &[u32], small: &[u32]) -> Option<CoreType> {
    let first = policy.affected_cpus.first()?;
    if fast.contains(first) {
        Some(CoreType::Performance)
    } else {
        small.contains(first).then_some(CoreType::Efficient)
    }
}

fn capacity(reader: &mut Reader<'_>, policy: &Policy) -> Option<u32> {
    let first = policy.affected_cpus.first()?;
    reader.optional(
        &format!("{}/cpu{first}/cpu_capacity", topology::DIR),
        parse::number,
    )
}

fn by_capacity(capacities: &[Option<u32>]) -> Vec<Option<CoreType>> {
    let known = || capacities.iter().flatten();
    let (largest, smallest) = (known().max(), known().min());
    let kind = |capacity: &Option<u32>| match capacity {
        _ if largest == smallest => None,
        Some(capacity) if Some(capacity) == largest => Some(CoreType::Performance),
        Some(_) => Some(CoreType::Efficient),
        None => None,
    };
    capacities.iter().map(kind).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_capacity_is_the_fast_core() {
        let kinds = by_capacity(&[Some(1024), Some(446), Some(871), None]);
        let (fast, small) = (Some(CoreType::Performance), Some(CoreType::Efficient));
        assert_eq!(kinds, [fast, small, small, None]);
    }

    #[test]
    fn equal_cores_are_of_no_kind() {
        assert_eq!(by_capacity(&[Some(1024), Some(1024)]), [None, None]);
        assert_eq!(by_capacity(&[None, None]), [None, None]);
        assert_eq!(by_capacity(&[]), []);
    }
}
