//! Machines of the local networks that have answered this one, from `/proc/net/arp`. Source: the kernel's
//! `net/ipv4/arp.c` (`arp_format_neigh_entry`) and `include/uapi/linux/if_arp.h`.

use std::net::Ipv4Addr;

use crate::problem::Problem;
use crate::reader::Reader;
use crate::tree::Tree;

/// A machine that has answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Its IPv4 address.
    pub address: Ipv4Addr,
    /// The device that it was heard by.
    pub device: String,
}

const FILE: &str = "/proc/net/arp";
/// `ATF_COM`: the hardware's address is known, for the machine has answered.
const COMPLETE: u32 = 0x02;

/// Those of the network namespace that this process is in. None where the kernel does not say.
pub fn neighbours(tree: &Tree) -> Vec<Neighbour> {
    Reader::new(tree).optional(FILE, parse).unwrap_or_default()
}

fn parse(text: &str) -> Result<Vec<Neighbour>, Problem> {
    let entries = text.lines().skip(1).map(parse_entry);
    let entries: Vec<Option<Neighbour>> = entries.collect::<Result<_, _>>()?;
    Ok(entries.into_iter().flatten().collect())
}

/// Address, type, flags, hardware's address, mask, device.
fn parse_entry(line: &str) -> Result<Option<Neighbour>, Problem> {
    let malformed = || Problem::malformed(line, "an entry of the ARP table");
    let mut fields = line.split_whitespace();
    let address = fields.next().and_then(|address| address.parse().ok());
    let flags = fields.nth(1).and_then(|flags| flags.strip_prefix("0x"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags, 16).ok());
    let device = fields.nth(2).map(str::to_owned);
    let neighbour = address
        .zip(device)
        .map(|(address, device)| Neighbour { address, device });
    let (neighbour, flags) = neighbour.zip(flags).ok_or_else(malformed)?;
    Ok((flags & COMPLETE != 0).then_some(neighbour))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HEAD: &str = "IP address       HW type     Flags       HW address            Mask     Device\n";

    #[test]
    fn who_has_answered_is_told_from_who_was_only_asked() {
        let text = format!(
            "{HEAD}192.168.1.1      0x1         0x2         84:47:09:1a:2b:3c     *        enp1s0\n\
             192.168.1.9      0x1         0x0         00:00:00:00:00:00     *        enp1s0\n\
             192.168.1.7      0x1         0x6         84:47:09:1a:2b:3d     *        wlan0\n"
        );
        let neighbour = |last, device: &str| Neighbour {
            address: Ipv4Addr::new(192, 168, 1, last),
            device: device.to_owned(),
        };
        let expected = [neighbour(1, "enp1s0"), neighbour(7, "wlan0")];
        assert_eq!(parse(&text).unwrap(), expected);
        assert_eq!(parse(HEAD).unwrap(), Vec::<Neighbour>::new());
    }

    #[test]
    fn what_is_no_entry_is_a_fault() {
        for bad in [
            "192.168.1.1 0x1\n",
            "x 0x1 0x2 y * z\n",
            "192.168.1.1 0x1 2 y * z\n",
            "192.168.1.1 0x1 0x2 y *\n",
        ] {
            assert!(parse(&format!("{HEAD}{bad}")).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse(&text);
        }
    }
}
