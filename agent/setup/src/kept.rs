//! What is kept of all that people have set, over boots.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::settings::{Network, Settings, TimeZone, Wifi};
use crate::trial::Source;

/// Everything that is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kept {
    /// The network that is in force, or comes back after a trial.
    pub network: Network,
    /// The time zone.
    pub timezone: Option<TimeZone>,
    /// What each file has set, by its name, in the order in which later ones take the place of earlier ones.
    sources: BTreeMap<String, Read>,
}

/// What was read of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Read {
    /// Names the file as it was read; none while what it sets is tried.
    digest: Option<String>,
    settings: Settings,
}

impl Kept {
    /// Whether a file was read already as it is, and is over and done with.
    pub fn has_read(&self, name: &str, digest: &str) -> bool {
        self.sources
            .get(name)
            .is_some_and(|read| read.digest.as_deref() == Some(digest))
    }

    /// Takes over what a file sets, but for its network. What it said before counts no more; the network and the time zone
    /// stay where it is silent now, as somebody may have changed them since by another way.
    ///
    /// Returns the network that it wants.
    pub fn read(&mut self, source: &Source) -> Network {
        let settings = &source.settings;
        let read = Read {
            digest: None,
            settings: Settings {
                install: None,
                ..settings.clone()
            },
        };
        self.sources.insert(source.name.clone(), read);
        self.timezone = settings.timezone.clone().or(self.timezone.take());
        Network {
            hostname: settings
                .hostname
                .clone()
                .unwrap_or_else(|| self.network.hostname.clone()),
            ipv4: settings.ipv4.clone().unwrap_or_else(|| self.network.ipv4.clone()),
            wifi: self.wifi(settings.wifi.as_ref()),
        }
    }

    /// A Wi-Fi network that a file names without its password keeps what it has: people take a password off a drive.
    fn wifi(&self, named: Option<&Wifi>) -> Option<Wifi> {
        let kept = self.network.wifi.as_ref();
        let Some(named) = named else {
            return kept.cloned();
        };
        let known = kept.filter(|kept| kept.ssid == named.ssid);
        Some(Wifi {
            ssid: named.ssid.clone(),
            password: named.password.clone().or_else(|| known?.password.clone()),
        })
    }

    /// A file is over and done with: as it is, it is not read again.
    pub fn finish(&mut self, source: &Source) {
        if let Some(read) = self.sources.get_mut(&source.name) {
            read.digest = Some(source.digest.clone());
        }
    }

    /// All that is in force beside the network.
    pub fn settings(&self) -> Settings {
        let sources = self.sources.values().map(|read| read.settings.clone());
        let settings = sources.reduce(Settings::overlaid).unwrap_or_default();
        Settings {
            timezone: self.timezone.clone(),
            ..settings
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render;

    fn source(name: &str, text: &str) -> Source {
        Source {
            name: name.to_owned(),
            settings: crate::parse(text.as_bytes(), |_| true).unwrap(),
            digest: text.to_owned(),
        }
    }

    #[test]
    fn a_file_is_read_once_and_again_when_it_says_something_else() {
        let mut kept = Kept::default();
        let file = source("hearth.toml", "hostname = \"a\"");
        kept.network = kept.read(&file);
        assert!(!kept.has_read("hearth.toml", &file.digest), "it is on trial");
        kept.finish(&file);
        assert!(kept.has_read("hearth.toml", &file.digest));
        assert!(!kept.has_read("hearth.toml", "another") && !kept.has_read("user-data", &file.digest));
        let written = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<Kept>(&written).unwrap(), kept);
    }

    #[test]
    fn what_a_file_no_longer_says_counts_no_more_but_the_network_stays() {
        let mut kept = Kept::default();
        kept.network = kept.read(&source(
            "hearth.toml",
            "hostname = \"a\"\ntimezone = \"UTC\"\nmodel = \"m\"\n[engine]\nslots = 1",
        ));
        let wanted = kept.read(&source("hearth.toml", "[engine]\nkv = \"q8\""));
        assert_eq!(wanted.hostname.to_string(), "a");
        let settings = kept.settings();
        assert_eq!(
            (settings.model, settings.engine.environment()),
            (None, "HEARTH_KV=q8\n".to_owned())
        );
        assert_eq!(settings.timezone.unwrap().to_string(), "UTC");
    }

    #[test]
    fn a_password_that_is_taken_off_the_drive_stays() {
        let mut kept = Kept::default();
        kept.network = kept.read(&source(
            "hearth.toml",
            "[wifi]\nssid = \"a\"\npassword = \"12345678\"",
        ));
        let without = kept.read(&source("hearth.toml", "[wifi]\nssid = \"a\""));
        assert_eq!(without, kept.network);
        let other = kept
            .read(&source("hearth.toml", "[wifi]\nssid = \"b\""))
            .wifi
            .unwrap();
        assert_eq!((other.ssid.to_string(), other.password), ("b".to_owned(), None));
    }

    #[test]
    fn what_is_kept_can_be_rendered() {
        let files = render::rest(&Kept::default().settings());
        assert_eq!(files.len(), 4);
        assert!(!render::network(&Kept::default().network, None).is_empty());
    }
}
