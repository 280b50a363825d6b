//! Compressed memory. Source: the kernel's `admin-guide/blockdev/zram.rst`.

use crate::parse;
use crate::problem::Problem;
use crate::reader::Reader;
use machine::{Bytes, Zram};

const DIR: &str = "/sys/block";

/// The most devices that are told of; one is usual.
const MAX_DEVICES: usize = 16;

/// The first columns of `mm_stat`.
#[derive(Debug, PartialEq)]
struct Stat {
    orig_data_size: Bytes,
    compr_data_size: Bytes,
    mem_used_total: Bytes,
}

pub(crate) fn sample(reader: &mut Reader<'_>) -> Vec<Zram> {
    let devices = reader.numbered(DIR, "zram", "");
    let devices = devices.into_iter().take(MAX_DEVICES);
    devices.filter_map(|id| device(reader, id)).collect()
}

fn device(reader: &mut Reader<'_>, id: u32) -> Option<Zram> {
    let mut entry = reader.entry(format!("{DIR}/zram{id}"));
    let stat = entry.required("mm_stat", parse_stat)?;
    Some(Zram {
        id,
        disksize: entry.required("disksize", parse::bytes),
        comp_algorithm: entry.told("comp_algorithm", chosen),
        orig_data_size: stat.orig_data_size,
        compr_data_size: stat.compr_data_size,
        mem_used_total: stat.mem_used_total,
    })
}

/// Kernels have added columns at the end, and will.
fn parse_stat(text: &str) -> Result<Stat, Problem> {
    let columns = text.split_whitespace().take(3).map(parse::bytes);
    let columns: Vec<Bytes> = columns.collect::<Result<_, _>>()?;
    let [orig_data_size, compr_data_size, mem_used_total] = columns[..] else {
        return Err(Problem::malformed(text, "a zram device's sizes"));
    };
    Ok(Stat {
        orig_data_size,
        compr_data_size,
        mem_used_total,
    })
}

/// The one in brackets: `lzo-rle lz4 [zstd]`.
fn chosen(text: &str) -> Result<Option<String>, Problem> {
    let names = parse::names(text)?;
    let chosen = names
        .iter()
        .find_map(|name| name.strip_prefix('[')?.strip_suffix(']'));
    Ok(chosen.map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes_are_told_and_what_follows_is_passed_over() {
        let stat =
            parse_stat("   9437184  2911232  3145728        0  3145728      12        0        0        0\n");
        let (orig, compr, used) = (Bytes(9_437_184), Bytes(2_911_232), Bytes(3_145_728));
        assert_eq!(
            stat.unwrap(),
            Stat {
                orig_data_size: orig,
                compr_data_size: compr,
                mem_used_total: used
            }
        );
        for bad in ["", "1 2", "1 x 3", "-1 2 3"] {
            assert!(parse_stat(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_compression_in_force_is_the_one_in_brackets() {
        assert_eq!(chosen("lzo-rle lz4 [zstd]\n").unwrap().as_deref(), Some("zstd"));
        assert_eq!(chosen("lz4\n").unwrap(), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = (parse_stat(&text), chosen(&text));
        }
    }
}
