//! Where a model that is measured lies: in a store, for that is where the appliance has its models. A GGUF file is packed
//! into this user's cache first.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use store::source::Source;
use store::{Hash, ModelId, Store};

use crate::offline::with_bar;

/// A model of a store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    store: PathBuf,
    id: String,
    /// What it is called in tables.
    pub(super) name: String,
}

impl Place {
    /// The model of that name.
    pub(super) fn stored(store: &Path, name: &Path) -> Self {
        let name = name.to_string_lossy().into_owned();
        Self {
            store: store.to_owned(),
            id: name.clone(),
            name,
        }
    }

    /// A GGUF file, packed into the cache if it is not there, or was written since.
    pub(super) fn packed(file: &Path, cache: &Path) -> Result<Self> {
        let shown = || file.display().to_string();
        let file = file.canonicalize().with_context(shown)?;
        let id: ModelId = cached_id(&file).parse()?;
        let store = Store::new(cache);
        if !is_packed(&store, &id, &file)? {
            eprintln!("packing {} into {}", shown(), cache.display());
            let source = Source::open(&file)?;
            with_bar(|progress| store.import(&source, &id, progress))?;
            // What the file was before.
            store.collect()?;
        }
        let name = file.file_stem().unwrap_or_default().to_string_lossy();
        Ok(Self {
            store: cache.to_owned(),
            id: id.to_string(),
            name: name.into_owned(),
        })
    }

    /// The store, in which no block is known to be whole yet, and the model's name in it.
    pub(super) fn open(&self) -> Result<(Store, ModelId)> {
        Ok((Store::new(&self.store), self.id.parse()?))
    }
}

/// The folder for packed files that programs may delete at any time: `$XDG_CACHE_HOME/hearth/packed`.
pub(super) fn cache() -> Result<PathBuf> {
    let absolute = |name| {
        env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let home = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    let home =
        home.context("neither XDG_CACHE_HOME nor HOME names a folder for packed models; set one of them")?;
    Ok(home.join("hearth/packed"))
}

/// A name that no file of another folder gets.
fn cached_id(file: &Path) -> String {
    Hash::of(file.as_os_str().as_encoded_bytes()).to_string()
}

fn is_packed(store: &Store, id: &ModelId, file: &Path) -> Result<bool> {
    let written = fs::metadata(file).and_then(|metadata| metadata.modified());
    let written = written.with_context(|| file.display().to_string())?;
    Ok(store.written(id).is_some_and(|packed| packed > written))
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::tiny;
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    #[test]
    fn a_file_is_packed_once_and_again_when_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let (file, cache) = (folder.path().join("tiny.gguf"), folder.path().join("cache"));
        tiny::write(&file, 64).unwrap();
        let hour = Duration::from_secs(3600);
        let touch = |time| {
            File::options()
                .write(true)
                .open(&file)
                .unwrap()
                .set_modified(time)
                .unwrap()
        };
        touch(SystemTime::now() - hour);
        let packed = || {
            let (store, id) = Place::packed(&file, &cache).unwrap().open().unwrap();
            store.written(&id).unwrap()
        };
        let first = packed();
        assert_eq!(packed(), first);
        touch(SystemTime::now() + hour);
        assert_ne!(packed(), first);
    }

    #[test]
    fn files_of_one_name_in_two_folders_are_two_models() {
        assert_ne!(
            cached_id(Path::new("/a/m.gguf")),
            cached_id(Path::new("/b/m.gguf"))
        );
        assert!(cached_id(Path::new("/a/größe.gguf")).parse::<ModelId>().is_ok());
    }
}
