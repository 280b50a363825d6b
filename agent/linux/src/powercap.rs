//! powercap (RAPL) domains. Source: the kernel's `power/powercap/powercap.rst`.

use crate::parse;
use crate::reader::Reader;
use machine::{PowerDomain, PowerSample};

pub(crate) const DIR: &str = "/sys/class/powercap";

pub(crate) fn discover(reader: &mut Reader<'_>) -> Vec<PowerDomain> {
    let names = reader.list(DIR);
    names.into_iter().filter_map(|id| domain(reader, id)).collect()
}

/// Control types (`intel-rapl`) have no colon. A domain tells energy, power or both; one that tells power alone
/// (`dtpm`) has no counter to read.
fn domain(reader: &mut Reader<'_>, id: String) -> Option<PowerDomain> {
    let mut entry = reader.entry(format!("{DIR}/{id}"));
    if !id.contains(':') || (entry.has("power_uw") && !entry.has("energy_uj")) {
        return None;
    }
    let name = entry.required("name", parse::name);
    let max_energy_range_uj = entry.required("max_energy_range_uj", parse::energy);
    Some(PowerDomain {
        id,
        name,
        max_energy_range_uj,
        constraints: Vec::new(),
    })
}

pub(crate) fn sample(reader: &mut Reader<'_>, domain: &PowerDomain) -> PowerSample {
    let mut entry = reader.entry(format!("{DIR}/{}", domain.id));
    PowerSample {
        id: domain.id.clone(),
        energy_uj: entry.required("energy_uj", parse::energy),
        limits: Vec::new(),
    }
}
