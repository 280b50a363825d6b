//! The GUID partition table (UEFI specification 2.10, section 5): reading it, and fitting it to a larger disk.
//!
//! The image's second copy of the table lies at the image's end. On a larger disk it belongs to the disk's end; some
//! firmware refuses the disk otherwise.

use std::ops::Range;

/// Bytes of a sector that the table counts in.
pub(super) const SECTOR: u64 = 512;

/// Partitions a table may have. 128 are usual; more than this is taken for damage.
const MOST_ENTRIES: usize = 1024;

/// "Basic data", as it lies on the disk: `EBD0A0A2-B9E5-4433-87C0-68B6B72699C7`.
pub(super) const BASIC_DATA: [u8; 16] = [
    0xa2, 0xa0, 0xd0, 0xeb, 0xe5, 0xb9, 0x33, 0x44, 0x87, 0xc0, 0x68, 0xb6, 0xb7, 0x26, 0x99, 0xc7,
];

/// An EFI system partition, as it lies on the disk: `C12A7328-F81F-11D2-BA4B-00A0C93EC93B`.
pub(super) const ESP: [u8; 16] = [
    0x28, 0x73, 0x2a, 0xc1, 0x1f, 0xf8, 0xd2, 0x11, 0xba, 0x4b, 0x00, 0xa0, 0xc9, 0x3e, 0xc9, 0x3b,
];

/// A table that was read and found whole.
#[derive(Clone, Debug)]
pub(super) struct Table {
    protective: Vec<u8>,
    header: Vec<u8>,
    entries: Vec<u8>,
    entry_size: usize,
    entries_at: u64,
}

/// One partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Partition {
    /// Its name in the table.
    pub(super) name: String,
    /// The type's GUID as it lies on the disk.
    pub(super) kind: [u8; 16],
    /// Where it lies, in bytes.
    pub(super) bytes: Range<u64>,
}

/// Bytes to lie at an offset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Patch {
    pub(super) offset: u64,
    pub(super) bytes: Vec<u8>,
}

impl Patch {
    pub(super) fn range(&self) -> Range<u64> {
        self.offset..self.offset + self.bytes.len() as u64
    }
}

impl Table {
    /// Reads the table from the first bytes of a disk, as many as hold it (1 MiB always does).
    pub(super) fn parse(disk: &[u8]) -> Result<Self, String> {
        let sector = SECTOR as usize;
        let header = disk
            .get(sector..2 * sector)
            .ok_or("it is shorter than a partition table")?;
        if header.get(..8) != Some(b"EFI PART") {
            return Err("it has no GUID partition table".to_owned());
        }
        let table = Self {
            protective: disk[..sector].to_vec(),
            header: header.to_vec(),
            entries: Vec::new(),
            entry_size: u32_at(header, 84) as usize,
            entries_at: u64_at(header, 72),
        };
        table.check_header()?;
        table.with_entries(disk)
    }

    /// The partitions in use.
    pub(super) fn partitions(&self) -> Vec<Partition> {
        self.entries
            .chunks_exact(self.entry_size)
            .filter_map(partition)
            .collect()
    }

    /// Gives the partitions of a type, of which there is one, an identifier made of random bytes (RFC 9562, version 4).
    pub(super) fn identify(&mut self, kind: [u8; 16], random: [u8; 16]) {
        let mut identifier = random;
        // As it lies on the disk: the first three of its fields begin with their lowest byte.
        identifier[7] = identifier[7] & 0x0f | 0x40;
        identifier[8] = identifier[8] & 0x3f | 0x80;
        let entries = self.entries.chunks_exact_mut(self.entry_size);
        for entry in entries.filter(|entry| entry.starts_with(&kind)) {
            entry[16..32].copy_from_slice(&identifier);
        }
        let sum = crc32fast::hash(&self.entries);
        self.header[88..92].copy_from_slice(&sum.to_le_bytes());
    }

    /// What must lie where on a disk of `size` bytes for the table to be whole there: the protective MBR, the first
    /// header and the entries at the start, the second copy at the end.
    pub(super) fn fitted_to(&self, size: u64) -> Vec<Patch> {
        let last = size / SECTOR - 1;
        let copy_at = last - self.entry_sectors();
        let mut protective = self.protective.clone();
        protective[458..462].copy_from_slice(&u32::try_from(last).unwrap_or(u32::MAX).to_le_bytes());
        let first = self.header_at(1, last, self.entries_at, copy_at - 1);
        let second = self.header_at(last, 1, copy_at, copy_at - 1);
        let mut copy = self.entries.clone();
        copy.resize((self.entry_sectors() * SECTOR) as usize, 0);
        copy.extend(second);
        protective.extend(first);
        vec![
            Patch {
                offset: 0,
                bytes: protective,
            },
            Patch {
                offset: self.entries_at * SECTOR,
                bytes: self.entries.clone(),
            },
            Patch {
                offset: copy_at * SECTOR,
                bytes: copy,
            },
        ]
    }

    /// Where the image's own second copy lies.
    pub(super) fn old_copy(&self) -> Range<u64> {
        let last = u64_at(&self.header, 32);
        let first = last.saturating_sub(self.entry_sectors());
        first.saturating_mul(SECTOR)..last.saturating_add(1).saturating_mul(SECTOR)
    }

    fn entry_sectors(&self) -> u64 {
        (self.entries.len() as u64).div_ceil(SECTOR)
    }

    fn header_at(&self, own: u64, other: u64, entries_at: u64, last_usable: u64) -> Vec<u8> {
        let mut header = self.header.clone();
        for (at, value) in [(24, own), (32, other), (48, last_usable), (72, entries_at)] {
            header[at..at + 8].copy_from_slice(&value.to_le_bytes());
        }
        let sum = header_sum(&header);
        header[16..20].copy_from_slice(&sum.to_le_bytes());
        header
    }

    fn check_header(&self) -> Result<(), String> {
        let size = u32_at(&self.header, 12) as usize;
        if !(92..=self.header.len()).contains(&size) {
            return Err(format!("its partition table's header claims {size} bytes"));
        }
        if header_sum(&self.header) != u32_at(&self.header, 16) {
            return Err("its partition table's header has a wrong checksum".to_owned());
        }
        Ok(())
    }

    fn with_entries(mut self, disk: &[u8]) -> Result<Self, String> {
        let count = u32_at(&self.header, 80) as usize;
        if count > MOST_ENTRIES || !(128..=4096).contains(&self.entry_size) {
            return Err(format!(
                "its partition table claims {count} entries of {} bytes",
                self.entry_size
            ));
        }
        let start = usize::try_from(self.entries_at.saturating_mul(SECTOR)).unwrap_or(usize::MAX);
        let entries = disk.get(start..start.saturating_add(count * self.entry_size));
        self.entries = entries
            .ok_or("its partition table lies outside the first megabyte")?
            .to_vec();
        if crc32fast::hash(&self.entries) != u32_at(&self.header, 88) {
            return Err("its partition table has a wrong checksum".to_owned());
        }
        Ok(self)
    }
}

fn partition(entry: &[u8]) -> Option<Partition> {
    let kind: [u8; 16] = entry.get(..16)?.try_into().ok()?;
    if kind == [0; 16] {
        return None;
    }
    let units: Vec<u16> = entry[56..128]
        .chunks_exact(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let name = String::from_utf16_lossy(units.split(|unit| *unit == 0).next().unwrap_or_default());
    let start = u64_at(entry, 32).saturating_mul(SECTOR);
    let end = u64_at(entry, 40).saturating_add(1).saturating_mul(SECTOR);
    Some(Partition {
        name,
        kind,
        bytes: start..end,
    })
}

/// The header's checksum: over its own length, its checksum field taken as zero.
fn header_sum(header: &[u8]) -> u32 {
    let mut header = header[..(u32_at(header, 12) as usize).clamp(92, header.len())].to_vec();
    header[16..20].fill(0);
    crc32fast::hash(&header)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes
        .get(at..at + 4)
        .and_then(|part| part.try_into().ok())
        .map_or(0, u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes
        .get(at..at + 8)
        .and_then(|part| part.try_into().ok())
        .map_or(0, u64::from_le_bytes)
}

/// Makes small disks for tests.
#[cfg(test)]
pub(super) mod testing {
    use super::*;

    /// Where the identifier of the ESP is that every disk here has beside the other partition.
    pub(in crate::flash) const ESP_IDENTIFIER: Range<usize> = 1024 + 128 + 16..1024 + 128 + 32;

    /// A disk of `sectors` with one partition and an ESP of one sector before it, their contents zero.
    pub(in crate::flash) fn disk(sectors: u64, name: &str, kind: [u8; 16], lba: Range<u64>) -> Vec<u8> {
        let mut entries = vec![0; 128 * 128];
        entries[..16].copy_from_slice(&kind);
        entries[16] = 1;
        entries[128..144].copy_from_slice(&ESP);
        for at in [32, 40] {
            entries[128 + at..136 + at].copy_from_slice(&34u64.to_le_bytes());
        }
        entries[32..40].copy_from_slice(&lba.start.to_le_bytes());
        entries[40..48].copy_from_slice(&(lba.end - 1).to_le_bytes());
        for (index, unit) in name.encode_utf16().enumerate() {
            entries[56 + 2 * index..58 + 2 * index].copy_from_slice(&unit.to_le_bytes());
        }
        let mut header = vec![0; 512];
        header[..12].copy_from_slice(b"EFI PART\0\0\x01\0");
        header[12..16].copy_from_slice(&92u32.to_le_bytes());
        header[40..48].copy_from_slice(&34u64.to_le_bytes());
        header[80..84].copy_from_slice(&128u32.to_le_bytes());
        header[84..88].copy_from_slice(&128u32.to_le_bytes());
        header[88..92].copy_from_slice(&crc32fast::hash(&entries).to_le_bytes());
        let mut protective = vec![0; 512];
        protective[450] = 0xee;
        protective[454] = 1;
        protective[510..].copy_from_slice(&[0x55, 0xaa]);
        let table = Table {
            protective,
            header,
            entries,
            entry_size: 128,
            entries_at: 2,
        };
        let mut disk = vec![0; (sectors * SECTOR) as usize];
        for patch in table.fitted_to(sectors * SECTOR) {
            disk[patch.offset as usize..patch.range().end as usize].copy_from_slice(&patch.bytes);
        }
        disk
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Vec<u8> {
        testing::disk(2048, "CONFIG", BASIC_DATA, 64..128)
    }

    #[test]
    fn a_partition_is_found_by_its_bytes() {
        let table = Table::parse(&small()).unwrap();
        let expected = Partition {
            name: "CONFIG".into(),
            kind: BASIC_DATA,
            bytes: 64 * 512..128 * 512,
        };
        assert_eq!(table.partitions()[0], expected);
        assert_eq!(table.old_copy(), (2048 - 33) * 512..2048 * 512);
    }

    #[test]
    fn a_larger_disk_gets_its_second_copy_at_the_end() {
        let patches = Table::parse(&small()).unwrap().fitted_to(4096 * 512);
        let mut disk = small();
        disk.resize(4096 * 512, 0);
        for patch in &patches {
            disk[patch.offset as usize..patch.range().end as usize].copy_from_slice(&patch.bytes);
        }
        let table = Table::parse(&disk).unwrap();
        assert_eq!(u64_at(&table.header, 32), 4095, "where the second header is");
        assert_eq!(u64_at(&table.header, 48), 4095 - 32 - 1, "the last usable sector");
        assert_eq!(
            &disk[458..462],
            4095u32.to_le_bytes(),
            "the protective partition's size"
        );
        let second = &disk[4095 * 512..];
        assert_eq!(header_sum(second), u32_at(second, 16));
        assert_eq!(
            (u64_at(second, 24), u64_at(second, 32), u64_at(second, 72)),
            (4095, 1, 4095 - 32)
        );
        assert_eq!(disk[(4095 - 32) * 512..4095 * 512], table.entries);
    }

    #[test]
    fn an_identifier_is_given_in_both_tables() {
        let mut disk = small();
        let mut table = Table::parse(&disk).unwrap();
        table.identify(ESP, [0xff; 16]);
        for patch in table.fitted_to(2048 * 512) {
            disk[patch.offset as usize..patch.range().end as usize].copy_from_slice(&patch.bytes);
        }
        let mut wanted = [0xff; 16];
        (wanted[7], wanted[8]) = (0x4f, 0xbf);
        let first = Table::parse(&disk).unwrap();
        assert_eq!(disk[testing::ESP_IDENTIFIER], wanted);
        assert_eq!(
            first.entries[..128],
            Table::parse(&small()).unwrap().entries[..128],
            "the other partition"
        );
        assert_eq!(disk[(2048 - 33) * 512..(2048 - 1) * 512], first.entries);
        assert_eq!(u32_at(&disk[2047 * 512..], 88), crc32fast::hash(&first.entries));
    }

    #[test]
    fn damage_is_told_apart() {
        let reason = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut disk = small();
            change(&mut disk);
            Table::parse(&disk).unwrap_err()
        };
        assert!(reason(&|disk| disk.truncate(600)).contains("shorter"));
        assert!(reason(&|disk| disk[512] = b'X').contains("no GUID"));
        assert!(reason(&|disk| disk[512 + 60] ^= 1).contains("header has a wrong checksum"));
        assert!(reason(&|disk| disk[1024 + 60] ^= 1).contains("table has a wrong checksum"));
        assert!(reason(&|disk| disk[512 + 12] = 200).contains("checksum"));
        assert!(reason(&|disk| disk[512 + 13] = 0xff).contains("claims"));
    }

    #[test]
    fn absurd_numbers_with_a_right_checksum_are_refused() {
        let reason = |at: usize, value: &[u8]| {
            let mut disk = small();
            disk[512 + at..512 + at + value.len()].copy_from_slice(value);
            let sum = header_sum(&disk[512..1024]);
            disk[512 + 16..512 + 20].copy_from_slice(&sum.to_le_bytes());
            Table::parse(&disk).unwrap_err()
        };
        assert!(reason(80, &u32::MAX.to_le_bytes()).contains("claims"));
        assert!(reason(84, &0u32.to_le_bytes()).contains("claims"));
        assert!(reason(72, &u64::MAX.to_le_bytes()).contains("outside"));
    }
}
