//! Memory of control groups, version 2. Source: the kernel's `admin-guide/cgroup-v2.rst`.

use crate::parse;
use crate::pressure;
use crate::problem::Problem;
use crate::reader::Reader;
use machine::{Bytes, CgroupLoad, CgroupMemory, CgroupStat, Pages};

pub(crate) const DIR: &str = "/sys/fs/cgroup";

/// Groups outside [`SERVICES`] that hold memory: systemd itself, and everyone who is logged in where logind gives them a
/// group.
const OTHERS: [&str; 2] = ["init.scope", "user.slice"];

/// The group of all services.
const SERVICES: &str = "system.slice";

/// The most groups that are told of. An appliance has about thirty.
const MAX_GROUPS: usize = 256;

/// Whether the unified hierarchy with a memory controller is there.
pub(crate) fn discover(reader: &mut Reader<'_>) -> bool {
    let controllers = reader.optional(&format!("{DIR}/cgroup.controllers"), parse::names);
    controllers.is_some_and(|names| names.iter().any(|name| name == "memory"))
}

/// A group that does not tell what it holds is left out; one that is not there is no fault, as its unit does not run.
pub(crate) fn sample(reader: &mut Reader<'_>, path: &str) -> Option<CgroupMemory> {
    let mut entry = reader.entry(format!("{DIR}/{path}"));
    let current = entry.optional("memory.current", parse::bytes)?;
    let stat = entry.required("memory.stat", parse_stat);
    Some(CgroupMemory {
        path: path.to_owned(),
        current: Some(current),
        // Kernels before 5.19 have no peak, and those that count no swap have no swap.
        peak: entry.optional("memory.peak", parse::bytes),
        swap_current: entry.optional("memory.swap.current", parse::bytes),
        anon: stat.as_ref().map(|stat| stat.anon),
        file: stat.map(|stat| stat.file),
    })
}

/// What each unit holds, in the order of their names: services one by one, and all who are logged in as one.
pub(crate) fn breakdown(reader: &mut Reader<'_>) -> Vec<CgroupStat> {
    let services = units(reader, SERVICES).into_iter().take(MAX_GROUPS);
    let paths = OTHERS.map(str::to_owned).into_iter().chain(services);
    paths.filter_map(|path| stat(reader, path)).collect()
}

/// The groups of a group's units: every other name in it is an attribute's.
fn units(reader: &mut Reader<'_>, group: &str) -> Vec<String> {
    let names = reader.list(&format!("{DIR}/{group}"));
    let is_unit = |name: &String| {
        [".service", ".scope", ".slice"]
            .iter()
            .any(|kind| name.ends_with(kind))
    };
    let units = names.into_iter().filter(is_unit);
    units.map(|name| format!("{group}/{name}")).collect()
}

fn stat(reader: &mut Reader<'_>, path: String) -> Option<CgroupStat> {
    let mut entry = reader.entry(format!("{DIR}/{path}"));
    let current = entry.optional("memory.current", parse::bytes)?;
    let swap_current = entry.optional("memory.swap.current", parse::bytes);
    let stat = entry.required("memory.stat", parse_all).unwrap_or_default();
    Some(CgroupStat {
        path,
        current: Some(current),
        swap_current,
        ..stat
    })
}

fn parse_all(text: &str) -> Result<CgroupStat, Problem> {
    let bytes = |name| maybe_field(text, name).map(parse::bytes).transpose();
    let pages = |name| maybe_field(text, name).map(parse::number).transpose();
    Ok(CgroupStat {
        anon: Some(field(text, "anon")?),
        file: Some(field(text, "file")?),
        file_mapped: bytes("file_mapped")?,
        shmem: bytes("shmem")?,
        kernel: bytes("kernel")?,
        slab_reclaimable: bytes("slab_reclaimable")?,
        slab_unreclaimable: bytes("slab_unreclaimable")?,
        zswap: bytes("zswap")?,
        zswapped: bytes("zswapped")?,
        workingset_refault_anon: pages("workingset_refault_anon")?.map(Pages),
        workingset_refault_file: pages("workingset_refault_file")?.map(Pages),
        ..CgroupStat::default()
    })
}

/// What the law of reclaim is told of a group; `None` if it is not there.
pub(crate) fn load(reader: &mut Reader<'_>, path: &str) -> Option<CgroupLoad> {
    let inside = units(reader, path);
    let mut floor = least(reader, path);
    let within = inside
        .iter()
        .take(MAX_GROUPS)
        .filter_map(|unit| least(reader, unit));
    let within = within.fold(0, |sum: u64, least| sum.saturating_add(least.0));
    floor = floor.map(|own| Bytes(own.0.max(within)));
    let mut entry = reader.entry(format!("{DIR}/{path}"));
    let current = entry.optional("memory.current", parse::bytes)?;
    let stat = entry.required("memory.stat", parse_all);
    let stalled = entry.told("memory.pressure", |text| pressure::parse(text).map(Some));
    Some(CgroupLoad {
        path: path.to_owned(),
        current: Some(current),
        floor,
        swappable: stat.as_ref().and_then(swappable),
        refaults: stat.as_ref().and_then(refaults),
        stalled_usec: stalled.map(|stall| stall.some.total_usec),
    })
}

/// `memory.min`: what the kernel leaves to a group whatever happens.
fn least(reader: &mut Reader<'_>, path: &str) -> Option<Bytes> {
    let mut entry = reader.entry(format!("{DIR}/{path}"));
    entry.optional("memory.min", |text| match text.trim() {
        "max" => Ok(Bytes(u64::MAX)),
        _ => parse::bytes(text),
    })
}

/// `memory.max`: what a group may hold; `None`: no limit, or none that can be read.
pub(crate) fn memory_limit(reader: &mut Reader<'_>, path: &str) -> Option<Bytes> {
    let mut entry = reader.entry(format!("{DIR}/{path}"));
    entry.optional("memory.max", |text| match text.trim() {
        "max" => Ok(None),
        _ => parse::bytes(text).map(Some),
    })?
}

/// How many processors' time a group may use; `None`: no limit, or none that can be read.
pub(crate) fn cpu_limit(reader: &mut Reader<'_>, path: &str) -> Option<f64> {
    let mut entry = reader.entry(format!("{DIR}/{path}"));
    entry.optional("cpu.max", parse_cpu_max)?
}

/// Microseconds that may be used in each period, `max` for no limit, and the period's length.
fn parse_cpu_max(text: &str) -> Result<Option<f64>, Problem> {
    let malformed = || Problem::malformed(text, "a quota and a period");
    let (quota, period) = text.trim().split_once(' ').ok_or_else(malformed)?;
    let period: u32 = parse::number(period)?;
    if quota == "max" {
        return Ok(None);
    }
    let quota: u64 = parse::number(quota)?;
    if period == 0 {
        return Err(malformed());
    }
    Ok(Some(quota as f64 / f64::from(period)))
}

fn swappable(stat: &CgroupStat) -> Option<Bytes> {
    stat.anon?.0.checked_add(stat.shmem?.0).map(Bytes)
}

fn refaults(stat: &CgroupStat) -> Option<Pages> {
    let (anon, file) = (stat.workingset_refault_anon?, stat.workingset_refault_file?);
    anon.0.checked_add(file.0).map(Pages)
}

/// The parts of `memory.stat` that are told.
#[derive(Debug, PartialEq)]
struct Stat {
    anon: Bytes,
    file: Bytes,
}

fn parse_stat(text: &str) -> Result<Stat, Problem> {
    Ok(Stat {
        anon: field(text, "anon")?,
        file: field(text, "file")?,
    })
}

fn field(text: &str, name: &'static str) -> Result<Bytes, Problem> {
    maybe_field(text, name)
        .ok_or(Problem::NoField(name))
        .and_then(parse::bytes)
}

fn maybe_field<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let stat = parse_stat("anon_thp 1\nanon 4096\nfile_mapped 2\nfile 8192\n").unwrap();
        assert_eq!((stat.anon, stat.file), (Bytes(4096), Bytes(8192)));
    }

    #[test]
    fn what_a_kernel_does_not_tell_is_unknown_and_what_it_tells_must_be_a_number() {
        let stat = parse_all("anon 1\nfile 2\nworkingset_refault_anon 7\n").unwrap();
        assert_eq!((stat.shmem, stat.workingset_refault_anon), (None, Some(Pages(7))));
        assert!(parse_all("anon 1\nfile 2\nshmem -1\n").is_err());
    }

    #[test]
    fn a_quota_is_so_many_processors() {
        assert_eq!(parse_cpu_max("max 100000\n").unwrap(), None);
        assert_eq!(parse_cpu_max("20000 100000\n").unwrap(), Some(0.2));
        assert_eq!(parse_cpu_max("300000 100000\n").unwrap(), Some(3.0));
        for bad in ["", "max", "1", "1 0", "-1 5", "x 100000"] {
            assert!(parse_cpu_max(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_missing_field_is_a_fault() {
        assert!(parse_stat("anon 1\n").is_err());
        assert!(parse_stat("anon x\nfile 1\n").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = (parse_stat(&text), parse_all(&text), parse_cpu_max(&text));
        }

        #[test]
        fn no_table_panics(text in "((anon|file|shmem|workingset_refault_anon|é)? ?[0-9é-]{0,22}\n?){0,6}") {
            let _ = parse_all(&text);
        }
    }
}
