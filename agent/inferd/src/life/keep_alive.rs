//! How long a model stays loaded after its last answer, as Ollama has it.
//!
//! Source: Ollama's `api/types.go` (`Duration.UnmarshalJSON`), `envconfig/config.go` (`KeepAlive`) and Go's
//! `time.ParseDuration`.

use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// Go counts durations in nanoseconds of an `i64`.
const MOST_NANOSECONDS: f64 = i64::MAX as f64;
/// Go's units, in nanoseconds. Of those that begin alike the longer comes first.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1.0),
    ("us", 1e3),
    ("µs", 1e3),
    ("μs", 1e3),
    ("ms", 1e6),
    ("s", 1e9),
    ("m", 60e9),
    ("h", 3600e9),
];

/// How long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeepAlive {
    /// So long; nothing: it goes at once.
    For(Duration),
    /// For ever.
    Ever,
}

/// What was written is no time to keep a model for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NoKeepAlive;

impl fmt::Display for NoKeepAlive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("it is a number of seconds or a duration as 30s, 5m or 1h30m; 0: at once; a negative one: for ever")
    }
}

impl std::error::Error for NoKeepAlive {}

impl KeepAlive {
    /// The moment at which it is over; never where the clock does not reach.
    pub(crate) fn after(self, moment: Instant) -> Option<Instant> {
        match self {
            Self::For(time) => moment.checked_add(time),
            Self::Ever => None,
        }
    }

    /// A number of a request's JSON: seconds.
    pub(crate) fn seconds(seconds: f64) -> Result<Self, NoKeepAlive> {
        Self::nanoseconds(seconds * 1e9)
    }

    /// A text of a request's JSON: a duration with its units.
    pub(crate) fn duration(text: &str) -> Result<Self, NoKeepAlive> {
        let (sign, amount) = match text.as_bytes().first() {
            Some(b'-') => (-1.0, &text[1..]),
            Some(b'+') => (1.0, &text[1..]),
            _ => (1.0, text),
        };
        match amount {
            "0" => Ok(Self::For(Duration::ZERO)),
            "" => Err(NoKeepAlive),
            amount => Self::nanoseconds(sign * sum(amount)?),
        }
    }

    fn nanoseconds(nanoseconds: f64) -> Result<Self, NoKeepAlive> {
        match nanoseconds {
            _ if !nanoseconds.is_finite() || nanoseconds > MOST_NANOSECONDS => Err(NoKeepAlive),
            _ if nanoseconds < 0.0 => Ok(Self::Ever),
            _ => Ok(Self::For(Duration::from_nanos(nanoseconds as u64))),
        }
    }
}

/// A setting: a duration, or a whole number of seconds.
impl FromStr for KeepAlive {
    type Err = NoKeepAlive;

    fn from_str(text: &str) -> Result<Self, NoKeepAlive> {
        Self::duration(text).or_else(|_| {
            let seconds: i64 = text.parse().map_err(|_| NoKeepAlive)?;
            Self::seconds(seconds as f64)
        })
    }
}

/// Nanoseconds of numbers with a unit each, one behind the other.
fn sum(text: &str) -> Result<f64, NoKeepAlive> {
    let (mut rest, mut sum) = (text, 0.0);
    while !rest.is_empty() {
        let digits = rest
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .ok_or(NoKeepAlive)?;
        // Rust reads `5.` and `.5` as Go does, and neither reads `.`.
        let number: f64 = rest[..digits].parse().map_err(|_| NoKeepAlive)?;
        rest = &rest[digits..];
        let letters = rest
            .find(|c: char| c.is_ascii_digit() || c == '.')
            .unwrap_or(rest.len());
        let unit = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters]);
        let (_, nanoseconds) = unit.ok_or(NoKeepAlive)?;
        sum += number * nanoseconds;
        rest = &rest[letters..];
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> KeepAlive {
        KeepAlive::For(Duration::from_secs(seconds))
    }

    #[test]
    fn texts_are_go_durations() {
        for (text, expected) in [
            ("5m", seconds(300)),
            ("1h30m", seconds(5400)),
            ("1.5h", seconds(5400)),
            ("+2h45m10.5s", KeepAlive::For(Duration::from_millis(9_910_500))),
            ("300ms", KeepAlive::For(Duration::from_millis(300))),
            (".5s", KeepAlive::For(Duration::from_millis(500))),
            ("5.s", seconds(5)),
            ("7µs", KeepAlive::For(Duration::from_micros(7))),
            ("7μs", KeepAlive::For(Duration::from_micros(7))),
            ("0", seconds(0)),
            ("-0", seconds(0)),
            ("0s", seconds(0)),
            ("-1s", KeepAlive::Ever),
            ("-0.5h", KeepAlive::Ever),
        ] {
            assert_eq!(KeepAlive::duration(text), Ok(expected), "{text}");
        }
        for text in [
            "", "5", "-1", "m", "5 m", "5d", "1h-5m", ".", ".s", "1..5s", "-", "1e3s", "infs", "3000000h",
            "5M",
        ] {
            assert_eq!(KeepAlive::duration(text), Err(NoKeepAlive), "{text:?}");
        }
    }

    #[test]
    fn numbers_are_seconds_and_negative_ones_are_for_ever() {
        assert_eq!(KeepAlive::seconds(90.0), Ok(seconds(90)));
        assert_eq!(
            KeepAlive::seconds(0.25),
            Ok(KeepAlive::For(Duration::from_millis(250)))
        );
        assert_eq!(KeepAlive::seconds(0.0), Ok(seconds(0)));
        assert_eq!(KeepAlive::seconds(-1.0), Ok(KeepAlive::Ever));
        for bad in [f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(KeepAlive::seconds(bad), Err(NoKeepAlive));
        }
    }

    #[test]
    fn settings_may_be_whole_seconds_too() {
        assert_eq!("300".parse(), Ok(seconds(300)));
        assert_eq!("-1".parse(), Ok(KeepAlive::Ever));
        assert_eq!("10m".parse(), Ok(seconds(600)));
        assert_eq!("1.5".parse::<KeepAlive>(), Err(NoKeepAlive));
    }

    #[test]
    fn for_ever_is_never_over() {
        let now = Instant::now();
        assert_eq!(seconds(3).after(now), Some(now + Duration::from_secs(3)));
        assert_eq!(KeepAlive::Ever.after(now), None);
    }
}
