//! Running mkosi: this machine's Python runs the mkosi that lies in the tools tree, which brings every other program.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use crate::command::{as_root, authorise, is_root, remove_as_root, run};
use crate::error::{AtPath, Error, Result};
use crate::hash;
use crate::mirror::Mirrors;
use crate::paths::Paths;
use crate::progress::Progress;

/// Memory that a workspace in memory leaves free, and what it takes itself, in bytes.
const WORKSPACE: u64 = 6 << 30;

/// The version that the image and its partitions carry.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What one run of mkosi works with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run<'a> {
    /// See [`crate::tools_tree::ensure`].
    pub(crate) tools: &'a Path,
    /// See [`crate::stage::stage`].
    pub(crate) stage: &'a Path,
    /// Where packages come from.
    pub(crate) mirrors: &'a Mirrors,
    /// The partitions' and file systems' ids follow from it, a UUID: the same inputs give the same ids.
    pub(crate) seed: &'a str,
    /// The time that files of the image carry at most, in seconds since 1970.
    pub(crate) epoch: u64,
    /// Whether packages installed by an earlier run may not be used again.
    pub(crate) fresh: bool,
}

impl Run<'_> {
    /// Builds and returns the raw image, owned by the caller, in a folder that the next run empties.
    pub(crate) fn build(&self, paths: &Paths, progress: Progress<'_>) -> Result<PathBuf> {
        let work = paths.cache().join("mkosi");
        let out = work.join("out");
        for folder in ["cache", "packages", "out"] {
            let folder = work.join(folder);
            fs::create_dir_all(&folder).at("create", &folder)?;
        }
        let sandbox = self.write_sandbox(paths, &work)?;
        authorise(
            "runs mkosi, which installs packages into the image and makes its file systems",
            progress,
        )?;
        let workspace = workspace(&work, paths, progress)?;
        let log = paths.log("mkosi");
        let command = self.command(paths, &work, &workspace, sandbox.as_deref());
        let ran = progress.step("build the image", || run(command, &log, progress));
        remove_as_root(&workspace, &paths.log("workspace-remove"), progress)?;
        ran?;
        hand_over(&out, paths, progress)?;
        let image = out.join(format!("hearth_{VERSION}.raw"));
        if image.exists() {
            Ok(image)
        } else {
            Err(Error::NoImage { image, log })
        }
    }

    fn command(
        &self,
        paths: &Paths,
        work: &Path,
        workspace: &Path,
        sandbox: Option<&Path>,
    ) -> std::process::Command {
        let modules = self.tools.join("usr/lib/python3/dist-packages");
        let epoch = self.epoch.to_string();
        let env = [
            ("PYTHONPATH", modules.as_os_str()),
            ("PYTHONDONTWRITEBYTECODE", OsStr::new("1")),
            ("SOURCE_DATE_EPOCH", OsStr::new(&epoch)),
        ];
        let mut command = as_root("python3", &env);
        command.args(["-m", "mkosi", "--directory"]).arg(paths.recipe());
        command
            .arg("--tools-tree")
            .arg(self.tools)
            .arg("--extra-tree")
            .arg(self.stage);
        if let Some(mirror) = &self.mirrors.main {
            command.arg("--mirror").arg(mirror);
        }
        if let Some(sandbox) = sandbox {
            command.arg("--sandbox-tree").arg(sandbox);
        }
        command.args([
            "--image-version",
            VERSION,
            "--seed",
            self.seed,
            "--incremental=yes",
        ]);
        command.arg("--workspace-directory").arg(workspace);
        for (option, folder) in [
            ("--cache-directory", "cache"),
            ("--package-cache-dir", "packages"),
            ("--output-directory", "out"),
        ] {
            command.arg(option).arg(work.join(folder));
        }
        // Twice: what was cached of earlier runs goes too.
        command.arg(if self.fresh { "-ff" } else { "-f" }).arg("build");
        command
    }

    /// Fills the recipe's list of package sources. Without a known mirror mkosi's own list serves.
    fn write_sandbox(&self, paths: &Paths, work: &Path) -> Result<Option<PathBuf>> {
        let Some(main) = &self.mirrors.main else {
            return Ok(None);
        };
        let template = paths.recipe().join("mkosi.sources.in");
        let text = fs::read_to_string(&template).at("read", &template)?;
        let folder = work.join("sandbox/etc/apt/sources.list.d");
        fs::create_dir_all(&folder).at("create", &folder)?;
        let path = folder.join("mkosi.sources");
        fs::write(&path, fill_sources(&text, main, self.mirrors.security.as_deref())).at("write", &path)?;
        Ok(Some(work.join("sandbox")))
    }
}

/// Puts the mirrors into the template. Without a security mirror its stanza is left out.
fn fill_sources(template: &str, main: &str, security: Option<&str>) -> String {
    let stanzas = template
        .split("\n\n")
        .filter(|stanza| security.is_some() || !stanza.contains("@MIRROR_SECURITY@"));
    let text = stanzas.collect::<Vec<_>>().join("\n\n");
    text.replace("@MIRROR@", main)
        .replace("@MIRROR_SECURITY@", security.unwrap_or_default())
}

/// A folder to unpack packages in: in memory where there is enough of it, for dpkg syncs each file to the disk. Its name
/// follows from the cache's path, so that the next run finds and removes what one that was killed has left.
fn workspace(work: &Path, paths: &Paths, progress: Progress<'_>) -> Result<PathBuf> {
    let memory = Path::new("/dev/shm");
    let name = format!(
        "hearth-mkosi-{}",
        &hash::of_bytes(work.as_os_str().as_bytes())[..12]
    );
    for place in [memory, work] {
        remove_as_root(&place.join(&name), &paths.log("workspace-remove"), progress)?;
    }
    let folder = if has_room(memory) { memory } else { work }.join(name);
    fs::DirBuilder::new()
        .mode(0o755)
        .create(&folder)
        .at("create", &folder)?;
    Ok(folder)
}

fn has_room(memory: &Path) -> bool {
    let free = nix::sys::statvfs::statvfs(memory).map(|stat| stat.blocks_available() * stat.fragment_size());
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    free.is_ok_and(|free| free >= WORKSPACE)
        && available(&meminfo).is_some_and(|bytes| bytes >= 2 * WORKSPACE)
}

/// `MemAvailable` of /proc/meminfo in bytes.
fn available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? << 10)
}

/// Makes the results of a run through sudo the caller's own.
fn hand_over(out: &Path, paths: &Paths, progress: Progress<'_>) -> Result<()> {
    if is_root() {
        return Ok(());
    }
    let (user, group) = (nix::unistd::Uid::current(), nix::unistd::Gid::current());
    let mut command = as_root("chown", &[]);
    command.args(["--recursive", &format!("{user}:{group}")]).arg(out);
    run(command, &paths.log("chown"), progress)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str =
        "# Why.\nURIs: @MIRROR@\nSuites: trixie\n\nURIs: @MIRROR_SECURITY@\nSuites: trixie-security\n";

    #[test]
    fn both_mirrors_are_filled_in() {
        let text = fill_sources(TEMPLATE, "http://m", Some("http://s"));
        assert_eq!(
            text,
            "# Why.\nURIs: http://m\nSuites: trixie\n\nURIs: http://s\nSuites: trixie-security\n"
        );
    }

    #[test]
    fn without_a_security_mirror_its_stanza_goes() {
        assert_eq!(
            fill_sources(TEMPLATE, "http://m", None),
            "# Why.\nURIs: http://m\nSuites: trixie"
        );
    }

    #[test]
    fn the_recipes_template_has_both_places() {
        let text = fs::read_to_string(Paths::discover().recipe().join("mkosi.sources.in")).unwrap();
        assert!(fill_sources(&text, "http://m", None).contains("URIs: http://m"));
        assert!(!fill_sources(&text, "http://m", Some("http://s")).contains('@'));
    }

    #[test]
    fn the_initrd_finds_the_disk_as_the_system_does_and_fstab_has_what_is_found() {
        let recipe = Paths::discover().recipe();
        let read = |path: &str| fs::read_to_string(recipe.join(path)).unwrap();
        let rules = "mkosi.extra/usr/lib/udev/rules.d/81-hearth-disk.rules";
        let text = read(rules);
        assert_eq!(text, read(&format!("mkosi.images/initrd/{rules}")));
        let fstab = read("mkosi.extra/etc/fstab");
        let entries: Vec<&str> = fstab.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(entries.len(), 3);
        for entry in entries {
            let link = entry.split_whitespace().next().unwrap();
            let name = link.strip_prefix("/dev/disk/hearth/").unwrap();
            assert!(text.contains(name), "{name} is no link of {rules}");
        }
    }

    #[test]
    fn available_memory_is_in_bytes() {
        assert_eq!(
            available("MemTotal:  99 kB\nMemAvailable:    2048 kB\n"),
            Some(2 << 20)
        );
        assert_eq!(available("MemTotal:  99 kB\n"), None);
    }
}
