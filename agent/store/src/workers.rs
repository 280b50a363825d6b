//! Work that is dealt to threads a piece at a time.

use std::sync::Mutex;
use std::thread;

/// Does `work` for each item on up to `threads` threads, and ends at the first error.
pub(crate) fn for_each<T: Send, E: Send>(
    threads: usize,
    items: impl Iterator<Item = T> + Send,
    work: impl Fn(T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let items = Mutex::new(items);
    let failed = Mutex::new(None);
    // A thread that panicked is told by the scope; the lock's word adds nothing.
    let next = || items.lock().unwrap_or_else(|error| error.into_inner()).next();
    let failure = || failed.lock().unwrap_or_else(|error| error.into_inner());
    thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                while let Some(item) = next() {
                    if failure().is_some() {
                        break;
                    }
                    if let Err(error) = work(item) {
                        failure().get_or_insert(error);
                    }
                }
            });
        }
    });
    failed
        .into_inner()
        .unwrap_or_else(|error| error.into_inner())
        .map_or(Ok(()), Err)
}

/// How many threads this process may run at a time.
pub(crate) fn available() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}
