//! A small JSON file that is there as a whole or not at all.

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use tracing::warn;

/// Why a file of hearthd's own cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    #[error("cannot read {}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not what hearthd writes there", path.display())]
    Content {
        path: PathBuf,
        source: serde_json::Error,
    },
    #[error("cannot write {}", path.display())]
    Write { path: PathBuf, source: io::Error },
}

/// Reads a file; `None` if there is none.
pub(crate) fn load<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            let path = path.to_owned();
            return Err(FileError::Read { path, source });
        }
    };
    let value = serde_json::from_slice(&text).map_err(|source| FileError::Content {
        path: path.to_owned(),
        source,
    })?;
    Ok(Some(value))
}

/// Reads a file. One that makes no sense is told, and set aside with the ending `bad` for people to look at.
pub(crate) fn load_or_set_aside<T: DeserializeOwned>(path: &Path) -> Option<T> {
    load(path).unwrap_or_else(|error| {
        let aside = path.with_extension("bad");
        let error = anyhow::Error::new(error);
        match fs::rename(path, &aside) {
            Ok(()) => warn!("{error:#}; it is set aside as {}", aside.display()),
            Err(problem) => warn!("{error:#}, and it cannot be set aside: {problem}"),
        }
        None
    })
}

/// Writes a file so that a reader, or a start after a power cut, finds the old text or the new one.
pub(crate) fn save(path: &Path, value: &impl Serialize) -> Result<(), FileError> {
    write(path, serde_json::to_vec_pretty(value))
}

/// The same in as few bytes as it takes.
pub(crate) fn save_compact(path: &Path, value: &impl Serialize) -> Result<(), FileError> {
    write(path, serde_json::to_vec(value))
}

fn write(path: &Path, text: serde_json::Result<Vec<u8>>) -> Result<(), FileError> {
    let replaced = text
        .map_err(io::Error::from)
        .and_then(|text| replace(path, &text));
    replaced.map_err(|source| FileError::Write {
        path: path.to_owned(),
        source,
    })
}

/// Removes a file, if there is one.
pub(crate) fn remove(path: &Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(FileError::Write {
            path: path.to_owned(),
            source,
        }),
        _ => Ok(()),
    }
}

fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("fresh");
    let mut file = File::create(&fresh)?;
    file.write_all(text)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_is_loaded_and_nothing_else_is_left_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.json");
        assert_eq!(load::<u32>(&path).unwrap(), None);
        save(&path, &1).unwrap();
        save(&path, &2).unwrap();
        assert_eq!(load::<u32>(&path).unwrap(), Some(2));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        remove(&path).unwrap();
        remove(&path).unwrap();
        assert_eq!(load::<u32>(&path).unwrap(), None);
    }

    #[test]
    fn problems_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.json");
        fs::write(&path, "{").unwrap();
        for error in [
            load::<u32>(&path).unwrap_err(),
            save(&path.join("x"), &1).unwrap_err(),
        ] {
            assert!(error.to_string().contains("bad.json"), "{error}");
        }
    }
}
