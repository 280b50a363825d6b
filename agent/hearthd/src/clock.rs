//! The one clock that hearthd asks.

use anyhow::Context;
use machine::BootTime;
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;

/// Now, on `CLOCK_BOOTTIME`.
pub(crate) fn boot_time() -> anyhow::Result<BootTime> {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).context("cannot read the clock")?;
    let micros = Duration::from(now).as_micros();
    Ok(BootTime(
        u64::try_from(micros).context("the clock is out of range")?,
    ))
}
