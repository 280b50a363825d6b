//! The time zone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A name of the time zone database, such as `Europe/Berlin`, that leads to nothing outside it. Whether there is such a
/// zone, only the database can tell.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TimeZone(String);

/// Longer ones there are none.
const LONGEST: usize = 64;

impl FromStr for TimeZone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let of_name = |c: char| c.is_ascii_alphanumeric() || "_+-".contains(c);
        let is_part =
            |part: &str| part.starts_with(|c: char| c.is_ascii_uppercase()) && part.chars().all(of_name);
        if text.len() > LONGEST || !text.split('/').all(is_part) {
            return Err(unknown(text));
        }
        Ok(Self(text.to_owned()))
    }
}

/// That there is no such zone.
pub(crate) fn unknown(text: &str) -> String {
    format!(
        "`{}` is no time zone; write one as Europe/Berlin, America/New_York or UTC",
        text.escape_debug()
    )
}

impl fmt::Display for TimeZone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

super::as_text!(TimeZone);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        for name in [
            "UTC",
            "Europe/Berlin",
            "America/Argentina/Buenos_Aires",
            "Etc/GMT+5",
        ] {
            assert_eq!(name.parse::<TimeZone>().unwrap().to_string(), name);
        }
        for name in [
            "",
            "/etc/passwd",
            "../UTC",
            "Europe/../UTC",
            "Europe/",
            "europe/berlin",
            "Europe Berlin",
            "UTC\n",
        ] {
            assert!(name.parse::<TimeZone>().is_err(), "{name}");
        }
    }
}
