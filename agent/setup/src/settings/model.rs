//! The name of a model.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A model's name, as stores have them: letters, digits, `.`, `_` and `-`, the first a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelName(String);

/// Longest name, in bytes, as `store::ModelId` has it.
const LONGEST: usize = 128;

impl FromStr for ModelName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let all = text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        let first = text
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric());
        if !all || !first || text.len() > LONGEST {
            return Err(format!(
                "`{}` is no model's name; `hearth models` shows those that there are",
                text.escape_debug()
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

super::as_text!(ModelName);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_stores() {
        for name in ["smollm2-135m-instruct", "a.b_c-1"] {
            assert_eq!(name.parse::<ModelName>().unwrap().to_string(), name);
        }
        for name in ["", ".a", "-a", "a/b", "a b", &"a".repeat(129)] {
            assert!(name.parse::<ModelName>().is_err(), "{name}");
        }
    }
}
