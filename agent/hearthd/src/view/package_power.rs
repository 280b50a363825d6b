//! Power of the processor packages, from their energy counters.

use machine::{BootTime, Capabilities, PowerDomain, PowerSample, Sample};

/// Two readings closer than this tell little: the counters advance once a millisecond. In microseconds.
const SHORTEST_USEC: u64 = 500_000;

/// Watches the energy counters.
#[derive(Debug, Default)]
pub(crate) struct PackagePower {
    /// When the counters were last taken, and what they were.
    base: Option<(BootTime, Vec<PowerSample>)>,
    watts: Option<f64>,
}

impl PackagePower {
    /// Takes a sample into account.
    pub(crate) fn update(&mut self, found: &Capabilities, sample: &Sample) {
        let elapsed = |at: BootTime| sample.at_usec.0.saturating_sub(at.0);
        match &self.base {
            Some((at, _)) if elapsed(*at) < SHORTEST_USEC => return,
            Some((at, before)) => self.watts = watts(found, before, &sample.powercap, elapsed(*at)),
            None => {}
        }
        self.base = Some((sample.at_usec, sample.powercap.clone()));
    }

    /// Power of all packages together in watts; `None` where no counter tells.
    pub(crate) fn watts(&self) -> Option<f64> {
        self.watts
    }
}

fn watts(found: &Capabilities, before: &[PowerSample], now: &[PowerSample], usec: u64) -> Option<f64> {
    let packages = found.powercap.iter().filter(|domain| is_package(domain));
    let spent: Option<Vec<u64>> = packages
        .map(|domain| spent(domain, energy(before, domain)?, energy(now, domain)?))
        .collect();
    let spent = spent.filter(|packages| !packages.is_empty())?;
    // Microjoules per microsecond are watts.
    Some(spent.iter().sum::<u64>() as f64 / usec as f64)
}

/// `intel-rapl-mmio` counts the same package once more.
fn is_package(domain: &PowerDomain) -> bool {
    let named = domain
        .name
        .as_deref()
        .is_some_and(|name| name.starts_with("package-"));
    named && !domain.id.contains("mmio")
}

fn energy(sample: &[PowerSample], domain: &PowerDomain) -> Option<u64> {
    let found = sample.iter().find(|found| found.id == domain.id)?;
    found.energy_uj.map(|energy| energy.0)
}

fn spent(domain: &PowerDomain, before: u64, now: u64) -> Option<u64> {
    match now.checked_sub(before) {
        Some(spent) => Some(spent),
        // It has wrapped.
        None => (domain.max_energy_range_uj?.0.checked_sub(before)?).checked_add(now),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::MicroJoules;

    fn machine() -> Capabilities {
        let domain = |id: &str, name: &str| PowerDomain {
            id: id.to_owned(),
            name: Some(name.to_owned()),
            max_energy_range_uj: Some(MicroJoules(10_000_000)),
            constraints: Vec::new(),
        };
        Capabilities {
            powercap: vec![
                domain("intel-rapl:0", "package-0"),
                domain("intel-rapl:0:0", "core"),
                domain("intel-rapl-mmio:0", "package-0"),
            ],
            ..Capabilities::default()
        }
    }

    fn sample(at_usec: u64, energy: Option<u64>) -> Sample {
        Sample {
            at_usec: BootTime(at_usec),
            powercap: vec![PowerSample {
                id: "intel-rapl:0".to_owned(),
                energy_uj: energy.map(MicroJoules),
                limits: Vec::new(),
            }],
            ..Sample::default()
        }
    }

    #[test]
    fn energy_over_time_is_power_and_the_counter_may_wrap() {
        let (found, mut power) = (machine(), PackagePower::default());
        power.update(&found, &sample(0, Some(9_000_000)));
        assert_eq!(power.watts(), None);
        power.update(&found, &sample(100, Some(9_000_100)));
        assert_eq!(power.watts(), None, "too soon");
        power.update(&found, &sample(1_000_000, Some(2_000_000)));
        assert_eq!(power.watts(), Some(3.0));
    }

    #[test]
    fn without_a_counter_power_is_unknown_and_not_nought() {
        let (found, mut power) = (machine(), PackagePower::default());
        power.update(&found, &sample(0, None));
        power.update(&found, &sample(1_000_000, None));
        assert_eq!(power.watts(), None);
        let mut power = PackagePower::default();
        let bare = Capabilities::default();
        power.update(&bare, &sample(0, Some(1)));
        power.update(&bare, &sample(1_000_000, Some(2)));
        assert_eq!(power.watts(), None);
    }
}
