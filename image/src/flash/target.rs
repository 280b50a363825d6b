//! Where the image goes: a disk, or a file that stands for one.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, OFlag, PosixFadviseAdvice, fallocate, posix_fadvise};
use nix::sys::stat::{major, minor};

use super::disks::{self, Bytes, Refusal};
use super::{AtPath, FlashError, Result};

/// Memory is lent to the device in pieces that begin at a multiple of this.
const ALIGNMENT: usize = 4096;

/// A place that was examined and may be written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its path, links followed.
    pub path: PathBuf,
    /// The name that its owner confirms: `sdb`.
    pub name: String,
    /// For people: model and size.
    pub description: String,
    /// Bytes it holds.
    pub size: u64,
    /// Whether it is a block device.
    pub is_device: bool,
}

/// Decides whether `path` may be written to. Reads sysfs and proc below `root`; opens nothing.
pub fn examine(root: &Path, path: &Path, least: u64) -> Result<Target> {
    let path = path.canonicalize().at("find", path)?;
    let refused = |refusal| FlashError::Refused {
        path: path.clone(),
        refusal,
    };
    let metadata = path.metadata().at("read", &path)?;
    let (size, model) = if metadata.file_type().is_block_device() {
        let number = format!("{}:{}", major(metadata.rdev()), minor(metadata.rdev()));
        let disk = disks::check(root, &number, least).map_err(refused)?;
        (disk.size, disk.model)
    } else if metadata.is_file() {
        file_refusal(&metadata, least).map_or(Ok(()), |refusal| Err(refused(refusal)))?;
        (metadata.len(), "a file".to_owned())
    } else {
        return Err(refused(Refusal::NeitherDiskNorFile));
    };
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let description = format!("{model}, {}", Bytes(size))
        .trim_start_matches(", ")
        .to_owned();
    Ok(Target {
        name,
        description,
        size,
        is_device: metadata.file_type().is_block_device(),
        path,
    })
}

fn file_refusal(metadata: &std::fs::Metadata, least: u64) -> Option<Refusal> {
    if metadata.permissions().readonly() {
        return Some(Refusal::ReadOnly);
    }
    (metadata.len() < least).then_some(Refusal::TooSmall {
        size: metadata.len(),
        least,
    })
}

impl Target {
    /// Opens it for writing, past the page cache where it can. A device is claimed for this process alone: the kernel
    /// says no if anything else has it in use.
    pub(super) fn open(&self) -> Result<Device> {
        let exclusive = if self.is_device {
            OFlag::O_EXCL
        } else {
            OFlag::empty()
        };
        let open = |flags: OFlag| {
            OpenOptions::new()
                .read(true)
                .write(true)
                .custom_flags(flags.bits())
                .open(&self.path)
        };
        let (file, direct) = match open(exclusive | OFlag::O_DIRECT) {
            // A file system without direct IO.
            Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => (open(exclusive), false),
            result => (result, true),
        };
        Ok(Device {
            file: file.at("open", &self.path)?,
            path: self.path.clone(),
            direct,
        })
    }
}

/// An opened target.
pub(super) struct Device {
    file: File,
    path: PathBuf,
    direct: bool,
}

impl Device {
    /// Its path, for messages.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all of `bytes`, a part of a [`Buffer`], at `offset`.
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file.write_all_at(bytes, offset).at("write to", &self.path)
    }

    /// Reads as much as `bytes` takes, a part of a [`Buffer`], from `offset` on.
    pub(super) fn read(&self, bytes: &mut [u8], offset: u64) -> Result<()> {
        self.file.read_exact_at(bytes, offset).at("read", &self.path)
    }

    /// Has the device make zeros by itself. `false` if it cannot: then they must be written. What the kernel promises
    /// here is zeros when read, not merely that the old data is given up.
    pub(super) fn zero(&self, offset: u64, length: u64) -> Result<bool> {
        let mode = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        match fallocate(&self.file, mode, offset.cast_signed(), length.cast_signed()) {
            Ok(()) => Ok(true),
            Err(Errno::EOPNOTSUPP | Errno::ENODEV | Errno::ENOSYS | Errno::EINVAL | Errno::EREMOTEIO) => {
                Ok(false)
            }
            Err(error) => Err(error).at("write to", &self.path),
        }
    }

    /// Waits until everything is on the medium, and has later reads come from there.
    pub(super) fn sync(&self) -> Result<()> {
        self.file.sync_all().at("write to", &self.path)?;
        if !self.direct {
            let forget = posix_fadvise(&self.file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
            forget.map_err(io::Error::from).at("read", &self.path)?;
        }
        Ok(())
    }
}

/// Memory that direct IO takes: aligned.
pub(super) struct Buffer {
    memory: Vec<u8>,
    start: usize,
    length: usize,
}

impl Buffer {
    pub(super) fn new(length: usize) -> Self {
        let memory = vec![0; length + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self {
            memory,
            start,
            length,
        }
    }

    /// The first `length` bytes.
    pub(super) fn first(&mut self, length: usize) -> &mut [u8] {
        &mut self.memory[self.start..self.start + length.min(self.length)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn a_file_is_taken_by_its_real_path_and_size() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("disk.raw"), folder.path().join("by-id"));
        File::create(&file).unwrap().set_len(4096).unwrap();
        symlink(&file, &link).unwrap();
        let target = examine(Path::new("/"), &link, 4096).unwrap();
        assert_eq!(
            (target.name.as_str(), target.size, target.is_device),
            ("disk.raw", 4096, false)
        );
        let error = examine(Path::new("/"), &link, 4097).unwrap_err();
        assert!(
            matches!(
                error,
                FlashError::Refused {
                    refusal: Refusal::TooSmall { .. },
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn folders_character_devices_and_missing_paths_are_refused() {
        let refusal = |path: &str| {
            examine(Path::new("/"), Path::new(path), 0)
                .unwrap_err()
                .to_string()
        };
        assert!(refusal("/tmp").contains("neither a disk nor a file"));
        assert!(refusal("/dev/null").contains("neither a disk nor a file"));
        assert!(refusal("/dev/hearth-no-such-disk").contains("cannot find /dev/hearth-no-such-disk"));
    }

    #[test]
    fn a_buffer_is_aligned() {
        for _ in 0..8 {
            assert_eq!(Buffer::new(100).first(50).as_ptr() as usize % ALIGNMENT, 0);
        }
    }
}
