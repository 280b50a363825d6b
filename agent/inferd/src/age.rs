//! How old this process is: a request that starts it waits for that, too.

use std::time::Duration;

use linux::{Tree, own_start};
use nix::time::{ClockId, clock_gettime};

/// How long ago this process was started, to the hundredth of a second, where the kernel says.
pub(crate) fn of_process() -> Option<Duration> {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).ok()?);
    now.checked_sub(own_start(&Tree::open("/").ok()?)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_grows_older() {
        let first = of_process().unwrap();
        assert!(first < Duration::from_secs(3600) && of_process().unwrap() >= first);
    }
}
