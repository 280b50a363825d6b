//! The bytes to write: the image's, with the patches that one disk and one owner need laid over them.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::access::Access;
use super::config;
use super::gpt::{BASIC_DATA, ESP, Patch, SECTOR, Table};
use super::{AtPath, FlashError, Result};

/// The most that a `CONFIG` partition may have: it is held in memory.
const MOST_CONFIG: u64 = 256 << 20;

/// An image made ready for one disk.
pub(super) struct Source {
    path: PathBuf,
    file: File,
    length: u64,
    patches: Vec<Patch>,
    /// The second partition table, when it lies beyond the image.
    tail: Option<Patch>,
}

/// An image, or a file in a disk's place, with its partition table.
struct Disk<'p> {
    path: &'p Path,
    file: File,
    length: u64,
    table: Table,
}

impl<'p> Disk<'p> {
    fn open(path: &'p Path) -> Result<Self> {
        let file = File::open(path).at("open", path)?;
        let length = file.metadata().at("read", path)?.len();
        let mut head = vec![0; length.min(1 << 20) as usize];
        file.read_exact_at(&mut head, 0).at("read", path)?;
        let table = Table::parse(&head).map_err(|reason| wrong(path, reason))?;
        Ok(Self {
            path,
            file,
            length,
            table,
        })
    }

    /// The `CONFIG` partition's bytes, and where they begin.
    fn config(&self) -> Result<Patch> {
        let partitions = self.table.partitions();
        let is_config = |part: &&super::gpt::Partition| part.kind == BASIC_DATA && part.name == "CONFIG";
        let found = partitions
            .iter()
            .find(is_config)
            .ok_or_else(|| wrong(self.path, "it has no CONFIG partition".to_owned()))?;
        let (start, end) = (found.bytes.start, found.bytes.end);
        if end > self.length || end <= start || end - start > MOST_CONFIG {
            let reason = format!("its CONFIG partition claims the bytes {start} to {end}");
            return Err(wrong(self.path, reason));
        }
        let mut bytes = vec![0; (end - start) as usize];
        self.file.read_exact_at(&mut bytes, start).at("read", self.path)?;
        Ok(Patch { offset: start, bytes })
    }
}

fn wrong(path: &Path, reason: String) -> FlashError {
    FlashError::Image {
        path: path.to_owned(),
        reason,
    }
}

/// What the `CONFIG` partition of an image, or of a file in a disk's place, has under a name; none if there is nothing.
///
/// # Errors
/// It cannot be read, or has no such partition.
pub fn read_config(disk: &Path, name: &str) -> Result<Option<String>> {
    let config = Disk::open(disk)?.config()?;
    config::read(config.bytes, name)
        .map_err(|error| wrong(disk, format!("its CONFIG partition cannot be read: {error}")))
}

impl Source {
    /// Opens an image to go onto a disk of `size` bytes, with `access` on its `CONFIG` partition and
    /// an ESP that is told from that of any other copy by its identifier, made of these `random` bytes.
    pub(super) fn open(path: &Path, size: u64, access: &Access, random: [u8; 16]) -> Result<Self> {
        let mut disk = Disk::open(path)?;
        let length = disk.length;
        if length % SECTOR != 0 || length > size {
            let reason = format!("its length, {length} bytes, does not fit a disk of {size} bytes");
            return Err(wrong(path, reason));
        }
        let mut config = disk.config()?;
        let filled = config::fill(&mut config.bytes, access);
        filled.map_err(|error| {
            wrong(
                path,
                format!("its CONFIG partition cannot be written to: {error}"),
            )
        })?;
        let mut source = Self {
            path: path.to_owned(),
            file: disk.file,
            length,
            patches: vec![config],
            tail: None,
        };
        disk.table.identify(ESP, random);
        source.fit(&disk.table, size);
        Ok(source)
    }

    /// The image's length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.length
    }

    /// What lies beyond the image.
    pub(super) fn tail(&self) -> Option<&Patch> {
        self.tail.as_ref()
    }

    /// Reads `buffer.len()` bytes from `offset` on, patches applied.
    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_exact_at(buffer, offset).at("read", &self.path)?;
        for patch in &self.patches {
            overlay(buffer, offset, patch);
        }
        Ok(())
    }

    /// Moves the second partition table to the disk's end; where it was there are zeros.
    fn fit(&mut self, table: &Table, size: u64) {
        let old = table.old_copy();
        if size > self.length && old.end == self.length {
            self.patches.push(Patch {
                offset: old.start,
                bytes: vec![0; (old.end - old.start) as usize],
            });
        }
        for patch in table.fitted_to(size) {
            // One that begins inside the image ends there too, or else continues beyond it.
            if patch.offset >= self.length {
                self.tail = Some(patch);
            } else {
                let inside = (self.length - patch.offset).min(patch.bytes.len() as u64) as usize;
                let (inside, beyond) = patch.bytes.split_at(inside);
                self.patches.push(Patch {
                    offset: patch.offset,
                    bytes: inside.to_vec(),
                });
                if !beyond.is_empty() {
                    self.tail = Some(Patch {
                        offset: self.length,
                        bytes: beyond.to_vec(),
                    });
                }
            }
        }
    }
}

/// Copies the part of `patch` that lies in the `buffer` at `offset`.
fn overlay(buffer: &mut [u8], offset: u64, patch: &Patch) {
    let start = patch.offset.max(offset);
    let end = patch.range().end.min(offset + buffer.len() as u64);
    if start >= end {
        return;
    }
    let from = &patch.bytes[(start - patch.offset) as usize..(end - patch.offset) as usize];
    buffer[(start - offset) as usize..(end - offset) as usize].copy_from_slice(from);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_cut_to_the_buffer() {
        let patch = Patch {
            offset: 10,
            bytes: vec![1, 2, 3, 4],
        };
        let at = |offset, length| {
            let mut buffer = vec![0; length];
            overlay(&mut buffer, offset, &patch);
            buffer
        };
        assert_eq!(at(8, 4), [0, 0, 1, 2]);
        assert_eq!(at(12, 4), [3, 4, 0, 0]);
        assert_eq!(at(11, 2), [2, 3]);
        assert_eq!(at(0, 10), [0; 10]);
        assert_eq!(at(14, 2), [0; 2]);
    }
}
