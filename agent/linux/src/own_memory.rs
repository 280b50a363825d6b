//! How much memory this process may take. Sources: the kernel's `filesystems/proc.rst` and
//! `admin-guide/cgroup-v2.rst`.

use crate::parse;
use crate::problem::Problem;
use crate::reader::Reader;
use crate::tree::Tree;
use crate::{cgroup, meminfo};
use machine::{Bytes, Warning};

/// The groups that this process is in, a line for each hierarchy.
const OWN_GROUPS: &str = "/proc/self/cgroup";
/// Above the one a group must not go, and from the other on it is made to give back.
const LIMITS: [&str; 2] = ["memory.max", "memory.high"];

/// How much memory this process may take, as far as it can tell: a sandbox may hide either.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnMemory {
    /// What the machine could give without swapping (`MemAvailable`).
    pub available: Option<Bytes>,
    /// The lowest limit of this process's control groups, version 2.
    pub limit: Option<Bytes>,
    /// What was there and could not be read.
    pub warnings: Vec<Warning>,
}

impl OwnMemory {
    /// Reads it once.
    pub fn read(tree: &Tree) -> Self {
        let mut reader = Reader::new(tree);
        let available = reader
            .optional(meminfo::FILE, meminfo::parse)
            .and_then(|memory| memory.mem_available);
        let group = reader.optional(OWN_GROUPS, own_group).flatten();
        let limit = group.and_then(|group| limit(&mut reader, &group));
        Self {
            available,
            limit,
            warnings: reader.into_warnings(),
        }
    }
}

/// The lowest limit of a group and of those that it is in, the root among them: in a container that is the container's
/// own group, and has limits. What others in a group take of its limit is not looked at.
fn limit(reader: &mut Reader<'_>, group: &str) -> Option<Bytes> {
    let group = group.trim_end_matches('/');
    let groups: Vec<_> =
        std::iter::successors(Some(group), |group| Some(group.rsplit_once('/')?.0)).collect();
    let mut read = |group: &str, file: &str| {
        let path = format!("{}{group}/{file}", cgroup::DIR);
        reader.optional(&path, parse_limit).flatten()
    };
    groups
        .iter()
        .flat_map(|group| LIMITS.map(|file| read(group, file)))
        .flatten()
        .min()
}

/// The group of version 2's hierarchy, from its root on. One that lies outside of what is seen here begins with `/..`
/// (cgroup_namespaces(7)) and has no files here.
fn own_group(text: &str) -> Result<Option<String>, Problem> {
    let group = text.lines().find_map(|line| line.strip_prefix("0::"));
    match group {
        Some(group) if !group.starts_with('/') => Err(Problem::malformed(group, "a control group's path")),
        group => Ok(group
            .filter(|group| !group.split('/').any(|part| part == ".."))
            .map(str::to_owned)),
    }
}

/// `None` for `max`, which is no limit.
fn parse_limit(text: &str) -> Result<Option<Bytes>, Problem> {
    match text.trim() {
        "max" => Ok(None),
        _ => parse::bytes(text).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;

    const UNIT: &str = "/system.slice/hearth-inferd.service";

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A machine on which this process is in [`UNIT`].
    fn machine(limits: &[(&str, &str)]) -> (tempfile::TempDir, OwnMemory) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, "proc/meminfo", "MemTotal: 8000 kB\nMemAvailable: 6000 kB\n");
        write(root, "proc/self/cgroup", &format!("4:memory:/x\n0::{UNIT}\n"));
        for (file, text) in limits {
            write(root, &format!("sys/fs/cgroup{file}"), text);
        }
        let memory = OwnMemory::read(&Tree::open(root).unwrap());
        (folder, memory)
    }

    #[test]
    fn the_lowest_limit_of_all_groups_counts() {
        let own = format!("{UNIT}/memory.max");
        let high = format!("{UNIT}/memory.high");
        let slice = "/system.slice/memory.max";
        for (limits, lowest) in [
            (
                [(own.as_str(), "5000\n"), (&high, "max\n"), (slice, "max\n")],
                Some(5000),
            ),
            (
                [(&own, "5000\n"), (&high, "4000\n"), (slice, "max\n")],
                Some(4000),
            ),
            (
                [(&own, "5000\n"), (&high, "max\n"), (slice, "3000\n")],
                Some(3000),
            ),
            ([(&own, "max\n"), (&high, "max\n"), (slice, "max\n")], None),
        ] {
            let (_folder, memory) = machine(&limits);
            assert_eq!(memory.limit, lowest.map(Bytes), "{limits:?}");
            assert_eq!(memory.available, Some(Bytes(6000 * 1024)));
            assert_eq!(memory.warnings, []);
        }
    }

    #[test]
    fn the_root_of_a_container_has_a_limit() {
        let limit = ("/memory.max", "2000\n");
        let (folder, memory) = machine(&[limit]);
        assert_eq!(memory.limit, Some(Bytes(2000)), "of a unit in the container");
        write(folder.path(), "proc/self/cgroup", "0::/\n");
        let memory = OwnMemory::read(&Tree::open(folder.path()).unwrap());
        assert_eq!(
            memory.limit,
            Some(Bytes(2000)),
            "of the container's first process"
        );
    }

    #[test]
    fn what_a_sandbox_hides_is_unknown_and_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let tree = Tree::open(folder.path()).unwrap();
        assert_eq!(OwnMemory::read(&tree), OwnMemory::default());
    }

    #[test]
    fn a_limit_that_is_no_number_is_a_warning_and_costs_no_other() {
        let own = format!("{UNIT}/memory.max");
        let (_folder, memory) = machine(&[(&own, "lots\n"), ("/system.slice/memory.max", "3000\n")]);
        assert_eq!(memory.limit, Some(Bytes(3000)));
        assert_eq!(memory.warnings.len(), 1, "{:?}", memory.warnings);
        assert!(memory.warnings[0].path.ends_with(&own));
    }

    #[test]
    fn a_group_outside_of_what_is_seen_has_no_limit_here() {
        assert_eq!(own_group("0::/../other\n").unwrap(), None);
        assert_eq!(own_group("1:name=systemd:/\n").unwrap(), None);
        assert!(own_group("0::other\n").is_err());
    }

    #[test]
    fn this_machine_tells_what_it_has() {
        let memory = OwnMemory::read(&Tree::open("/").unwrap());
        assert!(
            memory.available.is_some_and(|bytes| bytes > Bytes(0)),
            "{memory:?}"
        );
        assert_eq!(memory.warnings, []);
    }
}
