//! Folders that hold a small Debian with chosen packages: programs of another release than the machine's own.

use std::fs;
use std::path::{Path, PathBuf};

use crate::command::{as_root, authorise, remove_as_root, run};
use crate::error::{AtPath, Result};
use crate::hash;
use crate::host::Host;
use crate::mirror::Mirrors;
use crate::paths::Paths;
use crate::progress::Progress;

const OPTIONS: [&str; 8] = [
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

/// For suites whose lists a mirror may hold longer than they say that they are good for.
const EXPIRED: &str = "--aptopt=Acquire::Check-Valid-Until \"false\"";

/// Which packages of which suite.
#[derive(Clone, Copy, Debug)]
pub struct Tree {
    /// What its folder's name begins with.
    pub name: &'static str,
    /// What it is called in progress.
    pub what: &'static str,
    /// Debian's release: `trixie`, `sid`.
    pub suite: &'static str,
    /// What is installed, beside what that needs.
    pub packages: &'static [&'static str],
    /// Whether lists count that are past their date.
    pub expired: bool,
    /// What is done with the packages.
    pub variant: Variant,
}

/// What is done with a tree's packages (mmdebstrap(1), `--variant`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// They are installed, in a Debian that has all that it must have.
    Installed,
    /// They are unpacked and nothing more, none of their scripts run: enough where programs need only their libraries.
    Unpacked,
}

impl Variant {
    fn option(self) -> &'static str {
        match self {
            Self::Installed => "--variant=minbase",
            Self::Unpacked => "--variant=extract",
        }
    }
}

impl Tree {
    /// The tree's folder, made if it is not there. Its name carries a hash of what is in it, so a new list makes a
    /// new one.
    pub fn ensure(&self, paths: &Paths, progress: Progress<'_>) -> Result<PathBuf> {
        let tree = self.folder(paths);
        if tree.exists() {
            return Ok(tree);
        }
        let why = format!(
            "makes {} (mmdebstrap installs Debian packages into it)",
            self.what
        );
        authorise(&why, progress)?;
        progress.step(&format!("make {}", self.what), || {
            self.make(&tree, paths, progress)
        })?;
        Ok(tree)
    }

    fn folder(&self, paths: &Paths) -> PathBuf {
        paths
            .cache()
            .join(format!("{}-{}-{}", self.name, self.suite, self.key()))
    }

    fn options(&self) -> impl Iterator<Item = &'static str> {
        let options = [self.variant.option()].into_iter().chain(OPTIONS);
        options.chain(self.expired.then_some(EXPIRED))
    }

    fn key(&self) -> String {
        let list: Vec<&str> = [self.suite]
            .into_iter()
            .chain(self.packages.iter().copied())
            .chain(self.options())
            .collect();
        hash::of_bytes(list.join("\n").as_bytes())[..12].to_owned()
    }

    fn make(&self, tree: &Path, paths: &Paths, progress: Progress<'_>) -> Result<()> {
        fs::create_dir_all(paths.cache()).at("create", paths.cache())?;
        let part = tree.with_extension("part");
        let log = |step: &str| paths.log(&format!("{}-tree{step}", self.name));
        // What a run that was cut off has left.
        remove_as_root(&part, &log("-remove"), progress)?;
        let root = Path::new("/");
        let mirrors = Mirrors::of_host(root, &Host::read(root)?);
        let mut command = as_root("mmdebstrap", &[]);
        command
            .args(self.options())
            .arg(format!("--include={}", self.packages.join(",")));
        command.arg(self.suite).arg(&part).args(&mirrors.main);
        run(command, &log(""), progress)?;
        let mut rename = as_root("mv", &[]);
        rename.arg("--no-target-directory").args([&part, tree]);
        run(rename, &log("-move"), progress)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: Tree = Tree {
        name: "some",
        what: "some tree",
        suite: "sid",
        packages: &["one", "two"],
        expired: false,
        variant: Variant::Installed,
    };

    #[test]
    fn a_tree_that_is_there_is_used_as_it_is() {
        let cache = tempfile::tempdir().unwrap();
        let paths = Paths::new(Path::new("/nowhere"), cache.path());
        let folder = cache.path().join(format!("some-sid-{}", TREE.key()));
        fs::create_dir(&folder).unwrap();
        assert_eq!(TREE.ensure(&paths, Progress::silent()).unwrap(), folder);
    }

    #[test]
    fn other_packages_and_options_are_another_tree() {
        let keys = [
            TREE.key(),
            Tree {
                packages: &["one"],
                ..TREE
            }
            .key(),
            Tree {
                expired: true,
                ..TREE
            }
            .key(),
            Tree {
                suite: "trixie",
                ..TREE
            }
            .key(),
            Tree {
                variant: Variant::Unpacked,
                ..TREE
            }
            .key(),
        ];
        let mut different = keys.to_vec();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), keys.len());
    }
}
