//! The guest's disk, the image on a larger one, and its further drives.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use image::Progress;
use image::flash::{Access, Flashed, examine, flash};

use crate::process::output;

/// The disk of the tests. Both root slots, `/var` and the model partition fit, and it is far smaller than any mini PC's.
const SIZE: u64 = 8 << 30;

/// Copies the image, holes kept, and enlarges the copy.
pub(super) fn copy(image: &Path, disk: &Path) -> Result<()> {
    output(
        Command::new("cp")
            .args(["--sparse=always", "--reflink=auto", "--"])
            .arg(image)
            .arg(disk),
    )?;
    let file = File::options().write(true).open(disk);
    let file = file.with_context(|| format!("cannot open {}", disk.display()))?;
    file.set_len(SIZE)
        .with_context(|| format!("cannot enlarge {}", disk.display()))
}

/// Makes a drive as large as the disk of the tests that begins with these bytes and is empty from there on.
pub(super) fn make(drive: &Path, beginning: &[u8]) -> Result<()> {
    let make = || {
        let mut file = File::create(drive)?;
        file.write_all(beginning)?;
        file.set_len(SIZE)
    };
    make().with_context(|| format!("cannot make {}", drive.display()))
}

/// Removes all drives of a folder.
pub(super) fn remove_all(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|ending| ending == "raw") {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Flashes the image to a file in a disk's place, as `just flash` does, at most at `rate` bytes a second.
pub(super) fn write(
    image: &Path,
    disk: &Path,
    access: &Access,
    rate: Option<u64>,
    progress: Progress<'_>,
) -> Result<Flashed> {
    let file = File::create(disk).with_context(|| format!("cannot make {}", disk.display()))?;
    file.set_len(SIZE)
        .with_context(|| format!("cannot enlarge {}", disk.display()))?;
    drop(file);
    let target = examine(Path::new("/"), disk, SIZE)?;
    Ok(flash(image, &target, access, rate, progress)?)
}
