//! IPv4 addresses: by DHCP, or fixed.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How the machine finds its IPv4 address. IPv6 configures itself either way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "method", rename_all = "lowercase")]
pub enum Ipv4 {
    /// The network gives it one.
    #[default]
    Dhcp,
    /// It is fixed.
    Static(StaticAddress),
}

/// A fixed address with what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Parts", into = "Parts")]
pub struct StaticAddress {
    net: Net,
    gateway: Option<Ipv4Addr>,
    dns: Dns,
    link: Link,
}

/// What leads to the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// The cable.
    #[default]
    Cable,
    /// Wi-Fi.
    Wifi,
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cable => "the cable",
            Self::Wifi => "Wi-Fi",
        })
    }
}

/// An address and the length of its network's prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Net {
    address: Ipv4Addr,
    prefix: u8,
}

/// Servers that resolve names, the first asked first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<IpAddr>", into = "Vec<IpAddr>")]
pub struct Dns(Vec<IpAddr>);

/// More servers than this nobody needs.
const MOST_SERVERS: usize = 8;

/// The parts of a [`StaticAddress`] as they are written.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Parts {
    address: Net,
    gateway: Option<Ipv4Addr>,
    #[serde(default)]
    dns: Dns,
    #[serde(default)]
    link: Link,
}

impl StaticAddress {
    /// A fixed address of the cable, if the gateway can be reached from it.
    ///
    /// # Errors
    /// In words, what is wrong with the gateway.
    pub fn new(net: Net, gateway: Option<Ipv4Addr>, dns: Dns) -> Result<Self, String> {
        match gateway {
            Some(gateway) if gateway == net.address => Err(format!(
                "`{gateway}` is this machine's own address; the gateway is the router's"
            )),
            Some(gateway) if !net.is_neighbour(gateway) => Err(format!(
                "`{gateway}` is not within `{}`; the gateway must be, to be reached",
                net.network()
            )),
            _ => Ok(Self {
                net,
                gateway,
                dns,
                link: Link::Cable,
            }),
        }
    }

    /// The same, of another link.
    #[must_use]
    pub fn on(self, link: Link) -> Self {
        Self { link, ..self }
    }

    /// The link that has it.
    pub fn link(&self) -> Link {
        self.link
    }

    /// The address with its prefix.
    pub fn net(&self) -> Net {
        self.net
    }

    /// The router.
    pub fn gateway(&self) -> Option<Ipv4Addr> {
        self.gateway
    }

    /// The servers that resolve names.
    pub fn dns(&self) -> &[IpAddr] {
        &self.dns.0
    }
}

impl Net {
    /// The address itself.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Whether an address is another host's of the same network.
    pub fn is_neighbour(&self, other: Ipv4Addr) -> bool {
        let mask = self.mask();
        other != self.address
            && other.to_bits() & mask == self.address.to_bits() & mask
            && self.is_host(other)
    }

    fn mask(&self) -> u32 {
        u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0)
    }

    /// The network, as `192.168.1.0/24`.
    fn network(&self) -> String {
        format!(
            "{}/{}",
            Ipv4Addr::from_bits(self.address.to_bits() & self.mask()),
            self.prefix
        )
    }

    /// Neither the network's own number nor its broadcast; a network of two or one has neither (RFC 3021).
    fn is_host(&self, address: Ipv4Addr) -> bool {
        let host = address.to_bits() & !self.mask();
        self.prefix >= 31 || (host != 0 && host != !self.mask())
    }
}

impl FromStr for Net {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |reason: &str| format!("`{}` {reason}", text.escape_debug());
        let (address, prefix) = text
            .split_once('/')
            .ok_or_else(|| wrong("has no prefix; write it as 192.168.1.20/24"))?;
        let address =
            ipv4(address).map_err(|_| wrong("is no IPv4 address with prefix, such as 192.168.1.20/24"))?;
        let prefix = prefix
            .parse()
            .ok()
            .filter(|length| (1..=32).contains(length) && !prefix.starts_with('+'))
            .ok_or_else(|| wrong("has a prefix that is not 1 to 32"))?;
        let net = Self { address, prefix };
        if !can_be_a_hosts(address) {
            return Err(wrong("cannot be a machine's address in a local network"));
        }
        if !net.is_host(address) {
            return Err(wrong(
                "is the network's own number or its broadcast, not a machine's",
            ));
        }
        Ok(net)
    }
}

/// An IPv4 address that people have written.
pub(crate) fn ipv4(text: &str) -> Result<Ipv4Addr, String> {
    let no_address = |_| {
        format!(
            "`{}` is no IPv4 address, such as 192.168.1.1",
            text.escape_debug()
        )
    };
    text.parse().map_err(no_address)
}

/// An address of either kind that people have written.
pub(crate) fn ip(text: &str) -> Result<IpAddr, String> {
    let no_address = |_| {
        format!(
            "`{}` is no address, such as 192.168.1.1 or fd00::1",
            text.escape_debug()
        )
    };
    text.parse().map_err(no_address)
}

fn can_be_a_hosts(address: Ipv4Addr) -> bool {
    // The classes of RFC 1122, 3.2.1.3: 0/8 is this network, 240/4 reserved.
    let class = address.octets()[0];
    (1..224).contains(&class) && !address.is_loopback() && !address.is_link_local()
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

super::as_text!(Net);

impl TryFrom<Vec<IpAddr>> for Dns {
    type Error = String;

    fn try_from(servers: Vec<IpAddr>) -> Result<Self, String> {
        if servers.len() > MOST_SERVERS {
            return Err(format!(
                "there are {} servers; {MOST_SERVERS} at the most",
                servers.len()
            ));
        }
        match servers
            .iter()
            .find(|server| server.is_unspecified() || server.is_multicast())
        {
            Some(server) => Err(format!("`{server}` is no server's address")),
            None => Ok(Self(servers)),
        }
    }
}

impl From<Dns> for Vec<IpAddr> {
    fn from(dns: Dns) -> Self {
        dns.0
    }
}

impl TryFrom<Parts> for StaticAddress {
    type Error = String;

    fn try_from(parts: Parts) -> Result<Self, String> {
        Self::new(parts.address, parts.gateway, parts.dns).map(|fixed| fixed.on(parts.link))
    }
}

impl From<StaticAddress> for Parts {
    fn from(fixed: StaticAddress) -> Self {
        Self {
            address: fixed.net,
            gateway: fixed.gateway,
            dns: fixed.dns,
            link: fixed.link,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn net(text: &str) -> Net {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_of_machines_are_taken() {
        for text in [
            "192.168.1.20/24",
            "10.0.0.2/8",
            "100.64.0.1/10",
            "192.168.1.0/31",
            "8.8.8.8/32",
        ] {
            assert_eq!(net(text).to_string(), text);
        }
    }

    #[test]
    fn what_no_machine_can_have_is_refused_with_the_reason() {
        for (text, reason) in [
            ("192.168.1.20", "has no prefix"),
            ("192.168.1.256/24", "no IPv4 address"),
            ("fd00::1/64", "no IPv4 address"),
            ("192.168.1.20/33", "not 1 to 32"),
            ("192.168.1.20/0", "not 1 to 32"),
            ("192.168.1.20/+24", "not 1 to 32"),
            ("192.168.1.0/24", "network's own number"),
            ("192.168.1.255/24", "broadcast"),
            ("127.0.0.1/8", "cannot be"),
            ("224.0.0.1/24", "cannot be"),
            ("0.1.2.3/8", "cannot be"),
        ] {
            let error = text.parse::<Net>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn a_gateway_is_another_machine_of_the_same_network() {
        let fixed = |gateway: &str| {
            StaticAddress::new(
                net("192.168.1.20/24"),
                Some(ipv4(gateway).unwrap()),
                Dns::default(),
            )
        };
        assert!(fixed("192.168.1.1").is_ok());
        for (gateway, reason) in [
            ("192.168.1.20", "own address"),
            ("192.168.2.1", "not within `192.168.1.0/24`"),
            ("192.168.1.255", "not within"),
        ] {
            assert!(fixed(gateway).unwrap_err().contains(reason), "{gateway}");
        }
    }

    #[test]
    fn servers_are_few_and_somebodys() {
        assert!(Dns::try_from(vec![ip("fd00::1").unwrap(), ip("1.1.1.1").unwrap()]).is_ok());
        assert!(Dns::try_from(vec![ip("0.0.0.0").unwrap()]).is_err());
        assert!(Dns::try_from(vec![ip("1.1.1.1").unwrap(); 9]).is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic_and_what_is_taken_is_written_alike(text in "[0-9./]{0,20}") {
            if let Ok(net) = text.parse::<Net>() {
                prop_assert_eq!(net.to_string().parse::<Net>(), Ok(net));
                prop_assert!(!net.is_neighbour(net.address()));
            }
        }
    }
}
