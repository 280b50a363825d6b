//! Files of known networks, as iwd reads them (iwd.network(5)).

use std::fmt::Write;
use std::path::PathBuf;

use crate::settings::Wifi;

/// iwd's folder.
const FOLDER: &str = "var/lib/iwd";

/// The file of a network: its name where that is of letters, digits, spaces, `_` and `-`, else `=` and its bytes in
/// hexadecimal digits; and how it is secured.
pub(super) fn path(wifi: &Wifi) -> PathBuf {
    let ssid = wifi.ssid.to_string();
    let plain = ssid
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || b" _-".contains(&byte));
    let name = if plain {
        ssid
    } else {
        ssid.bytes().fold("=".to_owned(), |mut name, byte| {
            // Writing to a text cannot fail.
            let _written = write!(name, "{byte:02x}");
            name
        })
    };
    let kind = if wifi.password.is_some() { "psk" } else { "open" };
    format!("{FOLDER}/{name}.{kind}").into()
}

/// Its contents.
pub(super) fn text(wifi: &Wifi) -> String {
    match &wifi.password {
        Some(password) => format!("[Security]\nPassphrase={}\n", escaped(password.reveal())),
        None => "[Settings]\nAutoConnect=true\n".to_owned(),
    }
}

/// A value as the reader of these files wants it: a space at an end would be cut off, and `\` begins what stands for
/// another character.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace(' ', "\\s")
}
