//! The time between two samples.

use api::agent::{MAX_SAMPLE_INTERVAL_MS, MIN_SAMPLE_INTERVAL_MS};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A time between two samples that is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval(Duration);

/// Why a time between two samples is not allowed.
#[derive(Debug, thiserror::Error)]
#[error(
    "the time between two samples must be {MIN_SAMPLE_INTERVAL_MS} to {MAX_SAMPLE_INTERVAL_MS} milliseconds, not {0}"
)]
pub(crate) struct OutOfRange(String);

impl Interval {
    pub(crate) fn from_millis(millis: u64) -> Result<Self, OutOfRange> {
        match millis {
            MIN_SAMPLE_INTERVAL_MS..=MAX_SAMPLE_INTERVAL_MS => Ok(Self(Duration::from_millis(millis))),
            _ => Err(OutOfRange(millis.to_string())),
        }
    }

    pub(crate) fn duration(self) -> Duration {
        self.0
    }

    pub(crate) fn millis(self) -> u64 {
        // At most MAX_SAMPLE_INTERVAL_MS, by construction.
        u64::try_from(self.0.as_millis()).unwrap_or(MAX_SAMPLE_INTERVAL_MS)
    }
}

impl Default for Interval {
    fn default() -> Self {
        Self(Duration::from_secs(5))
    }
}

impl FromStr for Interval {
    type Err = OutOfRange;

    fn from_str(text: &str) -> Result<Self, OutOfRange> {
        let millis = text.parse().map_err(|_| OutOfRange(format!("{text:?}")))?;
        Self::from_millis(millis)
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.millis())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_includes_its_ends_and_no_more() {
        for good in [MIN_SAMPLE_INTERVAL_MS, MAX_SAMPLE_INTERVAL_MS] {
            assert_eq!(Interval::from_millis(good).unwrap().millis(), good);
        }
        for bad in [
            0,
            MIN_SAMPLE_INTERVAL_MS - 1,
            MAX_SAMPLE_INTERVAL_MS + 1,
            u64::MAX,
        ] {
            let error = Interval::from_millis(bad).unwrap_err().to_string();
            assert!(error.ends_with(&format!("not {bad}")), "{error}");
        }
    }

    #[test]
    fn the_default_is_what_the_command_line_prints_and_reads() {
        let text = Interval::default().to_string();
        assert_eq!(text, "5000");
        assert_eq!(text.parse::<Interval>().unwrap(), Interval::default());
        assert!("5s".parse::<Interval>().is_err());
    }
}
