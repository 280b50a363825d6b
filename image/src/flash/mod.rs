//! Writing the image to a disk, so that it boots there and answers without a screen: refusing what must not be
//! erased, fitting the partition table to the disk's size, filling `CONFIG`, and reading everything back.

mod access;
mod config;
mod disks;
mod gpt;
mod mounts;
mod source;
mod target;
mod write;

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::progress::Progress;

pub use access::{Access, Keys, Token, read_settings};
pub use disks::{Disk, Refusal, flashable};
pub use source::read_config;
pub use target::{Target, examine};

/// The least that the disk must hold, in bytes: the final layout (`image/mkosi.extra/usr/lib/repart.d`) at its least
/// sizes, with some room for alignment.
pub const LEAST_DISK: u64 = 6 << 30;

/// Why an image was not written, or not written well.
#[derive(Debug, thiserror::Error)]
pub enum FlashError {
    /// A path could not be opened, read or written.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// The verb.
        doing: &'static str,
        /// Which path.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
    /// The target must not be written to.
    #[error("{} is not written to: {refusal}", path.display())]
    Refused {
        /// The target.
        path: PathBuf,
        /// Why.
        refusal: Refusal,
    },
    /// The image is not one of Hearth's.
    #[error("{} is not an image to flash: {reason}", path.display())]
    Image {
        /// The image.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A key file is not what it should be.
    #[error("{}: {reason}", path.display())]
    Key {
        /// The file.
        path: PathBuf,
        /// What is wrong, and the way out.
        reason: &'static str,
    },
    /// Settings have mistakes.
    #[error("{} is not written:\n  {problems}", path.display())]
    Settings {
        /// The file.
        path: PathBuf,
        /// Each with its line, a line each.
        problems: String,
    },
    /// What was read back is not what was written.
    #[error(
        "{} does not hold what was written: it differs within the {length} bytes from byte {offset} on; the device is \
         faulty or not of the size that it claims",
        path.display()
    )]
    Verify {
        /// The target.
        path: PathBuf,
        /// Where the first differing piece begins.
        offset: u64,
        /// How long that piece is.
        length: usize,
    },
}

type Result<T> = std::result::Result<T, FlashError>;

/// Puts the path to an IO error.
trait AtPath<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T>;
}

impl<T, E: Into<io::Error>> AtPath<T> for std::result::Result<T, E> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| FlashError::Io {
            doing,
            path: path.to_owned(),
            source: source.into(),
        })
    }
}

/// What was written and how long it took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flashed {
    /// The image's length in bytes, holes counted.
    pub length: u64,
    /// Bytes that went over the wire; the rest are zeros that the device made by itself.
    pub written: u64,
    /// Wall time until everything was on the medium.
    pub write_time: Duration,
    /// Wall time of reading it all back.
    pub verify_time: Duration,
}

/// Writes `image` to `target` with `access` on its `CONFIG` partition, then reads it back and compares. `rate`, in
/// bytes per second, slows the writing down to that of a slower device.
pub fn flash(
    image: &Path,
    target: &Target,
    access: &Access,
    rate: Option<u64>,
    progress: Progress<'_>,
) -> Result<Flashed> {
    let mut source = source::Source::open(image, target.size, access, access::random()?)?;
    let device = target.open()?;
    let length = source.len();
    let begun = Instant::now();
    let written = progress.step(&format!("write to {}", target.path.display()), || {
        write::write(&mut source, &device, rate, progress)
    })?;
    let write_time = begun.elapsed();
    let begun = Instant::now();
    progress.step(&format!("read back from {}", target.path.display()), || {
        write::verify(&written, &source, &device, progress)
    })?;
    Ok(Flashed {
        length,
        written: written.bytes,
        write_time,
        verify_time: begun.elapsed(),
    })
}

#[cfg(test)]
mod tests;
