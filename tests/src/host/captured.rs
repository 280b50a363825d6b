//! A captured machine for hearthd to work on: a copy, for it is written to.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Copies a tree of `tests/machines` to a folder that is not there yet.
pub(super) fn copy(name: &str, to: &Path) -> Result<()> {
    let captured = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("machines")
        .join(name);
    tree(&captured, to).with_context(|| format!("cannot copy {}", captured.display()))
}

fn tree(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, place) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, place)?;
        } else if kind.is_dir() {
            tree(&entry.path(), &place)?;
        } else {
            fs::copy(entry.path(), place)?;
        }
    }
    Ok(())
}
