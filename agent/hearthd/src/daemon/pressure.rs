//! A lack of memory while there is work: the law, and when it looks.

use control::{LITTLE_AVAILABLE, PressureLaw};
use machine::{BootTime, Bytes, CgroupStat, Meminfo, PressureDecision, PressureSample};

/// For so long after memory was short somebody may still be ended for it, in microseconds.
const RECENT_USEC: u64 = 10_000_000;

/// What the engine held of the memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct EngineShare {
    /// What its group holds that cannot be read again from files.
    kept: Option<Bytes>,
    /// `memory.max` of its group.
    limit: Option<Bytes>,
    /// Programs' memory of its group, in memory and in swap.
    anon: Option<Bytes>,
    /// The same of all.
    all_anon: Option<Bytes>,
}

impl EngineShare {
    /// `limit` is the group's `memory.max`.
    pub(crate) fn new(group: &CgroupStat, limit: Option<Bytes>, all: &Meminfo) -> Self {
        // A group without a file for its swap has none there.
        let swapped = group.swap_current.unwrap_or_default();
        let kept = || Some(Bytes(group.current?.0.saturating_sub(group.file?.0)));
        let all_anon = || {
            let swapped = all.memory.swap_total?.0.saturating_sub(all.memory.swap_free?.0);
            Some(Bytes(all.anon_pages?.0.saturating_add(swapped)))
        };
        Self {
            kept: kept(),
            limit,
            anon: group.anon.map(|anon| Bytes(anon.0.saturating_add(swapped.0))),
            all_anon: all_anon(),
        }
    }

    /// Whether the engine itself has taken the memory: it holds nine tenths of what it may, or more than all others
    /// together. What cannot be read speaks for nobody's guilt.
    fn is_most(&self) -> bool {
        let fills = |kept: Bytes, limit: Bytes| kept.0 >= limit.0 - limit.0 / 10;
        let outweighs = |anon: Bytes, all: Bytes| anon.0 > all.0 / 2;
        self.kept
            .zip(self.limit)
            .is_some_and(|(kept, limit)| fills(kept, limit))
            || self
                .anon
                .zip(self.all_anon)
                .is_some_and(|(anon, all)| outweighs(anon, all))
    }
}

/// Decides, and keeps what it decided last.
#[derive(Debug, Default)]
pub(crate) struct Relief {
    law: PressureLaw,
    decision: PressureDecision,
    /// Whether an engine ran when the law last looked.
    engine_runs: bool,
    /// When little memory was last available.
    short_at: Option<BootTime>,
    /// What the engine held when it was last looked while little was available.
    share: Option<EngineShare>,
}

impl Relief {
    /// Whether the law wants to look: its time has come, or the engine has come or gone since it last did.
    pub(crate) fn is_due(&self, now: BootTime, engine_runs: bool) -> bool {
        now >= self.decision.wake_at || engine_runs != self.engine_runs
    }

    /// Decides. Returns the decision before.
    pub(crate) fn step(&mut self, sample: &PressureSample) -> PressureDecision {
        self.engine_runs = sample.engine_runs;
        let decision = self.law.step(sample);
        // Lost time alone may come of the engine's own limit, at which it waits for its own pages.
        if decision
            .seen
            .available
            .is_some_and(|left| left < LITTLE_AVAILABLE)
        {
            self.short_at = Some(sample.at_usec);
        } else if !self.was_short(sample.at_usec) {
            self.share = None;
        }
        std::mem::replace(&mut self.decision, decision)
    }

    /// What the engine holds, which is worth a look while little is available; `None` leaves what was seen before.
    pub(crate) fn note(&mut self, share: Option<EngineShare>) {
        self.share = share.or(self.share);
    }

    /// Whether others than the engine have taken the memory, now or a moment ago: whom the kernel ends for it is not to
    /// blame.
    pub(crate) fn others_took_it(&self, now: BootTime) -> bool {
        self.was_short(now) && !self.share.is_some_and(|share| share.is_most())
    }

    /// Whether the machine is short of memory, or was a moment ago.
    pub(crate) fn was_short(&self, now: BootTime) -> bool {
        let is_recent = |at: BootTime| now.0.saturating_sub(at.0) <= RECENT_USEC;
        self.short_at.is_some_and(is_recent)
    }

    /// The last decision.
    pub(crate) fn decision(&self) -> &PressureDecision {
        &self.decision
    }

    /// When the law wants to look at the latest.
    pub(crate) fn wake_at(&self) -> BootTime {
        self.decision.wake_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use machine::{Bytes, Memory};

    #[test]
    fn memory_is_short_where_little_is_available_and_for_a_moment_after() {
        let mut relief = Relief::default();
        let mut look = |at_usec, available| {
            relief.step(&PressureSample {
                at_usec: BootTime(at_usec),
                memory: Memory {
                    mem_total: Some(Bytes(1000)),
                    mem_available: Some(Bytes(available)),
                    ..Memory::default()
                },
                ..PressureSample::default()
            });
            (
                relief.was_short(BootTime(at_usec)),
                relief.was_short(BootTime(at_usec + RECENT_USEC + 1)),
            )
        };
        assert_eq!(look(1, 500), (false, false));
        assert_eq!(look(2, 100), (true, false));
        assert_eq!(look(3, 500), (true, false));
    }

    /// The engine's group and the machine, in MiB: what the group holds, of it in files and of programs, its swap, its
    /// limit, and all programs' memory.
    fn share([current, file, anon, swapped, limit, all]: [u64; 6]) -> EngineShare {
        let mib = |mib: u64| Some(Bytes(mib << 20));
        let group = CgroupStat {
            current: mib(current),
            file: mib(file),
            anon: mib(anon),
            swap_current: mib(swapped),
            ..CgroupStat::default()
        };
        let all = Meminfo {
            anon_pages: mib(all - swapped),
            memory: Memory {
                swap_total: mib(4000),
                swap_free: mib(4000 - swapped),
                ..Memory::default()
            },
            ..Meminfo::default()
        };
        EngineShare::new(&group, mib(limit), &all)
    }

    #[test]
    fn the_engine_has_taken_the_memory_at_its_limit_or_where_it_holds_most() {
        for (what, is_most) in [
            ([3000, 20, 2900, 0, 3200, 6000], true),
            ([3000, 2000, 900, 0, 3200, 6000], false),
            ([2000, 100, 1800, 0, 3200, 3000], true),
            ([700, 100, 500, 1500, 3200, 3000], true),
            ([700, 100, 500, 500, 3200, 3000], false),
        ] {
            assert_eq!(share(what).is_most(), is_most, "{what:?}");
        }
        assert!(!EngineShare::default().is_most(), "nothing can be read");
    }

    #[test]
    fn a_kill_is_excused_only_where_others_took_the_memory() {
        let mut relief = Relief::default();
        let mut look = |at_usec, available, seen: Option<[u64; 6]>| {
            relief.step(&PressureSample {
                at_usec: BootTime(at_usec),
                memory: Memory {
                    mem_total: Some(Bytes(1000)),
                    mem_available: Some(Bytes(available)),
                    ..Memory::default()
                },
                ..PressureSample::default()
            });
            relief.note(seen.map(share));
            relief.others_took_it(BootTime(at_usec))
        };
        let (little, much) = ([700, 100, 500, 500, 3200, 3000], [3000, 20, 2900, 0, 3200, 6000]);
        assert!(!look(1, 500, None), "nobody lacks any");
        assert!(look(2, 50, Some(little)));
        assert!(!look(3, 50, Some(much)));
        assert!(!look(4, 700, None), "it is gone, and was seen a moment ago");
        let later = RECENT_USEC + 4;
        assert!(!look(later, 700, None));
        assert!(look(later + 1, 50, None), "what it held long ago says nothing");
    }

    #[test]
    fn the_law_looks_when_its_time_comes_and_when_the_engine_comes_or_goes() {
        let mut relief = Relief::default();
        assert!(relief.is_due(BootTime(0), false));
        relief.step(&PressureSample {
            at_usec: BootTime(5),
            ..PressureSample::default()
        });
        assert!(!relief.is_due(BootTime(6), false));
        assert!(relief.is_due(BootTime(6), true));
        assert!(relief.is_due(relief.wake_at(), false));
    }
}
