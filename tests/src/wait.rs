//! Waiting: for a condition, or for Ctrl-C. The only place that sleeps.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_millis(10);

/// Asks `probe` until it has an answer. `what` names the condition in the error once `limit` is over; a probe's own error
/// ends the wait at once.
pub fn until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe()? {
            return Ok(answer);
        }
        if start.elapsed() > limit {
            bail!("waited {} s for {what}", limit.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}

/// [`until`] for a probe whose errors mean "not yet"; the last one is told once `limit` is over.
pub fn until_ok<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Result<T>) -> Result<T> {
    let mut last = None;
    let answer = until(what, limit, || match probe() {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => {
            last = Some(error);
            Ok(None)
        }
    });
    answer.map_err(|error| match last {
        Some(last) => last.context(error.to_string()),
        None => error,
    })
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
    fn the_error_names_the_condition_and_the_last_failure() {
        let error = until_ok::<()>("the moon", Duration::ZERO, || bail!("cloudy")).unwrap_err();
        assert_eq!(format!("{error:#}"), "waited 0 s for the moon: cloudy");
    }

    #[test]
    fn a_probes_own_error_ends_the_wait() {
        let error = until::<()>("the moon", Duration::from_secs(3600), || bail!("it fell")).unwrap_err();
        assert_eq!(error.to_string(), "it fell");
    }
}
