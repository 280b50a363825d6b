//! Work that waits for the disk. Answers are sent and hearthd is told that the engine lives by one thread, which waits for
//! nothing.

use std::future::pending;
use std::panic::resume_unwind;

use tokio::task::spawn_blocking;

/// Does this on another thread.
pub(crate) async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => resume_unwind(panic),
            // The runtime ends, and whoever waits with it.
            Err(_) => pending().await,
        },
    }
}
