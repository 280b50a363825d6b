//! The folder that mkosi and every program it calls live in: Debian trixie's, whatever the machine runs. So each
//! machine builds with the same tools, and nothing of theirs has to be installed on it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{as_root, authorise, remove_as_root, run};
use crate::error::{AtPath, Result};
use crate::hash;
use crate::host::Host;
use crate::mirror::Mirrors;
use crate::paths::Paths;
use crate::progress::Progress;

/// Debian's release that both the tools and the image are of.
pub(crate) const SUITE: &str = "trixie";

const PACKAGES: [&str; 26] = [
    "apt",
    "bubblewrap",
    "ca-certificates",
    "cpio",
    "cryptsetup-bin",
    "debian-archive-keyring",
    "dosfstools",
    "dpkg",
    "e2fsprogs",
    "erofs-utils",
    "fdisk",
    "gnupg",
    "kmod",
    "mkosi",
    "mtools",
    "openssl",
    "python3-cryptography",
    "python3-pefile",
    "sq",
    "systemd-boot",
    "systemd-boot-efi",
    "systemd-container",
    "systemd-repart",
    "systemd-ukify",
    "xfsprogs",
    "zstd",
];

const OPTIONS: [&str; 9] = [
    "--variant=minbase",
    "--mode=root",
    "--components=main",
    "--aptopt=APT::Install-Recommends \"false\"",
    "--aptopt=Acquire::Languages \"none\"",
    // No sync after each file: a tree that was cut off is thrown away.
    "--dpkgopt=force-unsafe-io",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
];

/// The tree's folder, made if it is not there. Its name carries a hash of what is in it, so a new list makes a new one.
pub(crate) fn ensure(paths: &Paths, progress: Progress<'_>) -> Result<PathBuf> {
    let tree = paths.cache().join(format!("tools-{SUITE}-{}", key()));
    if tree.exists() {
        return Ok(tree);
    }
    authorise(
        "makes the folder of build tools (mmdebstrap installs Debian packages into it)",
        progress,
    )?;
    progress.step("make the folder of build tools", || make(&tree, paths, progress))?;
    Ok(tree)
}

fn key() -> String {
    let list = [&[SUITE], &PACKAGES[..], &OPTIONS[..]].concat().join("\n");
    hash::of_bytes(list.as_bytes())[..12].to_owned()
}

fn make(tree: &Path, paths: &Paths, progress: Progress<'_>) -> Result<()> {
    fs::create_dir_all(paths.cache()).at("create", paths.cache())?;
    let part = tree.with_extension("part");
    // What a run that was cut off has left.
    remove_as_root(&part, &paths.log("tools-tree-remove"), progress)?;
    let root = Path::new("/");
    let mirrors = Mirrors::of_host(root, &Host::read(root)?);
    let mut command = as_root("mmdebstrap", &[]);
    command
        .args(OPTIONS)
        .arg(format!("--include={}", PACKAGES.join(",")));
    command.arg(SUITE).arg(&part).args(&mirrors.main);
    run(command, &paths.log("tools-tree"), progress)?;
    let mut rename = as_root("mv", &[]);
    rename.arg("--no-target-directory").args([&part, tree]);
    run(rename, &paths.log("tools-tree-move"), progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_without_doubles() {
        assert!(PACKAGES.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_tree_that_is_there_is_used_as_it_is() {
        let cache = tempfile::tempdir().unwrap();
        let tree = cache.path().join(format!("tools-{SUITE}-{}", key()));
        fs::create_dir(&tree).unwrap();
        let paths = Paths::new(Path::new("/nowhere"), cache.path());
        assert_eq!(ensure(&paths, Progress::silent()).unwrap(), tree);
    }
}
