//! Who holds the machine's memory, in the kernel's own terms. Read when somebody asks: some of the files are long.

use crate::{BootTime, Bytes, Memory, Pages, Warning};
use alloc::{string::String, vec::Vec};
use serde::{Deserialize, Serialize};

/// Every part of the machine's memory that the kernel tells of, at one instant.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemoryBreakdown {
    /// When it was read.
    pub at_usec: BootTime,
    /// The size of a page.
    pub page_size: Option<Bytes>,
    /// `/proc/meminfo`.
    pub meminfo: Meminfo,
    /// `/proc/zoneinfo`: what the kernel keeps back, zone by zone.
    pub memory_zones: Vec<MemoryZone>,
    /// Compressed memory, device by device.
    pub zram: Vec<Zram>,
    /// Control groups, one for each unit.
    pub cgroups: Vec<CgroupStat>,
    /// What could not be read, and why.
    pub warnings: Vec<Warning>,
}

/// `/proc/meminfo`, as far as it tells who holds memory. Names are the kernel's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Meminfo {
    /// The fields that every sample has.
    #[serde(flatten)]
    pub memory: Memory,
    /// `Buffers`: page cache of block devices.
    pub buffers: Option<Bytes>,
    /// `SwapCached`: pages that are in memory and in swap.
    pub swap_cached: Option<Bytes>,
    /// `Active(file)`
    pub active_file: Option<Bytes>,
    /// `Inactive(file)`
    pub inactive_file: Option<Bytes>,
    /// `AnonPages`: memory of programs that no file backs.
    pub anon_pages: Option<Bytes>,
    /// `Mapped`: page cache that programs have mapped.
    pub mapped: Option<Bytes>,
    /// `Shmem`: tmpfs and shared memory.
    pub shmem: Option<Bytes>,
    /// `KReclaimable`: the kernel's own that it can give back.
    pub k_reclaimable: Option<Bytes>,
    /// `SReclaimable`: slabs that can be given back.
    pub s_reclaimable: Option<Bytes>,
    /// `SUnreclaim`: slabs that cannot.
    pub s_unreclaim: Option<Bytes>,
    /// `KernelStack`: one for each thread.
    pub kernel_stack: Option<Bytes>,
    /// `PageTables`
    pub page_tables: Option<Bytes>,
    /// `SecPageTables`: of virtual machines and of the IOMMU.
    pub sec_page_tables: Option<Bytes>,
    /// `Percpu`: what the kernel has once for each processor.
    pub percpu: Option<Bytes>,
    /// `VmallocUsed`: modules, stacks of threads and large tables.
    pub vmalloc_used: Option<Bytes>,
    /// `Zswap`: memory that holds compressed pages.
    pub zswap: Option<Bytes>,
    /// `Zswapped`: what those pages were before.
    pub zswapped: Option<Bytes>,
}

/// A zone of memory: pages that hardware can address alike. Not a thermal zone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MemoryZone {
    /// The memory node's number.
    pub node: u32,
    /// `DMA`, `DMA32`, `Normal`, `Movable` or `Device`.
    pub name: String,
    /// `pages free`
    pub free: Pages,
    /// `boost`: by how much the watermarks are raised for a while.
    pub boost: Pages,
    /// Watermark below which allocations have to reclaim themselves.
    pub min: Pages,
    /// Watermark below which `kswapd` wakes.
    pub low: Pages,
    /// Watermark at which it sleeps again.
    pub high: Pages,
    /// `managed`: pages that can be handed out.
    pub managed: Pages,
    /// `protection`, by `lowmem_reserve_ratio`: pages that allocations which could be served by a higher zone leave, for
    /// each higher zone.
    pub protection: Vec<Pages>,
}

/// A zram device, from its `mm_stat`. Source: the kernel's `admin-guide/blockdev/zram.rst`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Zram {
    /// The number in `zramN`.
    pub id: u32,
    /// The most it holds before compression, `disksize`; 0 while it is not set up.
    pub disksize: Option<Bytes>,
    /// The compression in force, of `comp_algorithm`.
    pub comp_algorithm: Option<String>,
    /// What it holds, before compression.
    pub orig_data_size: Bytes,
    /// The same after compression.
    pub compr_data_size: Bytes,
    /// The memory it takes, with what falls between the pages.
    pub mem_used_total: Bytes,
}

/// What a control group's memory is made of, from its `memory.stat`. A field that a kernel does not tell is `null`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct CgroupStat {
    /// Path below the hierarchy's root, for example `system.slice/hearthd.service`.
    pub path: String,
    /// `memory.current`
    pub current: Option<Bytes>,
    /// `memory.swap.current`
    pub swap_current: Option<Bytes>,
    /// Memory of programs that no file backs.
    pub anon: Option<Bytes>,
    /// Page cache, `shmem` among it.
    pub file: Option<Bytes>,
    /// Page cache that programs have mapped.
    pub file_mapped: Option<Bytes>,
    /// tmpfs and shared memory.
    pub shmem: Option<Bytes>,
    /// All that the kernel holds for the group.
    pub kernel: Option<Bytes>,
    /// Of that, slabs that can be given back.
    pub slab_reclaimable: Option<Bytes>,
    /// Of that, slabs that cannot.
    pub slab_unreclaimable: Option<Bytes>,
    /// Memory that holds the group's compressed pages.
    pub zswap: Option<Bytes>,
    /// What those pages were before.
    pub zswapped: Option<Bytes>,
    /// Pages that no file backs and that were missed after they had been reclaimed, since the group was made.
    pub workingset_refault_anon: Option<Pages>,
    /// The same of pages of files.
    pub workingset_refault_file: Option<Pages>,
}

/// What `used` is made of, in bytes. The parts add up to it: `rest` is what nothing else explains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct UsedParts {
    /// Programs' memory that no file backs.
    pub anon: Bytes,
    /// tmpfs and shared memory.
    pub shmem: Bytes,
    /// The kernel's slabs that cannot be given back.
    pub slab: Bytes,
    /// Stacks and page tables of all threads.
    pub threads: Bytes,
    /// Modules, large tables, and what the kernel has once for each processor.
    pub tables: Bytes,
    /// What zram takes.
    pub zram: Bytes,
    /// `totalreserve_pages`: free, and kept back all the same.
    pub reserve: Bytes,
    /// Page cache and slabs that could be given back, and that `MemAvailable` counts as lost all the same.
    pub withheld: Bytes,
    /// What is left. Below 0 where the parts were read while they moved.
    pub rest: i64,
}

impl MemoryBreakdown {
    /// Memory in use, `MemTotal − MemAvailable`.
    pub fn used(&self) -> Option<Bytes> {
        self.meminfo.memory.used()
    }

    /// `totalreserve_pages`: pages of each zone that stay free for the kernel's emergencies and for those who can use no
    /// higher zone. `MemAvailable` subtracts them, which is why a small machine looks fuller than it is. As
    /// `calculate_totalreserve_pages` of the kernel's `mm/page_alloc.c` counts them.
    pub fn reserve(&self) -> Option<Bytes> {
        self.bytes(self.sum(MemoryZone::reserve)?)
    }

    /// What `MemAvailable` counts as lost of page cache and of slabs, though it could be given back: of each half, or as
    /// much as the low watermarks, whichever is less (`si_mem_available` of the kernel's `mm/show_mem.c`).
    pub fn withheld(&self) -> Option<Bytes> {
        let low = self
            .bytes(self.sum(|zone| Pages(zone.low.0.saturating_sub(zone.boost.0)))?)?
            .0;
        let file = self
            .meminfo
            .active_file?
            .0
            .checked_add(self.meminfo.inactive_file?.0)?;
        let kernel = self.meminfo.k_reclaimable.or(self.meminfo.s_reclaimable)?.0;
        (file / 2).min(low).checked_add((kernel / 2).min(low)).map(Bytes)
    }

    /// `used` by its parts; `None` if one of them is not known.
    pub fn used_parts(&self) -> Option<UsedParts> {
        let meminfo = &self.meminfo;
        let stacks = meminfo.kernel_stack?.0;
        let second = meminfo.sec_page_tables.unwrap_or_default().0;
        let threads = stacks.checked_add(meminfo.page_tables?.0)?.checked_add(second)?;
        // Threads' stacks come from vmalloc and are counted there again.
        let vmalloc = meminfo.vmalloc_used?.0.saturating_sub(stacks);
        let mut parts = UsedParts {
            anon: meminfo.anon_pages?,
            shmem: meminfo.shmem?,
            slab: meminfo.s_unreclaim?,
            threads: Bytes(threads),
            tables: Bytes(vmalloc.checked_add(meminfo.percpu?.0)?),
            zram: Bytes(
                self.zram
                    .iter()
                    .try_fold(0, |sum: u64, zram| sum.checked_add(zram.mem_used_total.0))?,
            ),
            reserve: self.reserve()?,
            withheld: self.withheld()?,
            rest: 0,
        };
        let used = i64::try_from(self.used()?.0).ok()?;
        parts.rest = used.checked_sub(i64::try_from(parts.named()?).ok()?)?;
        Some(parts)
    }

    fn sum(&self, of: impl Fn(&MemoryZone) -> Pages) -> Option<u64> {
        let sum = |sum: u64, zone: &MemoryZone| sum.checked_add(of(zone).0);
        let pages = self.memory_zones.iter().try_fold(0, sum)?;
        (!self.memory_zones.is_empty()).then_some(pages)
    }

    fn bytes(&self, pages: u64) -> Option<Bytes> {
        pages.checked_mul(self.page_size?.0).map(Bytes)
    }
}

impl MemoryZone {
    /// Pages of it that stay free.
    fn reserve(&self) -> Pages {
        let protected = self.protection.iter().max().map_or(0, |pages| pages.0);
        let high = self.high.0.saturating_sub(self.boost.0);
        Pages(protected.saturating_add(high).min(self.managed.0))
    }
}

impl UsedParts {
    /// The sum of all parts that have a name.
    fn named(&self) -> Option<u64> {
        let parts = [
            self.anon,
            self.shmem,
            self.slab,
            self.threads,
            self.tables,
            self.zram,
            self.reserve,
            self.withheld,
        ];
        parts.iter().try_fold(0, |sum: u64, part| sum.checked_add(part.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(managed: u64, high: u64, protection: &[u64]) -> MemoryZone {
        MemoryZone {
            managed: Pages(managed),
            low: Pages(high),
            high: Pages(high),
            protection: protection.iter().copied().map(Pages).collect(),
            ..MemoryZone::default()
        }
    }

    fn breakdown() -> MemoryBreakdown {
        MemoryBreakdown {
            page_size: Some(Bytes(4096)),
            meminfo: Meminfo {
                memory: Memory {
                    mem_total: Some(Bytes(1000 * 4096)),
                    mem_available: Some(Bytes(600 * 4096)),
                    ..Memory::default()
                },
                ..Meminfo::default()
            },
            memory_zones: [zone(100, 10, &[0, 300]), zone(900, 20, &[0, 0])].into(),
            ..MemoryBreakdown::default()
        }
    }

    #[test]
    fn a_zone_keeps_back_no_more_than_it_has() {
        assert_eq!(breakdown().reserve(), Some(Bytes((100 + 20) * 4096)));
    }

    #[test]
    fn a_boost_passes_and_is_no_reserve() {
        let mut seen = breakdown();
        seen.memory_zones[1].boost = Pages(15);
        assert_eq!(seen.reserve(), Some(Bytes((100 + 5) * 4096)));
    }

    #[test]
    fn what_is_counted_in_pages_is_unknown_where_their_size_or_the_zones_are() {
        let mut seen = breakdown();
        seen.page_size = None;
        assert_eq!((seen.reserve(), seen.withheld()), (None, None));
        seen = breakdown();
        seen.memory_zones.clear();
        assert_eq!(seen.reserve(), None);
    }

    #[test]
    fn zones_need_not_be_all_of_the_memory() {
        let mut seen = breakdown();
        seen.meminfo.memory.mem_total = Some(Bytes(1300 * 4096));
        assert_eq!(seen.reserve(), Some(Bytes((100 + 20) * 4096)));
    }

    #[test]
    fn absurd_counts_are_unknown_and_no_panic() {
        let mut seen = breakdown();
        seen.memory_zones[0] = zone(u64::MAX, 10, &[u64::MAX]);
        assert_eq!(seen.reserve(), None);
        assert_eq!(seen.used_parts(), None);
    }
}
