//! Work that is dealt to threads a piece at a time.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// Does `work` for each item on up to `threads` threads, and ends at the first error. Each thread has scratch memory
/// that it uses again: fresh memory costs more than many a hash.
pub(crate) fn for_each<S: Default, T: Send, E: Send>(
    threads: usize,
    items: impl Iterator<Item = T> + Send,
    work: impl Fn(&mut S, T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let items = Mutex::new(items);
    let failed = Mutex::new(None);
    let next = || locked(&items).next().filter(|_| locked(&failed).is_none());
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut scratch = S::default();
                while let Some(item) = next() {
                    if let Err(error) = work(&mut scratch, item) {
                        locked(&failed).get_or_insert(error);
                    }
                }
            });
        }
    });
    locked(&failed).take().map_or(Ok(()), Err)
}

/// How many threads this process may run at a time.
pub(crate) fn available() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// What a lock guards. A thread that panicked with it is told by whoever waits for the thread; the lock's own word
/// adds nothing.
pub(crate) fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}
