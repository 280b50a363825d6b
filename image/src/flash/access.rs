//! What lets its owner into the appliance: SSH keys, and an API token of which only the hash is written down.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{AtPath, FlashError, Result};
use crate::hash;

/// Kinds of SSH public keys, by the word that a line begins with.
const KINDS: [&str; 4] = ["ssh-ed25519", "ssh-rsa", "ecdsa-sha2-", "sk-"];

/// The files that go onto the `CONFIG` partition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// `authorized_keys`: one public key a line.
    pub authorized_keys: String,
    /// `token-hashes`: `sha256:<hex> [role] [name]`, one a line.
    pub token_hashes: String,
    /// `hearth.toml`: everything else that the owner sets.
    pub settings: String,
}

/// Reads a `hearth.toml` and checks it as the appliance will; time zones are looked for in this system's database, if it has
/// one.
///
/// # Errors
/// [`super::FlashError::Settings`] with every mistake, or the file cannot be read.
pub fn read_settings(file: &Path) -> Result<String> {
    let text = fs::read(file).at("read", file)?;
    let zones = Path::new("/").join(setup::render::ZONES);
    let is_zone = |zone: &str| !zones.is_dir() || zones.join(zone).is_file();
    let refused = |problems: Vec<String>| FlashError::Settings {
        path: file.to_owned(),
        problems: problems.join("\n  "),
    };
    let parsed = setup::parse(&text, is_zone);
    parsed.map_err(|problems| refused(problems.iter().map(ToString::to_string).collect()))?;
    String::from_utf8(text).map_err(|error| refused(vec![error.to_string()]))
}

/// SSH public keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// The files they are from.
    pub files: Vec<PathBuf>,
    /// The lines of `authorized_keys`.
    pub lines: String,
}

/// Random bytes.
pub(super) fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let filled = getrandom::fill(&mut bytes).map_err(std::io::Error::other);
    filled.at("read", Path::new("the system's random numbers"))?;
    Ok(bytes)
}

/// A new API token.
pub struct Token {
    /// What its owner keeps.
    pub text: String,
}

impl Token {
    /// Makes one of 32 random bytes.
    pub fn new() -> Result<Self> {
        Ok(Self {
            text: format!("hearth_{}", URL_SAFE_NO_PAD.encode(random::<32>()?)),
        })
    }

    /// Its line in `token-hashes`: the whole text's SHA-256, the role `admin`, and where it came from.
    pub fn hash_line(&self) -> String {
        format!("sha256:{} admin flash\n", hash::of_bytes(self.text.as_bytes()))
    }
}

impl Keys {
    /// Reads the given public keys, or all `~/.ssh/id_*.pub` below `home` if none are given.
    pub fn read(given: &[PathBuf], home: Option<&Path>) -> Result<Self> {
        let files = if given.is_empty() {
            home.map(own_keys).unwrap_or_default()
        } else {
            given.to_vec()
        };
        let mut lines = String::new();
        for file in &files {
            lines.push_str(&public_keys(file)?);
        }
        Ok(Self { files, lines })
    }
}

fn own_keys(home: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(home.join(".ssh")).into_iter().flatten().flatten();
    let is_key = |name: &str| name.starts_with("id_") && name.ends_with(".pub");
    let keys = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_key));
    let mut files: Vec<_> = keys.map(|entry| entry.path()).collect();
    files.sort();
    files
}

fn public_keys(file: &Path) -> Result<String> {
    let text = fs::read_to_string(file).at("read", file)?;
    if text.contains("PRIVATE KEY") {
        let reason = "this is the private key, which must stay here; give the public one, which ends in .pub";
        return Err(FlashError::Key {
            path: file.to_owned(),
            reason,
        });
    }
    let lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<&str> = lines.collect();
    // A key may follow options, so its kind may be any word of the line.
    let is_key = |line: &&str| {
        line.split_whitespace()
            .any(|word| KINDS.iter().any(|kind| word.starts_with(kind)))
    };
    if keys.is_empty() || !keys.iter().all(is_key) {
        let reason = "this holds no SSH public key, or something else too; ssh-keygen -t ed25519 makes one";
        return Err(FlashError::Key {
            path: file.to_owned(),
            reason,
        });
    }
    Ok(keys.join("\n") + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home(files: &[(&str, &str)]) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        fs::create_dir(home.path().join(".ssh")).unwrap();
        for (name, text) in files {
            fs::write(home.path().join(".ssh").join(name), text).unwrap();
        }
        home
    }

    #[test]
    fn a_token_is_43_letters_after_its_prefix_and_hashes_as_a_whole() {
        let token = Token::new().unwrap();
        let letters = token.text.strip_prefix("hearth_").unwrap();
        assert_eq!(letters.len(), 43);
        assert!(
            letters
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        );
        assert_ne!(Token::new().unwrap().text, token.text);
        let known = Token { text: "abc".into() };
        let hash = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(known.hash_line(), format!("sha256:{hash} admin flash\n"));
    }

    #[test]
    fn own_public_keys_are_found_and_nothing_else() {
        let home = home(&[
            ("id_ed25519.pub", "ssh-ed25519 AAAA me@here"),
            ("id_ed25519", "-----BEGIN OPENSSH PRIVATE KEY-----"),
            ("id_rsa.pub", "ssh-rsa BBBB\n\n"),
            ("known_hosts", "x"),
        ]);
        let keys = Keys::read(&[], Some(home.path())).unwrap();
        assert_eq!(keys.lines, "ssh-ed25519 AAAA me@here\nssh-rsa BBBB\n");
        assert_eq!(keys.files.len(), 2);
    }

    #[test]
    fn a_private_key_never_leaves_the_machine() {
        let home = home(&[("key", "-----BEGIN OPENSSH PRIVATE KEY-----\n")]);
        let error = Keys::read(&[home.path().join(".ssh/key")], None).unwrap_err();
        assert!(error.to_string().contains("private key"), "{error}");
    }

    #[test]
    fn a_file_without_a_key_is_refused() {
        let home = home(&[("a.pub", "hello\n"), ("empty.pub", "# nothing\n")]);
        for name in ["a.pub", "empty.pub"] {
            let error = Keys::read(&[home.path().join(".ssh").join(name)], None).unwrap_err();
            assert!(error.to_string().contains("no SSH public key"), "{error}");
        }
    }

    #[test]
    fn options_before_a_key_are_kept() {
        let home = home(&[("a.pub", "restrict,pty sk-ssh-ed25519@openssh.com AAAA\n")]);
        let keys = Keys::read(&[home.path().join(".ssh/a.pub")], None).unwrap();
        assert!(keys.lines.starts_with("restrict,pty sk-"));
    }

    #[test]
    fn no_home_and_no_file_is_no_key() {
        assert_eq!(Keys::read(&[], None).unwrap(), Keys::default());
    }

    #[test]
    fn settings_are_checked_before_they_are_written() {
        let folder = home(&[
            ("good.toml", "hostname = \"kitchen\"\n"),
            ("bad.toml", "hostname = \"kitchen\"\ncolour = 1\n"),
        ]);
        let file = |name: &str| folder.path().join(".ssh").join(name);
        assert_eq!(
            read_settings(&file("good.toml")).unwrap(),
            "hostname = \"kitchen\"\n"
        );
        let error = read_settings(&file("bad.toml")).unwrap_err().to_string();
        assert!(
            error.contains("bad.toml") && error.contains("line 2, colour"),
            "{error}"
        );
    }
}
