//! How the machine is reached: the bodies of `/api/v1/network` and `/api/v1/time`.

use std::net::{IpAddr, Ipv4Addr};

use serde::{Deserialize, Serialize};

/// Answer to `GET /network`, but for the interfaces, which are read elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
#[serde(tag = "method", rename_all = "lowercase")]
pub enum Ipv4 {
    /// The network gives it.
    Dhcp,
    /// It is fixed.
    Static(StaticAddress),
}

/// A fixed address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StaticAddress {
    /// With the prefix's length: `192.168.1.20/24`.
    pub address: String,
    /// The router.
    pub gateway: Option<Ipv4Addr>,
    /// Servers that resolve names.
    #[serde(default)]
    pub dns: Vec<IpAddr>,
}

/// A Wi-Fi network by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wifi {
    /// Its name.
    pub ssid: String,
}

/// A Wi-Fi network to join.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
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
