//! Block devices as sysfs shows them, and the rules for what may be erased. The kernel's own guard (opening with
//! `O_EXCL`) comes on top; these rules say why.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::mounts::{Mount, parse_mountinfo, parse_swaps};

/// Mount points of a running system.
const SYSTEM: [&str; 9] = [
    "/",
    "/boot",
    "/boot/efi",
    "/boot/firmware",
    "/efi",
    "/etc",
    "/home",
    "/usr",
    "/var",
];

/// A whole disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disk {
    /// The kernel's name: `sdb`, `nvme0n1`.
    pub name: String,
    /// Vendor and model, as far as the disk tells them.
    pub model: String,
    /// Bytes.
    pub size: u64,
}

/// Why a target must not be written to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A character device, a folder …
    #[error("it is neither a disk nor a file")]
    NeitherDiskNorFile,
    /// sysfs does not know it.
    #[error("the kernel knows no disk of this number")]
    Unknown,
    /// Part of a disk.
    #[error("it is a partition of {disk}; the image is for a whole disk: /dev/{disk}")]
    Partition {
        /// The disk it is part of.
        disk: String,
    },
    /// A device that is made of others.
    #[error("it is not a disk of its own, but made of {parts}")]
    Composed {
        /// The devices below.
        parts: String,
    },
    /// The running system needs it.
    #[error("this machine runs from it ({device} is mounted at {at})")]
    System {
        /// The partition or device above it.
        device: String,
        /// The mount point.
        at: String,
    },
    /// Something on it is mounted.
    #[error("{device} is mounted at {at}; unmount it first: umount {at}")]
    Mounted {
        /// The partition or device above it.
        device: String,
        /// The mount point.
        at: String,
    },
    /// Memory is swapped to it.
    #[error("{device} is swap space in use; switch it off first: swapoff /dev/{device}")]
    Swap {
        /// The partition.
        device: String,
    },
    /// An LVM volume, an encrypted or RAID device lies on it.
    #[error("{device} is in use by {holder}; take that down first")]
    Held {
        /// The partition.
        device: String,
        /// What lies on it.
        holder: String,
    },
    /// It cannot be written to.
    #[error("it is read-only (a lock switch on the card, or blockdev --setro)")]
    ReadOnly,
    /// It has sectors that the image's partition table is not made for.
    #[error("its sectors are of {size} bytes; the image is made for 512")]
    SectorSize {
        /// Logical sector in bytes.
        size: u64,
    },
    /// Too small.
    #[error("it holds {}, and at least {} are needed", Bytes(*size), Bytes(*least))]
    TooSmall {
        /// Bytes it has.
        size: u64,
        /// Bytes needed.
        least: u64,
    },
}

/// Bytes as disks are sold: in powers of ten.
pub(super) struct Bytes(pub(super) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0 as f64;
        match self.0 {
            0..1_000_000 => write!(f, "{} bytes", self.0),
            1_000_000..1_000_000_000 => write!(f, "{:.1} MB", value / 1e6),
            _ => write!(f, "{:.1} GB", value / 1e9),
        }
    }
}

/// Finds the disk with the device number `device` (`major:minor`) below `root` and decides whether it may be erased.
pub(super) fn check(root: &Path, device: &str, least: u64) -> Result<Disk, Refusal> {
    let Some(folder) = find(root, device) else {
        return Err(partition_of(root, device).map_or(Refusal::Unknown, |disk| Refusal::Partition { disk }));
    };
    let parts = names(&folder.join("slaves"));
    if !parts.is_empty() {
        return Err(Refusal::Composed {
            parts: parts.join(", "),
        });
    }
    InUse::read(root).refuse(&folder)?;
    refuse_by_nature(&folder, least)?;
    Ok(describe(&folder))
}

/// The disks that would not be refused.
pub fn flashable(root: &Path, least: u64) -> Vec<Disk> {
    let devices = blocks(root).into_iter().filter_map(|folder| text(&folder, "dev"));
    devices
        .filter_map(|device| check(root, &device, least).ok())
        .collect()
}

fn refuse_by_nature(folder: &Path, least: u64) -> Result<(), Refusal> {
    let disk = describe(folder);
    if text(folder, "ro").as_deref() == Some("1") {
        return Err(Refusal::ReadOnly);
    }
    let sector = number(folder, "queue/logical_block_size").unwrap_or(512);
    if sector != 512 {
        return Err(Refusal::SectorSize { size: sector });
    }
    if disk.size < least {
        return Err(Refusal::TooSmall {
            size: disk.size,
            least,
        });
    }
    Ok(())
}

fn describe(folder: &Path) -> Disk {
    let words = ["device/vendor", "device/model"].map(|file| text(folder, file).unwrap_or_default());
    // sysfs counts in 512 bytes, whatever the disk's sectors are.
    let size = number(folder, "size").unwrap_or(0) * 512;
    Disk {
        name: name(folder),
        model: words.join(" ").trim().to_owned(),
        size,
    }
}

/// Everything that the kernel has in use.
struct InUse {
    mounts: Vec<Mount>,
    swaps: Vec<String>,
    blocks: Vec<PathBuf>,
}

impl InUse {
    fn read(root: &Path) -> Self {
        let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
        Self {
            mounts: parse_mountinfo(&read("proc/self/mountinfo")),
            swaps: parse_swaps(&read("proc/swaps")),
            blocks: blocks(root),
        }
    }

    /// Looks at the disk, its partitions, and whatever lies on them, for the worst use first.
    fn refuse(&self, disk: &Path) -> Result<(), Refusal> {
        let devices = self.with_holders(disk);
        let mounted = devices.iter().flat_map(|device| {
            self.mounts_of(device)
                .map(|mount| (name(device), mount.at.clone()))
        });
        let mounted: Vec<_> = mounted.collect();
        if let Some((device, at)) = mounted
            .iter()
            .find(|(_, at)| SYSTEM.contains(&at.as_str()))
            .cloned()
        {
            return Err(Refusal::System { device, at });
        }
        if let Some((device, at)) = mounted.into_iter().next() {
            return Err(Refusal::Mounted { device, at });
        }
        if let Some(device) = devices.iter().find(|device| self.is_swap(device)) {
            return Err(Refusal::Swap { device: name(device) });
        }
        let held = devices
            .iter()
            .find_map(|device| Some((name(device), names(&device.join("holders")).pop()?)));
        held.map_or(Ok(()), |(device, holder)| Err(Refusal::Held { device, holder }))
    }

    /// The disk, its partitions, and all that is made of them, by their folders.
    fn with_holders(&self, disk: &Path) -> Vec<PathBuf> {
        let mut found = vec![disk.to_owned()];
        found.extend(partitions(disk));
        let mut next = 0;
        while let Some(device) = found.get(next).cloned() {
            next += 1;
            for holder in names(&device.join("holders")) {
                let folder = self.blocks.iter().find(|folder| name(folder) == holder);
                if let Some(folder) = folder.filter(|folder| !found.contains(folder)) {
                    found.push(folder.clone());
                }
            }
        }
        found
    }

    /// Mounts of a device: by its number, or by its name where the file system has a number of its own.
    fn mounts_of(&self, device: &Path) -> impl Iterator<Item = &Mount> {
        let number = text(device, "dev").unwrap_or_default();
        let aliases = aliases(device);
        self.mounts
            .iter()
            .filter(move |mount| mount.device == number || aliases.contains(&mount.source))
    }

    fn is_swap(&self, device: &Path) -> bool {
        let aliases = aliases(device);
        self.swaps.iter().any(|path| aliases.contains(path))
    }
}

/// The paths that a device goes by in mounts and swaps.
fn aliases(device: &Path) -> Vec<String> {
    let mapper = text(device, "dm/name").map(|name| format!("/dev/mapper/{name}"));
    [Some(format!("/dev/{}", name(device))), mapper]
        .into_iter()
        .flatten()
        .collect()
}

/// The folder of every block device that is no partition.
fn blocks(root: &Path) -> Vec<PathBuf> {
    let folder = root.join("sys/block");
    names(&folder).into_iter().map(|name| folder.join(name)).collect()
}

fn find(root: &Path, device: &str) -> Option<PathBuf> {
    blocks(root)
        .into_iter()
        .find(|folder| text(folder, "dev").as_deref() == Some(device))
}

fn partition_of(root: &Path, device: &str) -> Option<String> {
    let has = |disk: &PathBuf| {
        partitions(disk)
            .iter()
            .any(|folder| text(folder, "dev").as_deref() == Some(device))
    };
    blocks(root).into_iter().find(has).map(|disk| name(&disk))
}

fn partitions(disk: &Path) -> Vec<PathBuf> {
    let folders = names(disk).into_iter().map(|name| disk.join(name));
    folders
        .filter(|folder| folder.join("partition").exists())
        .collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> = entries
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn name(folder: &Path) -> String {
    folder
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

fn text(folder: &Path, file: &str) -> Option<String> {
    Some(fs::read_to_string(folder.join(file)).ok()?.trim().to_owned())
}

fn number(folder: &Path, file: &str) -> Option<u64> {
    text(folder, file)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEAST: u64 = 6_000_000_000;

    /// A machine with an LVM system disk `nvme0n1` and a stick `sdb` with one partition.
    struct Machine(tempfile::TempDir);

    impl Machine {
        fn new() -> Self {
            let machine = Self(tempfile::tempdir().unwrap());
            machine.device("nvme0n1", "259:0", 1_000_000_000);
            machine.partition("nvme0n1", "nvme0n1p1", "259:1");
            machine.partition("nvme0n1", "nvme0n1p2", "259:2");
            machine.device("dm-0", "254:0", 900_000_000);
            machine.put("sys/block/dm-0/dm/name", "vg-root\n");
            machine.put("sys/block/dm-0/slaves/nvme0n1p2/x", "");
            machine.put("sys/block/nvme0n1/nvme0n1p2/holders/dm-0/x", "");
            machine.device("sdb", "8:16", 62_500_000);
            machine.put("sys/block/sdb/device/vendor", "SanDisk \n");
            machine.put("sys/block/sdb/device/model", "Ultra           \n");
            machine.partition("sdb", "sdb1", "8:17");
            machine.mounts(&[]);
            machine.put("proc/swaps", "Filename Type Size Used Priority\n");
            machine
        }

        fn put(&self, path: &str, contents: &str) {
            let path = self.0.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, contents).unwrap();
        }

        fn device(&self, name: &str, number: &str, sectors: u64) {
            self.put(&format!("sys/block/{name}/dev"), &format!("{number}\n"));
            self.put(&format!("sys/block/{name}/size"), &format!("{sectors}\n"));
            self.put(&format!("sys/block/{name}/ro"), "0\n");
            self.put(&format!("sys/block/{name}/queue/logical_block_size"), "512\n");
        }

        fn partition(&self, disk: &str, name: &str, number: &str) {
            self.put(&format!("sys/block/{disk}/{name}/dev"), &format!("{number}\n"));
            self.put(&format!("sys/block/{disk}/{name}/partition"), "1\n");
        }

        /// Mounts beside those that the system always has: (device number, mount point, source).
        fn mounts(&self, more: &[(&str, &str, &str)]) {
            let system = [("254:0", "/", "/dev/mapper/vg-root"), ("0:5", "/dev", "devtmpfs")];
            let lines = system.iter().chain(more);
            let lines =
                lines.map(|(device, at, source)| format!("1 1 {device} / {at} rw - ext4 {source} rw\n"));
            self.put("proc/self/mountinfo", &lines.collect::<String>());
        }

        fn check(&self, device: &str) -> Result<Disk, Refusal> {
            check(self.0.path(), device, LEAST)
        }
    }

    #[test]
    fn an_unused_stick_is_accepted_and_described() {
        let machine = Machine::new();
        let disk = machine.check("8:16").unwrap();
        assert_eq!(
            disk,
            Disk {
                name: "sdb".into(),
                model: "SanDisk Ultra".into(),
                size: 32_000_000_000
            }
        );
        assert_eq!(flashable(machine.0.path(), LEAST), [disk]);
    }

    #[test]
    fn the_disk_below_the_systems_volume_is_the_system_disk() {
        let refusal = Machine::new().check("259:0").unwrap_err();
        assert_eq!(
            refusal,
            Refusal::System {
                device: "dm-0".into(),
                at: "/".into()
            }
        );
    }

    #[test]
    fn a_partition_names_its_disk() {
        assert_eq!(
            Machine::new().check("8:17"),
            Err(Refusal::Partition { disk: "sdb".into() })
        );
    }

    #[test]
    fn a_mounted_partition_is_refused_and_named() {
        let machine = Machine::new();
        machine.mounts(&[("8:17", "/media/stick", "/dev/sdb1")]);
        let mounted = Refusal::Mounted {
            device: "sdb1".into(),
            at: "/media/stick".into(),
        };
        assert_eq!(machine.check("8:16"), Err(mounted));
    }

    #[test]
    fn a_whole_disk_file_system_is_refused() {
        let machine = Machine::new();
        machine.mounts(&[("8:16", "/mnt", "/dev/sdb")]);
        assert!(matches!(machine.check("8:16"), Err(Refusal::Mounted { .. })));
    }

    #[test]
    fn a_file_system_with_a_number_of_its_own_is_found_by_its_source() {
        let machine = Machine::new();
        machine.mounts(&[("0:44", "/home", "/dev/sdb1")]);
        assert_eq!(
            machine.check("8:16"),
            Err(Refusal::System {
                device: "sdb1".into(),
                at: "/home".into()
            })
        );
    }

    #[test]
    fn swap_is_refused() {
        let machine = Machine::new();
        machine.put(
            "proc/swaps",
            "Filename Type Size Used Priority\n/dev/sdb1 partition 9 0 -2\n",
        );
        assert_eq!(
            machine.check("8:16"),
            Err(Refusal::Swap {
                device: "sdb1".into()
            })
        );
    }

    #[test]
    fn a_holder_that_is_not_mounted_is_refused_too() {
        let machine = Machine::new();
        machine.device("md0", "9:0", 1000);
        machine.put("sys/block/sdb/sdb1/holders/md0/x", "");
        assert_eq!(
            machine.check("8:16"),
            Err(Refusal::Held {
                device: "sdb1".into(),
                holder: "md0".into()
            })
        );
        machine.mounts(&[("9:0", "/srv", "/dev/md0")]);
        assert_eq!(
            machine.check("8:16"),
            Err(Refusal::Mounted {
                device: "md0".into(),
                at: "/srv".into()
            })
        );
    }

    #[test]
    fn what_is_made_of_other_devices_is_no_disk() {
        assert_eq!(
            Machine::new().check("254:0"),
            Err(Refusal::Composed {
                parts: "nvme0n1p2".into()
            })
        );
    }

    #[test]
    fn size_sectors_and_the_lock_switch_count() {
        let machine = Machine::new();
        machine.put("sys/block/sdb/size", "7812500\n");
        assert_eq!(
            machine.check("8:16"),
            Err(Refusal::TooSmall {
                size: 4_000_000_000,
                least: LEAST
            })
        );
        machine.put("sys/block/sdb/queue/logical_block_size", "4096\n");
        assert_eq!(machine.check("8:16"), Err(Refusal::SectorSize { size: 4096 }));
        machine.put("sys/block/sdb/ro", "1\n");
        assert_eq!(machine.check("8:16"), Err(Refusal::ReadOnly));
    }

    #[test]
    fn an_unknown_number_is_refused() {
        assert_eq!(Machine::new().check("1:2"), Err(Refusal::Unknown));
        let empty = tempfile::tempdir().unwrap();
        assert_eq!(check(empty.path(), "8:16", LEAST), Err(Refusal::Unknown));
    }
}
