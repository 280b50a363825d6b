//! `hearth network`: how the appliance is reached.

use crate::{
    cli::{NetworkCommand, NetworkWish},
    client::Client,
    screen::{self, WARN, line},
};
use anyhow::{Context, bail};
use api::network::{
    InterfaceKind, Ipv4, Network, NetworkChange, NetworkTrial, NetworkView, StaticAddress, WifiChange,
};
use hyper::Method;
use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

const NETWORK: &str = "/api/v1/network";
const CONFIRM: &str = "/api/v1/network/confirm";
/// More than any password of a Wi-Fi network has (IEEE 802.11, 63 characters or 64 digits).
const LONGEST_PASSWORD: u64 = 128;

/// Reads the password that a wish names a file of: before there is a runtime, as the file may be a pipe.
pub(crate) fn open(wish: &mut NetworkWish) -> anyhow::Result<()> {
    if let Some(path) = &wish.password_file {
        wish.password = Some(password(path)?);
    }
    Ok(())
}

fn password(path: &Path) -> anyhow::Result<String> {
    let named = || format!("cannot read a password from {}", path.display());
    let input: Box<dyn Read> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).with_context(named)?)
    };
    let mut text = String::new();
    input
        .take(LONGEST_PASSWORD)
        .read_to_string(&mut text)
        .with_context(named)?;
    match text.lines().next().filter(|line| !line.is_empty()) {
        Some(line) => Ok(line.to_owned()),
        None => bail!("{} holds no password in its first line", path.display()),
    }
}

/// Shows, changes or confirms.
pub(crate) async fn network(client: &Client, command: NetworkCommand) -> anyhow::Result<()> {
    match command {
        NetworkCommand::Show { json } => show(client, json).await,
        NetworkCommand::Set { wish, json } => set(client, wish, json).await,
        NetworkCommand::Confirm { json } => {
            client.call(Method::POST, CONFIRM, &[], None).await?;
            show(client, json).await
        }
    }
}

async fn show(client: &Client, json: bool) -> anyhow::Result<()> {
    let found: NetworkView = client.get(NETWORK).await?;
    if json {
        return screen::json(&found);
    }
    Ok(screen::print(&render(&found))?)
}

fn render(found: &NetworkView) -> String {
    let (mut text, network) = (String::new(), &found.network);
    let hostname = screen::one_line(&network.hostname);
    line(&mut text, "Host name", format!("{hostname} ({hostname}.local)"));
    match &network.ipv4 {
        Ipv4::Dhcp => line(&mut text, "IPv4", "the network gives it (DHCP)"),
        Ipv4::Static(fixed) => {
            line(
                &mut text,
                "IPv4",
                format!("{} (fixed)", screen::one_line(&fixed.address)),
            );
            if let Some(gateway) = fixed.gateway {
                line(&mut text, "Router", gateway);
            }
            let dns: Vec<String> = fixed.dns.iter().map(ToString::to_string).collect();
            if !dns.is_empty() {
                line(&mut text, "DNS", dns.join(", "));
            }
        }
    }
    if let Some(wifi) = &network.wifi {
        line(&mut text, "Wi-Fi", screen::one_line(&wifi.ssid));
    }
    if let Some(confirm_by) = &found.confirm_by {
        line(&mut text, "On trial", trial(confirm_by));
    }
    if let Some(problem) = &found.interfaces_problem {
        line(
            &mut text,
            "Interfaces",
            format!("{WARN}{}{WARN:#}", screen::one_line(problem)),
        );
    }
    let rows = found.interfaces.iter().map(|interface| {
        let carrier = match interface.carrier {
            Some(true) => "yes",
            Some(false) => "no",
            None => "?",
        };
        let name = interface.name.clone();
        let kind = kind(interface.kind).to_owned();
        [name, kind, carrier.to_owned(), interface.addresses.join(" ")]
    });
    text + &screen::section(["INTERFACE", "KIND", "CARRIER", "ADDRESSES"], rows.collect())
}

fn kind(kind: InterfaceKind) -> &'static str {
    match kind {
        InterfaceKind::Ethernet => "ethernet",
        InterfaceKind::Wifi => "Wi-Fi",
        InterfaceKind::Other => "other",
    }
}

fn trial(confirm_by: &str) -> String {
    let until = screen::one_line(confirm_by);
    format!(
        "{WARN}until {until}; \"hearth network confirm\" keeps it, else what was before comes back{WARN:#}"
    )
}

async fn set(client: &Client, wish: NetworkWish, json: bool) -> anyhow::Result<()> {
    let becomes = |found: NetworkView| changed(found.network, wish);
    let on_trial: NetworkTrial = client.change(NETWORK, becomes).await?;
    if json {
        return screen::json(&on_trial);
    }
    let said = match &on_trial.confirm_by {
        Some(confirm_by) => format!("on trial {}\n", trial(confirm_by)),
        None => "it is what is kept; nothing is on trial\n".to_owned(),
    };
    Ok(screen::print(&said)?)
}

/// What is found, with what is wished in its place.
fn changed(found: Network, wish: NetworkWish) -> NetworkChange {
    let ipv4 = match wish.address {
        _ if wish.dhcp => Ipv4::Dhcp,
        None => found.ipv4,
        Some(address) => Ipv4::Static(StaticAddress {
            address,
            gateway: wish.gateway,
            dns: wish.dns,
        }),
    };
    let password = wish.password;
    let wifi = match wish.wifi {
        _ if wish.no_wifi => None,
        Some(ssid) => Some(WifiChange { ssid, password }),
        // Without a password it stays as it is.
        None => found.wifi.map(|wifi| WifiChange {
            ssid: wifi.ssid,
            password: None,
        }),
    };
    NetworkChange {
        hostname: wish.hostname.unwrap_or(found.hostname),
        ipv4,
        wifi,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use api::network::Wifi;

    fn found() -> Network {
        Network {
            hostname: "hearth".to_owned(),
            ipv4: Ipv4::Dhcp,
            wifi: Some(Wifi {
                ssid: "home".to_owned(),
            }),
        }
    }

    fn wish() -> NetworkWish {
        NetworkWish {
            hostname: None,
            dhcp: false,
            address: None,
            gateway: None,
            dns: Vec::new(),
            wifi: None,
            password_file: None,
            no_wifi: false,
            password: None,
        }
    }

    #[test]
    fn what_is_not_wished_stays() {
        let renamed = NetworkWish {
            hostname: Some("kitchen".to_owned()),
            ..wish()
        };
        let changed_ = changed(found(), renamed);
        assert_eq!(
            (changed_.hostname.as_str(), &changed_.ipv4),
            ("kitchen", &Ipv4::Dhcp)
        );
        let stays = WifiChange {
            ssid: "home".to_owned(),
            password: None,
        };
        assert_eq!(changed_.wifi, Some(stays));
        let fixed = NetworkWish {
            address: Some("10.0.0.2/8".to_owned()),
            no_wifi: true,
            ..wish()
        };
        let changed_ = changed(found(), fixed);
        assert!(matches!(changed_.ipv4, Ipv4::Static(fixed) if fixed.address == "10.0.0.2/8"));
        assert_eq!(changed_.wifi, None);
    }

    #[test]
    fn a_password_is_the_first_line() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "correct horse\n").unwrap();
        assert_eq!(password(file.path()).unwrap(), "correct horse");
        std::fs::write(file.path(), "\n").unwrap();
        assert!(
            password(file.path())
                .unwrap_err()
                .to_string()
                .contains("no password")
        );
        let missing = password(Path::new("/nowhere")).unwrap_err().to_string();
        assert!(missing.contains("/nowhere"), "{missing}");
    }
}
