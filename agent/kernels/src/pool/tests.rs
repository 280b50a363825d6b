use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

/// How often each chunk was computed in `regions` regions of a pool.
fn counts(threads: usize, chunks: usize, regions: usize) -> Vec<usize> {
    let mut pool = Pool::new(threads).unwrap();
    let counts: Vec<_> = (0..chunks).map(|_| AtomicUsize::new(0)).collect();
    for _ in 0..regions {
        pool.run(chunks, |chunk, thread| {
            assert!(thread < threads);
            counts[chunk].fetch_add(1, Ordering::Relaxed);
        });
    }
    counts.into_iter().map(AtomicUsize::into_inner).collect()
}

#[test]
fn each_chunk_is_computed_once_in_each_region() {
    let regions = if cfg!(miri) { 5 } else { 2_000 };
    for threads in 1..=5 {
        for chunks in [0, 1, 2, 3, 17] {
            assert_eq!(
                counts(threads, chunks, regions),
                vec![regions; chunks],
                "{threads} threads, {chunks} chunks"
            );
        }
    }
}

#[test]
fn what_chunks_wrote_is_there_afterwards() {
    let mut pool = Pool::new(3).unwrap();
    let mut sums = vec![0_usize; 8];
    for round in 1..=10 {
        let grid = crate::shared::Grid::new(&mut sums, 8, 1, 2);
        pool.run(4, |chunk, _| grid.take(0, chunk).row(0).fill(round * chunk));
        assert_eq!(sums, [0, 0, 1, 1, 2, 2, 3, 3].map(|chunk| chunk * round));
    }
}

#[test]
fn helpers_that_fell_asleep_come_back() {
    let mut pool = Pool::new(3).unwrap();
    let asleep = |pool: &Pool| (0..2).all(|helper| pool.shared.claims.is_asleep(helper));
    for _ in 0..3 {
        while !asleep(&pool) {
            std::thread::yield_now();
        }
        // Each of the three chunks waits for the other two, so three threads must have come.
        let here = std::sync::Barrier::new(3);
        pool.run(3, |_, _| {
            here.wait();
        });
    }
}

#[test]
fn a_panic_comes_to_the_caller_after_the_other_chunks() {
    let mut pool = Pool::new(3).unwrap();
    let computed = AtomicUsize::new(0);
    let panic = catch_unwind(AssertUnwindSafe(|| {
        pool.run(20, |chunk, _| {
            assert_ne!(chunk, 7, "chunk seven");
            computed.fetch_add(1, Ordering::Relaxed);
        });
    }))
    .unwrap_err();
    assert!(panic.downcast_ref::<String>().unwrap().contains("chunk seven"));
    assert_eq!(computed.load(Ordering::Relaxed), 19);
    // And the pool is as good as before.
    pool.run(4, |_, _| {
        computed.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(computed.into_inner(), 23);
}

#[test]
#[should_panic(expected = "4294967231 chunks; at most 4294967230 are allowed")]
fn a_region_has_room_for_claims_that_come_late() {
    let mut pool = Pool::new(2).unwrap();
    pool.run(u32::MAX as usize - 64, |_, _| panic!("a chunk is computed"));
}

#[test]
fn one_thread_needs_no_meeting() {
    let mut pool = Pool::new(1).unwrap();
    pool.run(5, |_, thread| assert_eq!(thread, 0));
    assert_eq!(pool.regions(), 0);
}
