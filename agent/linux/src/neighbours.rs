//! Machines of the local networks that have answered this one, from `/proc/net/arp`. Source: the kernel's
//! `net/ipv4/arp.c` (`arp_format_neigh_entry`) and `include/uapi/linux/if_arp.h`.

use std::net::Ipv4Addr;

use crate::problem::Problem;
use crate::reader::Reader;
use crate::tree::Tree;

const FILE: &str = "/proc/net/arp";
/// `ATF_COM`: the hardware's address is known, for the machine has answered.
const COMPLETE: u32 = 0x02;

/// Their IPv4 addresses, of the network namespace that this process is in. None where the kernel does not say.
pub fn neighbours(tree: &Tree) -> Vec<Ipv4Addr> {
    Reader::new(tree).optional(FILE, parse).unwrap_or_default()
}

fn parse(text: &str) -> Result<Vec<Ipv4Addr>, Problem> {
    let entries = text.lines().skip(1).map(parse_entry);
    let entries: Vec<Option<Ipv4Addr>> = entries.collect::<Result<_, _>>()?;
    Ok(entries.into_iter().flatten().collect())
}

/// Address, type, flags, hardware's address, mask, device.
fn parse_entry(line: &str) -> Result<Option<Ipv4Addr>, Problem> {
    let malformed = || Problem::malformed(line, "an entry of the ARP table");
    let mut fields = line.split_whitespace();
    let address = fields.next().and_then(|address| address.parse().ok());
    let flags = fields.nth(1).and_then(|flags| flags.strip_prefix("0x"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags, 16).ok());
    let (address, flags) = address.zip(flags).ok_or_else(malformed)?;
    Ok((flags & COMPLETE != 0).then_some(address))
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
             192.168.1.7      0x1         0x6         84:47:09:1a:2b:3d     *        enp1s0\n"
        );
        let expected = [Ipv4Addr::new(192, 168, 1, 1), Ipv4Addr::new(192, 168, 1, 7)];
        assert_eq!(parse(&text).unwrap(), expected);
        assert_eq!(parse(HEAD).unwrap(), Vec::<Ipv4Addr>::new());
    }

    #[test]
    fn what_is_no_entry_is_a_fault() {
        for bad in [
            "192.168.1.1 0x1\n",
            "x 0x1 0x2 y * z\n",
            "192.168.1.1 0x1 2 y * z\n",
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
