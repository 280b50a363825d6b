//! SSH public keys.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

/// A line of `authorized_keys` without options: kind, key, comment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SshKey {
    kind: String,
    key: String,
    comment: String,
}

/// Kinds that sshd takes.
const KINDS: [&str; 7] = [
    "ssh-ed25519",
    "ssh-rsa",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
];
/// Longest line: sshd reads no longer one.
const LONGEST: usize = 8 << 10;

impl SshKey {
    /// Its kind, such as `ssh-ed25519`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Whose it is, as they say; may be empty.
    pub fn comment(&self) -> &str {
        &self.comment
    }
}

impl FromStr for SshKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains("PRIVATE KEY") {
            return Err(
                "this is a private key, which must stay with you; write the public one, which ends in .pub"
                    .to_owned(),
            );
        }
        if text.len() > LONGEST || text.chars().any(char::is_control) {
            return Err("a public key is one line without control characters".to_owned());
        }
        let mut words = text.split(' ').filter(|word| !word.is_empty());
        let (kind, key) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        if !KINDS.contains(&kind) {
            return Err(format!("a public key begins with its kind: {}", KINDS.join(", ")));
        }
        if !is_of(key, kind) {
            return Err(format!(
                "what follows `{kind}` is no whole key of this kind; copy the line from the .pub file again"
            ));
        }
        Ok(Self {
            kind: kind.to_owned(),
            key: key.to_owned(),
            comment: words.collect::<Vec<_>>().join(" "),
        })
    }
}

/// Whether this is a key in base64 that says of itself that it is of this kind, and that is all there (RFC 4253, 6.6: texts
/// and numbers, each behind its length in four bytes).
fn is_of(key: &str, kind: &str) -> bool {
    let Ok(bytes) = STANDARD.decode(key) else {
        return false;
    };
    let mut rest = bytes.as_slice();
    let mut fields = Vec::new();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let Some((field, after)) = after.split_at_checked(u32::from_be_bytes(*length) as usize) else {
            return false;
        };
        fields.push(field);
        rest = after;
    }
    rest.is_empty()
        && fields.len() >= 2
        && fields[0] == kind.as_bytes()
        && fields[1..].iter().all(|field| !field.is_empty())
}

impl fmt::Display for SshKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.key)?;
        match self.comment.as_str() {
            "" => Ok(()),
            comment => write!(f, " {comment}"),
        }
    }
}

super::as_text!(SshKey);

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A key whose private half nobody has.
    pub(crate) const ED25519: &str = "AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    #[test]
    fn a_public_key_is_taken_as_it_is() {
        let line = format!("ssh-ed25519 {ED25519} me@my laptop");
        let key: SshKey = line.parse().unwrap();
        assert_eq!((key.kind(), key.comment()), ("ssh-ed25519", "me@my laptop"));
        assert_eq!(key.to_string(), line);
        assert!(format!("ssh-ed25519 {ED25519}").parse::<SshKey>().is_ok());
    }

    #[test]
    fn what_is_no_public_key_is_refused() {
        let cut = &ED25519[..60];
        for (text, reason) in [
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----".to_owned(),
                "must stay with you",
            ),
            (format!("ssh-dss {ED25519}"), "begins with its kind"),
            (
                format!("command=\"x\" ssh-ed25519 {ED25519}"),
                "begins with its kind",
            ),
            ("ssh-ed25519".to_owned(), "no whole key"),
            (format!("ssh-ed25519 {cut}"), "no whole key"),
            (format!("ssh-rsa {ED25519}"), "no whole key"),
            ("ssh-ed25519 not base64".to_owned(), "no whole key"),
            (format!("ssh-ed25519 {ED25519}\nssh-rsa x"), "one line"),
        ] {
            let error = text.parse::<SshKey>().unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }
}
