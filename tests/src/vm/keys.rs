//! An SSH key of one run.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process::output;

/// A fresh key pair.
#[derive(Clone, Debug)]
pub struct Keys {
    private: PathBuf,
    public: String,
}

impl Keys {
    /// Makes a pair in `folder`.
    pub fn make(folder: &Path, name: &str) -> Result<Self> {
        let private = folder.join(name);
        let mut command = Command::new("ssh-keygen");
        output(
            command
                .args(["-q", "-t", "ed25519", "-N", "", "-C", "hearth-test", "-f"])
                .arg(&private),
        )?;
        let path = private.with_extension("pub");
        let public =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(Self { private, public })
    }

    /// The private key's file.
    pub fn private(&self) -> &Path {
        &self.private
    }

    /// The system credential that lets it in as admin.
    pub fn credential(&self) -> (String, String) {
        ("ssh.authorized_keys.admin".to_owned(), self.public.clone())
    }

    /// The public key, one line of `authorized_keys`.
    pub fn public(&self) -> &str {
        &self.public
    }
}
