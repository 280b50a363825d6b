//! Which models there are: files and stores in folders.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use store::part::Part;
use store::{Hash, ModelId, Opened, Store};

/// Folders that are searched for models. Each is a store, to which another process may add models and from which it may
/// remove some at any time: nothing of it is remembered from one look to the next but which blocks were verified. A GGUF
/// file in a folder, or a split one, is a model as well, for those who develop; it is packed into memory.
#[derive(Clone, Debug)]
pub struct Catalog {
    folders: Vec<PathBuf>,
    /// One for each folder, kept so that blocks are verified once.
    stores: Vec<Arc<Store>>,
    faults: Arc<Faults>,
}

/// What could not be read when it was last looked at, in each folder.
#[derive(Debug, Default)]
struct Faults(Mutex<BTreeMap<PathBuf, BTreeSet<String>>>);

impl Faults {
    /// Keeps what a look at a folder came to. Those faults that were not there the last time.
    fn news(&self, folder: &Path, faults: BTreeSet<String>) -> Vec<String> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = match faults.is_empty() {
            true => known.remove(folder),
            false => known.insert(folder.to_owned(), faults.clone()),
        };
        let before = before.unwrap_or_default();
        faults
            .into_iter()
            .filter(|fault| !before.contains(fault))
            .collect()
    }
}

/// What a look at a folder came to: all that could be read, and why the rest could not.
#[derive(Default)]
struct Look {
    entries: Vec<Entry>,
    faults: BTreeSet<String>,
}

impl Look {
    fn fault(&mut self, error: impl ToString) {
        self.faults.insert(error.to_string());
    }
}

/// A model, as it was found.
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
    /// A GGUF file, whose name without `.gguf` and without the number of a part is the model's.
    Gguf(PathBuf),
    /// A model of a store.
    Stored(Arc<Store>, ModelId),
}

impl Source {
    /// Reads what the model says of itself; its weights can be loaded then.
    pub fn open(&self) -> Result<Opened, store::Error> {
        match self {
            Self::Gguf(path) => Opened::gguf(path),
            Self::Stored(store, id) => store.open(id),
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

impl Entry {
    /// A number for the model itself, whatever its name: another file, or another import, of the same name has another.
    /// Of a stored model it is the beginning of its root hash, of a GGUF file that of a hash over the file's name, length
    /// and time of writing. Never 0, which stands for no model.
    pub fn tag(&self) -> Result<u64, store::Error> {
        let hash = match &self.source {
            Source::Stored(store, id) => store.root(id)?,
            Source::Gguf(path) => self.file_hash(path)?,
        };
        Ok(hash.tag().max(1))
    }

    fn file_hash(&self, path: &Path) -> Result<Hash, store::Error> {
        let metadata = fs::metadata(path).map_err(|error| store::Error::Io {
            action: "read",
            path: path.to_owned(),
            error,
        })?;
        let written = self
            .written
            .and_then(|written| written.duration_since(SystemTime::UNIX_EPOCH).ok())
            .map_or(0, |since| since.as_nanos());
        let mut identity = metadata.len().to_le_bytes().to_vec();
        identity.extend(written.to_le_bytes());
        identity.extend(self.id.as_bytes());
        Ok(Hash::of(&identity))
    }

    /// Whether this is what that was found to be, and not another model that has come under the same name since.
    pub fn is_still(&self, found: &Self) -> bool {
        self.id == found.id && self.written == found.written && self.source.path() == found.source.path()
    }
}

impl Catalog {
    /// One of these folders; a model in an earlier one hides one of the same name in a later one.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        let stores = folders
            .iter()
            .map(|folder| Arc::new(Store::new(folder)))
            .collect();
        Self {
            folders,
            stores,
            faults: Arc::default(),
        }
    }

    /// The folders that are searched.
    pub fn folders(&self) -> &[PathBuf] {
        &self.folders
    }

    /// All models, by id; of one folder's those that were imported hide files of the same name. Folders that do not
    /// exist and files that do not begin as GGUF files do are passed over; what cannot be read, too, with a warning the
    /// first time, and hides nothing else.
    pub fn entries(&self) -> Vec<Entry> {
        let mut entries = BTreeMap::new();
        for (folder, store) in self.folders.iter().zip(&self.stores) {
            let look = look(folder, store);
            for fault in self.faults.news(folder, look.faults) {
                tracing::warn!("models in {} are not there for now: {fault}", folder.display());
            }
            for entry in look.entries {
                entries.entry(entry.id.clone()).or_insert(entry);
            }
        }
        entries.into_values().collect()
    }

    /// The root hashes of the stored models, hidden ones included.
    ///
    /// # Errors
    /// The first store, or manifest, that cannot be read: then nobody can say which models there are not.
    pub fn roots(&self) -> Result<Vec<Hash>, store::Error> {
        let mut roots = Vec::new();
        for store in &self.stores {
            for id in store.models()? {
                roots.push(store.manifest(&id)?.root);
            }
        }
        Ok(roots)
    }

    /// The model of that name.
    pub fn find(&self, id: &str) -> Option<Entry> {
        self.entries().into_iter().find(|entry| entry.id == id)
    }
}

/// The models of a folder, those that were imported first.
fn look(folder: &Path, store: &Arc<Store>) -> Look {
    let mut look = Look::default();
    match store.models() {
        Ok(ids) => look.entries.extend(ids.into_iter().map(|id| stored(store, id))),
        Err(error) => look.fault(error),
    }
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => look.fault(format!("cannot list {}: {error}", folder.display())),
        Ok(files) => files.for_each(|found| match found {
            Ok(found) => take(&mut look, found.path()),
            Err(error) => look.fault(format!("cannot list all of {}: {error}", folder.display())),
        }),
    }
    look
}

fn stored(store: &Arc<Store>, id: ModelId) -> Entry {
    Entry {
        id: id.to_string(),
        written: store.written(&id),
        source: Source::Stored(Arc::clone(store), id),
    }
}

fn take(look: &mut Look, path: PathBuf) {
    match file(&path) {
        Ok(entry) => look.entries.extend(entry),
        // It was removed since it was listed.
        Err(_) if path.symlink_metadata().is_err() => {}
        Err(error) => look.fault(format!("cannot read {}: {error}", path.display())),
    }
}

/// The model that a file is, if it is the first of one.
fn file(path: &Path) -> io::Result<Option<Entry>> {
    if path.extension().is_none_or(|extension| extension != "gguf") {
        return Ok(None);
    }
    let metadata = fs::metadata(path)?;
    if !metadata.is_file() || !begins_as_gguf(path)? {
        return Ok(None);
    }
    let id = match Part::of(path) {
        Some(part) if part.index > 1 => None,
        Some(part) => Some(part.name),
        None => path.file_stem().and_then(OsStr::to_str),
    };
    Ok(id.map(|id| Entry {
        id: id.to_owned(),
        written: metadata.modified().ok(),
        source: Source::Gguf(path.to_owned()),
    }))
}

fn begins_as_gguf(path: &Path) -> io::Result<bool> {
    let mut magic = Vec::new();
    File::open(path)?.take(4).read_to_end(&mut magic)?;
    Ok(magic == b"GGUF")
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
    fn a_folder_that_cannot_be_read_hides_no_other_and_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let (bad, good) = (folder.path().join("bad"), folder.path().join("good"));
        fs::write(&bad, "no folder").unwrap();
        fs::create_dir(&good).unwrap();
        tiny::write(&good.join("a.gguf"), 64).unwrap();
        let catalog = Catalog::new(vec![bad.clone(), good.clone(), folder.path().join("nowhere")]);
        let known = || catalog.faults.0.lock().unwrap().clone();
        assert_eq!(ids(&catalog), ["a"]);
        assert_eq!(
            known().keys().collect::<Vec<_>>(),
            [&bad],
            "what is not there is no fault"
        );
        let faults = known()[&bad].clone();
        assert!(
            faults.iter().all(|fault| fault.contains("Not a directory")),
            "{faults:?}"
        );
        assert!(
            catalog.faults.news(&bad, faults.clone()).is_empty(),
            "they were told"
        );
        let more: BTreeSet<_> = faults.iter().cloned().chain(["another".to_owned()]).collect();
        assert_eq!(catalog.faults.news(&bad, more), ["another"]);
        fs::remove_file(&bad).unwrap();
        assert_eq!(ids(&catalog), ["a"]);
        assert!(known().is_empty(), "it can be read again");
        let again = catalog.faults.news(&bad, faults.clone());
        assert_eq!(again.len(), faults.len(), "and would be told again");
    }

    #[test]
    fn what_cannot_be_read_in_a_folder_hides_nothing_and_each_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        for name in ["a.gguf", "z.gguf"] {
            tiny::write(&file(name), 64).unwrap();
        }
        // Links that lead nowhere, or to themselves, cannot be read by anybody.
        std::os::unix::fs::symlink("nowhere", file("dangling.gguf")).unwrap();
        std::os::unix::fs::symlink("loop.gguf", file("loop.gguf")).unwrap();
        // And what should be the folder of the store's models is a file.
        fs::write(file("models"), "no folder").unwrap();
        let catalog = Catalog::new(vec![folder.path().to_owned()]);
        assert_eq!(ids(&catalog), ["a", "z"]);
        let faults = catalog.faults.0.lock().unwrap()[folder.path()].clone();
        assert_eq!(faults.len(), 3, "{faults:?}");
        for name in ["dangling.gguf", "loop.gguf", "models"] {
            assert!(faults.iter().any(|fault| fault.contains(name)), "{faults:?}");
        }
    }

    /// Imports a made-up model that looks back on `context` tokens.
    fn import(store: &Store, id: &str, context: u32) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("model.gguf");
        tiny::write(&file, context).unwrap();
        let source = store::source::Source::open(&file).unwrap();
        store.import(&source, &id.parse().unwrap(), &|_| {}).unwrap();
    }

    fn ids(catalog: &Catalog) -> Vec<String> {
        catalog.entries().into_iter().map(|entry| entry.id).collect()
    }

    #[test]
    fn models_that_were_imported_are_found_and_hide_files_of_their_name() {
        let folder = tempfile::tempdir().unwrap();
        tiny::write(&folder.path().join("a.gguf"), 64).unwrap();
        let store = Store::new(folder.path());
        import(&store, "a", 64);
        import(&store, "b", 64);
        let catalog = Catalog::new(vec![folder.path().to_owned()]);
        assert_eq!(ids(&catalog), ["a", "b"]);
        for entry in catalog.entries() {
            assert!(matches!(entry.source, Source::Stored(..)), "{entry:?}");
            assert!(entry.written.is_some(), "{entry:?}");
            assert!(entry.source.open().unwrap().load(None).unwrap().root().is_some());
        }
    }

    #[test]
    fn what_another_process_adds_removes_and_replaces_is_seen_at_the_next_look() {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [shipped, added] = folders.each_ref().map(|folder| Store::new(folder.path()));
        let catalog = Catalog::new(folders.iter().map(|folder| folder.path().to_owned()).collect());
        assert!(ids(&catalog).is_empty());
        import(&added, "a", 64);
        import(&shipped, "b", 64);
        assert_eq!(ids(&catalog), ["a", "b"]);
        let seen = catalog.find("a").unwrap();
        assert!(catalog.find("a").unwrap().is_still(&seen));
        import(&added, "a", 128);
        assert!(!catalog.find("a").unwrap().is_still(&seen), "it was replaced");
        import(&shipped, "a", 64);
        assert_eq!(
            catalog.find("a").unwrap().source.path(),
            folders[0].path().join("a"),
            "the earlier folder hides the later one"
        );
        for store in [&shipped, &added] {
            store.remove(&"a".parse().unwrap()).unwrap();
        }
        assert_eq!(ids(&catalog), ["b"]);
    }

    #[test]
    fn a_tag_is_the_model_itself_and_not_its_name() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let tag = |folder: &Path, id| {
            let entry = Catalog::new(vec![folder.to_owned()]).find(id).unwrap();
            entry.tag().unwrap()
        };
        let store = Store::new(folder.path());
        import(&store, "a", 64);
        import(&store, "same", 64);
        let first = tag(folder.path(), "a");
        let root = store.manifest(&"a".parse().unwrap()).unwrap().root;
        assert_eq!(first, root.tag());
        assert_eq!(tag(folder.path(), "same"), first, "the same model has two names");
        import(&store, "a", 128);
        assert_ne!(tag(folder.path(), "a"), first, "it was replaced");
        let file = other.path().join("a.gguf");
        tiny::write(&file, 64).unwrap();
        let bare = tag(other.path(), "a");
        assert_eq!(tag(other.path(), "a"), bare);
        fs::write(&file, "GGUF").unwrap();
        assert_ne!(tag(other.path(), "a"), bare, "it was replaced");
    }

    #[test]
    fn a_split_file_is_one_model() {
        let folder = tempfile::tempdir().unwrap();
        for index in 1..=3 {
            let name = format!("qwen-0000{index}-of-00003.gguf");
            tiny::write(&folder.path().join(name), 64).unwrap();
        }
        let catalog = Catalog::new(vec![folder.path().to_owned()]);
        assert_eq!(ids(&catalog), ["qwen"]);
        let path = catalog.find("qwen").unwrap().source.path();
        assert!(path.ends_with("qwen-00001-of-00003.gguf"), "{path:?}");
    }

    #[test]
    fn a_gguf_file_larger_than_the_budget_is_refused_for_it_cannot_be_streamed() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.gguf");
        tiny::write(&file, 64).unwrap();
        let source = Source::Gguf(file);
        assert!(source.open().unwrap().load(Some(1 << 20)).is_ok());
        let error = source
            .open()
            .unwrap()
            .load(Some(1 << 10))
            .unwrap_err()
            .to_string();
        assert!(error.contains("a.gguf") && error.contains("1024"), "{error}");
    }
}
