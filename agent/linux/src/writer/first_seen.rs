//! What the files held before the first write: in memory, and in a file that survives a crash.

use super::attribute::Attribute;
use crate::parse;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

/// The most that is read of a state file, in bytes. The largest machine's has about 64 kB.
const MAX_STATE_BYTES: u64 = 1 << 20;

/// The most that a value may have, in bytes. Governors have at most 16, preferences 20, profiles about as many.
const MAX_VALUE_BYTES: usize = 64;

/// The values of files before they were first written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FirstSeen(pub(super) BTreeMap<Attribute, String>);

/// As it is stored: paths and what they held.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    files: BTreeMap<String, String>,
}

const VERSION: u32 = 1;

impl FirstSeen {
    /// What a state file holds; `None` if there is none.
    ///
    /// A state file is trusted no further than any other: only files that a `Writer` writes, and only plain values.
    pub(super) fn load(path: &Path) -> io::Result<Option<Self>> {
        let file = match File::open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file?,
        };
        let mut text = String::new();
        file.take(MAX_STATE_BYTES).read_to_string(&mut text)?;
        parse_stored(&text).map(Some)
    }

    /// Stores it: whole or not at all, and before this returns.
    pub(super) fn store(&self, path: &Path) -> io::Result<()> {
        let files = self
            .0
            .iter()
            .map(|(file, value)| (file.to_string(), value.clone()));
        let stored = Stored {
            version: VERSION,
            files: files.collect(),
        };
        let temporary = beside(path, "new");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec(&stored)?)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        // The folder holds the name. On the tmpfs of /run this costs nothing.
        File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
    }
}

/// Removes a state file; it is well if there is none.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        done => done,
    }
}

/// Moves a state file that cannot be used out of the way, for people to look at, and tells where to.
pub(super) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let aside = beside(path, "corrupt");
    fs::rename(path, &aside)?;
    Ok(aside)
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

fn parse_stored(text: &str) -> io::Result<FirstSeen> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let stored: Stored = serde_json::from_str(text)?;
    if stored.version != VERSION {
        return Err(invalid(format!("version {} is not {VERSION}", stored.version)));
    }
    let mut files = BTreeMap::new();
    for (path, value) in stored.files {
        let attribute =
            Attribute::of(&path).ok_or_else(|| invalid(format!("{path:?} is no file that is written")))?;
        if value.len() > MAX_VALUE_BYTES || !parse::name(&value).is_ok_and(|name| name == value) {
            return Err(invalid(format!("{path} cannot have held {value:?}")));
        }
        files.insert(attribute, value);
    }
    Ok(FirstSeen(files))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PATH: &str = "/sys/devices/system/cpu/cpufreq/policy0/scaling_governor";

    fn seen() -> FirstSeen {
        FirstSeen(BTreeMap::from([(
            Attribute::of(PATH).unwrap(),
            "powersave".into(),
        )]))
    }

    #[test]
    fn what_is_stored_is_loaded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("first-seen.json");
        assert_eq!(FirstSeen::load(&path).unwrap(), None);
        seen().store(&path).unwrap();
        assert_eq!(FirstSeen::load(&path).unwrap(), Some(seen()));
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "nothing is left beside it"
        );
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(FirstSeen::load(&path).unwrap(), None);
    }

    #[test]
    fn a_state_file_cannot_send_writes_elsewhere() {
        let stored = |path: &str, value: &str| {
            let files = BTreeMap::from([(path.to_owned(), value.to_owned())]);
            serde_json::to_string(&Stored {
                version: VERSION,
                files,
            })
            .unwrap()
        };
        assert_eq!(parse_stored(&stored(PATH, "powersave")).unwrap(), seen());
        for (path, value) in [
            ("/etc/passwd", "root"),
            ("/sys/devices/system/cpu/cpufreq/policy0/../../online", "0"),
            (PATH, ""),
            (PATH, "a\nb"),
            (PATH, " powersave"),
            (PATH, &"x".repeat(65)),
        ] {
            assert!(parse_stored(&stored(path, value)).is_err(), "{path} {value:?}");
        }
    }

    #[test]
    fn another_version_is_not_guessed_at() {
        assert!(parse_stored(r#"{"version":2,"files":{}}"#).is_err());
        assert!(parse_stored(r#"{"version":1,"files":{},"more":1}"#).is_err());
        assert!(parse_stored("").is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            let _ = parse_stored(&text);
        }
    }
}
