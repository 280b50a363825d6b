//! What the helpers are lent: a closure on the caller's stack.
#![allow(
    unsafe_code,
    reason = "the one file that lends a borrowed closure to threads that outlive it"
)]

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, PoisonError};

/// What is computed: `(chunk, thread)`.
type Work<'a> = dyn Fn(usize, usize) + Sync + 'a;

/// One region's work, and the first panic in it.
pub(super) struct Job<'a> {
    work: &'a Work<'a>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

impl<'a> Job<'a> {
    pub(super) fn new(work: &'a Work<'a>) -> Self {
        Self {
            work,
            panic: Mutex::new(None),
        }
    }

    /// Computes a chunk; a panic is kept for the caller.
    pub(super) fn compute(&self, chunk: usize, thread: usize) {
        let computed = catch_unwind(AssertUnwindSafe(|| (self.work)(chunk, thread)));
        if let Err(panic) = computed {
            let mut kept = self.panic.lock().unwrap_or_else(PoisonError::into_inner);
            match *kept {
                None => *kept = Some(panic),
                // Dropping it might panic again, and the caller must not unwind while the job is lent.
                Some(_) => std::mem::forget(panic),
            }
        }
    }

    /// The first panic.
    pub(super) fn into_panic(self) -> Option<Box<dyn Any + Send>> {
        self.panic.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where the helpers find the job of the open region.
#[derive(Debug, Default)]
pub(super) struct Lent(AtomicPtr<Job<'static>>);

impl Lent {
    /// Lends a job to whoever claims a chunk of the region that is opened next.
    ///
    /// # Safety
    /// The job must stay where it is until each chunk of that region is reported, and no region may be open now.
    pub(super) unsafe fn lend(&self, job: &Job<'_>) {
        self.0
            .store(ptr::from_ref(job).cast_mut().cast(), Ordering::Relaxed);
    }

    /// The job of the open region.
    ///
    /// # Safety
    /// The caller has claimed a chunk of the region and does not use the job after reporting it.
    pub(super) unsafe fn get(&self) -> &Job<'static> {
        // SAFETY: the claim came after the region was opened, and that after `lend` stored this pointer, so it is the
        // region's job, which lives until the claimed chunk is reported.
        unsafe { &*self.0.load(Ordering::Relaxed) }
    }
}
