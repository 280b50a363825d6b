//! Why the machine was powered off: kept over the power-off, and told once at the next start.

use super::file::{FileError, load, remove, save};
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::Path;
use time::OffsetDateTime;
use tracing::warn;

/// Written before the power-off.
const FILE: &str = "power-off.json";
/// The same once it was told, for people to look at.
const TOLD_FILE: &str = "last-power-off.json";

/// A power-off that hearthd asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PowerOff {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub(crate) at: OffsetDateTime,
    /// Why, with the figures it was decided by.
    pub(crate) reason: String,
}

impl PowerOff {
    /// Keeps the reason in the folder of hearthd's state.
    pub(crate) fn keep(&self, folder: &Path) -> Result<(), FileError> {
        save(&folder.join(FILE), self)
    }

    /// The power-off that ended the last run, if one did and it was not told yet. A file that makes no sense is
    /// removed, and the error says what was wrong with it. One that cannot be moved is told, and told again.
    pub(crate) fn take(folder: &Path) -> Result<Option<Self>, FileError> {
        let path = folder.join(FILE);
        let found = load(&path);
        match &found {
            Ok(None) => {}
            Ok(Some(_)) => {
                if let Err(error) = fs::rename(&path, folder.join(TOLD_FILE)) {
                    warn!(
                        "{} cannot be moved, and will be told again: {error}",
                        path.display()
                    );
                }
            }
            Err(_) => remove(&path)?,
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_off_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(PowerOff::take(folder.path()).unwrap(), None);
        let off = PowerOff {
            at: OffsetDateTime::UNIX_EPOCH,
            reason: "104 °C".to_owned(),
        };
        off.keep(folder.path()).unwrap();
        assert_eq!(PowerOff::take(folder.path()).unwrap(), Some(off));
        assert_eq!(PowerOff::take(folder.path()).unwrap(), None);
    }

    #[test]
    fn a_reason_that_cannot_be_moved_is_told_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let off = PowerOff {
            at: OffsetDateTime::UNIX_EPOCH,
            reason: "104 °C".to_owned(),
        };
        off.keep(folder.path()).unwrap();
        fs::create_dir(folder.path().join(TOLD_FILE)).unwrap();
        assert_eq!(PowerOff::take(folder.path()).unwrap(), Some(off));
    }

    #[test]
    fn nonsense_is_told_once_too() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "?").unwrap();
        PowerOff::take(folder.path()).unwrap_err();
        assert_eq!(PowerOff::take(folder.path()).unwrap(), None);
    }
}
