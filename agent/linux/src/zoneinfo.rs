//! Zones of memory, their watermarks and what they keep back, from `/proc/zoneinfo`. Source: the kernel's
//! `filesystems/proc.rst` and `admin-guide/sysctl/vm.rst` (`lowmem_reserve_ratio`).

use crate::parse;
use crate::problem::Problem;
use crate::reader::Reader;
use machine::{MemoryZone, Pages};

const FILE: &str = "/proc/zoneinfo";

/// The most zones that are told of: five for each of the memory nodes of a large server.
const MAX_ZONES: usize = 128;

/// The most higher zones that a zone can be protected from (`MAX_NR_ZONES` is 6 at most).
const MAX_PROTECTION: usize = 8;

pub(crate) fn sample(reader: &mut Reader<'_>) -> Vec<MemoryZone> {
    reader.long(FILE, parse_zones).unwrap_or_default()
}

/// Lines that are not known are passed over: each kernel adds some. A zone without its watermarks is a fault, for it would
/// count as one that keeps nothing back.
fn parse_zones(text: &str) -> Result<Vec<MemoryZone>, Problem> {
    let mut zones: Vec<Partial> = Vec::new();
    for line in text.lines() {
        if line.starts_with("Node ") {
            if zones.len() == MAX_ZONES {
                return Err(Problem::TooManyEntries(MAX_ZONES));
            }
            zones.push(Partial::titled(line)?);
        } else if let Some(zone) = zones.last_mut() {
            zone.take(line)?;
        }
    }
    if zones.is_empty() {
        return Err(Problem::NoField("Node"));
    }
    zones.into_iter().map(Partial::finish).collect()
}

/// A zone of which not all is read yet.
#[derive(Default)]
struct Partial {
    zone: MemoryZone,
    free: Option<Pages>,
    min: Option<Pages>,
    low: Option<Pages>,
    high: Option<Pages>,
    managed: Option<Pages>,
}

impl Partial {
    /// `Node 0, zone    DMA32`
    fn titled(line: &str) -> Result<Self, Problem> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["Node", node, "zone", name] = words[..] else {
            return Err(Problem::malformed(line, "a memory zone's title"));
        };
        let node = node.strip_suffix(',').unwrap_or(node);
        let zone = MemoryZone {
            node: parse::number(node)?,
            name: parse::name(name)?,
            ..MemoryZone::default()
        };
        Ok(Self {
            zone,
            ..Self::default()
        })
    }

    fn take(&mut self, line: &str) -> Result<(), Problem> {
        let words: Vec<&str> = line.split_whitespace().take(3).collect();
        let place = match words[..] {
            ["pages", "free", _] => &mut self.free,
            ["min", _] => &mut self.min,
            ["low", _] => &mut self.low,
            ["high", _] => &mut self.high,
            ["managed", _] => &mut self.managed,
            ["boost", count] => {
                self.zone.boost = pages(count)?;
                return Ok(());
            }
            ["protection:", ..] => return self.protect(line),
            _ => return Ok(()),
        };
        *place = words.last().map(|count| pages(count)).transpose()?;
        Ok(())
    }

    /// `protection: (0, 3019, 24090, 24090, 24090)`
    fn protect(&mut self, line: &str) -> Result<(), Problem> {
        let malformed = || Problem::malformed(line, "a list of protected pages");
        let list = line.trim().strip_prefix("protection:").map(str::trim);
        let list = list
            .and_then(|list| list.strip_prefix('(')?.strip_suffix(')'))
            .ok_or_else(malformed)?;
        let counts = list.split(',').take(MAX_PROTECTION + 1).map(pages);
        self.zone.protection = counts.collect::<Result<_, _>>()?;
        if self.zone.protection.len() > MAX_PROTECTION {
            return Err(malformed());
        }
        Ok(())
    }

    fn finish(self) -> Result<MemoryZone, Problem> {
        Ok(MemoryZone {
            free: self.free.ok_or(Problem::NoField("pages free"))?,
            min: self.min.ok_or(Problem::NoField("min"))?,
            low: self.low.ok_or(Problem::NoField("low"))?,
            high: self.high.ok_or(Problem::NoField("high"))?,
            managed: self.managed.ok_or(Problem::NoField("managed"))?,
            ..self.zone
        })
    }
}

fn pages(text: &str) -> Result<Pages, Problem> {
    parse::number(text).map(Pages)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "Node 0, zone      DMA\n  per-node stats\n      nr_inactive_anon 404441\n  pages free     3840\n\
        \x20       boost    2\n        min      10\n        low      13\n        high     16\n        promo    19\n\
        \x20       managed  3840\n        protection: (0, 3019, 24090)\n  pagesets\n    cpu: 0\n              high:  9\n\
        Node 1, zone   Normal\n  pages free     5\n        min      1\n        low      2\n        high     3\n\
        \x20       managed  9\n        protection: (0, 0, 0)\n";

    #[test]
    fn zones_are_told_by_node_and_name() {
        let zones = parse_zones(TEXT).unwrap();
        let [dma, normal] = zones.as_slice() else {
            panic!("{zones:?}");
        };
        assert_eq!((dma.node, dma.name.as_str(), normal.node), (0, "DMA", 1));
        assert_eq!(
            (dma.boost, dma.low, dma.managed),
            (Pages(2), Pages(13), Pages(3840))
        );
        assert_eq!(dma.high, Pages(16), "not a processor's own list's");
        assert_eq!(dma.protection, [0, 3019, 24090].map(Pages));
        assert_eq!(normal.boost, Pages(0), "kernels before 5.0 have none");
    }

    #[test]
    fn what_is_no_zoneinfo_is_a_fault() {
        let cut = TEXT.replace("        managed  9\n", "");
        for bad in [
            "",
            "  pages free 1\n",
            "Node x, zone DMA\n",
            "Node 0, zone\n",
            &TEXT.replace("3019", "-1"),
            &TEXT.replace("(0, 0, 0)", "(0, 0"),
            &TEXT.replace("(0, 0, 0)", "(0,0,0,0,0,0,0,0,0)"),
            &cut,
        ] {
            assert!(parse_zones(bad).is_err(), "{bad:?}");
        }
        assert!(parse_zones(&TEXT.repeat(MAX_ZONES)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse_zones(&text);
        }

        #[test]
        fn no_table_panics(text in "(Node [0-9é]{0,9},? zone é?\n?|(pages free|min|low|high|managed|boost|protection:) [(0-9, )é-]{0,24}\n){0,9}") {
            let _ = parse_zones(&text);
        }
    }
}
