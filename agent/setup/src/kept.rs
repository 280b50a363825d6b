//! What is kept of all that people have set, over boots.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use serde::{Deserialize, Serialize};

use crate::settings::{Network, Settings, TimeZone, Wifi};
use crate::trial::Source;

/// Everything that is kept. What a newer version has added to it is passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The network that is in force, or comes back after a trial.
    pub network: Network,
    /// The time zone.
    pub timezone: Option<TimeZone>,
    /// Whether the clock goes by itself and is not set over the network.
    #[serde(default)]
    pub without_ntp: bool,
    /// The Wi-Fi network of a trial, until that is over: its file outlives a power cut, and the trial's record does not.
    #[serde(default)]
    pub(crate) tried: Option<Wifi>,
    /// What each file has set, by its name, in the order in which later ones take the place of earlier ones.
    sources: BTreeMap<String, Read>,
    /// Answers to files that set nothing because of their mistakes, by their names.
    #[serde(default)]
    refused: BTreeMap<String, String>,
    /// The copy on the internal disk that was wanted last.
    #[serde(default)]
    installation: Option<Installation>,
}

/// What was read of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Read {
    /// Names the file as it was read; none while what it sets is tried.
    digest: Option<String>,
    settings: Settings,
    /// What came of it, for who wrote it.
    #[serde(default)]
    answer: String,
}

/// A copy of the appliance on the internal disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Installation {
    /// Names the file that wanted it: it is made once, whatever becomes of the file's network.
    digest: String,
    /// How it went.
    answer: Option<String>,
    /// Whether the machine has started since.
    #[serde(default)]
    is_past: bool,
}

/// How a copy is had that was wanted before.
const TRY_AGAIN: &str = "It is not tried again until the file says something else; a comment is enough.";
/// How answers call what is left of a record that could not be read.
const REMAINS: &str = "settings.json";

impl Kept {
    /// Where the record cannot be read: who got in by these keys and tokens, one a line, still does.
    pub fn recovered(keys: &str, tokens: &str, hostname: &str) -> Self {
        let settings = Settings {
            ssh_keys: keys.lines().filter_map(|line| line.parse().ok()).collect(),
            tokens: tokens.lines().filter_map(|line| line.parse().ok()).collect(),
            ..Settings::default()
        };
        let answer = "What was set before could not be read. SSH keys and tokens are what they were until a file gives some,\n\
                      and the host name is; set everything else again.\n";
        let read = Read {
            digest: None,
            settings,
            answer: answer.to_owned(),
        };
        Self {
            network: Network {
                hostname: hostname.trim().parse().unwrap_or_default(),
                ..Network::default()
            },
            sources: BTreeMap::from([(REMAINS.to_owned(), read)]),
            ..Self::default()
        }
    }

    /// Whether a file was read already as it is, and is over and done with.
    pub fn has_read(&self, name: &str, digest: &str) -> bool {
        self.sources
            .get(name)
            .is_some_and(|read| read.digest.as_deref() == Some(digest))
    }

    /// Whether what a file sets is still to be decided on.
    pub(crate) fn is_pending(&self, source: &Source) -> bool {
        self.sources
            .get(&source.name)
            .is_some_and(|read| read.digest.is_none() && read.settings == without_wish(&source.settings))
    }

    /// What of a file's settings counts: not what a file sets that comes later in the order. Tells also which these are.
    pub(crate) fn counting(&self, source: &Source) -> (Settings, Vec<String>) {
        let mut settings = source.settings.clone();
        let mut notes = Vec::new();
        let after = (Bound::Excluded(source.name.as_str()), Bound::Unbounded);
        for (name, later) in self.sources.range::<str, _>(after) {
            let later = &later.settings;
            let mut give_way = |is_set: bool, what: &str| {
                if is_set {
                    notes.push(format!("The {what} is as {name} has it."));
                }
            };
            give_way(yield_to(&mut settings.hostname, &later.hostname), "host name");
            give_way(yield_to(&mut settings.timezone, &later.timezone), "time zone");
            give_way(yield_to(&mut settings.ipv4, &later.ipv4), "address");
            give_way(yield_to(&mut settings.wifi, &later.wifi), "Wi-Fi network");
        }
        (settings, notes)
    }

    /// Takes over what a file sets, but for its network, of which `counting` is what counts. What the file said before counts
    /// no more; the network and the time zone stay where it is silent now, as somebody may have changed them since by
    /// another way.
    ///
    /// Returns the network that it wants.
    pub(crate) fn read(&mut self, source: &Source, counting: &Settings) -> Network {
        let read = Read {
            digest: None,
            settings: without_wish(&source.settings),
            answer: String::new(),
        };
        self.refused.remove(&source.name);
        self.let_go_of_remains(&source.settings);
        self.sources.insert(source.name.clone(), read);
        self.timezone = counting.timezone.clone().or(self.timezone.take());
        Network {
            hostname: counting
                .hostname
                .clone()
                .unwrap_or_else(|| self.network.hostname.clone()),
            ipv4: counting.ipv4.clone().unwrap_or_else(|| self.network.ipv4.clone()),
            wifi: self.wifi(counting.wifi.as_ref()),
        }
    }

    /// Keys and tokens that were rescued count until a file gives some: then the owner has a way in, and takes away what is not
    /// to be one any more.
    fn let_go_of_remains(&mut self, settings: &Settings) {
        let lets_in = |settings: &Settings| !settings.ssh_keys.is_empty() || !settings.tokens.is_empty();
        let has_rescued = self
            .sources
            .get(REMAINS)
            .is_some_and(|read| lets_in(&read.settings));
        if lets_in(settings) || !has_rescued {
            self.sources.remove(REMAINS);
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

    /// What came of a file. `is_over`: as it is, it is not read again.
    pub(crate) fn answer(&mut self, source: &Source, is_over: bool, answer: String) {
        if let Some(read) = self.sources.get_mut(&source.name) {
            read.answer = answer;
            read.digest = is_over.then(|| source.digest.clone());
        }
    }

    /// A file has mistakes.
    pub(crate) fn refuse(&mut self, name: &str, answer: String) {
        self.refused.insert(name.to_owned(), answer);
    }

    /// A file is not there, or is what was read last: it has no mistakes any more.
    pub fn excuse(&mut self, name: &str) {
        self.refused.remove(name);
    }

    /// Whether a file's wish to be copied is to be handed on: once.
    pub(crate) fn want_installation(&mut self, digest: &str) -> bool {
        let is_known = self
            .installation
            .as_ref()
            .is_some_and(|known| known.digest == digest);
        if !is_known {
            self.installation = Some(Installation {
                digest: digest.to_owned(),
                answer: None,
                is_past: false,
            });
        }
        !is_known
    }

    /// How the copy went that was wanted last.
    pub fn installed(&mut self, answer: &str) {
        if let Some(installation) = &mut self.installation {
            installation.answer = Some(format!("{answer}\n"));
            installation.is_past = false;
        }
    }

    /// The machine has started: how a copy went was said before, perhaps in another one.
    pub fn start(&mut self) {
        if let Some(installation) = &mut self.installation {
            installation.is_past = true;
        }
    }

    /// What came of all files, a section for each; none if there was none.
    pub fn answers(&self) -> Option<String> {
        let names: BTreeSet<&String> = self.sources.keys().chain(self.refused.keys()).collect();
        let of_read = |name| self.sources.get(name).map(|read| &read.answer);
        let of_file = |name| self.refused.get(name).or_else(|| of_read(name));
        let of_copy = self.installation.as_ref().and_then(Installation::answer);
        let sections: Vec<String> = names
            .into_iter()
            .filter_map(of_file)
            .cloned()
            .chain(of_copy)
            .collect();
        (!sections.is_empty()).then(|| sections.join("\n"))
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

impl Installation {
    /// How it went, as is to be said now.
    fn answer(&self) -> Option<String> {
        if !self.is_past {
            return self.answer.clone();
        }
        let answer = self
            .answer
            .as_deref()
            .unwrap_or("It was ended before it was known how it went.\n");
        Some(format!(
            "At an earlier start, perhaps of another machine:\n{answer}{TRY_AGAIN}\n"
        ))
    }
}

fn without_wish(settings: &Settings) -> Settings {
    Settings {
        install: None,
        ..settings.clone()
    }
}

/// Empties `mine` where `later` has something. Tells whether there was something to be emptied.
fn yield_to<T>(mine: &mut Option<T>, later: &Option<T>) -> bool {
    later.is_some() && mine.take().is_some()
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
            notes: Vec::new(),
        }
    }

    fn read(kept: &mut Kept, source: &Source) -> Network {
        let (counting, _) = kept.counting(source);
        kept.read(source, &counting)
    }

    #[test]
    fn a_file_is_read_once_and_again_when_it_says_something_else() {
        let mut kept = Kept::default();
        let file = source("hearth.toml", "hostname = \"a\"");
        kept.network = read(&mut kept, &file);
        assert!(!kept.has_read("hearth.toml", &file.digest) && kept.is_pending(&file));
        kept.answer(&file, true, "done\n".to_owned());
        assert!(kept.has_read("hearth.toml", &file.digest) && !kept.is_pending(&file));
        assert!(!kept.has_read("hearth.toml", "another") && !kept.has_read("user-data", &file.digest));
        let written = serde_json::to_string(&kept).unwrap();
        assert_eq!(serde_json::from_str::<Kept>(&written).unwrap(), kept);
    }

    #[test]
    fn what_a_file_no_longer_says_counts_no_more_but_the_network_stays() {
        let mut kept = Kept::default();
        let text = "hostname = \"a\"\ntimezone = \"UTC\"\nmodel = \"m\"\n[engine]\nslots = 1";
        kept.network = read(&mut kept, &source("hearth.toml", text));
        let wanted = read(&mut kept, &source("hearth.toml", "[engine]\nkv = \"q8\""));
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
        let with = source("hearth.toml", "[wifi]\nssid = \"a\"\npassword = \"12345678\"");
        kept.network = read(&mut kept, &with);
        let without = read(&mut kept, &source("hearth.toml", "[wifi]\nssid = \"a\""));
        assert_eq!(without, kept.network);
        let other = read(&mut kept, &source("hearth.toml", "[wifi]\nssid = \"b\""));
        let other = other.wifi.unwrap();
        assert_eq!((other.ssid.to_string(), other.password), ("b".to_owned(), None));
    }

    #[test]
    fn what_a_newer_version_has_kept_is_read_and_what_cannot_be_keeps_ways_in() {
        let mut kept = serde_json::to_value(Kept::default()).unwrap();
        for place in ["", "/network"] {
            kept.pointer_mut(place).unwrap()["newer"] = serde_json::json!({"a": 1});
        }
        assert_eq!(serde_json::from_value::<Kept>(kept).unwrap(), Kept::default());
        let key = format!("ssh-ed25519 {} me", crate::settings::ssh_key::tests::ED25519);
        let token = format!("sha256:{} admin laptop", "0".repeat(64));
        let recovered = Kept::recovered(&format!("{key}\nnonsense\n"), &format!("{token}\n"), "kitchen\n");
        let settings = recovered.settings();
        assert_eq!((settings.ssh_keys.len(), settings.tokens.len()), (1, 1));
        assert_eq!(recovered.network.hostname.to_string(), "kitchen");
        assert!(recovered.answers().unwrap().contains("could not be read"));
    }

    #[test]
    fn rescued_keys_count_until_a_file_gives_some() {
        let key = format!("ssh-ed25519 {} leaver", crate::settings::ssh_key::tests::ED25519);
        let mut kept = Kept::recovered(&key, "", "");
        read(&mut kept, &source("hearth.toml", "hostname = \"a\""));
        assert_eq!(kept.settings().ssh_keys.len(), 1, "else nobody might get in");
        let token = format!("sha256:{} admin laptop", "0".repeat(64));
        let file = source("hearth.toml", &format!("[access]\ntoken_hashes = [\"{token}\"]"));
        read(&mut kept, &file);
        let settings = kept.settings();
        assert_eq!((settings.ssh_keys.len(), settings.tokens.len()), (0, 1));
        assert!(!kept.answers().unwrap_or_default().contains("could not be read"));
    }

    #[test]
    fn what_is_kept_can_be_rendered() {
        let files = render::rest(&Kept::default().settings());
        assert_eq!(files.len(), 4);
        assert!(!render::links(&Kept::default().network).is_empty());
    }
}
