//! The Wi-Fi network to join.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A Wi-Fi network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wifi {
    /// Its name.
    pub ssid: Ssid,
    /// Its password; none: whoever comes is let in.
    pub password: Option<Password>,
}

/// A network's name: 1 to 32 bytes (IEEE 802.11, 9.4.2.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Ssid(String);

/// A passphrase of WPA: 8 to 63 characters of ASCII that can be printed (IEEE 802.11, J.4.1). Nothing prints it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Password(String);

impl FromStr for Ssid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if !(1..=32).contains(&text.len()) {
            return Err(format!("a network's name has 1 to 32 bytes, not {}", text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err("there is a control character in the network's name".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for Ssid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

super::as_text!(Ssid);

impl Password {
    /// Its text, for the file of the program that joins the network.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Password {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let printable = text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
        match text.len() {
            8..=63 if printable => Ok(Self(text)),
            _ if !printable => Err("a password has letters, digits and signs of ASCII alone".to_owned()),
            length => Err(format!("a password has 8 to 63 characters, not {length}")),
        }
    }
}

impl From<Password> for String {
    fn from(password: Password) -> Self {
        password.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_32_bytes_at_the_most() {
        for name in ["x", "Größe 2", &"a".repeat(32)] {
            assert_eq!(name.parse::<Ssid>().unwrap().to_string(), name);
        }
        for name in ["", &"a".repeat(33), &"ö".repeat(17), "a\nb"] {
            assert!(name.parse::<Ssid>().is_err(), "{name}");
        }
    }

    #[test]
    fn a_password_is_told_to_nobody() {
        let password = Password::try_from("correct horse".to_owned()).unwrap();
        assert!(!format!("{password:?}").contains("horse"));
        for bad in ["1234567".to_owned(), "a".repeat(64), "größer als 8".to_owned()] {
            let error = Password::try_from(bad.clone()).unwrap_err();
            assert!(!error.contains(&bad), "{error}");
        }
    }
}
