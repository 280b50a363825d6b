//! The wish to have the appliance on the internal disk.

use serde::{Deserialize, Serialize};

/// Copy the appliance to the internal disk, and power off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Install {
    /// Which disk.
    pub target: Target,
    /// Whether what is on it may be erased.
    pub erase: bool,
}

/// Which disk is meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The one that there is, if there is one alone.
    Only,
    /// The one of this name below `/dev`.
    Named(String),
}

/// How [`Target::Only`] is written.
pub const ONLY: &str = "the only one";
/// The word that lets what is on the disk be erased.
pub const ERASE: &str = "erase";

/// Reads which disk is meant.
pub(crate) fn target(text: &str) -> Result<Target, String> {
    let name = text.strip_prefix("/dev/").unwrap_or(text);
    match text {
        ONLY => Ok(Target::Only),
        _ if !name.is_empty()
            && name.len() < 32
            && name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit()) =>
        {
            Ok(Target::Named(name.to_owned()))
        }
        _ => Err(format!(
            "`{}` is no disk's name; write one such as nvme0n1 or sda, or \"{ONLY}\"",
            text.escape_debug()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_is_named_or_the_only_one() {
        assert_eq!(target("the only one"), Ok(Target::Only));
        for name in ["nvme0n1", "/dev/nvme0n1"] {
            assert_eq!(target(name), Ok(Target::Named("nvme0n1".to_owned())));
        }
        for name in ["", "/dev/", "../sda", "disk/by-id/x", "the first one", "NVME0N1"] {
            assert!(target(name).is_err(), "{name}");
        }
    }
}
