//! Power limits of RAPL domains, from what a firmware profile says that the cooling carries.

use alloc::{collections::BTreeMap, string::String, vec::Vec};
use machine::{
    Capabilities, MicroWatts, PowerConstraint, PowerDomain, PowerLimit, PowerSetpoint, Sample, Tuning,
};

/// The limits that were in force when each constraint was first seen: none is ever raised beyond them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Budget {
    first: BTreeMap<(String, u32), MicroWatts>,
}

impl Budget {
    /// The limits to set: of packages only, long-term and short-term ones, and only lower than first found. Names are
    /// those of the kernel's power/powercap/powercap.rst.
    pub(crate) fn step(
        &mut self,
        machine: &Capabilities,
        tuning: &Tuning,
        sample: &Sample,
    ) -> Vec<PowerSetpoint> {
        self.remember(sample);
        let packages = machine.powercap.iter().filter(|domain| {
            domain
                .name
                .as_deref()
                .is_some_and(|name| name.starts_with("package"))
        });
        let setpoints = packages.map(|domain| PowerSetpoint {
            id: domain.id.clone(),
            limits: domain
                .constraints
                .iter()
                .filter_map(|one| self.limit(domain, one, tuning))
                .collect(),
        });
        setpoints.filter(|setpoint| !setpoint.limits.is_empty()).collect()
    }

    fn remember(&mut self, sample: &Sample) {
        for domain in &sample.powercap {
            for limit in &domain.limits {
                if let Some(power) = limit.power_limit_uw.filter(|power| power.0 > 0) {
                    self.first
                        .entry((domain.id.clone(), limit.constraint))
                        .or_insert(power);
                }
            }
        }
    }

    fn limit(
        &self,
        domain: &PowerDomain,
        constraint: &PowerConstraint,
        tuning: &Tuning,
    ) -> Option<PowerLimit> {
        let wanted = match constraint.name.as_deref() {
            Some("long_term") => tuning.sustained_power,
            Some("short_term") => tuning.burst_power.map(|burst| {
                tuning
                    .sustained_power
                    .map_or(burst, |sustained| burst.max(sustained))
            }),
            _ => None,
        }?;
        let first = self.first.get(&(domain.id.clone(), constraint.id))?;
        (wanted.0 > 0 && wanted < *first).then_some(PowerLimit {
            constraint: constraint.id,
            power_limit_uw: Some(wanted),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;
    use machine::PowerSample;

    fn machine() -> Capabilities {
        let constraint = |id, name: &str| PowerConstraint {
            id,
            name: Some(name.into()),
            max_power_uw: None,
        };
        let domain = |id: &str, name: &str| PowerDomain {
            id: id.into(),
            name: Some(name.into()),
            max_energy_range_uj: None,
            constraints: vec![constraint(0, "long_term"), constraint(1, "short_term")],
        };
        Capabilities {
            powercap: vec![
                domain("intel-rapl:0", "package-0"),
                domain("intel-rapl:0:0", "core"),
            ],
            ..Capabilities::default()
        }
    }

    fn sample(limits: [u64; 2]) -> Sample {
        let limit = |(constraint, power): (usize, u64)| PowerLimit {
            constraint: constraint as u32,
            power_limit_uw: Some(MicroWatts(power)),
        };
        let limits: Vec<PowerLimit> = limits.into_iter().enumerate().map(limit).collect();
        let domain = |id: &str| PowerSample {
            id: id.into(),
            energy_uj: None,
            limits: limits.clone(),
        };
        Sample {
            powercap: vec![domain("intel-rapl:0"), domain("intel-rapl:0:0")],
            ..Sample::default()
        }
    }

    #[test]
    fn packages_are_lowered_and_never_raised() {
        let tuning = Tuning {
            sustained_power: Some(MicroWatts(10_000_000)),
            burst_power: Some(MicroWatts(25_000_000)),
            ..Tuning::default()
        };
        let mut budget = Budget::default();
        let wanted = vec![PowerSetpoint {
            id: "intel-rapl:0".into(),
            limits: vec![PowerLimit {
                constraint: 0,
                power_limit_uw: Some(MicroWatts(10_000_000)),
            }],
        }];
        let first = sample([15_000_000, 20_000_000]);
        assert_eq!(budget.step(&machine(), &tuning, &first), wanted);
        let ours = sample([10_000_000, 20_000_000]);
        assert_eq!(
            budget.step(&machine(), &tuning, &ours),
            wanted,
            "what we set is not what was found"
        );
        assert_eq!(budget.step(&machine(), &Tuning::default(), &ours), vec![]);
    }
}
