//! Memory of control groups, version 2. Source: the kernel's `admin-guide/cgroup-v2.rst`.

use crate::parse;
use crate::problem::Problem;
use crate::reader::Reader;
use machine::{Bytes, CgroupMemory};

pub(crate) const DIR: &str = "/sys/fs/cgroup";

/// Whether the unified hierarchy with a memory controller is there.
pub(crate) fn discover(reader: &mut Reader<'_>) -> bool {
    let controllers = reader.optional(&format!("{DIR}/cgroup.controllers"), parse::names);
    controllers.is_some_and(|names| names.iter().any(|name| name == "memory"))
}

/// A group that does not tell what it holds is left out; one that is not there is no fault, as its unit does not run.
pub(crate) fn sample(reader: &mut Reader<'_>, path: &str) -> Option<CgroupMemory> {
    let mut entry = reader.entry(format!("{DIR}/{path}"));
    let current = entry.optional("memory.current", parse::bytes)?;
    let stat = entry.required("memory.stat", parse_stat);
    Some(CgroupMemory {
        path: path.to_owned(),
        current: Some(current),
        // Kernels before 5.19 have no peak, and those that count no swap have no swap.
        peak: entry.optional("memory.peak", parse::bytes),
        swap_current: entry.optional("memory.swap.current", parse::bytes),
        anon: stat.as_ref().map(|stat| stat.anon),
        file: stat.map(|stat| stat.file),
    })
}

/// The parts of `memory.stat` that are told.
#[derive(Debug, PartialEq)]
struct Stat {
    anon: Bytes,
    file: Bytes,
}

fn parse_stat(text: &str) -> Result<Stat, Problem> {
    Ok(Stat {
        anon: field(text, "anon")?,
        file: field(text, "file")?,
    })
}

fn field(text: &str, name: &'static str) -> Result<Bytes, Problem> {
    text.lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
        .ok_or(Problem::NoField(name))
        .and_then(parse::bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let stat = parse_stat("anon_thp 1\nanon 4096\nfile_mapped 2\nfile 8192\n").unwrap();
        assert_eq!((stat.anon, stat.file), (Bytes(4096), Bytes(8192)));
    }

    #[test]
    fn a_missing_field_is_a_fault() {
        assert!(parse_stat("anon 1\n").is_err());
        assert!(parse_stat("anon x\nfile 1\n").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse_stat(&text);
        }
    }
}
