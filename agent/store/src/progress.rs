//! How far a long work is.

use std::sync::atomic::{AtomicU64, Ordering};

/// How far an import, a verification or an export is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub phase: Phase,
    /// Bytes that it is done for.
    pub done: u64,
    /// All bytes.
    pub total: u64,
}

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Tensors are packed and written as blocks.
    Packing,
    /// Blocks are read and their hashes compared.
    Verifying,
    /// Tensors are written as GGUF.
    Exporting,
}

/// Who wants to know the progress; called from several threads.
pub type OnProgress<'a> = &'a (dyn Fn(Progress) + Sync);

/// Counts what is done, and tells it.
pub(crate) struct Count<'a> {
    phase: Phase,
    done: AtomicU64,
    total: u64,
    progress: OnProgress<'a>,
}

impl<'a> Count<'a> {
    pub(crate) fn new(phase: Phase, total: u64, progress: OnProgress<'a>) -> Self {
        Self {
            phase,
            done: AtomicU64::new(0),
            total,
            progress,
        }
    }

    pub(crate) fn add(&self, bytes: usize) {
        let bytes = bytes as u64;
        (self.progress)(Progress {
            phase: self.phase,
            done: self.done.fetch_add(bytes, Ordering::Relaxed) + bytes,
            total: self.total,
        });
    }
}
