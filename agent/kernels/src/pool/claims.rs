//! Who computes which chunk: the protocol between a pool's caller and its helpers.
//!
//! One word says how many chunks the region has and which is next; adding one to it claims a chunk. So whoever claims
//! has a chunk of the region that is open now, however long ago it looked, and a helper that comes late finds the
//! word used up and takes nothing. The caller opens the next region only after all chunks of this one are reported,
//! so who holds a chunk may read all that the caller wrote before it opened the region, until it reports.

use std::sync::atomic::Ordering;

/// What the protocol needs of an atomic word: the real one, or the one of a model checker in tests.
pub(super) trait Atomic {
    fn new(value: u64) -> Self;
    fn load(&self, order: Ordering) -> u64;
    fn store(&self, value: u64, order: Ordering);
    fn swap(&self, value: u64, order: Ordering) -> u64;
    fn fetch_add(&self, value: u64, order: Ordering) -> u64;
    fn fetch_sub(&self, value: u64, order: Ordering) -> u64;
    fn fetch_or(&self, value: u64, order: Ordering) -> u64;
    fn fetch_and(&self, value: u64, order: Ordering) -> u64;
    fn fence(order: Ordering);
}

/// Keeps what different threads write in different pairs of cache lines (processors fetch them in pairs).
#[derive(Debug)]
#[repr(align(128))]
struct Apart<A>(A);

/// The state of a pool's region.
#[derive(Debug)]
pub(super) struct Claims<A> {
    /// `chunks << 32 | next`; closed where `next ≥ chunks`.
    region: Apart<A>,
    /// Chunks that nobody has reported yet.
    unreported: Apart<A>,
    /// One bit for each helper that sleeps.
    asleep: Apart<A>,
    /// 1 when there will be no more regions.
    ended: Apart<A>,
}

/// Most helpers: bits of a word.
pub(super) const HELPERS: usize = 64;
/// Most chunks of a region: when all are claimed, each helper and the caller may still add one to `next`, having looked
/// before, which must not carry into the chunks' count.
pub(super) const MOST_CHUNKS: u32 = u32::MAX - HELPERS as u32 - 1;

fn chunks(region: u64) -> u64 {
    region >> 32
}

fn next(region: u64) -> u64 {
    region & u64::from(u32::MAX)
}

impl<A: Atomic> Claims<A> {
    pub(super) fn new() -> Self {
        let word = || Apart(A::new(0));
        Self {
            region: word(),
            unreported: word(),
            asleep: word(),
            ended: word(),
        }
    }

    /// Opens a region; the one before is complete. Returns the helpers, a bit each, that are to be woken: as many
    /// sleepers as there are chunks beside the caller's own.
    ///
    /// # Panics
    /// If there are more than [`MOST_CHUNKS`].
    #[must_use]
    pub(super) fn open(&self, chunks: u32) -> u64 {
        assert!(
            chunks <= MOST_CHUNKS,
            "{chunks} chunks; at most {MOST_CHUNKS} are allowed"
        );
        let chunks = u64::from(chunks);
        self.unreported.0.store(chunks, Ordering::Relaxed);
        // Swapped, not stored, so that all changes of the word are one chain, which a late claim is part of.
        self.region.0.swap(chunks << 32, Ordering::Release);
        // Pairs with the one in `lie_down`: either this sees the sleeper or the sleeper sees the region.
        A::fence(Ordering::SeqCst);
        match self.asleep.0.load(Ordering::Relaxed) {
            0 => 0,
            asleep => self.wake(lowest(asleep, chunks - 1)),
        }
    }

    /// Says that there will be no more regions; returns the helpers that are to be woken to hear it.
    #[must_use]
    pub(super) fn end(&self) -> u64 {
        self.ended.0.store(1, Ordering::Relaxed);
        A::fence(Ordering::SeqCst);
        self.wake(u64::MAX)
    }

    /// Whether there will be no more regions.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.0.load(Ordering::Relaxed) == 1
    }

    /// Takes those helpers, a bit each, for awake; returns which of them slept.
    fn wake(&self, helpers: u64) -> u64 {
        self.asleep.0.fetch_and(!helpers, Ordering::AcqRel) & helpers
    }

    /// Takes a chunk, if there is one.
    pub(super) fn claim(&self) -> Option<u32> {
        if !self.is_open() {
            return None;
        }
        let region = self.region.0.fetch_add(1, Ordering::Acquire);
        (next(region) < chunks(region)).then(|| next(region) as u32)
    }

    /// Whether there is a chunk to take.
    pub(super) fn is_open(&self) -> bool {
        let region = self.region.0.load(Ordering::Relaxed);
        next(region) < chunks(region)
    }

    /// Says that so many claimed chunks are computed; who says so holds none any more.
    pub(super) fn report(&self, chunks: u32) {
        self.unreported.0.fetch_sub(u64::from(chunks), Ordering::Release);
    }

    /// Whether all chunks are reported; then what was written in them can be read.
    pub(super) fn is_complete(&self) -> bool {
        self.unreported.0.load(Ordering::Acquire) == 0
    }

    /// Announces that a helper will sleep until [`Self::is_asleep`] denies it. `false`: it must not, there is
    /// something to do.
    pub(super) fn lie_down(&self, helper: usize) -> bool {
        self.asleep.0.fetch_or(1 << helper, Ordering::Relaxed);
        A::fence(Ordering::SeqCst);
        if self.is_open() || self.has_ended() {
            self.wake(1 << helper);
            return false;
        }
        true
    }

    /// Whether a helper that announced it is still to sleep.
    pub(super) fn is_asleep(&self, helper: usize) -> bool {
        self.asleep.0.load(Ordering::Acquire) & (1 << helper) != 0
    }
}

/// The lowest `count` bits of those set.
fn lowest(set: u64, count: u64) -> u64 {
    let mut left = set;
    for _ in 0..count.min(u64::from(set.count_ones())) {
        left &= left - 1;
    }
    set & !left
}

#[cfg(test)]
mod tests {
    use super::*;
    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::sync::atomic::{AtomicU64, fence};
    use loom::thread;

    impl Atomic for AtomicU64 {
        fn new(value: u64) -> Self {
            Self::new(value)
        }
        fn load(&self, order: Ordering) -> u64 {
            self.load(order)
        }
        fn store(&self, value: u64, order: Ordering) {
            self.store(value, order);
        }
        fn swap(&self, value: u64, order: Ordering) -> u64 {
            self.swap(value, order)
        }
        fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
            self.fetch_add(value, order)
        }
        fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
            self.fetch_sub(value, order)
        }
        fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
            self.fetch_or(value, order)
        }
        fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
            self.fetch_and(value, order)
        }
        fn fence(order: Ordering) {
            fence(order);
        }
    }

    /// What the caller writes before a region and the chunks write in it. The checker fails where an access to a
    /// cell is not ordered with another thread's write.
    struct Model {
        claims: Claims<AtomicU64>,
        job: UnsafeCell<u64>,
        results: Vec<UnsafeCell<u64>>,
    }

    impl Model {
        fn new(chunks: usize) -> Arc<Self> {
            Arc::new(Self {
                claims: Claims::new(),
                job: UnsafeCell::new(0),
                results: (0..chunks).map(|_| UnsafeCell::new(0)).collect(),
            })
        }

        /// Computes chunks until there are no more, as caller and helpers do.
        fn work(&self) {
            let mut done = 0;
            while let Some(chunk) = self.claims.claim() {
                let job = self.read_job();
                self.write(chunk, job);
                done += 1;
            }
            if done > 0 {
                self.claims.report(done);
            }
        }

        #[allow(unsafe_code, reason = "the checker's cell")]
        fn read_job(&self) -> u64 {
            // SAFETY: the checker fails the test where this races.
            self.job.with(|job| unsafe { *job })
        }

        #[allow(unsafe_code, reason = "the checker's cell")]
        fn write_job(&self, value: u64) {
            // SAFETY: the checker fails the test where this races.
            self.job.with_mut(|job| unsafe { *job = value });
        }

        #[allow(unsafe_code, reason = "the checker's cell")]
        fn write(&self, chunk: u32, job: u64) {
            // SAFETY: the checker fails the test where this races.
            self.results[chunk as usize].with_mut(|result| unsafe { *result = *result * 10 + job });
        }

        #[allow(unsafe_code, reason = "the checker's cell")]
        fn results(&self) -> Vec<u64> {
            let read = |result: &UnsafeCell<u64>| {
                // SAFETY: the checker fails the test where this races.
                result.with(|result| unsafe { *result })
            };
            self.results.iter().map(read).collect()
        }

        /// The caller's side of one region, with its results; `None` where a helper is not done yet, for what the
        /// caller does then, waiting, leads nowhere else.
        fn region(&self, job: u64) -> Option<Vec<u64>> {
            self.write_job(job);
            let _sleepers = self.claims.open(self.results.len() as u32);
            self.work();
            self.claims.is_complete().then(|| self.results())
        }
    }

    /// Each chunk of two regions is computed once, by whoever, and with its own region's job, even where a helper
    /// looked at the first region and comes to claim in the second.
    #[test]
    fn each_chunk_is_computed_once_and_in_its_own_region() {
        loom::model(|| {
            let model = Model::new(2);
            let helper = {
                let model = Arc::clone(&model);
                thread::spawn(move || {
                    model.work();
                    model.work();
                })
            };
            if let Some(results) = model.region(1) {
                assert_eq!(results, [1, 1]);
                if let Some(results) = model.region(2) {
                    assert_eq!(results, [12, 12]);
                }
            }
            helper.join().unwrap();
        });
    }

    #[test]
    fn two_helpers_and_the_caller_share_a_region() {
        let mut builder = loom::model::Builder::new();
        builder.preemption_bound = Some(3);
        builder.check(|| {
            let model = Model::new(2);
            let helpers: Vec<_> = (0..2)
                .map(|_| {
                    let model = Arc::clone(&model);
                    thread::spawn(move || model.work())
                })
                .collect();
            if let Some(results) = model.region(7) {
                assert_eq!(results, [7, 7]);
            }
            for helper in helpers {
                helper.join().unwrap();
            }
        });
    }

    /// A helper that lies down while a region is opened either sees it or is woken; the same where all ends. Here
    /// the caller leaves all the work to it: where it slept on, the checker would find that nobody can go on.
    #[test]
    fn nobody_sleeps_through_a_region_or_the_end() {
        loom::model(|| {
            let model = Model::new(2);
            let helper = {
                let model = Arc::clone(&model);
                thread::spawn(move || {
                    while !model.claims.has_ended() {
                        model.work();
                        if model.claims.lie_down(0) {
                            while model.claims.is_asleep(0) {
                                thread::park();
                            }
                        }
                    }
                })
            };
            model.write_job(1);
            if model.claims.open(2) == 1 {
                helper.thread().unpark();
            }
            if model.claims.is_complete() {
                assert_eq!(model.results(), [1, 1]);
            }
            if model.claims.end() == 1 {
                helper.thread().unpark();
            }
            helper.join().unwrap();
        });
    }

    #[test]
    fn claims_that_come_late_do_not_open_the_region_again() {
        let claims = Claims::<std::sync::atomic::AtomicU64>::new();
        assert_eq!(claims.open(MOST_CHUNKS), 0);
        let used_up = u64::from(MOST_CHUNKS) << 32 | u64::from(MOST_CHUNKS);
        claims.region.0.store(used_up, Ordering::Relaxed);
        for _ in 0..=HELPERS {
            claims.region.0.fetch_add(1, Ordering::Relaxed);
        }
        let region = claims.region.0.load(Ordering::Relaxed);
        assert_eq!(chunks(region), u64::from(MOST_CHUNKS));
        assert!(!claims.is_open());
    }

    #[test]
    #[should_panic(expected = "are allowed")]
    fn more_chunks_than_leave_room_for_late_claims_are_refused() {
        let _ = Claims::<std::sync::atomic::AtomicU64>::new().open(MOST_CHUNKS + 1);
    }

    #[test]
    fn no_more_are_woken_than_there_is_work_for() {
        assert_eq!(lowest(0b1011_0100, 0), 0);
        assert_eq!(lowest(0b1011_0100, 2), 0b0001_0100);
        assert_eq!(lowest(0b1011_0100, 9), 0b1011_0100);
    }
}
