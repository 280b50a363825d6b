//! The guest's disk: the image on a larger disk.

use std::fs::File;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::output;

/// The disk of the tests. Both root slots, `/var` and the model partition fit, and it is far smaller than any mini PC's.
pub const SIZE: u64 = 8 << 30;

/// Copies the image, holes kept, and enlarges the copy: what a flashed disk looks like before its first boot.
pub fn from_image(image: &Path, disk: &Path, size: u64) -> Result<()> {
    output(
        Command::new("cp")
            .args(["--sparse=always", "--reflink=auto", "--"])
            .arg(image)
            .arg(disk),
    )?;
    let file = File::options().write(true).open(disk);
    let file = file.with_context(|| format!("cannot open {}", disk.display()))?;
    file.set_len(size)
        .with_context(|| format!("cannot enlarge {}", disk.display()))
}
