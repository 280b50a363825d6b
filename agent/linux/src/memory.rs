//! Who holds the machine's memory, and what the law of reclaim is told of it.

use crate::reader::Reader;
use crate::tree::Tree;
use crate::{cgroup, meminfo, pressure, zoneinfo, zram};
use machine::{BootTime, MemoryBreakdown, MemorySample, PressureSample};

pub(crate) fn breakdown(tree: &Tree, now: BootTime) -> MemoryBreakdown {
    let mut reader = Reader::new(tree);
    MemoryBreakdown {
        at_usec: now,
        meminfo: meminfo::breakdown(&mut reader),
        memory_zones: zoneinfo::sample(&mut reader),
        zram: zram::sample(&mut reader),
        cgroups: cgroup::breakdown(&mut reader),
        warnings: reader.into_warnings(),
    }
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
