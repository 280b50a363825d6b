//! Programs of another Debian's tree, run on this machine's files: in namespaces of their own, without root and
//! without a network.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// Where ggml looks for its back ends, one library for each set of instructions.
const BACKENDS: &str = "usr/lib/x86_64-linux-gnu/ggml/backends0";
/// The one that needs AVX2 and nothing newer.
const AVX2: &str = "libggml-cpu-haswell.so";

/// llama.cpp's programs in their tree.
#[derive(Clone, Debug)]
pub struct LlamaCpp {
    tree: PathBuf,
    backends: Option<PathBuf>,
}

impl LlamaCpp {
    /// As Debian sets it up: it takes the best of its back ends that the processor can run.
    pub fn new(tree: &Path) -> Self {
        Self {
            tree: tree.to_owned(),
            backends: None,
        }
    }

    /// Held to AVX2: it sees that back end only. `folder` is where a folder with it is made.
    pub fn held_to_avx2(tree: &Path, folder: &Path) -> Result<Self> {
        let backends = folder.join("backends-avx2");
        std::fs::create_dir_all(&backends)
            .with_context(|| format!("cannot create {}", backends.display()))?;
        let library = tree.join(BACKENDS).join(AVX2);
        std::fs::copy(&library, backends.join(AVX2))
            .with_context(|| format!("cannot copy {}", library.display()))?;
        Ok(Self {
            tree: tree.to_owned(),
            backends: Some(backends),
        })
    }

    /// The arguments that run `program` in the tree, seeing `folders` where they are on this machine, those in
    /// `writable` to write.
    pub fn command(&self, program: &str, folders: &[&Path], writable: &[&Path]) -> Command {
        let mut command = Command::new("bwrap");
        command.args(["--die-with-parent", "--unshare-net", "--ro-bind"]);
        command.arg(self.tree.join("usr")).arg("/usr");
        command.args(["--symlink", "usr/bin", "/bin", "--symlink", "usr/lib", "/lib"]);
        command.args([
            "--symlink",
            "usr/lib64",
            "/lib64",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
        ]);
        command.args(["--ro-bind", "/sys", "/sys", "--tmpfs", "/tmp", "--ro-bind"]);
        command.arg(self.tree.join("etc")).arg("/etc");
        for folder in folders {
            command.arg("--ro-bind").args([folder, folder]);
        }
        for folder in writable {
            command.arg("--bind").args([folder, folder]);
        }
        if let Some(backends) = &self.backends {
            command
                .arg("--ro-bind")
                .arg(backends)
                .arg(Path::new("/").join(BACKENDS));
        }
        command.arg(program);
        command
    }

    /// Which back end it takes, as it says itself: `haswell`, `zen4`.
    pub fn backend(&self) -> Result<String> {
        let output = self
            .command("llama-bench", &[], &[])
            .arg("--list-devices")
            .output();
        let output = output.context("cannot start bwrap")?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(
            output.status.success(),
            "llama-bench ended with {}: {said}",
            output.status
        );
        backend_in(&said).with_context(|| format!("llama-bench names no back end: {said}"))
    }

    /// Version of its package in the tree, as dpkg knows it.
    pub fn version(&self) -> Result<String> {
        let path = self.tree.join("var/lib/dpkg/status");
        let status =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        package_version(&status, "llama.cpp-tools").context("dpkg knows no llama.cpp-tools in the tree")
    }
}

fn backend_in(said: &str) -> Option<String> {
    let (_, rest) = said.split_once("libggml-cpu-")?;
    Some(rest.split_once(".so")?.0.to_owned())
}

fn package_version(status: &str, package: &str) -> Option<String> {
    let field = |paragraph: &str, name: &str| {
        let value = paragraph
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        value.map(str::to_owned)
    };
    let mut paragraphs = status.split("\n\n");
    let found = paragraphs.find(|paragraph| field(paragraph, "Package").as_deref() == Some(package))?;
    field(found, "Version")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_back_end_is_read_from_its_words() {
        let said = "load_backend: loaded CPU backend from /usr/lib/x86_64-linux-gnu/ggml/backends0/libggml-cpu-zen4.so\n";
        assert_eq!(backend_in(said).as_deref(), Some("zen4"));
        assert_eq!(backend_in("Available devices:"), None);
    }

    #[test]
    fn a_packages_version() {
        let status = "Package: a\nVersion: 1\n\nPackage: llama.cpp-tools\nStatus: install ok\nVersion: 1:0.7.0+dfsg-2\n\n";
        assert_eq!(
            package_version(status, "llama.cpp-tools").as_deref(),
            Some("1:0.7.0+dfsg-2")
        );
        assert_eq!(package_version(status, "b"), None);
    }

    #[test]
    fn what_is_held_to_avx2_sees_nothing_else() {
        let (tree, folder) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let backends = tree.path().join(BACKENDS);
        std::fs::create_dir_all(&backends).unwrap();
        for name in [AVX2, "libggml-cpu-zen4.so"] {
            std::fs::write(backends.join(name), name).unwrap();
        }
        let held = LlamaCpp::held_to_avx2(tree.path(), folder.path()).unwrap();
        let seen = std::fs::read_dir(held.backends.as_ref().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        assert_eq!(seen.collect::<Vec<_>>(), [AVX2]);
        let arguments = held.command("llama-bench", &[], &[]);
        assert!(
            arguments
                .get_args()
                .any(|argument| argument == Path::new("/").join(BACKENDS).as_os_str())
        );
    }
}
