//! How long each processor has worked and rested, from `/proc/stat`. Source: the kernel's `filesystems/proc.rst`.

use crate::parse;
use crate::problem::Problem;
use crate::reader::Reader;
use machine::{CpuSample, MicroSeconds};

/// The processors' times.
pub(crate) const FILE: &str = "/proc/stat";

/// A tick of `USER_HZ`, which is 100 on every architecture that Hearth runs on, whatever the kernel's own rate.
const TICK_USEC: u64 = 10_000;

/// The columns that are told: user, nice, system, idle, iowait, irq, softirq and steal. Guests' are in user's already.
const COLUMNS: usize = 8;

/// The processors' lines come first. What follows, interrupts above all, can be long and is cut off.
pub(crate) fn sample(reader: &mut Reader<'_>) -> Vec<CpuSample> {
    reader.head(FILE, parse_stat).unwrap_or_default()
}

fn parse_stat(text: &str) -> Result<Vec<CpuSample>, Problem> {
    let mut cpus = Vec::new();
    for line in text.lines() {
        let Some((name, columns)) = line.split_once(' ') else {
            break;
        };
        match name {
            "cpu" => {}
            _ => match parse::index(name, "cpu", "") {
                Some(id) => cpus.push(parse_cpu(id, columns)?),
                None => break,
            },
        }
    }
    if cpus.is_empty() {
        return Err(Problem::NoField("cpu0"));
    }
    Ok(cpus)
}

fn parse_cpu(id: u32, columns: &str) -> Result<CpuSample, Problem> {
    let ticks = columns.split_whitespace().take(COLUMNS);
    let usec = ticks.map(|ticks| {
        let ticks = parse::number::<u64>(ticks)?;
        ticks
            .checked_mul(TICK_USEC)
            .ok_or_else(|| Problem::malformed(columns, "a time since boot"))
    });
    let usec: Vec<u64> = usec.collect::<Result<_, _>>()?;
    let [user, nice, system, idle, iowait, irq, softirq, steal] = usec[..] else {
        return Err(Problem::malformed(columns, "a processor's times"));
    };
    let sum = |parts: &[u64]| MicroSeconds(parts.iter().fold(0, |sum, part| sum.saturating_add(*part)));
    Ok(CpuSample {
        id,
        busy_usec: sum(&[user, nice, system, irq, softirq, steal]),
        idle_usec: sum(&[idle, iowait]),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn work_and_rest_are_told_apart_in_microseconds() {
        let text = "cpu  9 9 9 9 9 9 9 9 9 9\n\
                    cpu0 1 2 3 100 20 4 5 6 1 0\n\
                    cpu3 0 0 0 7 0 0 0 0 0 0\n\
                    intr 5 1 2\ncpu9 1 1 1 1 1 1 1 1\n";
        let cpus = parse_stat(text).unwrap();
        assert_eq!(cpus.iter().map(|cpu| cpu.id).collect::<Vec<_>>(), [0, 3]);
        assert_eq!(cpus[0].busy_usec, MicroSeconds(210_000));
        assert_eq!(cpus[0].idle_usec, MicroSeconds(1_200_000));
        assert_eq!(cpus[1].busy_usec, MicroSeconds(0));
    }

    #[test]
    fn what_is_no_time_is_a_fault() {
        for bad in [
            "",
            "cpu 1 2 3 4 5 6 7 8\n",
            "cpu0 1 2 3\n",
            "cpu0 1 2 3 4 5 6 7 -8\n",
            "cpu0 1 2 3 18446744073709551615 5 6 7 8\n",
        ] {
            assert!(parse_stat(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse_stat(&text);
        }

        #[test]
        fn no_table_panics(text in "(cpu[0-9]{0,2} ( ?[0-9é-]{0,21}){0,10}\n?){0,6}") {
            let _ = parse_stat(&text);
        }
    }
}
