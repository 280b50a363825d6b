//! Packages, cores and threads. Source: the kernel's `admin-guide/cputopology.rst`.

use crate::parse;
use crate::reader::Reader;
use machine::CpuTopology;
use std::collections::BTreeSet;

pub(crate) const DIR: &str = "/sys/devices/system/cpu";
/// The processors that are online.
pub(crate) const ONLINE: &str = "/sys/devices/system/cpu/online";

pub(crate) fn discover(reader: &mut Reader<'_>) -> CpuTopology {
    let Some(online) = reader.required(ONLINE, parse::cpus) else {
        return CpuTopology::default();
    };
    // Two threads are on one core if their lists of that core's threads are the same.
    let packages = distinct(reader, &online, "physical_package_id", parse::number::<i32>);
    let cores = distinct(reader, &online, "core_cpus_list", parse::cpus);
    let threads = u32::try_from(online.len()).ok();
    CpuTopology {
        packages,
        cores,
        threads,
    }
}

/// How many different values an attribute has; unknown as soon as one processor does not tell.
fn distinct<T: Ord>(
    reader: &mut Reader<'_>,
    cpus: &[u32],
    file: &str,
    parse: fn(&str) -> Result<T, crate::problem::Problem>,
) -> Option<u32> {
    let mut values = BTreeSet::new();
    for cpu in cpus {
        values.insert(reader.required(&format!("{DIR}/cpu{cpu}/topology/{file}"), parse)?);
    }
    u32::try_from(values.len()).ok()
}
