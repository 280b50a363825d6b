//! The packages that the build and the tests in a virtual machine need, and their installation.
//!
//! What counts is the thing itself (a program, a file), not the package's name in a database: so a machine of another
//! distribution that has everything is as good.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::command::{as_root, authorise, installed, is_installed, run};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::paths::Paths;
use crate::progress::Progress;

/// Something that must be there.
#[derive(Clone, Copy, Debug)]
struct Need {
    /// Debian's and Ubuntu's package of it; of a browser, Debian's.
    package: &'static str,
    proof: Proof,
}

/// How its presence shows.
#[derive(Clone, Copy, Debug)]
enum Proof {
    /// A program in the search path.
    Program(&'static str),
    /// One of these programs in the search path.
    Programs(&'static [&'static str]),
    /// One of these files, from the root.
    File(&'static [&'static str]),
    /// Python modules that can be imported.
    Python(&'static str),
}

/// Where distributions put the virtual machine's firmware.
const FIRMWARE: [&str; 3] = [
    "usr/share/OVMF/OVMF_CODE_4M.fd",
    "usr/share/edk2/x64/OVMF_CODE.4m.fd",
    "usr/share/edk2/ovmf/OVMF_CODE.fd",
];

/// Where distributions put the font of pictures.
const FONTS: [&str; 3] = [
    "usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "usr/share/fonts/TTF/DejaVuSans.ttf",
    "usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
];

const NEEDS: [Need; 19] = [
    // The gateway's page.
    Need {
        package: "npm",
        proof: Proof::Program("npm"),
    },
    // Rust crates with C in them.
    Need {
        package: "gcc",
        proof: Proof::Program("cc"),
    },
    Need {
        package: "libc6-dev",
        proof: Proof::File(&["usr/include/stdio.h"]),
    },
    Need {
        package: "pkg-config",
        proof: Proof::Program("pkg-config"),
    },
    Need {
        package: "git",
        proof: Proof::Program("git"),
    },
    // Downloads.
    Need {
        package: "ca-certificates",
        proof: Proof::File(&["etc/ssl/certs/ca-certificates.crt"]),
    },
    Need {
        package: "python3",
        proof: Proof::Program("python3"),
    },
    Need {
        package: "python3-venv",
        proof: Proof::Python("venv, ensurepip"),
    },
    // The image.
    Need {
        package: "mmdebstrap",
        proof: Proof::Program("mmdebstrap"),
    },
    Need {
        package: "debian-archive-keyring",
        proof: Proof::File(&["usr/share/keyrings/debian-archive-keyring.gpg"]),
    },
    Need {
        package: "bubblewrap",
        proof: Proof::Program("bwrap"),
    },
    Need {
        package: "zstd",
        proof: Proof::Program("zstd"),
    },
    // The virtual machine.
    Need {
        package: "qemu-system-x86",
        proof: Proof::Program("qemu-system-x86_64"),
    },
    Need {
        package: "ovmf",
        proof: Proof::File(&FIRMWARE),
    },
    Need {
        package: "openssh-client",
        proof: Proof::Program("ssh-keygen"),
    },
    // The simulated hardware around it: its firmware's tables, and pictures of its heat.
    Need {
        package: "acpica-tools",
        proof: Proof::Program("iasl"),
    },
    Need {
        package: "fonts-dejavu-core",
        proof: Proof::File(&FONTS),
    },
    // The daemons on the host, and another's view of their certificates.
    Need {
        package: "openssl",
        proof: Proof::Program("openssl"),
    },
    Need {
        package: "dbus-daemon",
        proof: Proof::Program("dbus-daemon"),
    },
];

/// Browsers that the page's tests can drive. Ubuntu's own is none: as a snap it sees none of what drives it.
const BROWSERS: [&str; 3] = ["chromium", "google-chrome", "google-chrome-stable"];

/// What the tests of the page need and nothing else does.
const BROWSER: Need = Need {
    package: "chromium",
    proof: Proof::Programs(&BROWSERS),
};

impl Need {
    fn is_met(&self, root: &Path) -> bool {
        match self.proof {
            Proof::Program(name) => is_installed(name),
            Proof::Programs(names) => names.iter().any(|name| is_installed(name)),
            Proof::File(paths) => paths.iter().any(|path| root.join(path).exists()),
            Proof::Python(modules) => imports(modules),
        }
    }
}

/// The browser of the page's tests.
pub fn browser() -> Option<PathBuf> {
    BROWSERS.into_iter().find_map(installed)
}

/// The packages whose contents are not on this machine.
fn missing(needs: &[Need], root: &Path) -> Vec<&'static str> {
    needs
        .iter()
        .filter(|need| !need.is_met(root))
        .map(|need| need.package)
        .collect()
}

/// Installs what is missing. Does nothing, and asks for no right, when nothing is.
pub fn ensure_packages(paths: &Paths, progress: Progress<'_>) -> Result<()> {
    ensure(&NEEDS, paths, progress)
}

/// The same for the browser of the page's tests, on Debian. Elsewhere it is installed by hand, and the tests say so.
pub fn ensure_browser(paths: &Paths, progress: Progress<'_>) -> Result<()> {
    if Host::read(Path::new("/"))?.id == "debian" {
        ensure(&[BROWSER], paths, progress)?;
    }
    Ok(())
}

fn ensure(needs: &[Need], paths: &Paths, progress: Progress<'_>) -> Result<()> {
    let root = Path::new("/");
    let missing = missing(needs, root);
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    let host = Host::read(root)?;
    if !host.is_served() || !is_installed("apt-get") {
        let missing = format!("Install by hand what these packages hold: {list}");
        return Err(Error::Distribution {
            host: host.name,
            missing,
        });
    }
    authorise(&format!("installs {list} by apt-get"), progress)?;
    progress.step(&format!("install {list}"), || install(&missing, paths, progress))?;
    match self::missing(needs, root) {
        still if still.is_empty() => Ok(()),
        still => Err(Error::StillMissing {
            missing: still.join(" "),
        }),
    }
}

/// Installs by apt-get. The lists are fetched first where they do not know a package, and again when they turn out
/// to be too old.
fn install(packages: &[&str], paths: &Paths, progress: Progress<'_>) -> Result<()> {
    let known = packages.iter().all(|package| is_known(package));
    if !known {
        apt_get(&["update"], paths, progress)?;
    }
    let arguments = [&["install", "--yes", "--no-install-recommends"], packages].concat();
    match apt_get(&arguments, paths, progress) {
        Err(Error::Program { .. }) if known => {
            apt_get(&["update"], paths, progress)?;
            apt_get(&arguments, paths, progress)
        }
        result => result,
    }
}

fn apt_get(arguments: &[&str], paths: &Paths, progress: Progress<'_>) -> Result<()> {
    let mut command = as_root("apt-get", &[("DEBIAN_FRONTEND", OsStr::new("noninteractive"))]);
    // Another apt-get (unattended upgrades on a fresh machine) is waited for, five minutes at most.
    command.args([
        "--quiet",
        "-o",
        "DPkg::Lock::Timeout=300",
        "-o",
        "Dpkg::Options::=--force-confold",
    ]);
    command.args(arguments);
    run(command, &paths.log("apt-get"), progress)
}

fn is_known(package: &str) -> bool {
    succeeds(Command::new("apt-cache").args(["show", "--no-all-versions", package]))
}

fn imports(modules: &str) -> bool {
    succeeds(Command::new("python3").args(["-c", &format!("import {modules}")]))
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_asks_for_its_package() {
        let root = tempfile::tempdir().unwrap();
        let before = missing(&NEEDS, root.path());
        assert!(
            before.contains(&"ovmf") && before.contains(&"libc6-dev"),
            "{before:?}"
        );
        std::fs::create_dir_all(root.path().join("usr/share/OVMF")).unwrap();
        std::fs::write(root.path().join("usr/share/OVMF/OVMF_CODE_4M.fd"), "").unwrap();
        assert!(!missing(&NEEDS, root.path()).contains(&"ovmf"));
    }

    #[test]
    fn every_package_is_named_once() {
        let mut names: Vec<_> = NEEDS.iter().map(|need| need.package).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NEEDS.len());
    }
}
