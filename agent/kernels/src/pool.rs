//! The engine's own threads.
//!
//! [`Pool::run`] shares the chunks of one *region* out among the caller and its helpers and returns when all are
//! computed. Chunks are claimed one by one, so a slow or disturbed core takes fewer of them; a helper that has not
//! begun is not waited for. What is waited for is a chunk that somebody holds, so chunks are to be short (at decode
//! 50 µs or less), and helpers offer their core to others when they hold none. Between the regions of one token helpers
//! spin; after [`SPIN`] without work they sleep, so an idle engine costs no processor time.
//!
//! Threads are not bound to a processor each: a bound one cannot flee from whoever else computes there. At most they keep
//! to the performance cores together ([`topology`]).

mod claims;
mod job;
pub mod topology;

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use claims::{Atomic, Claims, HELPERS, MOST_CHUNKS};
use job::{Job, Lent};

/// How long a helper looks for work before it sleeps: longer than what lies between two regions of a token, and not
/// so long that it shows in the use of power.
pub const SPIN: Duration = Duration::from_micros(100);
/// How long a thread waits for its peers before it offers its core to others meanwhile.
const PATIENCE: Duration = Duration::from_micros(20);
/// How long a helper computes before it offers its core to others, at a moment when it holds no chunk: less than the
/// scheduler would leave it, which takes the core at any moment and the chunk with it, for which all would wait.
const TURN: Duration = Duration::from_millis(1);
/// Most threads of a pool.
pub const MAX_THREADS: usize = HELPERS + 1;
/// Looks between two looks at the clock.
const LOOKS: usize = 32;

/// Threads that compute together: whoever calls [`Pool::run`], and helpers that belong to the pool.
#[derive(Debug)]
pub struct Pool {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    regions: u64,
}

#[derive(Debug)]
struct Shared {
    claims: Claims<AtomicU64>,
    lent: Lent,
}

impl Pool {
    /// A pool of that many threads, the caller's among them: from 1 to [`MAX_THREADS`].
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub fn new(threads: usize) -> std::io::Result<Self> {
        assert!(
            (1..=MAX_THREADS).contains(&threads),
            "{threads} threads; 1 to {MAX_THREADS} are allowed"
        );
        let shared = Arc::new(Shared {
            claims: Claims::new(),
            lent: Lent::default(),
        });
        let mut pool = Self {
            shared,
            helpers: Vec::new(),
            regions: 0,
        };
        for thread in 1..threads {
            let shared = Arc::clone(&pool.shared);
            let name = format!("compute-{thread}");
            let builder = std::thread::Builder::new().name(name);
            pool.helpers.push(builder.spawn(move || shared.help(thread))?);
        }
        Ok(pool)
    }

    /// Its threads, the caller's among them.
    pub fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Regions that were shared out until now: what the threads met for.
    pub fn regions(&self) -> u64 {
        self.regions
    }

    /// Calls `work(chunk, thread)` for each chunk below `chunks`, once each and on any thread (0 is the caller's), and
    /// returns when all calls have returned.
    ///
    /// # Panics
    /// With the first panic of `work`, after the other chunks are computed. If there are more than 2³² − 66 chunks.
    pub fn run(&mut self, chunks: usize, work: impl Fn(usize, usize) + Sync) {
        if chunks <= 1 || self.helpers.is_empty() {
            (0..chunks).for_each(|chunk| work(chunk, 0));
            return;
        }
        let most = MOST_CHUNKS as usize;
        assert!(chunks <= most, "{chunks} chunks; at most {most} are allowed");
        self.regions += 1;
        let job = Job::new(&work);
        self.share(chunks as u32, &job);
        if let Some(panic) = job.into_panic() {
            resume_unwind(panic);
        }
    }

    #[allow(unsafe_code, reason = "lends the job, and waits for those it is lent to")]
    fn share(&self, chunks: u32, job: &Job<'_>) {
        let claims = &self.shared.claims;
        // SAFETY: nothing below unwinds (`compute` keeps panics, and there are at most `MOST_CHUNKS`, so that `open`
        // panics not, and late claims do not open the region again), and this returns only after all chunks are
        // reported.
        unsafe { self.shared.lent.lend(job) };
        self.unpark(claims.open(chunks));
        let mut done = 0;
        while let Some(chunk) = claims.claim() {
            job.compute(chunk as usize, 0);
            done += 1;
        }
        claims.report(done);
        spin_until(|| claims.is_complete(), PATIENCE);
        while !claims.is_complete() {
            // Whoever holds the last chunk may be waiting for this very core.
            std::thread::yield_now();
        }
    }

    fn unpark(&self, helpers: u64) {
        for (index, helper) in self.helpers.iter().enumerate() {
            if helpers & (1 << index) != 0 {
                helper.thread().unpark();
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.unpark(self.shared.claims.end());
        for helper in self.helpers.drain(..) {
            // A helper keeps the panics of its chunks, so there is none to hear of here.
            let _ = helper.join();
        }
    }
}

impl Shared {
    /// A helper's life.
    fn help(&self, thread: usize) {
        let mut turn = Instant::now();
        while !self.claims.has_ended() {
            match self.claims.claim() {
                Some(chunk) => self.work(chunk, thread),
                None if turn.elapsed() > TURN => {
                    std::thread::yield_now();
                    turn = Instant::now();
                }
                None => self.wait(thread - 1),
            }
        }
    }

    /// Computes a claimed chunk, and then others while there are any.
    #[allow(unsafe_code, reason = "uses the lent job")]
    fn work(&self, mut chunk: u32, thread: usize) {
        // SAFETY: a chunk is claimed, and the job is not used after the report.
        let job = unsafe { self.lent.get() };
        let mut done = 0;
        loop {
            job.compute(chunk as usize, thread);
            done += 1;
            match self.claims.claim() {
                Some(another) => chunk = another,
                None => break,
            }
        }
        self.claims.report(done);
    }

    /// Waits for a region: awake at first, then asleep.
    fn wait(&self, helper: usize) {
        let work = || self.claims.is_open() || self.claims.has_ended();
        if spin_until(work, SPIN) || !self.claims.lie_down(helper) {
            return;
        }
        while self.claims.is_asleep(helper) {
            std::thread::park();
        }
    }
}

/// Looks until `ready` says so or the time is up; returns what it said last.
fn spin_until(ready: impl Fn() -> bool, limit: Duration) -> bool {
    let begin = Instant::now();
    loop {
        for _ in 0..LOOKS {
            if ready() {
                return true;
            }
            std::hint::spin_loop();
        }
        if begin.elapsed() > limit {
            return ready();
        }
    }
}

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

#[cfg(test)]
mod tests;
