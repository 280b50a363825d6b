//! powercap (RAPL) domains. Source: the kernel's `power/powercap/powercap.rst`.

use crate::parse;
use crate::reader::Reader;
use machine::{MicroWatts, PowerConstraint, PowerDomain, PowerLimit, PowerSample};

pub(crate) const DIR: &str = "/sys/class/powercap";

pub(crate) fn discover(reader: &mut Reader<'_>) -> Vec<PowerDomain> {
    let names = reader.list(DIR);
    names.into_iter().filter_map(|id| domain(reader, id)).collect()
}

/// Whether a name in the class can be a domain's: control types (`intel-rapl`) have no colon.
pub(crate) fn is_domain(name: &str) -> bool {
    name.contains(':') && !name.contains('/') && !name.starts_with('.')
}

/// The highest limit that means anything; many domains tell none, or 0.
pub(crate) fn max_power(reader: &mut Reader<'_>, domain: &str, constraint: u32) -> Option<MicroWatts> {
    let path = format!("{DIR}/{domain}/constraint_{constraint}_max_power_uw");
    reader.told(&path, parse::maybe_power)
}

/// A domain tells energy, power or both; one that tells power alone
/// (`dtpm`) has no counter to read.
fn domain(reader: &mut Reader<'_>, id: String) -> Option<PowerDomain> {
    let mut entry = reader.entry(format!("{DIR}/{id}"));
    if !is_domain(&id) || (entry.has("power_uw") && !entry.has("energy_uj")) {
        return None;
    }
    let name = entry.required("name", parse::name);
    let max_energy_range_uj = entry.required("max_energy_range_uj", parse::energy);
    let constraints = entry.numbered("constraint_", "_power_limit_uw");
    let constraints = constraints.into_iter().map(|number| PowerConstraint {
        id: number,
        name: entry.told(&format!("constraint_{number}_name"), parse::maybe_name),
        max_power_uw: entry.told(&format!("constraint_{number}_max_power_uw"), parse::maybe_power),
    });
    let constraints = constraints.collect();
    Some(PowerDomain {
        id,
        name,
        max_energy_range_uj,
        constraints,
    })
}

/// The counter; the limits are `last`'s.
pub(crate) fn sample_energy(reader: &mut Reader<'_>, last: &PowerSample) -> PowerSample {
    let mut entry = reader.entry(format!("{DIR}/{}", last.id));
    PowerSample {
        energy_uj: entry.required("energy_uj", parse::energy),
        ..last.clone()
    }
}

pub(crate) fn sample(reader: &mut Reader<'_>, domain: &PowerDomain) -> PowerSample {
    let mut entry = reader.entry(format!("{DIR}/{}", domain.id));
    let energy_uj = entry.required("energy_uj", parse::energy);
    let limits = domain.constraints.iter().map(|constraint| PowerLimit {
        constraint: constraint.id,
        power_limit_uw: entry.told(
            &format!("constraint_{}_power_limit_uw", constraint.id),
            parse::maybe_power,
        ),
    });
    PowerSample {
        id: domain.id.clone(),
        energy_uj,
        limits: limits.collect(),
    }
}
