//! Memory cgroups: how much memory a process and what it reads took at most, and a limit to it. Version 1 and version 2
//! (`Documentation/admin-guide/cgroup-v1/memory.rst` and `cgroup-v2.rst` in Linux).

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Puts the shell into the group and becomes the command.
const INSIDE: &str = "echo $$ > \"$1/cgroup.procs\" && shift && exec \"$@\"";

/// A new memory cgroup. Removed when dropped, which its processes must have ended for.
#[derive(Debug)]
pub struct MemoryGroup {
    folder: PathBuf,
    files: &'static Files,
}

/// The names of a version's files.
#[derive(Debug, PartialEq, Eq)]
struct Files {
    /// Holds the groups, below where cgroups are.
    root: &'static str,
    limit: &'static str,
    peak: &'static str,
}

const V1: Files = Files {
    root: "memory",
    limit: "memory.limit_in_bytes",
    peak: "memory.max_usage_in_bytes",
};
const V2: Files = Files {
    root: "",
    limit: "memory.max",
    peak: "memory.peak",
};

impl MemoryGroup {
    /// Makes a group of that name, with a limit of memory, page cache included, if one is given. Takes root.
    pub fn new(name: &str, limit: Option<u64>) -> Result<Self> {
        Self::below(Path::new("/sys/fs/cgroup"), name, limit)
    }

    fn below(root: &Path, name: &str, limit: Option<u64>) -> Result<Self> {
        let files = version(root)?;
        let folder = root
            .join(files.root)
            .join(format!("hearth-{name}-{}", std::process::id()));
        if !folder.exists() {
            fs::create_dir(&folder)
                .with_context(|| format!("cannot create {} (this takes root)", folder.display()))?;
        }
        let group = Self { folder, files };
        if let Some(limit) = limit {
            let path = group.folder.join(files.limit);
            fs::write(&path, limit.to_string())
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(group)
    }

    /// The same command, run inside.
    pub fn inside(&self, command: &Command) -> Command {
        let mut wrapped = Command::new("sh");
        wrapped
            .args(["-c", INSIDE, "sh"])
            .arg(&self.folder)
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                wrapped.env(name, value);
            }
        }
        wrapped
    }

    /// Bytes that it took at most.
    pub fn peak(&self) -> Result<u64> {
        let path = self.folder.join(self.files.peak);
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        text.trim().parse().with_context(|| path.display().to_string())
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir(&self.folder) {
            eprintln!("cannot remove {}: {error}", self.folder.display());
        }
    }
}

fn version(root: &Path) -> Result<&'static Files> {
    if root.join(V1.root).join(V1.limit).exists() {
        return Ok(&V1);
    }
    let controllers = fs::read_to_string(root.join("cgroup.subtree_control")).unwrap_or_default();
    if controllers
        .split_whitespace()
        .any(|controller| controller == "memory")
    {
        return Ok(&V2);
    }
    bail!("{} has no memory controller for new groups", root.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_known_by_their_files() {
        let root = tempfile::tempdir().unwrap();
        assert!(version(root.path()).is_err());
        fs::write(root.path().join("cgroup.subtree_control"), "cpu memory pids\n").unwrap();
        assert_eq!(version(root.path()).unwrap(), &V2);
        fs::create_dir(root.path().join("memory")).unwrap();
        fs::write(
            root.path().join("memory/memory.limit_in_bytes"),
            "9223372036854771712\n",
        )
        .unwrap();
        assert_eq!(version(root.path()).unwrap(), &V1);
    }

    #[test]
    fn a_command_writes_itself_into_the_group() {
        let root = tempfile::tempdir().unwrap();
        let group = MemoryGroup {
            folder: root.path().join("g"),
            files: &V1,
        };
        fs::create_dir(&group.folder).unwrap();
        let mut command = Command::new("sh");
        command
            .args(["-c", "echo \"$$ $1 $NAME\"", "sh", "a b"])
            .env("NAME", "n");
        let output = group.inside(&command).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let pid = fs::read_to_string(group.folder.join("cgroup.procs")).unwrap();
        assert_eq!(text, format!("{} a b n\n", pid.trim()));
        fs::remove_file(group.folder.join("cgroup.procs")).unwrap();
    }
}
