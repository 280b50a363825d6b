//! API tokens, of which only hashes are written down.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A line of the gateway's file of hashes: `sha256:<64 hexadecimal digits> <role> <name>`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TokenHash {
    digest: String,
    role: String,
    name: String,
}

/// What tokens may do.
const ROLES: [&str; 3] = ["read", "chat", "admin"];
/// Longest name, in characters, as the gateway has it.
const LONGEST_NAME: usize = 64;

impl TokenHash {
    /// What the token may do.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// Its name, for people; may be empty.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for TokenHash {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("hearth_") {
            return Err(
                "this is a token itself, which must stay with you; write its hash, sha256:…".to_owned(),
            );
        }
        let mut words = text.split_whitespace();
        let digest = words.next().and_then(|word| word.strip_prefix("sha256:"));
        let digest = digest.ok_or("a token's hash begins with sha256:")?;
        if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("after sha256: there are 64 hexadecimal digits".to_owned());
        }
        let role = words.next().unwrap_or("admin");
        if !ROLES.contains(&role) {
            return Err(format!(
                "`{}` is no role; there are {}",
                role.escape_debug(),
                ROLES.join(", ")
            ));
        }
        let name = words.collect::<Vec<_>>().join(" ");
        if name.chars().any(char::is_control) || name.chars().count() > LONGEST_NAME {
            return Err(format!(
                "the name has control characters or is longer than {LONGEST_NAME} characters"
            ));
        }
        Ok(Self {
            digest: digest.to_ascii_lowercase(),
            role: role.to_owned(),
            name,
        })
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{} {}", self.digest, self.role)?;
        match self.name.as_str() {
            "" => Ok(()),
            name => write!(f, " {name}"),
        }
    }
}

super::as_text!(TokenHash);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_has_a_role_and_a_name() {
        let digest = "AB".repeat(32);
        let token: TokenHash = format!("sha256:{digest}").parse().unwrap();
        assert_eq!(token.to_string(), format!("sha256:{} admin", "ab".repeat(32)));
        let token: TokenHash = format!("sha256:{digest} chat the  kitchen").parse().unwrap();
        assert_eq!((token.role(), token.name()), ("chat", "the kitchen"));
        assert_eq!(token.to_string().parse(), Ok(token));
    }

    #[test]
    fn what_is_wrong_is_said_and_a_tokens_text_is_not() {
        let digest = "0".repeat(64);
        for (text, reason) in [
            (String::new(), "begins with"),
            ("sha256:12".to_owned(), "64 hexadecimal"),
            (format!("sha256:{digest} king"), "there are read, chat, admin"),
            (
                format!("sha256:{digest} chat {}", "x".repeat(65)),
                "longer than 64",
            ),
            ("hearth_secret".to_owned(), "its hash"),
        ] {
            let error = text.parse::<TokenHash>().unwrap_err();
            assert!(error.contains(reason) && !error.contains("secret"), "{error}");
        }
    }
}
