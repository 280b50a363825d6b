//! The page that host and guest share: a file that QEMU maps.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use twin::registers::{LENGTH, Register};

/// The file. Reads and writes of it are seen by the guest at once, for QEMU maps it shared.
#[derive(Debug)]
pub(super) struct Page {
    path: PathBuf,
    file: File,
}

impl Page {
    /// Makes the file.
    pub(super) fn make(path: &Path) -> Result<Self> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path);
        let file = file.with_context(|| format!("cannot make {}", path.display()))?;
        file.set_len(LENGTH)
            .with_context(|| format!("cannot enlarge {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Tells the guest a word.
    pub(super) fn write(&self, register: Register, word: u32) -> Result<()> {
        self.file
            .write_all_at(&word.to_le_bytes(), register.offset().into())
            .with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// What a word holds.
    pub(super) fn read(&self, register: Register) -> Result<u32> {
        let mut word = [0; 4];
        self.file
            .read_exact_at(&mut word, register.offset().into())
            .with_context(|| format!("cannot read {}", self.path.display()))?;
        Ok(u32::from_le_bytes(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_read_as_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let page = Page::make(&folder.path().join("page")).unwrap();
        page.write(Register::TEMPERATURE, 3132).unwrap();
        assert_eq!(page.read(Register::TEMPERATURE).unwrap(), 3132);
        assert_eq!(page.read(Register::FAN_LEVEL).unwrap(), 0);
    }
}
