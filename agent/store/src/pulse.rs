//! A counter that tells work from standstill.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts pieces of work, however small, while something goes on that may take long: it stands still only where
/// nothing is done or where it is stuck. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// A piece more is done.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Pieces done so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
