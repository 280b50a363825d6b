//! Which models there are: files and stores in folders.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use store::packed::Packed;
use store::{ModelId, Store};

/// Folders that are searched for models: for GGUF files in them, and for models that were imported, for which a folder
/// is a store.
#[derive(Clone, Debug)]
pub struct Catalog {
    folders: Vec<PathBuf>,
    /// One for each folder, kept so that blocks are verified once.
    stores: Vec<Arc<Store>>,
}

/// A model.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The name that requests give.
    pub id: String,
    /// Where it is.
    pub source: Source,
    /// When it was last written, if the file system knows.
    pub written: Option<SystemTime>,
}

/// Where a model is.
#[derive(Clone, Debug)]
pub enum Source {
    /// A GGUF file, whose name without `.gguf` is the model's.
    Gguf(PathBuf),
    /// A model of a store.
    Stored(Arc<Store>, ModelId),
}

impl Source {
    /// The model's weights, ready for the kernels.
    pub fn load(&self) -> Result<Packed, store::Error> {
        match self {
            Self::Gguf(path) => Packed::from_gguf(path),
            Self::Stored(store, id) => store.load(id),
        }
    }

    /// Where it is, for messages.
    pub fn path(&self) -> PathBuf {
        match self {
            Self::Gguf(path) => path.clone(),
            Self::Stored(store, id) => store.path().join(id.as_str()),
        }
    }
}

impl Catalog {
    /// One of these folders; a model in an earlier one hides one of the same name in a later one.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        let stores = folders
            .iter()
            .map(|folder| Arc::new(Store::new(folder)))
            .collect();
        Self { folders, stores }
    }

    /// The folders that are searched.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// All models, by id; of one folder's those that were imported hide files of the same name. Folders that do not
    /// exist and files that do not begin as GGUF files do are passed over.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = BTreeMap::new();
        for (folder, store) in self.folders.iter().zip(&self.stores) {
            for entry in stored(store).chain(files(folder).into_iter().filter_map(file)) {
                entries.entry(entry.id.clone()).or_insert(entry);
            }
        }
        entries.into_values().collect()
    }

    /// The model of that name.
    pub fn find(&self, id: &str) -> Option<Entry> {
        self.entries().into_iter().find(|entry| entry.id == id)
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let paths = |files: fs::ReadDir| files.filter_map(Result::ok).map(|file| file.path()).collect();
    fs::read_dir(folder).map(paths).unwrap_or_default()
}

fn stored(store: &Arc<Store>) -> impl Iterator<Item = Entry> {
    let entry = |id: ModelId| Entry {
        id: id.to_string(),
        source: Source::Stored(Arc::clone(store), id),
        written: None,
    };
    store.models().unwrap_or_default().into_iter().map(entry)
}

fn file(path: PathBuf) -> Option<Entry> {
    if path.extension()? != "gguf" {
        return None;
    }
    let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    let mut magic = [0; 4];
    File::open(&path).ok()?.read_exact(&mut magic).ok()?;
    if &magic != b"GGUF" {
        return None;
    }
    let id = path.file_stem()?.to_str()?.to_owned();
    Some(Entry {
        id,
        source: Source::Gguf(path),
        written: metadata.modified().ok(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tiny;

    #[test]
    fn models_are_files_that_begin_as_such() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        tiny::write(&first.path().join("b.gguf"), 64).unwrap();
        tiny::write(&second.path().join("b.gguf"), 64).unwrap();
        tiny::write(&second.path().join("a.gguf"), 64).unwrap();
        fs::write(second.path().join("not.gguf"), "text").unwrap();
        fs::write(second.path().join("c.txt"), "GGUF").unwrap();
        fs::create_dir(second.path().join("folder.gguf")).unwrap();
        let folders = [first.path(), Path::new("/nowhere"), second.path()].map(Path::to_owned);
        let catalog = Catalog::new(folders.into());
        let found: Vec<_> = catalog
            .entries()
            .into_iter()
            .map(|entry| (entry.id, entry.source.path()))
            .collect();
        let expected = [
            ("a", second.path().join("a.gguf")),
            ("b", first.path().join("b.gguf")),
        ];
        assert_eq!(found, expected.map(|(id, path)| (id.to_owned(), path)));
        assert!(catalog.find("../b").is_none());
    }

    #[test]
    fn models_that_were_imported_are_found_and_hide_files_of_their_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.gguf");
        tiny::write(&file, 64).unwrap();
        let store = Store::new(folder.path());
        let source = store::source::Source::open(&file).unwrap();
        for id in ["a", "b"] {
            store.import(&source, &id.parse().unwrap(), &|_| {}).unwrap();
        }
        let catalog = Catalog::new(vec![folder.path().to_owned()]);
        let entries = catalog.entries();
        assert_eq!(
            entries.iter().map(|entry| entry.id.as_str()).collect::<Vec<_>>(),
            ["a", "b"]
        );
        for entry in entries {
            assert!(matches!(entry.source, Source::Stored(..)), "{entry:?}");
            assert!(entry.source.load().unwrap().root().is_some());
        }
    }
}
