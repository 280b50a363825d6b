//! What the machine is made of.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use image::{Paths, Tree, Variant, ensure_packages};
use tests::process::output;
use tests::report::{step, with_progress};

/// Bochs, firmware, and what makes a disc that it boots.
const BOCHS: Tree = Tree {
    name: "bochs",
    what: "a folder with Bochs",
    suite: "trixie",
    packages: &["bochs", "isolinux", "seabios", "syslinux-common", "xorriso"],
    expired: false,
    variant: Variant::Unpacked,
};

/// A kernel that knows `setcpuid=`, as those from 6.15 on do.
const KERNEL: Tree = Tree {
    name: "kernel",
    what: "a folder with a kernel",
    suite: "sid",
    packages: &["linux-image-cloud-amd64"],
    expired: true,
    variant: Variant::Unpacked,
};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Everything, on this host.
#[derive(Debug)]
pub(crate) struct Parts {
    /// [`BOCHS`].
    pub(crate) tree: PathBuf,
    pub(crate) kernel: PathBuf,
    /// The program, which needs no other file.
    pub(crate) program: PathBuf,
    /// Where the machine's files may lie.
    pub(crate) folder: PathBuf,
}

impl Parts {
    /// Fetches and builds what is missing.
    pub(crate) fn ensure() -> Result<Self> {
        let paths = Paths::discover();
        with_progress(|progress| ensure_packages(&paths, progress))?;
        let lock = paths.lock()?;
        let tree = with_progress(|progress| BOCHS.ensure(&paths, progress))?;
        let kernel = with_progress(|progress| KERNEL.ensure(&paths, progress))?;
        drop(lock);
        Ok(Self {
            tree,
            kernel: kernel_in(&kernel.join("usr/lib/modules"))?,
            program: step("build the program", || build(paths.repo()))?,
            folder: paths.cache().join("bochs"),
        })
    }
}

/// The one kernel that is there.
fn kernel_in(modules: &Path) -> Result<PathBuf> {
    let read = || format!("cannot read {}", modules.display());
    for entry in fs::read_dir(modules).with_context(read)? {
        let kernel = entry.with_context(read)?.path().join("vmlinuz");
        if kernel.is_file() {
            return Ok(kernel);
        }
    }
    anyhow::bail!(
        "no vmlinuz below {}; delete that tree to have it made anew",
        modules.display()
    )
}

/// Builds `paths` with its libraries in it, beside this program's own folder.
fn build(repo: &Path) -> Result<PathBuf> {
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    let target = own.ancestors().nth(2).context("a program outside any folder")?;
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .current_dir(repo)
        .env("RUSTFLAGS", "-C target-feature=+crt-static")
        .args(["build", "--release", "--quiet", "--package", "paths"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(target);
    output(&mut cargo)?;
    Ok(target.join(TARGET).join("release/paths"))
}
