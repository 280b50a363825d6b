//! What can be set, as values that are right by their making.

pub(crate) mod address;
mod engine;
mod host_name;
pub(crate) mod install;
mod model;
pub(crate) mod ssh_key;
mod token;
mod wifi;
pub(crate) mod zone;

pub use address::{Dns, Ipv4, Link, Net, StaticAddress};
pub use engine::{Engine, KEYS as ENGINE_KEYS};
pub use host_name::HostName;
pub use install::{ERASE, Install, ONLY, Target};
pub use model::ModelName;
pub use ssh_key::SshKey;
pub use token::TokenHash;
pub use wifi::{Password, Ssid, Wifi};
pub use zone::TimeZone;

use serde::{Deserialize, Serialize};

/// Everything that a file may set. What it leaves out is `None` or empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The name in the network.
    pub hostname: Option<HostName>,
    /// The time zone of the clock that people see.
    pub timezone: Option<TimeZone>,
    /// The model that is loaded where a request names none.
    pub model: Option<ModelName>,
    /// SSH keys of the user `admin`.
    pub ssh_keys: Vec<SshKey>,
    /// API tokens, of which only hashes are known.
    pub tokens: Vec<TokenHash>,
    /// How the address is found.
    pub ipv4: Option<Ipv4>,
    /// The Wi-Fi network to join.
    pub wifi: Option<Wifi>,
    /// Settings of the engine.
    pub engine: Engine,
    /// Whether the appliance goes onto the internal disk.
    #[serde(skip)]
    pub install: Option<Install>,
}

/// How the machine is reached: what is changed on trial.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The name in the network.
    pub hostname: HostName,
    /// How the address is found.
    pub ipv4: Ipv4,
    /// The Wi-Fi network to join.
    pub wifi: Option<Wifi>,
}

impl Network {
    /// The fixed address and the link that has it: Wi-Fi only where a network is joined.
    pub fn fixed(&self) -> Option<(&StaticAddress, Link)> {
        match &self.ipv4 {
            Ipv4::Static(fixed) if self.wifi.is_some() => Some((fixed, fixed.link())),
            Ipv4::Static(fixed) => Some((fixed, Link::Cable)),
            Ipv4::Dhcp => None,
        }
    }
}

impl Settings {
    /// What is in force of the network, with what is usual where nothing is set.
    pub fn network(&self) -> Network {
        Network {
            hostname: self.hostname.clone().unwrap_or_default(),
            ipv4: self.ipv4.clone().unwrap_or_default(),
            wifi: self.wifi.clone(),
        }
    }

    /// These, with what `later` sets in their place. Keys and tokens of both count: each is somebody's way in.
    #[must_use]
    pub fn overlaid(self, later: Self) -> Self {
        Self {
            hostname: later.hostname.or(self.hostname),
            timezone: later.timezone.or(self.timezone),
            model: later.model.or(self.model),
            ssh_keys: both(self.ssh_keys, later.ssh_keys),
            tokens: both(self.tokens, later.tokens),
            ipv4: later.ipv4.or(self.ipv4),
            wifi: later.wifi.or(self.wifi),
            engine: self.engine.overlaid(later.engine),
            install: later.install.or(self.install),
        }
    }
}

fn both<T: PartialEq>(mut first: Vec<T>, second: Vec<T>) -> Vec<T> {
    for one in second {
        if !first.contains(&one) {
            first.push(one);
        }
    }
    first
}

/// Reads and writes a value as the text that people write.
macro_rules! as_text {
    ($name:ty) => {
        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.to_string()
            }
        }
    };
}
use as_text;

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        crate::parse(text.as_bytes(), |_| true).unwrap()
    }

    #[test]
    fn what_comes_later_takes_the_place_and_ways_in_add_up() {
        let key = |name: &str| format!("ssh-ed25519 {} {name}", ssh_key::tests::ED25519);
        let first = settings(&format!(
            "hostname = \"a\"\ntimezone = \"UTC\"\n[access]\nssh_keys = [\"{}\"]\n[engine]\nslots = 1\nkv = \"q8\"",
            key("one")
        ));
        let second = settings(&format!(
            "hostname = \"b\"\n[access]\nssh_keys = [\"{}\", \"{}\"]\n[engine]\nslots = 2",
            key("one"),
            key("two")
        ));
        let both = first.overlaid(second);
        assert_eq!(both.hostname.as_ref().unwrap().to_string(), "b");
        assert_eq!(both.timezone.as_ref().unwrap().to_string(), "UTC");
        assert_eq!(both.ssh_keys.len(), 2);
        assert_eq!(both.engine.environment(), "HEARTH_KV=q8\nHEARTH_SLOTS=2\n");
    }

    #[test]
    fn what_is_kept_is_what_was_set() {
        let set = settings(
            "hostname = \"a\"\n[network]\nmethod = \"static\"\naddress = \"10.0.0.2/8\"\n[wifi]\nssid = \"x\"\npassword = \"12345678\"",
        );
        let kept = serde_json::to_string(&set).unwrap();
        assert_eq!(serde_json::from_str::<Settings>(&kept).unwrap(), set);
        assert_eq!(set.network().hostname.to_string(), "a");
        assert_eq!(Settings::default().network(), Network::default());
    }
}
