//! The folder that mkosi and every program it calls live in: Debian trixie's, whatever the machine runs. So each
//! machine builds with the same tools, and nothing of theirs has to be installed on it.

use std::path::PathBuf;

use crate::error::Result;
use crate::paths::Paths;
use crate::progress::Progress;
use crate::tree::{Tree, Variant};

/// Debian's release that both the tools and the image are of.
pub(crate) const SUITE: &str = "trixie";

const PACKAGES: &[&str] = &[
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

const TREE: Tree = Tree {
    name: "tools",
    what: "the folder of build tools",
    suite: SUITE,
    packages: PACKAGES,
    expired: false,
    variant: Variant::Installed,
};

/// The tree's folder, made if it is not there.
pub(crate) fn ensure(paths: &Paths, progress: Progress<'_>) -> Result<PathBuf> {
    TREE.ensure(paths, progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_and_without_doubles() {
        assert!(PACKAGES.is_sorted_by(|a, b| a < b));
    }
}
