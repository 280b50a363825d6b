//! A machine below a folder, on which the tests go through what its owner does.

use std::fs;

use anyhow::Result;
use api::setup::{NetworkState, Reply, Request};
use machine::BootTime;
use setup::trial::Seen;

use crate::door::serve;
use crate::place::Place;

pub(crate) const SECOND: u64 = 1_000_000;
pub(crate) const STATIC: &str = r#"{"hostname":"hearth","ipv4":{"method":"static","address":"10.0.0.2/8","gateway":null,"dns":[]},"wifi":null}"#;
pub(crate) const CABLE: &str = "run/systemd/network/80-ethernet.network.d/10-hearth.conf";
pub(crate) const KEPT: &str = "var/lib/hearth/config/settings.json";
pub(crate) const HOSTNAME: &str = "var/lib/hearth/config/hostname";
pub(crate) const TRIAL: &str = "run/hearth/setup/trial.json";
pub(crate) const CHANGED: &str = "run/hearth/setup/changed";

/// A machine below a folder.
pub(crate) struct Machine(pub(crate) tempfile::TempDir);

impl Machine {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let zones = root.path().join("usr/share/zoneinfo/Europe");
        fs::create_dir_all(&zones).unwrap();
        fs::write(zones.join("Berlin"), "TZif").unwrap();
        Self(root)
    }

    pub(crate) fn place(&self) -> Place {
        Place::new(self.0.path())
    }

    pub(crate) fn ask(&self, request: &str, at: u64) -> Reply {
        let mut output = Vec::new();
        serve(
            &self.place(),
            format!("{request}\n").as_bytes(),
            &mut output,
            || Ok(BootTime(at * SECOND)),
        )
        .unwrap();
        serde_json::from_slice(&output).unwrap()
    }

    pub(crate) fn set(&self, change: &str, at: u64) -> Reply {
        self.ask(
            &format!(r#"{{"set_network":{{"change":{change},"of":null}}}}"#),
            at,
        )
    }

    pub(crate) fn confirm(&self, of: Option<&str>, at: u64) -> Reply {
        let request = Request::Confirm {
            of: of.map(str::to_owned),
        };
        self.ask(&serde_json::to_string(&request).unwrap(), at)
    }

    pub(crate) fn state(&self, at: u64) -> NetworkState {
        match self.ask("\"network\"", at) {
            Reply::Network(state) => state,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn watch(&self, at: u64, neighbours: &[&str]) {
        self.try_watch(at, neighbours).unwrap();
    }

    pub(crate) fn try_watch(&self, at: u64, neighbours: &[&str]) -> Result<()> {
        let neighbour = |address: &&str| linux::Neighbour {
            address: address.parse().unwrap(),
            device: "enp1s0".to_owned(),
        };
        let seen = Seen {
            neighbours: neighbours.iter().map(neighbour).collect(),
            has_cable: true,
        };
        let now = || Ok(BootTime(at * SECOND));
        crate::watch::run(&self.place(), || seen.clone(), |_| (), now)
    }

    pub(crate) fn boot(&self) {
        crate::boot::run(&self.place(), None, BootTime(SECOND)).unwrap();
    }

    /// The next boot: what is in memory is gone.
    pub(crate) fn reboot(&self) {
        fs::remove_dir_all(self.0.path().join("run")).unwrap();
        self.boot();
    }

    /// Makes a file one that cannot be written anew, as on a disk that is read-only.
    pub(crate) fn freeze(&self, path: &str) {
        fs::create_dir_all(self.0.path().join(format!("{path}.fresh"))).unwrap();
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.0.path().join(path).exists()
    }

    pub(crate) fn read(&self, path: &str) -> String {
        let path = self.0.path().join(path);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn config(&self, text: &str) {
        let folder = self.0.path().join("config");
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("hearth.toml"), text).unwrap();
    }

    pub(crate) fn result(&self) -> String {
        self.read("run/hearth/setup/hearth-result.txt")
    }
}
