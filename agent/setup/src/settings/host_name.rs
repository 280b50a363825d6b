//! The machine's name.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// One label of RFC 1123, in small letters, as mDNS announces it below `.local`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct HostName(String);

/// Longest label, in bytes (RFC 1035, 2.3.4).
const LONGEST: usize = 63;

impl Default for HostName {
    fn default() -> Self {
        Self("hearth".to_owned())
    }
}

impl FromStr for HostName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let of_label = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_label = (1..=LONGEST).contains(&text.len()) && text.bytes().all(of_label);
        if !is_label || text.starts_with('-') || text.ends_with('-') {
            return Err(format!(
                "`{}` is no host name; write 1 to {LONGEST} small letters, digits and dashes, no dash at an end",
                text.escape_debug()
            ));
        }
        // systemd takes this name for one that nobody has set.
        if text == "localhost" {
            return Err("`localhost` is every machine's own name; choose another".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

super::as_text!(HostName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_names_and_nothing_else_is() {
        for name in ["hearth", "a", "2", "kitchen-2", &"a".repeat(63)] {
            assert_eq!(name.parse::<HostName>().unwrap().to_string(), name);
        }
        for name in [
            "",
            "-a",
            "a-",
            "Hearth",
            "a.b",
            "a b",
            "größe",
            "localhost",
            &"a".repeat(64),
            "a\n",
        ] {
            assert!(name.parse::<HostName>().is_err(), "{name}");
        }
    }
}
