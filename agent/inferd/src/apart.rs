//! Work that waits for the disk. Answers are sent and hearthd is told that the engine lives by one thread, which waits for
//! nothing.

use std::future::pending;
use std::panic::resume_unwind;
use std::time::Duration;

use tokio::runtime::Runtime;
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

/// Runs this to its end, and waits no longer than `patience` for what other threads do yet: a disk that does not answer
/// must not keep a process that was told to end.
pub(crate) fn run<T>(runtime: Runtime, work: impl Future<Output = T>, patience: Duration) -> T {
    let done = runtime.block_on(work);
    runtime.shutdown_timeout(patience);
    done
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use tokio::runtime::Builder;

    use super::*;

    #[test]
    fn a_disk_that_does_not_answer_does_not_keep_a_process_that_ends() {
        let (disk, answer) = mpsc::channel::<()>();
        let (begin, begun) = mpsc::channel();
        let runtime = Builder::new_current_thread().build().unwrap();
        let work = async move {
            tokio::spawn(apart(move || {
                begin.send(()).unwrap();
                answer.recv()
            }));
            tokio::task::yield_now().await;
            begun.recv().unwrap();
        };
        run(runtime, work, Duration::ZERO);
        assert!(disk.send(()).is_ok(), "it is still waited for there");
    }
}
