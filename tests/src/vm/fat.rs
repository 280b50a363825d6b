//! Drives with a FAT file system, as other computers make them.

use std::io::{Cursor, Write};

use anyhow::{Context, Result};
use fatfs::{FileSystem, FormatVolumeOptions, FsOptions, format_volume};

/// How large the file system is, in bytes.
const SIZE: usize = 4 << 20;

/// A file system of this name, of eleven capital letters or spaces, with these files in it.
pub fn fat(name: [u8; 11], files: &[(&str, &str)]) -> Result<Vec<u8>> {
    let mut bytes = vec![0; SIZE];
    let options = FormatVolumeOptions::new().volume_label(name);
    format_volume(Cursor::new(&mut bytes), options).context("cannot make a file system")?;
    let system = FileSystem::new(Cursor::new(&mut bytes), FsOptions::new())?;
    for (name, text) in files {
        let mut file = system.root_dir().create_file(name)?;
        file.write_all(text.as_bytes())?;
        file.flush()?;
    }
    system.unmount()?;
    Ok(bytes)
}
