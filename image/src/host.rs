//! Which distribution this machine runs, from os-release(5).

use std::fs;
use std::path::Path;

use crate::error::{AtPath, Result};

/// The running distribution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    /// `ID`: `debian`, `ubuntu` …
    pub(crate) id: String,
    /// `VERSION_ID`, as far as it is a number: 12 for Debian 12, 24 for Ubuntu 24.04. `None` on Debian's testing.
    pub(crate) release: Option<u32>,
    /// `VERSION_CODENAME`: `bookworm`.
    pub(crate) codename: String,
    /// `PRETTY_NAME`, for messages.
    pub(crate) name: String,
}

impl Host {
    /// Reads `etc/os-release` below `root`.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let path = root.join("etc/os-release");
        Ok(Self::parse(&fs::read_to_string(&path).at("read", &path)?))
    }

    /// Takes the fields out of os-release's text.
    pub(crate) fn parse(text: &str) -> Self {
        let field = |name: &str| {
            let line = text
                .lines()
                .find_map(|line| line.trim().strip_prefix(name)?.strip_prefix('='));
            line.unwrap_or_default()
                .trim()
                .trim_matches(['"', '\''])
                .to_owned()
        };
        let release = field("VERSION_ID")
            .split('.')
            .next()
            .and_then(|major| major.parse().ok());
        Self {
            id: field("ID"),
            release,
            codename: field("VERSION_CODENAME"),
            name: field("PRETTY_NAME"),
        }
    }

    /// Whether the set-up knows this distribution: Debian 12 or newer, Ubuntu 24.04 or newer.
    pub(crate) fn is_served(&self) -> bool {
        match self.id.as_str() {
            "debian" => self.release.is_none_or(|release| release >= 12),
            "ubuntu" => self.release.is_some_and(|release| release >= 24),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOKWORM: &str = "PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nNAME=\"Debian GNU/Linux\"\n\
        VERSION_ID=\"12\"\nVERSION_CODENAME=bookworm\nID=debian\n";

    #[test]
    fn bookworm_is_served() {
        let host = Host::parse(BOOKWORM);
        assert_eq!(
            (host.id.as_str(), host.release, host.codename.as_str()),
            ("debian", Some(12), "bookworm")
        );
        assert!(host.is_served());
    }

    #[test]
    fn only_new_enough_debian_and_ubuntu_are_served() {
        let served = |text: &str| Host::parse(text).is_served();
        assert!(served("ID=ubuntu\nVERSION_ID=\"24.04\"\n"));
        assert!(served("ID=debian\nPRETTY_NAME=\"Debian GNU/Linux forky/sid\"\n"));
        assert!(!served("ID=ubuntu\nVERSION_ID=\"22.04\"\n"));
        assert!(!served("ID=debian\nVERSION_ID=\"11\"\n"));
        assert!(!served("ID=fedora\nVERSION_ID=42\n"));
        assert!(!served(
            "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\nVERSION_ID=\"22\"\n"
        ));
        assert!(!served(""));
    }
}
