//! A machine whose programs look at some of their memory each second and never at the rest, with a kernel that takes what
//! was not looked at for longest. Made up: it shows what the law does, not what a real machine's programs do.

use control::Reclaimer;
use machine::{BootTime, Bytes, CgroupLoad, Memory, MemorySample, MicroSeconds, Pages};

const MB: u64 = 1_000_000;
const SECOND: u64 = 1_000_000;
const TOTAL: u64 = 2000 * MB;
const PAGE: u64 = 4096;
/// What swapped pages become a part of.
const RATIO: u64 = 3;
/// What it costs to bring a page back, in microseconds.
const FAULT_USEC: u64 = 30;

/// A unit of so many bytes in use, and so many that are not.
#[derive(Clone, Debug)]
pub(crate) struct Unit {
    path: &'static str,
    hot: u64,
    cold: u64,
    /// Of its memory in use, what lies in swap until it is looked at.
    hot_swapped: u64,
    cold_swapped: u64,
    /// Pages of files, which this kernel takes before all others, although it was asked not to.
    files: u64,
    refaults: u64,
    stalled_usec: u64,
}

impl Unit {
    pub(crate) fn new(path: &'static str, hot_mb: u64, cold_mb: u64) -> Self {
        Self {
            path,
            hot: hot_mb * MB,
            cold: cold_mb * MB,
            hot_swapped: 0,
            cold_swapped: 0,
            files: 0,
            refaults: 0,
            stalled_usec: 0,
        }
    }

    pub(crate) fn with_files(self, mb: u64) -> Self {
        Self {
            files: mb * MB,
            ..self
        }
    }

    fn resident(&self) -> u64 {
        self.hot - self.hot_swapped + self.cold - self.cold_swapped
    }

    /// Gives so many bytes. Returns what went to swap.
    fn take(&mut self, bytes: u64) -> u64 {
        let files = bytes.min(self.files);
        self.files -= files;
        let bytes = bytes - files;
        let cold = bytes.min(self.cold - self.cold_swapped);
        self.cold_swapped += cold;
        let hot = (bytes - cold).min(self.hot - self.hot_swapped);
        self.hot_swapped += hot;
        cold + hot
    }

    /// Looks at what is in use. Returns what had to be brought back.
    fn live(&mut self) -> u64 {
        let missed = std::mem::take(&mut self.hot_swapped);
        self.refaults += missed.div_ceil(PAGE);
        self.stalled_usec += missed.div_ceil(PAGE) * FAULT_USEC;
        missed
    }

    fn load(&self) -> CgroupLoad {
        CgroupLoad {
            path: self.path.to_owned(),
            current: Some(Bytes(self.resident() + self.files)),
            floor: Some(Bytes(MB)),
            swappable: Some(Bytes(self.resident())),
            refaults: Some(Pages(self.refaults)),
            stalled_usec: Some(MicroSeconds(self.stalled_usec)),
        }
    }
}

pub(crate) struct Plant {
    /// The kernel's own, and what it keeps back.
    base: u64,
    units: Vec<Unit>,
    second: u64,
    due: BootTime,
    written: u64,
    missed: u64,
}

impl Plant {
    pub(crate) fn new(base: u64, units: &[Unit]) -> Self {
        Self {
            base,
            units: units.to_vec(),
            second: 0,
            due: BootTime(0),
            written: 0,
            missed: 0,
        }
    }

    pub(crate) fn used(&self) -> u64 {
        let of = |unit: &Unit| unit.resident() + (unit.hot_swapped + unit.cold_swapped) / RATIO;
        self.base + self.units.iter().map(of).sum::<u64>()
    }

    /// Bytes of files that are still there.
    pub(crate) fn files(&self) -> u64 {
        self.units.iter().map(|unit| unit.files).sum()
    }

    /// Bytes that were put into swap so far.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Of those, bytes that were in use.
    pub(crate) fn missed(&self) -> u64 {
        self.missed
    }

    /// So much of what a unit has in use is looked at no more.
    pub(crate) fn forget(&mut self, path: &str, bytes: u64) {
        for unit in self.units.iter_mut().filter(|unit| unit.path == path) {
            unit.hot -= bytes;
            unit.cold += bytes;
        }
    }

    /// Lets the law look after it for so many seconds, during all of which it is quiet.
    pub(crate) fn run(&mut self, law: &mut Reclaimer, seconds: u64) {
        for _ in 0..seconds {
            self.second += 1;
            self.missed += self.units.iter_mut().map(Unit::live).sum::<u64>();
            if BootTime(self.second * SECOND) >= self.due {
                self.step(law);
            }
        }
    }

    fn step(&mut self, law: &mut Reclaimer) {
        let decision = law.step(&self.sample());
        for request in &decision.requests {
            let unit = self.units.iter_mut().find(|unit| unit.path == request.cgroup);
            self.written += unit.map_or(0, |unit| unit.take(request.bytes.0));
        }
        self.due = decision.wake_at;
    }

    fn sample(&self) -> MemorySample {
        let swapped = |unit: &Unit| unit.hot_swapped + unit.cold_swapped;
        MemorySample {
            at_usec: BootTime(self.second * SECOND),
            quiet_since_usec: Some(BootTime(0)),
            memory: Memory {
                mem_total: Some(Bytes(TOTAL)),
                mem_available: Some(Bytes(TOTAL - self.used())),
                swap_free: Some(Bytes(TOTAL / 2 - self.units.iter().map(swapped).sum::<u64>())),
                ..Memory::default()
            },
            stalled_usec: Some(MicroSeconds(
                self.units.iter().map(|unit| unit.stalled_usec).sum(),
            )),
            cgroups: self.units.iter().map(Unit::load).collect(),
        }
    }
}
