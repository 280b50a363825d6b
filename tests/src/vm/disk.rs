//! The guest's disk: the image on a larger disk.

use std::fs::File;
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
