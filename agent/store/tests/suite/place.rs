//! A store to put models in, and what to do to it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::model::Model;
use kernels::kind::Kind;
use store::source::Source;
use store::{Error, Hash, ModelId, Progress, Store};
use tempfile::TempDir;

/// Hears of progress and tells nobody.
pub(crate) fn silent(_: Progress) {}

pub(crate) fn id(name: &str) -> ModelId {
    name.parse().unwrap()
}

/// A store in a folder of its own, with a place for files beside it.
pub(crate) struct Place {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
}

impl Place {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::new(&folder.path().join("store"));
        Self { folder, store }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn import(&self, name: &str, model: &Model) {
        let path = self.file("model.gguf");
        model.write(&path);
        self.store
            .import(&Source::open(&path).unwrap(), &id(name), &silent)
            .unwrap();
    }

    /// The files of all blocks.
    pub(crate) fn blocks(&self) -> Vec<PathBuf> {
        files(&self.store.path().join("blocks"))
    }

    /// The file of the block of that hash.
    pub(crate) fn block(&self, hash: Hash) -> PathBuf {
        let name = hash.to_string();
        self.store.path().join("blocks").join(&name[..2]).join(&name)
    }

    /// The file of a model's manifest.
    pub(crate) fn manifest(&self, name: &str) -> PathBuf {
        self.store.path().join("models").join(name).join("manifest.json")
    }

    /// The least budget that a model can be streamed in.
    pub(crate) fn least(&self, name: &str) -> usize {
        match self.store.load_within(&id(name), 0) {
            Err(Error::Budget { least, .. }) => least,
            other => panic!("a budget of 0: {other:?}"),
        }
    }
}

/// All files below a folder, in order.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Flips one bit of a byte of a file that may be read-only.
pub(crate) fn flip(path: &Path, place: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[place] ^= 1 << (place % 8);
    let mut writable = fs::metadata(path).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut writable, 0o644);
    fs::set_permissions(path, writable).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Larger than a block in one segment, with floats that compress and weights that do not.
pub(crate) fn large() -> Model {
    let mut model = Model::small()
        .tensor("blk.2.ffn_up.weight", Kind::BF16, &[2048, 1600])
        .tensor("blk.2.ffn_down.weight", Kind::Q4_0, &[4096, 4000]);
    // Weights are alike in size: the exponents say little.
    for pair in model
        .tensors
        .iter_mut()
        .find(|tensor| tensor.name == "blk.2.ffn_up.weight")
        .unwrap()
        .bytes
        .chunks_mut(2)
    {
        pair[1] = 0x3c | pair[1] & 0x81;
    }
    model
}
