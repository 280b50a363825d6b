//! Which disk the appliance is copied to: a law over what lsblk tells.

use std::io::{self, Read, Seek, SeekFrom};

use serde::Deserialize;

use crate::settings::{ERASE, Install, ONLY, Target};

/// The columns that lsblk is asked for.
pub const COLUMNS: &str = "NAME,TYPE,SIZE,RM,RO,TRAN,FSTYPE,PTTYPE,MOUNTPOINTS,MODEL";
/// The least that the disk must hold, in bytes: the final layout (`image/mkosi.extra/usr/lib/repart.d`) at its least sizes,
/// with some room for alignment.
pub const LEAST: u64 = 6 << 30;
/// What is looked at of each end of a disk that is to be empty, in bytes.
const MIB: u64 = 1 << 20;
/// How disks of machines are named. What else lsblk calls a disk lies in memory or in a file.
const NAMES: [&str; 4] = ["nvme", "sd", "mmcblk", "vd"];

/// A block device, as `lsblk --json --bytes` has it.
#[derive(Clone, Debug, Deserialize)]
pub struct Device {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    size: u64,
    rm: bool,
    ro: bool,
    tran: Option<String>,
    fstype: Option<String>,
    pttype: Option<String>,
    #[serde(default)]
    mountpoints: Vec<Option<String>>,
    model: Option<String>,
    #[serde(default)]
    children: Vec<Device>,
    /// A memory card, in whatever reader.
    #[serde(skip)]
    is_card: bool,
}

#[derive(Debug, Deserialize)]
struct Listing {
    blockdevices: Vec<Device>,
}

/// What is to be done about a wish to have the appliance on the internal disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Copy it to this disk.
    Copy(Chosen),
    /// Nothing: this system runs from that disk. What it was copied with comes along, the wish too.
    RunsFrom(Chosen),
}

/// A disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Its name below `/dev`.
    pub name: String,
    /// For people: its size and what it calls itself.
    pub description: String,
}

/// Reads what lsblk says.
///
/// # Errors
/// In words, why it cannot be read.
pub fn parse(json: &[u8]) -> Result<Vec<Device>, String> {
    let listing: Listing =
        serde_json::from_slice(json).map_err(|error| format!("lsblk's answer: {error}"))?;
    let mut devices = listing.blockdevices;
    // What is soldered in (eMMC) has parts to boot from, which the kernel shows as devices; a card in a reader has none.
    let parts: Vec<String> = devices
        .iter()
        .filter_map(|device| device.name.strip_suffix("boot0"))
        .map(str::to_owned)
        .collect();
    for device in &mut devices {
        device.is_card = device.name.starts_with("mmcblk") && !parts.contains(&device.name);
    }
    Ok(devices)
}

/// The disk that is meant, if the appliance may be copied there or is there already.
///
/// # Errors
/// In words, why not, and the way out.
pub fn choose(devices: &[Device], install: &Install) -> Result<Choice, String> {
    // Not where the root is: a disk of the same version has the same, and not every loader tells which is meant.
    let own = devices.iter().find(|device| device.holds("/var"));
    let own = own.ok_or("it cannot be told which disk this system runs from")?;
    if own.is_internal() {
        return Ok(Choice::RunsFrom(own.chosen()));
    }
    let would_do: Vec<&Device> = devices
        .iter()
        .filter(|device| device.obstacle().is_none())
        .collect();
    let disk = match &install.target {
        Target::Named(name) => named(devices, name)?,
        Target::Only => match would_do[..] {
            [only] => only,
            [] => return Err("there is no internal disk that would do".to_owned()),
            _ => {
                return Err(format!(
                    "there is more than one disk that would do; name one of {}",
                    names(&would_do)
                ));
            }
        },
    };
    if disk.has_data() && !install.erase {
        return Err(full(&disk.chosen()));
    }
    Ok(Choice::Copy(disk.chosen()))
}

/// That a disk is not written to without the word.
pub fn full(disk: &Chosen) -> String {
    format!(
        "there is something on {}; write confirm = \"{ERASE}\" below disk to have it erased",
        disk.description
    )
}

/// Whether a disk is seen to be empty: its first and last MiB, where partition tables and file systems begin, are nought.
///
/// # Errors
/// It cannot be read.
pub fn is_blank(mut disk: impl Read + Seek) -> io::Result<bool> {
    let end = disk.seek(SeekFrom::End(0))?;
    for start in [0, end.saturating_sub(MIB)] {
        disk.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        disk.by_ref().take(MIB).read_to_end(&mut bytes)?;
        if bytes.iter().any(|&byte| byte != 0) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn named<'d>(devices: &'d [Device], name: &str) -> Result<&'d Device, String> {
    let Some(disk) = devices.iter().find(|device| device.name == name) else {
        let disks: Vec<&Device> = devices
            .iter()
            .filter(|device| device.obstacle().is_none())
            .collect();
        return Err(format!(
            "there is no disk {name}; those that would do: {} (or \"{ONLY}\")",
            names(&disks)
        ));
    };
    match disk.obstacle() {
        Some(obstacle) => Err(format!("{name} is not written to: {obstacle}")),
        None => Ok(disk),
    }
}

fn names(disks: &[&Device]) -> String {
    match disks {
        [] => "none".to_owned(),
        _ => disks
            .iter()
            .map(|disk| disk.description())
            .collect::<Vec<_>>()
            .join(", "),
    }
}

impl Device {
    /// Whether it, or what lies on it, is mounted at a place.
    fn holds(&self, place: &str) -> bool {
        self.mountpoints.iter().flatten().any(|point| point == place)
            || self.children.iter().any(|child| child.holds(place))
    }

    fn is_mounted(&self) -> bool {
        self.mountpoints.iter().any(Option::is_some) || self.children.iter().any(Self::is_mounted)
    }

    /// Neither a stick nor a card.
    fn is_internal(&self) -> bool {
        !self.rm && !self.is_card && self.tran.as_deref() != Some("usb")
    }

    fn has_data(&self) -> bool {
        self.fstype.is_some() || self.pttype.is_some() || !self.children.is_empty()
    }

    /// Why nothing may be written to it, whatever is on it.
    fn obstacle(&self) -> Option<String> {
        let is_disk = self.kind == "disk" && NAMES.iter().any(|name| self.name.starts_with(name));
        // The parts of an eMMC that firmware is kept in.
        let is_boot_part = self.name.contains("boot") || self.name.contains("rpmb");
        if !is_disk || is_boot_part {
            return Some("it is no disk".to_owned());
        }
        if !self.is_internal() {
            return Some("it is a stick or a card, not internal".to_owned());
        }
        if self.is_mounted() {
            return Some("it is in use".to_owned());
        }
        if self.ro {
            return Some("it cannot be written to".to_owned());
        }
        (self.size < LEAST).then(|| format!("it is smaller than {} GiB", LEAST >> 30))
    }

    fn chosen(&self) -> Chosen {
        Chosen {
            name: self.name.clone(),
            description: self.description(),
        }
    }

    fn description(&self) -> String {
        let model = self
            .model
            .as_deref()
            .map(str::trim)
            .filter(|model| !model.is_empty());
        format!(
            "{} ({:.0} GB, {})",
            self.name,
            self.size as f64 / 1e9,
            model.unwrap_or("without a name")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn disk(name: &str, size: u64) -> Value {
        json!({"name": name, "type": "disk", "size": size, "rm": false, "ro": false, "tran": "nvme", "fstype": null,
               "pttype": null, "mountpoints": [null], "model": "FAST 1"})
    }

    fn with(mut disk: Value, key: &str, value: Value) -> Value {
        disk[key] = value;
        disk
    }

    /// The stick that the system runs from: its root is a dm-verity device on one of its partitions.
    fn stick() -> Value {
        let root = json!({"name": "root", "type": "crypt", "size": 1, "rm": false, "ro": true, "tran": null, "fstype": "erofs",
                          "pttype": null, "mountpoints": ["/"], "model": null});
        let part = json!({"name": "sda3", "type": "part", "size": 1, "rm": true, "ro": false, "tran": null, "fstype": "erofs",
                          "pttype": "gpt", "mountpoints": [null], "model": null, "children": [root]});
        let stick = with(
            with(disk("sda", 16 << 30), "tran", json!("usb")),
            "pttype",
            json!("gpt"),
        );
        let var = with(
            with(disk("sda5", 1), "type", json!("part")),
            "mountpoints",
            json!(["/var"]),
        );
        with(stick, "children", json!([part, var]))
    }

    fn chosen(others: &[Value], target: Target, erase: bool) -> Result<String, String> {
        let mut all = vec![stick()];
        all.extend_from_slice(others);
        let devices = parse(json!({"blockdevices": all}).to_string().as_bytes()).unwrap();
        match choose(&devices, &Install { target, erase })? {
            Choice::Copy(chosen) => Ok(chosen.name),
            Choice::RunsFrom(own) => panic!("it runs from a stick, not from {own:?}"),
        }
    }

    fn named(name: &str) -> Target {
        Target::Named(name.to_owned())
    }

    #[test]
    fn the_only_disk_is_the_one_that_is_no_stick() {
        let zram = with(disk("zram0", 16 << 30), "tran", Value::Null);
        let others = [
            disk("nvme0n1", 64 << 30),
            zram,
            with(disk("sdb", 64 << 30), "rm", json!(true)),
        ];
        assert_eq!(chosen(&others, Target::Only, false), Ok("nvme0n1".to_owned()));
        assert_eq!(chosen(&others, named("nvme0n1"), false), Ok("nvme0n1".to_owned()));
        let soldered = [
            disk("mmcblk0", 64 << 30),
            disk("mmcblk0boot0", 4 << 20),
            disk("mmcblk1", 64 << 30),
        ];
        assert_eq!(chosen(&soldered, Target::Only, false), Ok("mmcblk0".to_owned()));
    }

    #[test]
    fn data_is_erased_by_the_word_alone() {
        for full in [
            with(disk("nvme0n1", 64 << 30), "pttype", json!("gpt")),
            with(disk("nvme0n1", 64 << 30), "fstype", json!("ext4")),
        ] {
            let error = chosen(std::slice::from_ref(&full), Target::Only, false).unwrap_err();
            assert!(
                error.contains("nvme0n1 (69 GB, FAST 1)") && error.contains("\"erase\""),
                "{error}"
            );
            assert_eq!(chosen(&[full], Target::Only, true), Ok("nvme0n1".to_owned()));
        }
    }

    #[test]
    fn a_disk_is_empty_if_both_its_ends_are() {
        let blank = vec![0; 3 << 20];
        assert!(
            is_blank(io::Cursor::new(&blank)).unwrap() && is_blank(io::Cursor::new(&blank[..9])).unwrap()
        );
        // What lies where two signatures hide each other, and a second partition table.
        for at in [1080, (1 << 20) - 1, 2 << 20, (3 << 20) - 512] {
            let mut full = blank.clone();
            full[at] = 1;
            assert!(!is_blank(io::Cursor::new(&full)).unwrap(), "{at}");
        }
    }

    #[test]
    fn a_second_disk_of_the_same_version_is_not_taken_for_this_one() {
        let mut stick = stick();
        let root = stick["children"][0].as_object_mut().unwrap().remove("children");
        let root = root.unwrap();
        let internal = with(disk("nvme0n1", 64 << 30), "children", root);
        let devices = parse(json!({"blockdevices": [internal, stick]}).to_string().as_bytes()).unwrap();
        let install = Install {
            target: Target::Only,
            erase: true,
        };
        let error = choose(&devices, &install).unwrap_err();
        assert!(error.contains("no internal disk that would do"), "{error}");
    }

    #[test]
    fn a_wrong_disk_is_refused_whatever_is_confirmed() {
        let small = disk("nvme1n1", LEAST - 1);
        let read_only = with(disk("sdc", 64 << 30), "ro", json!(true));
        let mounted = with(disk("sdd", 64 << 30), "mountpoints", json!(["/var"]));
        let firmware = disk("mmcblk0boot0", 64 << 30);
        // In a reader that is built in: neither removable nor USB.
        let card = disk("mmcblk1", 64 << 30);
        let others = [small, read_only, mounted, firmware, card];
        for (name, reason) in [
            ("sda", "not internal"),
            ("nvme1n1", "smaller than 6 GiB"),
            ("mmcblk1", "not internal"),
            ("sdc", "cannot be written to"),
            ("sdd", "in use"),
            ("mmcblk0boot0", "no disk"),
            ("sdz", "there is no disk sdz; those that would do: none"),
        ] {
            let error = chosen(&others, named(name), true).unwrap_err();
            assert!(error.contains(reason), "{name}: {error}");
        }
        assert!(
            chosen(&others, Target::Only, true)
                .unwrap_err()
                .contains("no internal disk")
        );
    }

    #[test]
    fn of_several_disks_one_is_to_be_named() {
        let others = [disk("nvme0n1", 64 << 30), disk("nvme1n1", 64 << 30)];
        let error = chosen(&others, Target::Only, true).unwrap_err();
        assert!(error.contains("nvme0n1") && error.contains("nvme1n1"), "{error}");
    }

    #[test]
    fn what_is_installed_is_not_installed_again() {
        let internal = with(stick(), "tran", json!("nvme"));
        let devices = json!({"blockdevices": [internal, disk("nvme1n1", 64 << 30)]});
        let devices = parse(devices.to_string().as_bytes()).unwrap();
        let install = Install {
            target: Target::Only,
            erase: true,
        };
        let Choice::RunsFrom(own) = choose(&devices, &install).unwrap() else {
            panic!("a second disk would be written to")
        };
        assert_eq!(own.name, "sda");
        assert!(
            choose(&devices[1..], &install)
                .unwrap_err()
                .contains("cannot be told")
        );
    }
}
