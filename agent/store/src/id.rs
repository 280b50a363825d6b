//! What models are called in a store.

use std::fmt;
use std::str::FromStr;

/// Longest name of a model in a store, in bytes.
const MAX_BYTES: usize = 128;

/// The name of a model in a store, which is also the name of its folder: letters, digits, `.`, `_` and `-`, the first
/// a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelId(String);

/// A name that no model can have.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` cannot be a model's name: up to {MAX_BYTES} letters, digits, `.`, `_` and `-` are allowed, the first a letter or a digit"
)]
pub struct NoModelId(String);

impl ModelId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ModelId {
    type Err = NoModelId;

    fn from_str(name: &str) -> Result<Self, NoModelId> {
        let first = name
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_alphanumeric());
        let all = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if first && all && name.len() <= MAX_BYTES {
            return Ok(Self(name.to_owned()));
        }
        Err(NoModelId(name.to_owned()))
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_nowhere_else() {
        assert!("Qwen2.5-Coder_1.5b".parse::<ModelId>().is_ok());
        for name in [
            "",
            ".",
            "..",
            "a/b",
            "../x",
            ".hidden",
            "-x",
            "a b",
            "ä",
            &"x".repeat(129),
        ] {
            assert!(name.parse::<ModelId>().is_err(), "{name}");
        }
    }
}
