//! Which processors there are to compute on: those that this process may use, performance cores first, one of each
//! physical core before its siblings.
//!
//! What kind a processor is, only it can say: it is asked by CPUID on a thread that goes to each in turn. No file is
//! read here; the quota of the control group comes from the standard library.

use std::arch::x86_64::{__cpuid, __cpuid_count, CpuidResult};
use std::io;
use std::panic::resume_unwind;
use std::thread;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::MAX_THREADS;

/// A processor as the operating system counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Processor {
    /// Its number.
    pub number: usize,
    /// Whether it is one of a hybrid processor's efficiency cores.
    pub efficient: bool,
    /// Processors of the same physical core have the same.
    pub core: u32,
}

/// The processors of this process, the best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topology {
    processors: Vec<Processor>,
    quota: usize,
    refusal: Option<Errno>,
}

impl Topology {
    /// Asks each processor. Where a thread may not be moved, or affinity is not told, all processors count as cores of
    /// one kind, as many as the quota, and [`Self::refusal`] says why.
    ///
    /// # Errors
    /// The operating system does not say how many processors there are, or gives no thread.
    pub fn read() -> io::Result<Self> {
        let quota = thread::available_parallelism()?.get();
        let asking = thread::Builder::new()
            .name("topology".to_owned())
            .spawn(ask_each)?;
        let asked = asking.join().unwrap_or_else(|panic| resume_unwind(panic));
        Ok(Self::from_answer(asked, quota))
    }

    fn from_answer(asked: nix::Result<Vec<Processor>>, quota: usize) -> Self {
        let alike = |number| Processor {
            number,
            efficient: false,
            core: number as u32,
        };
        match asked {
            Ok(processors) => Self::new(processors, quota),
            Err(refusal) => Self {
                refusal: Some(refusal),
                ..Self::new((0..quota).map(alike).collect(), quota)
            },
        }
    }

    /// Puts processors in order. `quota` is how many of them the process may keep busy.
    pub fn new(mut processors: Vec<Processor>, quota: usize) -> Self {
        processors.sort_by_key(|processor| processor.number);
        let mut cores = Vec::new();
        let mut keyed: Vec<_> = processors
            .into_iter()
            .map(|processor| {
                let sibling = cores.contains(&processor.core);
                cores.push(processor.core);
                ((sibling, processor.efficient, processor.number), processor)
            })
            .collect();
        keyed.sort_by_key(|&(key, _)| key);
        Self {
            processors: keyed.into_iter().map(|(_, processor)| processor).collect(),
            quota,
            refusal: None,
        }
    }

    /// Why the processors could not be asked.
    pub fn refusal(&self) -> Option<Errno> {
        self.refusal
    }

    /// All of them, the best first.
    pub fn processors(&self) -> &[Processor] {
        &self.processors
    }

    /// How many threads are good: one for each physical core, and no more than the quota or [`MAX_THREADS`].
    ///
    /// Efficiency cores count: chunks are claimed one by one, so a core of half the speed takes half as many, and what is
    /// waited for at the end of a region is at most one chunk of its own. Some processors have no other cores.
    pub fn threads(&self) -> usize {
        cores(self.processors.iter())
            .min(self.quota)
            .clamp(1, MAX_THREADS)
    }

    /// The numbers of the processors that so many threads are to keep to: those of the performance cores, if there are
    /// others and these are enough, for a scheduler that finds all idle may begin with any. `None`: all. Among them
    /// threads move freely, as [`super`] says why.
    pub fn place(&self, threads: usize) -> Option<Vec<usize>> {
        let fast = || self.processors.iter().filter(|processor| !processor.efficient);
        let are_others = fast().count() < self.processors.len();
        let are_enough = threads <= cores(fast());
        (are_others && are_enough).then(|| fast().map(|processor| processor.number).collect())
    }
}

/// Keeps this thread, and those that it starts from now on, to these processors.
///
/// # Errors
/// The operating system does not let threads be moved.
pub fn keep_to(processors: &[usize]) -> nix::Result<()> {
    let mut set = CpuSet::new();
    processors.iter().try_for_each(|&number| set.set(number))?;
    sched_setaffinity(Pid::from_raw(0), &set)
}

/// How many physical cores processors are of.
fn cores<'a>(processors: impl Iterator<Item = &'a Processor>) -> usize {
    let mut cores: Vec<_> = processors.map(|processor| processor.core).collect();
    cores.sort_unstable();
    cores.dedup();
    cores.len()
}

/// Goes to each processor that this thread may run on.
fn ask_each() -> nix::Result<Vec<Processor>> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this)?;
    let numbers = (0..CpuSet::count()).filter(|&number| allowed.is_set(number).unwrap_or(false));
    numbers
        .map(|number| {
            let mut one = CpuSet::new();
            one.set(number)?;
            sched_setaffinity(this, &one)?;
            let (efficient, core) = (is_efficient(&ask), core(&ask));
            Ok(Processor {
                number,
                efficient,
                core: core.unwrap_or(number as u32),
            })
        })
        .collect()
}

/// CPUID's answer for a leaf and a subleaf; `None` above the highest leaf of its range.
fn ask(leaf: u32, subleaf: u32) -> Option<CpuidResult> {
    let highest = __cpuid(leaf & 0x8000_0000).eax;
    (leaf <= highest).then(|| __cpuid_count(leaf, subleaf))
}

type Ask = dyn Fn(u32, u32) -> Option<CpuidResult>;

/// Intel: leaf 7 says that the processor is hybrid, leaf 1AH of which kind this core is (Intel's manual, volume 2A,
/// CPUID). AMD: leaf 8000_0026H says both (AMD's manual, volume 3, appendix E).
fn is_efficient(ask: &Ask) -> bool {
    const ATOM: u32 = 0x20;
    let hybrid = ask(7, 0).is_some_and(|answer| answer.edx & 1 << 15 != 0);
    let intel = hybrid && ask(0x1A, 0).is_some_and(|answer| answer.eax >> 24 == ATOM);
    let amd = ask(0x8000_0026, 0).is_some_and(|answer| answer.eax & 1 << 30 != 0 && answer.ebx >> 28 == 1);
    intel || amd
}

/// Which physical core this is: the extended APIC identifier without the bits that tell siblings apart.
fn core(ask: &Ask) -> Option<u32> {
    /// Of a level of the topology whose members are threads of one core.
    const THREADS: u32 = 1;
    let levels = [0x1F, 0x0B].into_iter().filter_map(|leaf| ask(leaf, 0));
    let threads = levels
        .filter(|level| level.ebx != 0)
        .find(|level| level.ecx >> 8 & 0xFF == THREADS);
    match threads {
        Some(level) => Some(level.edx >> (level.eax & 31)),
        // AMD before Zen 2: the core in the node, and the node.
        None => ask(0x8000_001E, 0).map(|answer| (answer.ecx & 0xFF) << 8 | answer.ebx & 0xFF),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processor(number: usize, efficient: bool, core: u32) -> Processor {
        Processor {
            number,
            efficient,
            core,
        }
    }

    fn answer(eax: u32, ebx: u32, ecx: u32, edx: u32) -> CpuidResult {
        CpuidResult { eax, ebx, ecx, edx }
    }

    /// Two performance cores with siblings, two efficiency cores.
    fn hybrid() -> Vec<Processor> {
        vec![
            processor(0, false, 0),
            processor(1, false, 0),
            processor(2, false, 4),
            processor(3, false, 4),
            processor(4, true, 8),
            processor(5, true, 9),
        ]
    }

    #[test]
    fn performance_cores_come_first_and_siblings_last() {
        let topology = Topology::new(hybrid(), 6);
        let order: Vec<_> = topology
            .processors()
            .iter()
            .map(|processor| processor.number)
            .collect();
        assert_eq!(order, [0, 2, 4, 5, 1, 3]);
        assert_eq!(topology.threads(), 4);
    }

    #[test]
    fn a_quota_is_kept_to() {
        assert_eq!(Topology::new(hybrid(), 2).threads(), 2);
        assert_eq!(Topology::new(Vec::new(), 1).threads(), 1);
    }

    #[test]
    fn few_threads_keep_to_the_performance_cores() {
        let topology = Topology::new(hybrid(), 6);
        for threads in [1, 2] {
            assert_eq!(
                topology.place(threads),
                Some(vec![0, 2, 1, 3]),
                "{threads} threads"
            );
        }
        assert_eq!(topology.place(3), None, "there are two performance cores");
        let quota = Topology::new(hybrid(), 2);
        assert!(quota.place(quota.threads()).is_some());
    }

    #[test]
    fn cores_of_one_kind_are_all_as_good() {
        for efficient in [true, false] {
            let n100 = (0..4).map(|number| processor(number, efficient, number as u32));
            let topology = Topology::new(n100.collect(), 4);
            assert_eq!((topology.threads(), topology.place(1)), (4, None));
        }
    }

    #[test]
    fn a_thread_and_those_that_it_starts_keep_to_a_place() {
        let allowed = || ask_each().unwrap().into_iter().map(|processor| processor.number);
        thread::spawn(move || {
            // Asking leaves a thread where it asked last.
            let last = thread::spawn(move || allowed().next_back())
                .join()
                .unwrap()
                .unwrap();
            keep_to(&[last]).unwrap();
            let inherited = thread::spawn(move || allowed().collect::<Vec<_>>());
            assert_eq!(inherited.join().unwrap(), [last]);
        })
        .join()
        .unwrap();
    }

    #[test]
    fn a_pool_can_have_so_many_threads() {
        let many = (0..200)
            .map(|number| processor(number, false, number as u32))
            .collect();
        assert_eq!(Topology::new(many, 200).threads(), MAX_THREADS);
    }

    #[test]
    fn processors_that_cannot_be_asked_count_as_cores_and_it_is_said() {
        let refused = Topology::from_answer(Err(Errno::EPERM), 3);
        assert_eq!((refused.threads(), refused.refusal()), (3, Some(Errno::EPERM)));
        let told = Topology::from_answer(Ok(hybrid()), 6);
        assert_eq!((told.threads(), told.refusal()), (4, None));
    }

    #[test]
    fn siblings_are_told_by_the_shift_of_the_thread_level() {
        let of = |x2apic: u32| {
            core(&move |leaf, _| match leaf {
                0x0B => Some(answer(1, 2, 0x100, x2apic)),
                _ => None,
            })
        };
        assert_eq!(of(6), of(7));
        assert_ne!(of(5), of(6));
    }

    #[test]
    fn an_empty_leaf_is_passed_over() {
        let empty = |leaf: u32, _| match leaf {
            0x0B | 0x1F => Some(answer(0, 0, 0, 3)),
            0x8000_001E => Some(answer(0, 0x105, 2, 0)),
            _ => None,
        };
        assert_eq!(core(&empty), Some(0x205));
        assert_eq!(core(&|_, _| None), None);
    }

    #[test]
    fn efficiency_cores_say_so() {
        let intel = |kind: u32| {
            is_efficient(&move |leaf, _| match leaf {
                7 => Some(answer(0, 0, 0, 1 << 15)),
                0x1A => Some(answer(kind << 24, 0, 0, 0)),
                _ => None,
            })
        };
        assert!(intel(0x20) && !intel(0x40));
        let amd = |kind: u32| {
            is_efficient(&move |leaf, _| (leaf == 0x8000_0026).then(|| answer(1 << 30, kind << 28, 0, 0)))
        };
        assert!(amd(1) && !amd(0));
        assert!(!is_efficient(&|_, _| None));
    }

    #[test]
    fn this_machine_has_processors() {
        let topology = Topology::read().unwrap();
        let allowed = thread::available_parallelism().unwrap().get();
        assert!(!topology.processors().is_empty());
        assert!((1..=allowed).contains(&topology.threads()), "{topology:?}");
    }
}
