//! Spans of time as people write and read them.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("d", 86_400), ("h", 3600), ("min", 60), ("m", 60), ("s", 1)];

/// Reads `90s`, `45m`, `2h`, `1d12h`: whole numbers, each with its unit, of which none is left out.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || "a span of time is wanted, such as 90s, 45m, 2h or 1d12h".to_owned();
    let mut rest = text.trim();
    let mut seconds = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_alphabetic()).unwrap_or(after.len());
        let (name, after) = after.split_at(letters);
        let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == name).ok_or_else(wrong)?;
        let more = number.checked_mul(*unit).ok_or_else(wrong)?;
        seconds = seconds.checked_add(more).ok_or_else(wrong)?;
        rest = after.trim_start();
    }
    if seconds == 0 {
        Err(wrong())
    } else {
        Ok(Duration::from_secs(seconds))
    }
}

/// The two largest units of a span of time.
pub(crate) fn show(seconds: f64) -> String {
    let seconds = seconds.max(0.0) as u64;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("90s", 90),
            ("45m", 2700),
            ("45 min", 2700),
            ("2h", 7200),
            ("1d12h", 129_600),
            ("1h 30m", 5400),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn what_is_no_span_is_refused_with_an_example() {
        for text in [
            "",
            "0s",
            "2",
            "h",
            "-2h",
            "1.5h",
            "2x",
            "2h3",
            "99999999999999999999s",
            "999999999999999999d",
        ] {
            let problem = parse(text).unwrap_err();
            assert!(problem.contains("1d12h"), "{text}: {problem}");
        }
    }

    #[test]
    fn spans_read_well() {
        for (seconds, text) in [
            (5.9, "5 s"),
            (60.0, "1 min"),
            (3_660.0, "1 h 1 min"),
            (90_000.0, "1 d 1 h"),
        ] {
            assert_eq!(show(seconds), text);
        }
    }
}
