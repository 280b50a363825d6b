//! How the machine is reached: the bodies of `/api/v1/network`.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

/// Answer to `GET /network`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NetworkView {
    /// What is in force.
    #[serde(flatten)]
    pub network: Network,
    /// The machine's interfaces, as systemd-networkd tells of them.
    pub interfaces: Vec<Interface>,
    /// Why there are none; `null` where they are told of.
    pub interfaces_problem: Option<String>,
    /// When what is in force comes back to what was before, unless it is confirmed, RFC 3339; `null`: it is kept.
    pub confirm_by: Option<String>,
}

/// Answer to `PUT /network`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NetworkTrial {
    /// When the change comes back by itself, unless it is confirmed, RFC 3339; `null`: it is what is kept anyway.
    pub confirm_by: Option<String>,
}

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Interface {
    /// The kernel's name of it.
    pub name: String,
    /// What it is.
    pub kind: InterfaceKind,
    /// Its hardware address: six pairs of hexadecimal digits.
    pub mac: Option<String>,
    /// Whether there is something at its other end.
    pub carrier: Option<bool>,
    /// Its addresses, each with the prefix's length.
    pub addresses: Vec<String>,
}

/// Kinds of network interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum InterfaceKind {
    /// For a cable.
    Ethernet,
    /// For Wi-Fi.
    Wifi,
    /// Something else.
    Other,
}

/// What is in force of the network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Network {
    /// The name in the network, found as `<name>.local`.
    pub hostname: String,
    /// How the IPv4 address is found.
    pub ipv4: Ipv4,
    /// The Wi-Fi network that is joined.
    pub wifi: Option<Wifi>,
}

/// Body of `PUT /network`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct NetworkChange {
    /// The name in the network.
    pub hostname: String,
    /// How the IPv4 address is found.
    pub ipv4: Ipv4,
    /// The Wi-Fi network to join; none: it is left.
    pub wifi: Option<WifiChange>,
}

/// How the IPv4 address is found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(tag = "method", rename_all = "lowercase")]
pub enum Ipv4 {
    /// The network gives it.
    Dhcp,
    /// It is fixed.
    Static(StaticAddress),
}

/// A fixed address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct StaticAddress {
    /// With the prefix's length: `192.168.1.20/24`.
    pub address: String,
    /// The router.
    #[cfg_attr(feature = "openapi", schema(value_type = Option<String>, format = Ipv4))]
    pub gateway: Option<Ipv4Addr>,
    /// Servers that resolve names.
    #[serde(default)]
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<String>))]
    pub dns: Vec<IpAddr>,
}

/// A Wi-Fi network by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Wifi {
    /// Its name.
    pub ssid: String,
}

/// A Wi-Fi network to join.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct WifiChange {
    /// Its name.
    pub ssid: String,
    /// Its password. Left out: what it is, where the network is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// Nothing logs a password.
impl std::fmt::Debug for WifiChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let password = self.password.as_ref().map(|_| "…");
        f.debug_struct("WifiChange")
            .field("ssid", &self.ssid)
            .field("password", &password)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_written_as_the_page_writes_it() {
        let text = r#"{"hostname":"kitchen","ipv4":{"method":"static","address":"192.168.1.20/24","gateway":"192.168.1.1","dns":["192.168.1.1"]},"wifi":{"ssid":"home","password":"correct horse"}}"#;
        let change: NetworkChange = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&change).unwrap(), text);
        assert!(!format!("{change:?}").contains("horse"));
        let typo = text.replace(r#""gateway":"#, r#""gatway":"#);
        let error = serde_json::from_str::<NetworkChange>(&typo)
            .unwrap_err()
            .to_string();
        assert!(error.contains("gatway"), "{error}");
        let text = r#"{"hostname":"hearth","ipv4":{"method":"dhcp"},"wifi":null}"#;
        let change: NetworkChange = serde_json::from_str(text).unwrap();
        assert_eq!((change.ipv4, change.wifi), (Ipv4::Dhcp, None));
    }
}
