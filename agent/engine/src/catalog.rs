//! Which models there are: files in folders.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::gguf;

/// Folders that are searched for models.
#[derive(Clone, Debug)]
pub struct Catalog {
    folders: Vec<PathBuf>,
}

/// A model file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The name that requests give: the file's name without `.gguf`.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
    /// When it was last written, if the file system knows.
    pub written: Option<SystemTime>,
}

impl Catalog {
    /// One of these folders; a model in an earlier one hides one of the same name in a later one.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders }
    }

    /// The folders that are searched.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// All models, by id. Folders that do not exist and files that do not begin as GGUF files do are passed over.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = BTreeMap::new();
        for entry in self
            .folders
            .iter()
            .flat_map(|folder| files(folder))
            .filter_map(entry)
        {
            entries.entry(entry.id.clone()).or_insert(entry);
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

fn entry(path: PathBuf) -> Option<Entry> {
    if path.extension()? != "gguf" {
        return None;
    }
    let metadata = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
    gguf::check_fixed(&mut File::open(&path).ok()?).ok()?;
    let id = path.file_stem()?.to_str()?.to_owned();
    Some(Entry {
        id,
        path,
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
            .map(|entry| (entry.id, entry.path))
            .collect();
        let expected = [
            ("a", second.path().join("a.gguf")),
            ("b", first.path().join("b.gguf")),
        ];
        assert_eq!(found, expected.map(|(id, path)| (id.to_owned(), path)));
        assert_eq!(catalog.find("../b"), None);
    }
}
