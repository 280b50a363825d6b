//! Pressure stall information. Source: the kernel's `accounting/psi.rst`.

use crate::problem::Problem;
use crate::reader::Reader;
use machine::{MicroSeconds, Pressure, Stall, StallWindow};

const DIR: &str = "/proc/pressure";

/// Whether the kernel tells it; one built or started without PSI has no such directory.
pub(crate) fn discover(reader: &mut Reader<'_>) -> bool {
    !reader.list(DIR).is_empty()
}

/// Time lost to a lack of memory; `None` on a kernel that does not tell.
pub(crate) fn memory(reader: &mut Reader<'_>) -> Option<Stall> {
    reader.told(&format!("{DIR}/memory"), |text| parse(text).map(Some))
}

/// Time that some task has lost to it since boot.
pub(crate) fn memory_stalled(reader: &mut Reader<'_>) -> Option<MicroSeconds> {
    memory(reader).map(|stall| stall.some.total_usec)
}

pub(crate) fn sample(reader: &mut Reader<'_>) -> Pressure {
    let mut entry = reader.entry(DIR.to_owned());
    Pressure {
        cpu: entry.required("cpu", parse),
        memory: entry.required("memory", parse),
        io: entry.required("io", parse),
    }
}

/// The two lines of a file of pressure, the machine's or a control group's.
pub(crate) fn parse(text: &str) -> Result<Stall, Problem> {
    let (mut some, mut full) = (None, None);
    for line in text.lines() {
        match line.split_once(' ') {
            Some(("some", rest)) => some = Some(window(rest)?),
            Some(("full", rest)) => full = Some(window(rest)?),
            _ => return Err(Problem::malformed(line, "a line of pressure")),
        }
    }
    let some = some.ok_or(Problem::NoField("some"))?;
    Ok(Stall { some, full })
}

fn window(line: &str) -> Result<StallWindow, Problem> {
    Ok(StallWindow {
        avg10: share(line, "avg10")?,
        avg60: share(line, "avg60")?,
        avg300: share(line, "avg300")?,
        total_usec: MicroSeconds(crate::parse::number(field(line, "total")?)?),
    })
}

fn share(line: &str, name: &'static str) -> Result<f32, Problem> {
    let text = field(line, name)?;
    let share: f32 = crate::parse::number(text)?;
    // "NaN" and "inf" parse as floats, too.
    if (0.0..=100.0).contains(&share) {
        Ok(share)
    } else {
        Err(Problem::malformed(text, "a share in per cent"))
    }
}

fn field<'l>(line: &'l str, name: &'static str) -> Result<&'l str, Problem> {
    line.split_whitespace()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
        .ok_or(Problem::NoField(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn both_lines_are_told_apart() {
        let text = "some avg10=1.50 avg60=0.25 avg300=0.00 total=391926\n\
                    full avg10=0.50 avg60=0.10 avg300=0.00 total=7\n";
        let stall = parse(text).unwrap();
        assert_eq!((stall.some.avg10, stall.some.avg60), (1.5, 0.25));
        assert_eq!(stall.some.total_usec, MicroSeconds(391_926));
        assert_eq!(stall.full.unwrap().total_usec, MicroSeconds(7));
    }

    #[test]
    fn older_kernels_do_not_tell_full() {
        let stall = parse("some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n").unwrap();
        assert_eq!(stall.full, None);
    }

    #[test]
    fn what_is_no_pressure_is_a_fault() {
        for bad in [
            "",
            "some",
            "some avg10=0.00 avg60=0.00 avg300=0.00\n",
            "some avg10=NaN avg60=0 avg300=0 total=1",
            "some avg10=inf avg60=0 avg300=0 total=1",
            "some avg10=101 avg60=0 avg300=0 total=1",
            "full avg10=0 avg60=0 avg300=0 total=1",
            "none avg10=0 avg60=0 avg300=0 total=1",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse(&text);
        }

        #[test]
        fn no_line_panics(text in "((some|full|é)( avg(10|60|300)=[0-9.NaN-]{0,6}){0,3}( total=[0-9]{0,22})?\n?){0,3}") {
            let _ = parse(&text);
        }
    }
}
