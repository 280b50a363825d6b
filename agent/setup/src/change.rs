//! The network as the management interface writes it, and as it is kept.

use api::network::{
    Ipv4 as Written, Network as WrittenNetwork, NetworkChange, StaticAddress as WrittenAddress, WifiChange,
};

use crate::settings::{Dns, Ipv4, Link, Network, Password, StaticAddress, Wifi};

/// Checks a change. A Wi-Fi network that is the one of `now` and comes without a password keeps what it has. A fixed address
/// is Wi-Fi's where there is Wi-Fi, but one that stays as it is stays where it is.
///
/// # Errors
/// In words, which field is wrong and what would be right.
pub fn checked(change: &NetworkChange, now: &Network) -> Result<Network, String> {
    let wifi = change.wifi.as_ref().map(|wifi| joined(wifi, now)).transpose()?;
    Ok(Network {
        hostname: change
            .hostname
            .parse()
            .map_err(|error| format!("hostname: {error}"))?,
        ipv4: match &change.ipv4 {
            Written::Dhcp => Ipv4::Dhcp,
            Written::Static(fixed) => Ipv4::Static(placed(address(fixed)?, wifi.as_ref(), now)),
        },
        wifi,
    })
}

fn placed(fixed: StaticAddress, wifi: Option<&Wifi>, now: &Network) -> StaticAddress {
    let name = |wifi: Option<&Wifi>| wifi.map(|wifi| wifi.ssid.clone());
    let link = match (wifi, &now.ipv4) {
        (_, Ipv4::Static(is))
            if fixed.clone().on(is.link()) == *is && name(wifi) == name(now.wifi.as_ref()) =>
        {
            is.link()
        }
        (Some(_), _) => Link::Wifi,
        (None, _) => Link::Cable,
    };
    fixed.on(link)
}

fn address(fixed: &WrittenAddress) -> Result<StaticAddress, String> {
    let net = fixed
        .address
        .parse()
        .map_err(|error| format!("address: {error}"))?;
    let dns = Dns::try_from(fixed.dns.clone()).map_err(|error| format!("dns: {error}"))?;
    StaticAddress::new(net, fixed.gateway, dns).map_err(|error| format!("gateway: {error}"))
}

fn joined(wifi: &WifiChange, now: &Network) -> Result<Wifi, String> {
    let ssid = wifi.ssid.parse().map_err(|error| format!("ssid: {error}"))?;
    let given = wifi.password.clone().map(Password::try_from).transpose();
    let given = given.map_err(|error| format!("password: {error}"))?;
    let known = now.wifi.as_ref().filter(|known| known.ssid == ssid);
    let password = given.or_else(|| known.and_then(|known| known.password.clone()));
    Ok(Wifi { ssid, password })
}

/// A network for whoever may read it: without the password.
pub fn shown(network: &Network) -> WrittenNetwork {
    WrittenNetwork {
        hostname: network.hostname.to_string(),
        ipv4: match &network.ipv4 {
            Ipv4::Dhcp => Written::Dhcp,
            Ipv4::Static(fixed) => Written::Static(WrittenAddress {
                address: fixed.net().to_string(),
                gateway: fixed.gateway(),
                dns: fixed.dns().to_vec(),
            }),
        },
        wifi: network.wifi.as_ref().map(|wifi| api::network::Wifi {
            ssid: wifi.ssid.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(text: &str) -> NetworkChange {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_password_that_is_left_out_stays_where_the_network_does() {
        let home =
            r#"{"hostname":"a","ipv4":{"method":"dhcp"},"wifi":{"ssid":"home","password":"correct horse"}}"#;
        let home = checked(&change(home), &Network::default()).unwrap();
        let again = change(r#"{"hostname":"b","ipv4":{"method":"dhcp"},"wifi":{"ssid":"home"}}"#);
        let again = checked(&again, &home).unwrap();
        assert_eq!(
            (again.hostname.to_string(), &again.wifi),
            ("b".to_owned(), &home.wifi)
        );
        let other = change(r#"{"hostname":"b","ipv4":{"method":"dhcp"},"wifi":{"ssid":"other"}}"#);
        assert_eq!(checked(&other, &home).unwrap().wifi.unwrap().password, None);
        assert!(!serde_json::to_string(&shown(&home)).unwrap().contains("horse"));
    }

    #[test]
    fn a_fixed_address_goes_to_wifi_unless_it_is_the_cables_already() {
        let file = "[wifi]\nssid = \"home\"\n";
        let of_cable = crate::parse(
            b"[network]\nmethod = \"static\"\naddress = \"10.0.0.2/8\"\n",
            |_| true,
        );
        let mut now = crate::parse(file.as_bytes(), |_| true).unwrap().network();
        now.ipv4 = of_cable.unwrap().ipv4.unwrap();
        let written = |address: &str| {
            change(&format!(
                r#"{{"hostname":"hearth","ipv4":{{"method":"static","address":"{address}","gateway":null}},"wifi":{{"ssid":"home"}}}}"#
            ))
        };
        assert_eq!(
            checked(&written("10.0.0.2/8"), &now).unwrap(),
            now,
            "nothing is another"
        );
        let moved = checked(&written("10.0.0.3/8"), &now).unwrap();
        assert_eq!(moved.fixed().unwrap().1, Link::Wifi);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_field() {
        for (text, field) in [
            (
                r#"{"hostname":"A b","ipv4":{"method":"dhcp"},"wifi":null}"#,
                "hostname: ",
            ),
            (
                r#"{"hostname":"a","ipv4":{"method":"static","address":"10.0.0.2","gateway":null},"wifi":null}"#,
                "address: ",
            ),
            (
                r#"{"hostname":"a","ipv4":{"method":"static","address":"10.0.0.2/8","gateway":"11.0.0.1"},"wifi":null}"#,
                "gateway: ",
            ),
            (
                r#"{"hostname":"a","ipv4":{"method":"dhcp"},"wifi":{"ssid":""}}"#,
                "ssid: ",
            ),
            (
                r#"{"hostname":"a","ipv4":{"method":"dhcp"},"wifi":{"ssid":"a","password":"x"}}"#,
                "password: ",
            ),
        ] {
            let error = checked(&change(text), &Network::default()).unwrap_err();
            assert!(error.starts_with(field), "{error}");
        }
    }

    #[test]
    fn what_is_shown_can_be_asked_for() {
        let text = r#"{"hostname":"a","ipv4":{"method":"static","address":"10.0.0.2/8","gateway":"10.0.0.1","dns":["fd00::1"]},"wifi":null}"#;
        let network = checked(&change(text), &Network::default()).unwrap();
        assert_eq!(serde_json::to_string(&shown(&network)).unwrap(), text);
    }
}
