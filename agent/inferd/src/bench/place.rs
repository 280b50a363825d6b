//! Where a model that is measured lies: in a store, for that is where the appliance has its models. A GGUF file is packed
//! into this user's cache first.

use std::env;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use store::source::Source;
use store::{Error, Hash, ModelId, Store};

use crate::offline::with_bar;
use crate::screen;

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

    /// A GGUF file, packed into the cache if it is not there as it is now.
    pub(super) fn packed(file: &Path, cache: &Path) -> Result<Self> {
        let shown = || file.display().to_string();
        let file = file.canonicalize().with_context(shown)?;
        let id: ModelId = cached_id(&file, &fs::metadata(&file).with_context(shown)?).parse()?;
        let store = Store::new(cache);
        if store.written(&id).is_none() {
            screen::note(format_args!("packing {} into {}", shown(), cache.display()));
            let source = Source::open(&file)?;
            with_bar(|progress| store.import(&source, &id, progress))?;
            forget_others(&store, &file, &id)?;
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

/// A name that no file of another folder gets, nor another file that takes this one's place or is written over it.
fn cached_id(file: &Path, metadata: &Metadata) -> String {
    let (seconds, nanoseconds) = (metadata.mtime(), metadata.mtime_nsec());
    let state = format!("{} {seconds}.{nanoseconds} {}", metadata.len(), metadata.ino());
    format!("{}-{}", of_path(file), short_hash(state.as_bytes()))
}

/// What the names of all that was ever packed from a path begin with.
fn of_path(file: &Path) -> String {
    short_hash(file.as_os_str().as_encoded_bytes())
}

/// Half of a hash, for a model's name has no room for two.
fn short_hash(bytes: &[u8]) -> String {
    Hash::of(bytes).to_string()[..32].to_owned()
}

/// Gives back the room of what the file was before.
fn forget_others(store: &Store, file: &Path, id: &ModelId) -> Result<()> {
    let path = of_path(file);
    let others = store.models()?.into_iter();
    for other in others.filter(|other| other != id && other.as_str().starts_with(&path)) {
        match store.remove(&other) {
            // Another measurement of the same file was faster.
            Ok(()) | Err(Error::NoModel { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    match store.collect() {
        // Another measurement packs a file, and collects when that is done.
        Ok(_) | Err(Error::Busy { .. }) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::tiny;
    use std::fs::File;
    use std::time::{Duration, SystemTime};

    struct Folder(tempfile::TempDir);

    impl Folder {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        /// Packs `m.gguf`, and tells its name in the cache and when it was stored.
        fn packed(&self) -> (ModelId, SystemTime) {
            let place = Place::packed(&self.path("m.gguf"), &self.path("cache")).unwrap();
            let (store, id) = place.open().unwrap();
            assert_eq!(store.models().unwrap(), std::slice::from_ref(&id));
            let written = store.written(&id).unwrap();
            (id, written)
        }
    }

    fn write(file: &Path, context: u32, age: Duration) {
        tiny::write(file, context).unwrap();
        let opened = File::options().write(true).open(file).unwrap();
        opened.set_modified(SystemTime::now() - age).unwrap();
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_file_is_packed_once_and_again_when_it_was_written() {
        let folder = Folder::new();
        write(&folder.path("m.gguf"), 64, HOUR);
        let first = folder.packed();
        assert_eq!(folder.packed(), first);
        write(&folder.path("m.gguf"), 64, Duration::ZERO);
        assert_ne!(folder.packed(), first);
    }

    #[test]
    fn an_older_file_that_takes_its_place_is_packed_and_the_first_forgotten() {
        let folder = Folder::new();
        write(&folder.path("m.gguf"), 64, HOUR);
        let (first, _) = folder.packed();
        write(&folder.path("older.gguf"), 128, 2 * HOUR);
        fs::rename(folder.path("older.gguf"), folder.path("m.gguf")).unwrap();
        let (second, _) = folder.packed();
        assert_ne!(first, second);
        let store = Store::new(&folder.path("cache"));
        assert_eq!(store.manifest(&second).unwrap().model.summary.context, Some(128));
    }

    #[test]
    fn what_is_packed_beside_another_measurements_packing_is_no_failure() {
        let folder = Folder::new();
        write(&folder.path("m.gguf"), 64, HOUR);
        tiny::write(&folder.path("other.gguf"), 128).unwrap();
        let other = Source::open(&folder.path("other.gguf")).unwrap();
        let meanwhile = std::sync::Once::new();
        let store = Store::new(&folder.path("cache"));
        let beside = |_| meanwhile.call_once(|| drop(folder.packed()));
        store.import(&other, &"other".parse().unwrap(), &beside).unwrap();
        assert!(meanwhile.is_completed());
    }

    #[test]
    fn files_of_one_name_in_two_folders_are_two_models() {
        let metadata = fs::metadata(".").unwrap();
        let id = |file: &str| cached_id(Path::new(file), &metadata);
        assert_ne!(id("/a/m.gguf"), id("/b/m.gguf"));
        assert!(id("/a/größe.gguf").parse::<ModelId>().is_ok());
    }
}
