//! `hearth.toml`: text in, settings out, or every mistake with its line.

mod reader;

use std::fmt;
use std::net::IpAddr;

use toml::de::{DeTable, DeValue};

use crate::settings::{
    Dns, ENGINE_KEYS, Engine, Install, Ipv4, Link, Net, Password, Settings, StaticAddress, TimeZone, Wifi,
    address, install, zone,
};
use reader::{Reader, Section, scalar, text};

/// The file's name on CONFIG.
pub const NAME: &str = "hearth.toml";
/// The longest file that is read, in bytes.
pub const LONGEST: usize = 64 << 10;

/// A mistake in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1; `None` where the whole file is meant.
    pub line: Option<usize>,
    /// The key with its section, as `network.address`; empty where none is meant.
    pub key: String,
    /// What is wrong, and what would be right.
    pub problem: String,
}

impl Problem {
    /// One of the whole file.
    pub fn of_file(problem: impl Into<String>) -> Self {
        Self {
            line: None,
            key: String::new(),
            problem: problem.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.key.as_str()) {
            (None, _) => write!(f, "{}", self.problem),
            (Some(line), "") => write!(f, "line {line}: {}", self.problem),
            (Some(line), key) => write!(f, "line {line}, {key}: {}", self.problem),
        }
    }
}

/// Reads the file. `is_zone` tells whether the time zone database has a zone of this name.
///
/// # Errors
/// Every mistake, in the order of lines. A file with one sets nothing.
pub fn parse(bytes: &[u8], is_zone: impl Fn(&str) -> bool) -> Result<Settings, Vec<Problem>> {
    let text = decode(bytes).map_err(|problem| vec![problem])?;
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(reader::syntax(text, &errors));
    }
    let mut reader = Reader::new(text);
    let settings = settings(&mut reader, table.get_ref(), is_zone);
    reader.done(settings)
}

fn decode(bytes: &[u8]) -> Result<&str, Problem> {
    if bytes.len() > LONGEST {
        let problem = format!("it is longer than {} KiB", LONGEST >> 10);
        return Err(Problem::of_file(problem));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(Problem::of_file(
            "it is saved as UTF-16 (\"Unicode\"); save it as UTF-8",
        ));
    }
    // Windows' Notepad may begin a file with a byte order mark.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| Problem {
        line: Some(reader::line_of(bytes, error.valid_up_to())),
        key: String::new(),
        problem: "there is a character that is not UTF-8; save the file as UTF-8".to_owned(),
    })
}

fn settings(reader: &mut Reader<'_>, table: &DeTable<'_>, is_zone: impl Fn(&str) -> bool) -> Settings {
    let top = Section::top(table);
    reader.known(
        &top,
        &[
            "hostname", "timezone", "model", "access", "network", "wifi", "engine", "install",
        ],
    );
    let mut settings = Settings {
        hostname: reader.value(&top, "hostname", |value| text(value)?.parse()),
        timezone: reader.value(&top, "timezone", |value| time_zone(value, &is_zone)),
        model: reader.value(&top, "model", |value| text(value)?.parse()),
        ..Settings::default()
    };
    if let Some(access) = reader.section(&top, "access") {
        reader.known(&access, &["ssh_keys", "token_hashes"]);
        settings.ssh_keys = reader.list(&access, "ssh_keys", |value| text(value)?.trim().parse());
        settings.tokens = reader.list(&access, "token_hashes", |value| text(value)?.trim().parse());
    }
    let radio = reader.section(&top, "wifi");
    let link = radio.as_ref().map_or(Link::Cable, |_| Link::Wifi);
    settings.ipv4 = reader
        .section(&top, "network")
        .and_then(|section| network(reader, &section, link));
    settings.wifi = radio.and_then(|section| wifi(reader, &section));
    if let Some(section) = reader.section(&top, "engine") {
        settings.engine = engine(reader, &section);
    }
    settings.install = reader
        .section(&top, "install")
        .and_then(|section| installation(reader, &section));
    settings
}

fn time_zone(value: &DeValue<'_>, is_zone: impl Fn(&str) -> bool) -> Result<TimeZone, String> {
    let name = text(value)?;
    let zone = name.parse()?;
    is_zone(name).then_some(zone).ok_or_else(|| zone::unknown(name))
}

fn network(reader: &mut Reader<'_>, section: &Section<'_>, link: Link) -> Option<Ipv4> {
    reader.known(section, &["method", "address", "gateway", "dns"]);
    let is_static = reader.required(section, "method", |value| match text(value)? {
        "static" => Ok(true),
        "dhcp" => Ok(false),
        other => Err(format!(
            "`{}` is neither \"dhcp\" nor \"static\"",
            other.escape_debug()
        )),
    })?;
    if is_static {
        return fixed(reader, section).map(|fixed| Ipv4::Static(fixed.on(link)));
    }
    for key in ["address", "gateway", "dns"] {
        reader.superfluous(
            section,
            key,
            "goes with method = \"static\" alone; with \"dhcp\" the network tells it",
        );
    }
    Some(Ipv4::Dhcp)
}

fn fixed(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<StaticAddress> {
    let net: Option<Net> = reader.required(section, "address", |value| text(value)?.parse());
    let gateway = reader.value(section, "gateway", |value| address::ipv4(text(value)?));
    let servers: Vec<IpAddr> = reader.list(section, "dns", |value| address::ip(text(value)?));
    let dns = reader.checked(section, "dns", Dns::try_from(servers))?;
    reader.checked(section, "gateway", StaticAddress::new(net?, gateway, dns))
}

fn wifi(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Wifi> {
    reader.known(section, &["ssid", "password"]);
    let password = |value: &DeValue<'_>| Password::try_from(text(value)?.to_owned());
    let password = reader.value(section, "password", password);
    let ssid = reader.required(section, "ssid", |value| text(value)?.parse())?;
    Some(Wifi { ssid, password })
}

fn engine(reader: &mut Reader<'_>, section: &Section<'_>) -> Engine {
    reader.known(section, &ENGINE_KEYS);
    let mut engine = Engine::default();
    for key in ENGINE_KEYS {
        reader.value(section, key, |value| engine.set(key, &scalar(value)?));
    }
    engine
}

fn installation(reader: &mut Reader<'_>, section: &Section<'_>) -> Option<Install> {
    reader.known(section, &["to", "disk", "confirm"]);
    let to = reader.required(section, "to", |value| match text(value)? {
        "internal" => Ok(()),
        other => Err(format!(
            "`{}` is no place; the one that there is is \"internal\"",
            other.escape_debug()
        )),
    });
    let target = reader.required(section, "disk", |value| install::target(text(value)?));
    let erase = reader.value(section, "confirm", |value| match text(value)? {
        install::ERASE => Ok(()),
        other => Err(format!(
            "`{}` confirms nothing; the word is \"{}\", and it erases what is on the disk",
            other.escape_debug(),
            install::ERASE
        )),
    });
    to?;
    Some(Install {
        target: target?,
        erase: erase.is_some(),
    })
}

#[cfg(test)]
mod tests;
