//! The clocks that hearthd asks.

use anyhow::Context;
use machine::BootTime;
use nix::time::{ClockId, clock_gettime};
use std::time::Duration;
use time::OffsetDateTime;

/// Now, on `CLOCK_BOOTTIME`.
pub(crate) fn boot_time() -> anyhow::Result<BootTime> {
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME).context("cannot read the clock")?;
    let micros = Duration::from(now).as_micros();
    Ok(BootTime(
        u64::try_from(micros).context("the clock is out of range")?,
    ))
}

/// Now, in Unix seconds, as people's calendars count. It may be set at any time: only what people are shown goes by it.
pub(crate) fn unix_time() -> u64 {
    let now = OffsetDateTime::now_utc().unix_timestamp();
    u64::try_from(now).unwrap_or_default()
}
