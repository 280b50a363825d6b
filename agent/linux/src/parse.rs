//! Parsers of single attributes: one text in, one value out.

use crate::problem::Problem;
use machine::{Bytes, KiloHertz, MicroJoules, MicroWatts, MilliCelsius};
use std::str::FromStr;

/// No kernel counts more processors than this (`CONFIG_NR_CPUS` ends at 8192).
const MAX_CPUS: u32 = 8192;

/// `THERMAL_TEMP_INVALID` of the kernel's `include/linux/thermal.h`: what an unset trip point reads.
const UNSET_TRIP_POINT: MilliCelsius = MilliCelsius(-274_000);

/// Ten times what any processor has been made to run at.
const FASTEST_CLOCK: KiloHertz = KiloHertz(100_000_000);

/// What a fan can turn at most, in revolutions per minute; the smallest blowers reach a quarter of it.
const FASTEST_FAN: i64 = 100_000;

pub(crate) fn number<T: FromStr>(text: &str) -> Result<T, Problem> {
    text.trim()
        .parse()
        .map_err(|_| Problem::malformed(text, "a number in range"))
}

pub(crate) fn bytes(text: &str) -> Result<Bytes, Problem> {
    number(text).map(Bytes)
}

pub(crate) fn energy(text: &str) -> Result<MicroJoules, Problem> {
    number(text).map(MicroJoules)
}

/// A clock rate; drivers that do not know it write 0.
pub(crate) fn clock(text: &str) -> Result<KiloHertz, Problem> {
    match KiloHertz(number(text)?) {
        rate if rate == KiloHertz(0) || rate > FASTEST_CLOCK => Err(Problem::malformed(text, "a clock rate")),
        rate => Ok(rate),
    }
}

/// A firmware's limit of the clock; `None` where the driver says 0 or the highest number for "no limit".
pub(crate) fn maybe_clock(text: &str) -> Result<Option<KiloHertz>, Problem> {
    let rate = KiloHertz(number(text)?);
    Ok((rate > KiloHertz(0) && rate <= FASTEST_CLOCK).then_some(rate))
}

/// Clocks between blanks, in any order; ascending, each once.
pub(crate) fn clocks(text: &str) -> Result<Vec<KiloHertz>, Problem> {
    let mut clocks = text
        .split_whitespace()
        .map(clock)
        .collect::<Result<Vec<_>, _>>()?;
    clocks.sort_unstable();
    clocks.dedup();
    Ok(clocks)
}

/// A power in microwatts; `None` for the 0 of a limit that is not set.
pub(crate) fn maybe_power(text: &str) -> Result<Option<MicroWatts>, Problem> {
    let power = MicroWatts(number(text)?);
    Ok((power > MicroWatts(0)).then_some(power))
}

/// A chip's temperature limit; `None` where it is one that no chip has: drives say 65261.85 °C, Super I/O chips 127 or
/// -128 °C or nought, and mean that nobody has set it.
pub(crate) fn limit_temperature(text: &str) -> Result<Option<MilliCelsius>, Problem> {
    let temp = MilliCelsius(number(text)?);
    let unset = !temp.is_plausible() || temp <= MilliCelsius(0) || temp == MilliCelsius(127_000);
    Ok((!unset).then_some(temp))
}

/// A temperature that a sensor can honestly have read.
pub(crate) fn temperature(text: &str) -> Result<MilliCelsius, Problem> {
    let temp = MilliCelsius(number(text)?);
    if temp.is_plausible() {
        Ok(temp)
    } else {
        Err(Problem::Implausible(temp))
    }
}

/// A trip point's temperature; `None` where the kernel has marked it as unset.
pub(crate) fn trip_temperature(text: &str) -> Result<Option<MilliCelsius>, Problem> {
    match MilliCelsius(number(text)?) {
        UNSET_TRIP_POINT => Ok(None),
        _ => temperature(text).map(Some),
    }
}

/// A fan's speed in revolutions per minute.
pub(crate) fn fan_speed(text: &str) -> Result<i64, Problem> {
    let speed = number(text)?;
    if (0..=FASTEST_FAN).contains(&speed) {
        Ok(speed)
    } else {
        Err(Problem::malformed(text, "a fan's speed"))
    }
}

/// A cooling device's state; `None` for the −1 by which `intel_powerclamp` says that it does not run, and so has none.
pub(crate) fn cooling_state(text: &str) -> Result<Option<u64>, Problem> {
    if text.trim() == "-1" {
        Ok(None)
    } else {
        number(text).map(Some)
    }
}

/// A charge in per cent.
pub(crate) fn percent(text: &str) -> Result<u8, Problem> {
    match number(text)? {
        charge @ 0..=100 => Ok(charge),
        _ => Err(Problem::malformed(text, "a share in per cent")),
    }
}

/// `0` or `1`.
pub(crate) fn flag(text: &str) -> Result<bool, Problem> {
    match text.trim() {
        "0" => Ok(false),
        "1" => Ok(true),
        _ => Err(Problem::malformed(text, "0 or 1")),
    }
}

/// `0` or `1`. UCSI ports also say 2, a programmable supply that is online.
pub(crate) fn online(text: &str) -> Result<bool, Problem> {
    match number(text)? {
        0u8 => Ok(false),
        1 | 2 => Ok(true),
        _ => Err(Problem::malformed(text, "0, 1 or 2")),
    }
}

/// One line of printable text.
pub(crate) fn name(text: &str) -> Result<String, Problem> {
    match maybe_name(text)? {
        Some(name) => Ok(name),
        None => Err(Problem::malformed(text, "a name")),
    }
}

/// One line of printable text, or nothing: firmware fills its table as it likes.
pub(crate) fn maybe_name(text: &str) -> Result<Option<String>, Problem> {
    let name = text.trim();
    if name.contains(char::is_control) {
        return Err(Problem::malformed(text, "one line of printable text"));
    }
    Ok((!name.is_empty()).then(|| name.to_owned()))
}

/// Names between blanks.
pub(crate) fn names(text: &str) -> Result<Vec<String>, Problem> {
    text.split_whitespace().map(name).collect()
}

/// A list of processors: `0-3,8` as in `/sys/devices/system/cpu/online`, or `0 1 2 3` as in `affected_cpus`.
pub(crate) fn cpus(text: &str) -> Result<Vec<u32>, Problem> {
    let malformed = || Problem::malformed(text, "a list of processors");
    let mut list = Vec::new();
    for part in text
        .split(|c: char| c == ',' || c.is_whitespace())
        .filter(|part| !part.is_empty())
    {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (
            first.parse().map_err(|_| malformed())?,
            last.parse().map_err(|_| malformed())?,
        );
        if first > last || last >= MAX_CPUS || list.last().is_some_and(|before| *before >= first) {
            return Err(malformed());
        }
        list.extend(first..=last);
    }
    Ok(list)
}

/// The number in a name such as `trip_point_3_temp`, if that is exactly how the kernel writes it.
pub(crate) fn index(name: &str, prefix: &str, suffix: &str) -> Option<u32> {
    let digits = name.strip_prefix(prefix)?.strip_suffix(suffix)?;
    let plain =
        digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'));
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn temperatures_that_no_sensor_read_are_refused() {
        assert_eq!(temperature("45000\n").unwrap(), MilliCelsius(45_000));
        for absurd in ["-274000", "130001", "", "45.0", "0x20", "99999999999999999999"] {
            assert!(temperature(absurd).is_err(), "{absurd}");
        }
    }

    #[test]
    fn an_unset_trip_point_is_no_fault_but_an_absurd_one_is() {
        assert_eq!(trip_temperature("-274000\n").unwrap(), None);
        assert_eq!(trip_temperature("105000\n").unwrap(), Some(MilliCelsius(105_000)));
        assert!(trip_temperature("-273200").is_err());
        assert!(trip_temperature("200000").is_err());
    }

    #[test]
    fn a_clock_of_zero_or_beyond_all_reason_is_not_known() {
        assert_eq!(clock("800000").unwrap(), KiloHertz(800_000));
        assert!(clock("0").is_err());
        assert!(clock("<unknown>").is_err());
        assert!(clock("18446744073709551615").is_err());
    }

    #[test]
    fn limits_that_say_none_are_none() {
        for none in ["0", "4294967295"] {
            assert_eq!(maybe_clock(none).unwrap(), None, "{none}");
        }
        assert_eq!(maybe_clock("2000000\n").unwrap(), Some(KiloHertz(2_000_000)));
        assert_eq!(maybe_power("0").unwrap(), None);
        assert_eq!(maybe_power("15000000").unwrap(), Some(MicroWatts(15_000_000)));
        for none in ["65261850", "-273150", "-128000", "0", "127000"] {
            assert_eq!(limit_temperature(none).unwrap(), None, "{none}");
        }
        assert_eq!(limit_temperature("83850").unwrap(), Some(MilliCelsius(83_850)));
        assert!(maybe_clock("-1").is_err() && maybe_power("x").is_err() && limit_temperature("").is_err());
    }

    #[test]
    fn clocks_come_ascending() {
        assert_eq!(
            clocks("2400000 1500000 1500000 \n").unwrap(),
            [KiloHertz(1_500_000), KiloHertz(2_400_000)]
        );
        assert!(clocks("\n").unwrap().is_empty());
        assert!(clocks("1500000 0").is_err());
    }

    #[test]
    fn processors_are_listed_both_ways() {
        assert_eq!(cpus("0-2,8\n").unwrap(), [0, 1, 2, 8]);
        assert_eq!(cpus("0 1 3 \n").unwrap(), [0, 1, 3]);
        assert!(cpus("\n").unwrap().is_empty());
        for bad in ["3-1", "0-8192", "0-4294967295", "1,1", "2 1", "a", "-", "1-2-3"] {
            assert!(cpus(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_printable_and_on_one_line() {
        assert_eq!(name(" coretemp\n").unwrap(), "coretemp");
        assert!(name("\n").is_err());
        assert_eq!(maybe_name(" \n").unwrap(), None);
        assert!(maybe_name("a\nb").is_err());
        assert!(name("\u{1b}[2J").is_err());
    }

    #[test]
    fn powerclamp_that_does_not_run_has_no_state() {
        assert_eq!(cooling_state("3\n").unwrap(), Some(3));
        assert_eq!(cooling_state("-1\n").unwrap(), None);
        assert!(cooling_state("-2").is_err());
    }

    #[test]
    fn shares_flags_and_speeds_have_limits() {
        assert_eq!(percent("100").unwrap(), 100);
        assert!(percent("101").is_err());
        assert!(online("1").unwrap());
        assert!(!online("0").unwrap());
        assert!(online("3").is_err());
        assert_eq!(fan_speed("0").unwrap(), 0);
        assert!(fan_speed("-1").is_err());
        assert!(fan_speed("100001").is_err());
    }

    #[test]
    fn an_index_is_written_as_the_kernel_writes_it() {
        assert_eq!(index("trip_point_12_temp", "trip_point_", "_temp"), Some(12));
        assert_eq!(index("policy0", "policy", ""), Some(0));
        for other in [
            "policy",
            "policy01",
            "policy+1",
            "policy1x",
            "policy4294967296",
            "polic1",
        ] {
            assert_eq!(index(other, "policy", ""), None, "{other}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = (number::<u64>(&text), clock(&text), temperature(&text), trip_temperature(&text));
            let _ = (fan_speed(&text), percent(&text), online(&text), maybe_name(&text), names(&text));
            let _ = (maybe_clock(&text), clocks(&text), maybe_power(&text), limit_temperature(&text), flag(&text));
            let _ = (cpus(&text), index(&text, "policy", ""));
        }

        #[test]
        fn no_list_of_processors_panics(text in "[0-9, \n-]{0,40}") {
            if let Ok(list) = cpus(&text) {
                prop_assert!(list.is_sorted() && list.len() <= MAX_CPUS as usize);
            }
        }

        #[test]
        fn every_believed_temperature_is_plausible(milli in any::<i64>()) {
            let read = temperature(&milli.to_string()).ok();
            prop_assert_eq!(read, Some(MilliCelsius(milli)).filter(|temp| temp.is_plausible()));
        }
    }
}
