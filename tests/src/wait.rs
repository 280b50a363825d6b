//! Waiting: for a condition, or for Ctrl-C. The only place that sleeps.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long to wait before asking again, at first and at most: what comes soon is noticed soon, and what takes long is not
/// asked too often.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// Asks `probe` until it has an answer. `what` names the condition in the error once `limit` is over; a probe's own error
/// ends the wait at once.
pub fn until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        if let Some(answer) = probe()? {
            return Ok(answer);
        }
        if start.elapsed() > limit {
            bail!("waited {} s for {what}", limit.as_secs());
        }
        std::thread::sleep(pause);
        pause = (pause + pause / 8).min(LONGEST_PAUSE);
    }
}

/// Lets a time pass that is itself a part of what is measured, such as a machine's first quiet minute.
pub fn pass(time: Duration) {
    std::thread::sleep(time);
}

/// Waits for Ctrl-C.
pub fn for_interrupt() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime
        .block_on(tokio::signal::ctrl_c())
        .context("cannot wait for Ctrl-C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_names_the_condition() {
        let error = until::<()>("the moon", Duration::ZERO, || Ok(None)).unwrap_err();
        assert_eq!(error.to_string(), "waited 0 s for the moon");
    }

    #[test]
    fn a_probes_own_error_ends_the_wait() {
        let error = until::<()>("the moon", Duration::from_secs(3600), || bail!("it fell")).unwrap_err();
        assert_eq!(error.to_string(), "it fell");
    }
}
