//! What systemd-networkd tells of the machine's network interfaces.

use super::{AgentError, Bus, ask};
use api::network::{Interface, InterfaceKind};
use serde::Deserialize;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use zbus::{proxy, proxy::CacheProperties};

/// systemd's keeper of the network, `org.freedesktop.network1(5)`.
#[proxy(
    interface = "org.freedesktop.network1.Manager",
    default_service = "org.freedesktop.network1",
    default_path = "/org/freedesktop/network1"
)]
trait Networkd {
    /// All that it knows, as JSON.
    fn describe(&self) -> zbus::Result<String>;
}

/// Asks systemd for the interfaces, but for the loopback.
pub(crate) async fn interfaces(bus: &Bus) -> Result<Vec<Interface>, AgentError> {
    ask(bus, async |connection| {
        let builder = NetworkdProxy::builder(connection);
        let networkd = builder.cache_properties(CacheProperties::No).build().await?;
        parse(&networkd.describe().await?)
    })
    .await
}

fn parse(text: &str) -> Result<Vec<Interface>, AgentError> {
    let described: Described = serde_json::from_str(text)?;
    let links = described.interfaces.into_iter();
    Ok(links
        .filter(|link| link.kind.as_deref() != Some("loopback"))
        .map(Interface::from)
        .collect())
}

#[derive(Deserialize)]
struct Described {
    #[serde(default, rename = "Interfaces")]
    interfaces: Vec<Link>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Link {
    name: String,
    #[serde(rename = "Type")]
    kind: Option<String>,
    hardware_address: Option<Vec<u8>>,
    carrier_state: Option<String>,
    #[serde(default)]
    addresses: Vec<Address>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Address {
    address: Vec<u8>,
    prefix_length: u8,
}

impl From<Link> for Interface {
    fn from(link: Link) -> Self {
        Self {
            kind: match link.kind.as_deref() {
                Some("ether") => InterfaceKind::Ethernet,
                Some("wlan") => InterfaceKind::Wifi,
                _ => InterfaceKind::Other,
            },
            mac: link.hardware_address.as_deref().and_then(mac),
            // `dormant` and `degraded-carrier` have something at the other end too; `off` has nothing that could.
            carrier: link
                .carrier_state
                .map(|state| !matches!(state.as_str(), "off" | "no-carrier")),
            addresses: link.addresses.iter().filter_map(Address::text).collect(),
            name: link.name,
        }
    }
}

impl Address {
    fn text(&self) -> Option<String> {
        let address = match self.address.len() {
            4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(&*self.address).ok()?)),
            16 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(&*self.address).ok()?)),
            _ => return None,
        };
        Some(format!("{address}/{}", self.prefix_length))
    }
}

/// A hardware address as people write it; none of one that is not Ethernet's.
fn mac(bytes: &[u8]) -> Option<String> {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    (pairs.len() == 6).then(|| pairs.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_told_as_people_know_them() {
        let text = r#"{"Interfaces":[
            {"Index":1,"Name":"lo","Type":"loopback","CarrierState":"carrier"},
            {"Index":2,"Name":"enp1s0","Type":"ether","HardwareAddress":[82,84,0,18,52,86],"CarrierState":"carrier",
             "Addresses":[{"Family":2,"Address":[192,168,1,20],"PrefixLength":24,"Scope":0},
                          {"Family":10,"Address":[254,128,0,0,0,0,0,0,0,0,0,0,0,0,0,1],"PrefixLength":64}]},
            {"Index":3,"Name":"wlan0","Type":"wlan","CarrierState":"no-carrier"},
            {"Index":4,"Name":"x","HardwareAddress":[0,0,0,0]}],"Routes":[]}"#;
        let found = parse(text).unwrap();
        let shown: Vec<_> = found
            .iter()
            .map(|one| (one.name.as_str(), one.kind, one.carrier, one.mac.as_deref()))
            .collect();
        assert_eq!(
            shown,
            [
                (
                    "enp1s0",
                    InterfaceKind::Ethernet,
                    Some(true),
                    Some("52:54:00:12:34:56")
                ),
                ("wlan0", InterfaceKind::Wifi, Some(false), None),
                ("x", InterfaceKind::Other, None, None),
            ]
        );
        assert_eq!(found[0].addresses, ["192.168.1.20/24", "fe80::1/64"]);
        assert_eq!(parse("{}").unwrap(), []);
        assert!(matches!(parse("["), Err(AgentError::Answer(_))));
    }
}
