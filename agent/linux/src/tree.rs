//! A tree of kernel files below a root directory.

use crate::problem::Problem;
use nix::dir::Dir;
use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The most that is read of one file, in bytes. The largest one that is read, `/proc/meminfo`, has about 1.6 kB.
pub const MAX_FILE_BYTES: usize = 16 * 1024;

/// The most that is read of a file that grows with the machine's processors, in bytes: `/proc/zoneinfo` has about 100 for
/// each of them and each zone of memory.
pub const MAX_LONG_FILE_BYTES: usize = 1 << 20;

/// The most that is read of a file that is written, in bytes.
const MAX_VALUE_BYTES: usize = 255;

/// The most entries that are taken from one directory. The largest that is listed, a hwmon chip's, has some hundred.
const MAX_ENTRIES: usize = 4096;

/// Why a tree cannot be read at all.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The root directory cannot be opened.
    #[error("cannot open {} as the root of a tree of kernel files", path.display())]
    Root {
        /// The directory that was asked for.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file of first-seen values is there, and can be neither used nor moved.
    #[error("cannot use the first-seen values in {}", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The kernel's events cannot be received.
    #[error("cannot {what} the kernel's events")]
    Events {
        /// What was tried.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
}

/// A directory that is laid out like `/`: the machine's own root, or a tree captured from one.
///
/// Paths begin with `/`, which is the tree's root, and so do symbolic links' targets: the kernel resolves them inside
/// of the tree (`RESOLVE_IN_ROOT`).
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
}

impl Tree {
    /// Opens a tree by its root directory; `/` is the running machine.
    ///
    /// # Errors
    /// [`Error::Root`] if it is no directory that can be opened.
    pub fn open(root: impl AsRef<Path>) -> Result<Self, Error> {
        let path = root.as_ref();
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = nix::fcntl::open(path, flags, nix::sys::stat::Mode::empty());
        Ok(Self {
            root: root.map_err(|errno| Error::Root {
                path: path.to_owned(),
                source: errno.into(),
            })?,
        })
    }

    /// Reads a whole file of at most [`MAX_FILE_BYTES`] into `buffer` and returns it as text.
    pub(crate) fn text<'b>(&self, path: &str, buffer: &'b mut [u8]) -> Result<&'b str, Problem> {
        let bytes = self.bytes(path, buffer)?;
        if bytes.len() > MAX_FILE_BYTES {
            return Err(Problem::TooLong(MAX_FILE_BYTES));
        }
        std::str::from_utf8(bytes).map_err(|_| Problem::NotText)
    }

    /// Reads the beginning of a file that may be longer than [`MAX_FILE_BYTES`], up to the last whole line.
    pub(crate) fn head<'b>(&self, path: &str, buffer: &'b mut [u8]) -> Result<&'b str, Problem> {
        let bytes = self.bytes(path, buffer)?;
        let end = bytes
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        std::str::from_utf8(&bytes[..end]).map_err(|_| Problem::NotText)
    }

    /// Reads a whole file of at most [`MAX_LONG_FILE_BYTES`], which the kernel may hand over in pieces.
    pub(crate) fn long_text(&self, path: &str) -> Result<String, Problem> {
        let file = File::from(self.descend(path, OFlag::O_RDONLY)?);
        let mut bytes = Vec::new();
        // One byte more than is allowed tells a file that is too long from one that just fits.
        file.take(MAX_LONG_FILE_BYTES as u64 + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() > MAX_LONG_FILE_BYTES {
            return Err(Problem::TooLong(MAX_LONG_FILE_BYTES));
        }
        String::from_utf8(bytes).map_err(|_| Problem::NotText)
    }

    /// The names in a directory, sorted.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<String>, Problem> {
        let mut dir = Dir::from_fd(self.descend(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)?)?;
        let mut names = Vec::new();
        for entry in dir.iter() {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy();
            if name == "." || name == ".." {
                continue;
            }
            if names.len() == MAX_ENTRIES {
                return Err(Problem::TooManyEntries(MAX_ENTRIES));
            }
            names.push(name.into_owned());
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What a short file holds, and its inode's number: a driver that is loaded anew has new ones under the same names.
    pub(crate) fn value(&self, path: &str) -> Result<(String, u64), Problem> {
        let file = File::from(self.descend(path, OFlag::O_RDONLY)?);
        let inode = file.metadata()?.ino();
        let mut buffer = [0; MAX_VALUE_BYTES + 1];
        let length = read_once(file, &mut buffer)?;
        if length > MAX_VALUE_BYTES {
            return Err(Problem::TooLong(MAX_VALUE_BYTES));
        }
        let value = std::str::from_utf8(&buffer[..length]).map_err(|_| Problem::NotText)?;
        Ok((value.trim().to_owned(), inode))
    }

    /// Writes a file that is there, in one piece, as an attribute has to be written. Creates nothing. A regular file
    /// is emptied first, which means nothing to the kernel's.
    pub(crate) fn write(&self, path: &str, value: &str) -> io::Result<()> {
        let mut file = File::from(self.descend(path, OFlag::O_WRONLY | OFlag::O_TRUNC)?);
        match file.write(value.as_bytes())? {
            length if length == value.len() => Ok(()),
            _ => Err(io::ErrorKind::WriteZero.into()),
        }
    }

    fn bytes<'b>(&self, path: &str, buffer: &'b mut [u8]) -> Result<&'b [u8], Problem> {
        let file = File::from(self.descend(path, OFlag::O_RDONLY)?);
        let length = read_once(file, buffer)?;
        Ok(&buffer[..length])
    }

    /// Opens below the root. Without `O_NONBLOCK` a fifo in a bad tree would wait for a writer for ever.
    fn descend(&self, path: &str, flags: OFlag) -> Result<OwnedFd, Errno> {
        let always = OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let resolve = ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        openat2(
            &self.root,
            path,
            OpenHow::new().flags(always | flags).resolve(resolve),
        )
    }
}

/// One `read`: the kernel hands over a sysfs attribute, and each of the procfs files that are read here, in one piece.
fn read_once(mut source: impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match source.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

#[cfg(test)]
mod tests;
