//! Whole-machine memory, from `/proc/meminfo`. Source: the kernel's `filesystems/proc.rst`.

use crate::problem::Problem;
use crate::reader::Reader;
use machine::{Bytes, Meminfo, Memory};

pub(crate) const FILE: &str = "/proc/meminfo";

pub(crate) fn sample(reader: &mut Reader<'_>) -> Memory {
    reader.required(FILE, parse).unwrap_or_default()
}

/// All that tells who holds memory.
pub(crate) fn breakdown(reader: &mut Reader<'_>) -> Meminfo {
    reader.required(FILE, parse_all).unwrap_or_default()
}

fn parse_all(text: &str) -> Result<Meminfo, Problem> {
    let value = |field: &str| {
        let found = text
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        found.map(kibibytes).transpose()
    };
    Ok(Meminfo {
        memory: parse(text)?,
        buffers: value("Buffers")?,
        swap_cached: value("SwapCached")?,
        active_file: value("Active(file)")?,
        inactive_file: value("Inactive(file)")?,
        anon_pages: value("AnonPages")?,
        mapped: value("Mapped")?,
        shmem: value("Shmem")?,
        k_reclaimable: value("KReclaimable")?,
        s_reclaimable: value("SReclaimable")?,
        s_unreclaim: value("SUnreclaim")?,
        kernel_stack: value("KernelStack")?,
        page_tables: value("PageTables")?,
        sec_page_tables: value("SecPageTables")?,
        percpu: value("Percpu")?,
        vmalloc_used: value("VmallocUsed")?,
        zswap: value("Zswap")?,
        zswapped: value("Zswapped")?,
    })
}

/// A field that is missing is unknown; a field that is there must be a number. A text without `MemTotal` is none.
pub(crate) fn parse(text: &str) -> Result<Memory, Problem> {
    let mut memory = Memory::default();
    for line in text.lines() {
        let Some((field, value)) = line.split_once(':') else {
            return Err(Problem::malformed(line, "a field and its value"));
        };
        let place = match field {
            "MemTotal" => &mut memory.mem_total,
            "MemFree" => &mut memory.mem_free,
            "MemAvailable" => &mut memory.mem_available,
            "Cached" => &mut memory.cached,
            "Slab" => &mut memory.slab,
            "SwapTotal" => &mut memory.swap_total,
            "SwapFree" => &mut memory.swap_free,
            _ => continue,
        };
        *place = Some(kibibytes(value)?);
    }
    if memory.mem_total.is_none() {
        Err(Problem::NoField("MemTotal"))
    } else {
        Ok(memory)
    }
}

/// The kernel writes `kB` and means 1024 bytes.
fn kibibytes(value: &str) -> Result<Bytes, Problem> {
    let malformed = || Problem::malformed(value, "a number of kB");
    let count = value.trim().strip_suffix(" kB").ok_or_else(malformed)?;
    let count: u64 = count.parse().map_err(|_| malformed())?;
    count.checked_mul(1024).map(Bytes).ok_or_else(malformed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "MemTotal:        8000000 kB\nMemFree:         1000000 kB\nMemAvailable:    6000000 kB\n\
        Cached:            40000 kB\nSwapTotal:             0 kB\nSwapFree:              0 kB\nSlab:              500 kB\n\
        HugePages_Total:       0\n";

    #[test]
    fn fields_are_told_in_bytes() {
        let memory = parse(TEXT).unwrap();
        assert_eq!(memory.mem_total, Some(Bytes(8_192_000_000)));
        assert_eq!(memory.mem_free, Some(Bytes(1_024_000_000)));
        assert_eq!(memory.mem_available, Some(Bytes(6_144_000_000)));
        assert_eq!(memory.cached, Some(Bytes(40_960_000)));
        assert_eq!(memory.slab, Some(Bytes(512_000)));
        assert_eq!(
            (memory.swap_total, memory.swap_free),
            (Some(Bytes(0)), Some(Bytes(0)))
        );
    }

    #[test]
    fn a_missing_field_is_unknown_and_costs_no_other() {
        let memory = parse("MemTotal: 4 kB\n").unwrap();
        assert_eq!(memory.mem_total, Some(Bytes(4096)));
        assert_eq!(memory.mem_available, None);
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = format!("{TEXT}Active(file): 8 kB\nShmemHugePages: 1 kB\nSwapCached: 2 kB\n");
        let all = parse_all(&text).unwrap();
        assert_eq!(all.memory, parse(&text).unwrap());
        assert_eq!(
            (all.active_file, all.swap_cached),
            (Some(Bytes(8192)), Some(Bytes(2048)))
        );
        assert_eq!(all.shmem, None);
        assert!(parse_all(&format!("{TEXT}Percpu: many kB\n")).is_err());
    }

    #[test]
    fn what_is_no_meminfo_is_a_fault() {
        for bad in [
            "",
            "MemFree: 4 kB\n",
            "MemTotal: 4\n",
            "MemTotal: x kB\n",
            "MemTotal 4 kB\n",
            "MemTotal: 18446744073709551615 kB\n",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse_all(&text);
        }

        #[test]
        fn no_table_panics(text in "((MemTotal|Slab|Shmem|é)?:? {0,3}[0-9é]{0,22}( kB)?\n?){0,6}") {
            let _ = parse_all(&text);
        }
    }
}
