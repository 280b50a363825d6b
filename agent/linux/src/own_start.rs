//! When this process was started. Source: the kernel's `filesystems/proc.rst`, table 1-4.

use std::time::Duration;

use crate::problem::Problem;
use crate::reader::Reader;
use crate::tree::Tree;

const OWN_STAT: &str = "/proc/self/stat";
/// `start_time`, counted from the one behind the name, which is in parentheses and may hold anything.
const START_TIME: usize = 19;
/// What the kernel counts in for programs, whatever it counts in itself (`USER_HZ`).
const TICKS_PER_SECOND: u64 = 100;

/// The time since the machine was switched on at which this process was started, to the hundredth of a second. None if
/// the kernel does not say.
pub fn own_start(tree: &Tree) -> Option<Duration> {
    Reader::new(tree).optional(OWN_STAT, parse)
}

fn parse(text: &str) -> Result<Duration, Problem> {
    let malformed = || Problem::malformed(text, "a process's fields");
    let (_, fields) = text.rsplit_once(')').ok_or_else(malformed)?;
    let ticks = fields.split_whitespace().nth(START_TIME);
    let ticks: u64 = ticks.and_then(|ticks| ticks.parse().ok()).ok_or_else(malformed)?;
    Ok(Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_behind_a_name_that_may_hold_anything() {
        let fields = "S 1 1 1 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 12345 1 2";
        for name in ["inferd", "a ) b", "(x) 7"] {
            let start = parse(&format!("42 ({name}) {fields}"));
            assert_eq!(start.unwrap(), Duration::from_millis(123_450), "{name}");
        }
        for text in ["", "42 (inferd) S 1", "42 inferd S"] {
            assert!(parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn this_process_was_started() {
        assert!(own_start(&Tree::open("/").unwrap()).is_some_and(|start| !start.is_zero()));
    }
}
