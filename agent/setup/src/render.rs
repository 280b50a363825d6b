//! Settings as the files that others read.

mod iwd;

use std::fmt::Write;
use std::path::PathBuf;

use crate::settings::{Link, Network, Settings, StaticAddress, TimeZone, Wifi};

/// The folder of what people have set.
pub const STATE: &str = "var/lib/hearth/config";
/// Where time zones lie.
pub const ZONES: &str = "usr/share/zoneinfo";
/// What is added to the image's own file for the cable.
const CABLE: &str = "run/systemd/network/80-ethernet.network.d/10-hearth.conf";
/// What is added to the image's own file for Wi-Fi.
const WIFI: &str = "run/systemd/network/81-wifi.network.d/10-hearth.conf";

/// A file as it is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Where, below the root.
    pub path: PathBuf,
    /// What it is.
    pub content: Content,
}

/// What is to be at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A text, with the file's mode.
    Text(String, u32),
    /// A link that leads there.
    Link(PathBuf),
    /// Nothing.
    Absent,
}

/// For all to read.
const PUBLIC: u32 = 0o644;
/// For root alone.
const SECRET: u32 = 0o600;

/// What networkd is told of a network: files in memory, so that they can be written whatever has become of the disk.
pub fn links(network: &Network) -> Vec<File> {
    let of = |link| {
        network
            .fixed()
            .filter(|fixed| fixed.1 == link)
            .map(|fixed| fixed.0)
    };
    vec![drop_in(CABLE, of(Link::Cable)), drop_in(WIFI, of(Link::Wifi))]
}

/// The other files of a network. `before` is what was in force: a Wi-Fi network that is left is forgotten.
pub fn network(network: &Network, before: Option<&Network>) -> Vec<File> {
    let mut files = Vec::new();
    let left = before.and_then(|before| before.wifi.as_ref());
    if let Some(left) = left.filter(|left| !same_file(left, network.wifi.as_ref())) {
        files.push(file(iwd::path(left), Content::Absent));
    }
    if let Some(wifi) = &network.wifi {
        files.push(file(iwd::path(wifi), Content::Text(iwd::text(wifi), SECRET)));
    }
    files.push(state("hostname", format!("{}\n", network.hostname), PUBLIC));
    files
}

/// The other files: who gets in, the engine's settings, the time zone.
pub fn rest(settings: &Settings) -> Vec<File> {
    let mut engine = settings.engine.environment();
    if let Some(model) = &settings.model {
        // Writing to a text cannot fail.
        let _written = writeln!(engine, "HEARTH_MODEL={model}");
    }
    vec![
        state("authorized_keys", lines(&settings.ssh_keys), PUBLIC),
        state("token-hashes", lines(&settings.tokens), SECRET),
        state("engine.env", engine, PUBLIC),
        local_time(settings.timezone.as_ref()),
    ]
}

fn file(path: impl Into<PathBuf>, content: Content) -> File {
    File {
        path: path.into(),
        content,
    }
}

fn state(name: &str, text: String, mode: u32) -> File {
    file(format!("{STATE}/{name}"), Content::Text(text, mode))
}

fn lines<T: ToString>(all: &[T]) -> String {
    all.iter().map(|one| one.to_string() + "\n").collect()
}

/// Its being there keeps systemd-timesyncd from being started (a drop-in of its unit).
pub fn ntp(is_without: bool) -> File {
    let content = if is_without {
        Content::Text(String::new(), PUBLIC)
    } else {
        Content::Absent
    };
    file(format!("{STATE}/ntp-off"), content)
}

/// What `/etc/localtime` leads to.
fn local_time(zone: Option<&TimeZone>) -> File {
    let zone = zone.map_or_else(|| "UTC".to_owned(), ToString::to_string);
    file(
        format!("{STATE}/localtime"),
        Content::Link(format!("/{ZONES}/{zone}").into()),
    )
}

fn same_file(left: &Wifi, now: Option<&Wifi>) -> bool {
    now.is_some_and(|now| iwd::path(left) == iwd::path(now))
}

fn drop_in(path: &str, fixed: Option<&StaticAddress>) -> File {
    file(
        path,
        fixed.map_or(Content::Absent, |fixed| Content::Text(networkd(fixed), PUBLIC)),
    )
}

/// A drop-in of systemd.network(5). IPv6 goes on configuring itself. An address that another machine has is not used, and
/// routes are as by DHCP: the cable before Wi-Fi.
fn networkd(fixed: &StaticAddress) -> String {
    let mut text = "[Network]\nDHCP=ipv6\n".to_owned();
    for server in fixed.dns() {
        let _written = writeln!(text, "DNS={server}");
    }
    let _written = writeln!(
        text,
        "\n[Address]\nAddress={}\nDuplicateAddressDetection=ipv4\n",
        fixed.net()
    );
    if let Some(gateway) = fixed.gateway() {
        let metric = match fixed.link() {
            Link::Cable => 100,
            Link::Wifi => 600,
        };
        let _written = writeln!(text, "[Route]\nGateway={gateway}\nMetric={metric}\n");
    }
    text
}

#[cfg(test)]
mod tests;
