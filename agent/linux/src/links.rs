//! Whether the machine's cables are in, from `/sys/class/net`. Source: the kernel's
//! `Documentation/ABI/testing/sysfs-class-net`.

use crate::parse;
use crate::reader::Reader;
use crate::tree::Tree;

const CLASS: &str = "/sys/class/net";

/// Whether each socket for a cable is known to be empty. A machine of which this cannot be told is not.
pub fn is_unplugged(tree: &Tree) -> bool {
    let mut reader = Reader::new(tree);
    let devices = reader.list(CLASS).into_iter();
    let carriers: Vec<Option<u8>> = devices
        .filter(|name| name != "lo" && !name.starts_with("wl"))
        .map(|name| {
            reader.told(&format!("{CLASS}/{name}/carrier"), |text| {
                parse::number(text).map(Some)
            })
        })
        .collect();
    !carriers.is_empty() && carriers.iter().all(|carrier| *carrier == Some(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn with(devices: &[(&str, &str)]) -> bool {
        let root = tempfile::tempdir().unwrap();
        for (name, carrier) in devices {
            let folder = root.path().join("sys/class/net").join(name);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("carrier"), carrier).unwrap();
        }
        is_unplugged(&Tree::open(root.path()).unwrap())
    }

    #[test]
    fn one_cable_is_enough_and_a_radio_is_none() {
        assert!(with(&[("lo", "1\n"), ("enp1s0", "0\n"), ("wlan0", "1\n")]));
        assert!(!with(&[("lo", "1\n"), ("enp1s0", "0\n"), ("enp2s0", "1\n")]));
        assert!(!with(&[("lo", "1\n"), ("wlan0", "0\n")]), "there is no socket");
        assert!(!with(&[("enp1s0", "what?\n")]) && !with(&[]));
    }
}
