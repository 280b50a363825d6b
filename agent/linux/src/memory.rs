//! Who holds the machine's memory, and what the law of reclaim is told of it.

use crate::reader::Reader;
use crate::tree::Tree;
use crate::{cgroup, meminfo, pressure, zoneinfo, zram};
use machine::{BootTime, Bytes, MemoryBreakdown, MemorySample, PressureSample};
use nix::unistd::{SysconfVar, sysconf};

pub(crate) fn breakdown(tree: &Tree, now: BootTime) -> MemoryBreakdown {
    let mut reader = Reader::new(tree);
    MemoryBreakdown {
        at_usec: now,
        page_size: page_size(),
        meminfo: meminfo::breakdown(&mut reader),
        memory_zones: zoneinfo::sample(&mut reader),
        zram: zram::sample(&mut reader),
        cgroups: cgroup::breakdown(&mut reader),
        warnings: reader.into_warnings(),
    }
}

/// The running kernel's. It does not follow from the files: in some virtual machines the zones are less than `MemTotal`.
fn page_size() -> Option<Bytes> {
    let size = sysconf(SysconfVar::PAGE_SIZE).ok()??;
    size.try_into().ok().map(Bytes)
}

/// What cannot be read is `None`, and the law then does nothing; the other samples and `breakdown` say why.
pub(crate) fn sample(tree: &Tree, now: BootTime, cgroups: &[&str]) -> MemorySample {
    let mut reader = Reader::new(tree);
    MemorySample {
        at_usec: now,
        quiet_since_usec: None,
        memory: meminfo::sample(&mut reader),
        stalled_usec: pressure::memory_stalled(&mut reader),
        cgroups: cgroups
            .iter()
            .filter_map(|path| cgroup::load(&mut reader, path))
            .collect(),
    }
}

/// What cannot be read is `None`. Whether an engine runs is not the machine's to say.
pub(crate) fn pressure(tree: &Tree, now: BootTime) -> PressureSample {
    let mut reader = Reader::new(tree);
    PressureSample {
        at_usec: now,
        memory: meminfo::sample(&mut reader),
        stall: pressure::memory(&mut reader),
        engine_runs: false,
        context: None,
    }
}
