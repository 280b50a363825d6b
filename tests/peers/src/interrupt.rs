//! What is done when the program is interrupted.

use std::thread;

use anyhow::{Context, Result};
use tokio::runtime::Builder;
use tokio::select;
use tokio::signal::unix::{SignalKind, signal};

/// Has SIGINT and SIGTERM call `finish` and end the process, as a shell ends: with 128 and the signal's number. Children
/// are killed with it ([`peers::machine::bound`]).
pub(crate) fn at_interruption(finish: impl FnOnce() + Send + 'static) -> Result<()> {
    let runtime = Builder::new_current_thread()
        .enable_io()
        .build()
        .context("cannot wait for signals")?;
    let (mut interrupt, mut terminate) = {
        let _context = runtime.enter();
        let kinds = [SignalKind::interrupt(), SignalKind::terminate()];
        let [interrupt, terminate] = kinds.map(signal);
        (interrupt?, terminate?)
    };
    let wait = move || {
        let kind = runtime.block_on(async {
            select! {
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = terminate.recv() => SignalKind::terminate(),
            }
        });
        finish();
        std::process::exit(128 + kind.as_raw_value());
    };
    thread::Builder::new()
        .name("signals".to_owned())
        .spawn(wait)
        .context("cannot start the thread that waits for signals")?;
    Ok(())
}
