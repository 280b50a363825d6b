//! What the appliance's certificate is for, and what the local authority may sign at all.
//!
//! Whoever trusts the local authority should not have to trust it with the rest of the internet. So its certificate
//! is constrained (RFC 5280, section 4.2.1.10) to domains that no public authority serves and to private addresses.
//! Browsers, OpenSSL, rustls and Go's library hold authorities that somebody added to that.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

/// Domains that nobody can own: mDNS (RFC 6762), home networks (RFC 8375), private use (reserved by ICANN in 2024), and
/// what many home routers hand out.
const PRIVATE_DOMAINS: [&str; 4] = ["local", "home.arpa", "internal", "lan"];
/// The end of an SSH tunnel.
const LOCALHOST: &str = "localhost";

/// A network: its address, and how many bits of that are the network's.
pub(super) type Network = (IpAddr, u8);

/// Networks whose addresses mean another machine elsewhere: loopback, private use (RFC 1918, RFC 4193), link-local
/// (RFC 3927, RFC 4291), and what is shared behind a carrier's or an overlay's translation (RFC 6598).
pub(super) const PRIVATE_NETWORKS: [Network; 9] = [
    v4([127, 0, 0, 0], 8),
    v4([10, 0, 0, 0], 8),
    v4([172, 16, 0, 0], 12),
    v4([192, 168, 0, 0], 16),
    v4([169, 254, 0, 0], 16),
    v4([100, 64, 0, 0], 10),
    (IpAddr::V6(Ipv6Addr::LOCALHOST), 128),
    v6(0xfc00, 7),
    v6(0xfe80, 10),
];

const fn v4(octets: [u8; 4], prefix: u8) -> Network {
    let [a, b, c, d] = octets;
    (IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix)
}

const fn v6(first: u16, prefix: u8) -> Network {
    (IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, 0)), prefix)
}

/// Whether an address lies in one of the private networks.
pub(crate) fn is_private(address: IpAddr) -> bool {
    let address = address.to_canonical();
    PRIVATE_NETWORKS.iter().any(|network| contains(*network, address))
}

fn contains((network, prefix): Network, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (network.to_bits() ^ address.to_bits()).leading_zeros() >= prefix.into()
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            (network.to_bits() ^ address.to_bits()).leading_zeros() >= prefix.into()
        }
        _ => false,
    }
}

/// The domains that an authority made on a host of this name may sign for.
pub(super) fn permitted(hostname: &str) -> Vec<String> {
    let fixed = PRIVATE_DOMAINS.into_iter().chain([LOCALHOST]).map(str::to_owned);
    fixed.chain(label(hostname)).collect()
}

/// The names that a host of this name is reached by, as far as they are permitted.
pub(super) fn of_host(hostname: &str, permitted: &[String]) -> BTreeSet<String> {
    let label = label(hostname);
    let in_domains = label
        .iter()
        .flat_map(|label| PRIVATE_DOMAINS.map(|domain| format!("{label}.{domain}")));
    let names = in_domains.chain(label.clone()).chain([LOCALHOST.to_owned()]);
    names.filter(|name| is_permitted(name, permitted)).collect()
}

fn is_permitted(name: &str, permitted: &[String]) -> bool {
    permitted.iter().any(|domain| {
        name.strip_suffix(domain.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

/// The first part of a host's name, if it can stand in a certificate (RFC 1123, section 2.1).
fn label(hostname: &str) -> Option<String> {
    let label = hostname.split('.').next()?.to_ascii_lowercase();
    let sound = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let whole = (1..=63).contains(&label.len()) && label.chars().all(sound);
    (whole && !label.starts_with('-') && !label.ends_with('-')).then_some(label)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_host_is_known_by_its_names_at_home() {
        let names = of_host("Kitchen.example.com", &permitted("kitchen"));
        let wanted = [
            "kitchen",
            "kitchen.home.arpa",
            "kitchen.internal",
            "kitchen.lan",
            "kitchen.local",
            "localhost",
        ];
        assert_eq!(names.into_iter().collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn a_new_name_alone_is_not_what_the_authority_was_made_for() {
        let names = of_host("cellar", &permitted("kitchen"));
        assert!(
            names.contains("cellar.local") && !names.contains("cellar"),
            "{names:?}"
        );
        assert!(!is_permitted("evillocal", &permitted("kitchen")));
        assert!(!is_permitted("example.com", &permitted("kitchen")));
    }

    #[test]
    fn a_host_without_a_usable_name_is_still_reached_by_address() {
        for bad in ["", "my_host", "-a", "a-", "é", &"x".repeat(64)] {
            let names = of_host(bad, &permitted(bad));
            assert_eq!(names.into_iter().collect::<Vec<_>>(), ["localhost"], "{bad}");
        }
    }

    #[test]
    fn networks_end_where_they_should() {
        let table = [
            ("10.255.255.255", true),
            ("11.0.0.0", false),
            ("172.31.255.255", true),
            ("172.32.0.0", false),
            ("192.168.0.1", true),
            ("192.169.0.1", false),
            ("100.127.0.1", true),
            ("100.128.0.1", false),
            ("169.254.9.9", true),
            ("8.8.8.8", false),
            ("::ffff:192.168.1.1", true),
            ("::1", true),
            ("::2", false),
            ("fd00::1", true),
            ("fe80::1", true),
            ("fec0::1", false),
            ("2001:db8::1", false),
        ];
        for (address, private) in table {
            assert_eq!(is_private(address.parse().unwrap()), private, "{address}");
        }
    }

    proptest! {
        #[test]
        fn whatever_the_host_is_called_its_names_are_permitted(name in "\\PC{0,80}", other in "[a-z.-]{0,9}") {
            let permitted = permitted(&other);
            for name in of_host(&name, &permitted) {
                prop_assert!(is_permitted(&name, &permitted));
                prop_assert!(name.len() <= 63 + ".home.arpa".len());
            }
        }
    }
}
