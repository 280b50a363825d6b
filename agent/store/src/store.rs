//! A store: a folder of models.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use nix::sys::statvfs::statvfs;

use crate::block::Damage;
use crate::error::Error;
use crate::export::export;
use crate::folder::{Folder, list, sync_folder};
use crate::hash::Hash;
use crate::id::ModelId;
use crate::import::{import, packed_bytes};
use crate::load::Blocks;
use crate::manifest::Manifest;
use crate::models;
use crate::opened::Opened;
use crate::packed::Packed;
use crate::progress::OnProgress;
use crate::pulse::Pulse;
use crate::source::Source;

/// A folder of models.
///
/// Blocks are verified once for each `Store`, before they are first used: a process that loads a model again through
/// the same one does not compare hashes again.
#[derive(Debug)]
pub struct Store {
    folder: Arc<Folder>,
    verified: Arc<Mutex<HashSet<Hash>>>,
}

/// What a collection of garbage has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blocks that no model has.
    pub blocks: usize,
    /// Files that an import left behind when it was killed.
    pub incoming: usize,
    /// Bytes of both.
    pub bytes: u64,
}

impl Store {
    /// The store in that folder, which is made by the first import.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: Arc::new(Folder::new(folder)),
            verified: Arc::default(),
        }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.folder.root()
    }

    /// Packs a source and stores it under that name. A model that had the name is replaced when the new one is whole;
    /// until then, and if the process is killed, the old one is there. If there is no room for it, nothing of it stays.
    pub fn import(&self, source: &Source, id: &ModelId, progress: OnProgress<'_>) -> Result<Manifest, Error> {
        match import(&self.folder, source, id, progress) {
            Err(Error::Full { .. }) => Err(self.no_room(source)?),
            imported => imported,
        }
    }

    /// Gives back the room of what was written of a model that does not fit: others need it more.
    fn no_room(&self, source: &Source) -> Result<Error, Error> {
        // It may stay while another import is on its way, which may have found blocks of this one and count on them.
        let left = self.collect().err().map(Box::new);
        let path = self.path().to_owned();
        let told = statvfs(&path).map_err(|error| Error::io("ask for the room in", &path)(error.into()))?;
        Ok(Error::NoRoom {
            path,
            needed: packed_bytes(source)?,
            free: told.blocks_available() * told.fragment_size(),
            left,
        })
    }

    /// The names of all models.
    pub fn models(&self) -> Result<Vec<ModelId>, Error> {
        models::models(&self.folder)
    }

    /// When a model was stored, if there is one of that name and the file system knows.
    pub fn written(&self, id: &ModelId) -> Option<SystemTime> {
        fs::metadata(self.folder.manifest(id)).ok()?.modified().ok()
    }

    /// What a model is made of.
    pub fn manifest(&self, id: &ModelId) -> Result<Manifest, Error> {
        models::manifest(&self.folder, id)
    }

    /// The root hash that a model's manifest names, which is its identity. Nothing of the manifest is checked for it:
    /// opening the model does that.
    pub fn root(&self, id: &ModelId) -> Result<Hash, Error> {
        models::root(&self.folder, id)
    }

    /// Opens a model, whose weights can then be loaded.
    pub fn open(&self, id: &ModelId) -> Result<Opened, Error> {
        Opened::stored(self.blocks(id)?)
    }

    /// Loads a model; each of its blocks is verified before it is used.
    pub fn load(&self, id: &ModelId) -> Result<Packed, Error> {
        self.open(id)?.load(None)
    }

    /// Loads a model of which at most `budget` bytes of weights are in memory at a time; the others are read when they
    /// are needed, in the order of the layers and ahead of their use.
    pub fn load_within(&self, id: &ModelId, budget: usize) -> Result<Packed, Error> {
        self.open(id)?.load(Some(budget))
    }

    fn blocks(&self, id: &ModelId) -> Result<Blocks, Error> {
        let manifest = self.manifest(id)?;
        let table = manifest.model.table().map_err(|problem| Error::Manifest {
            path: self.folder.manifest(id),
            problem,
        })?;
        Ok(Blocks {
            folder: self.folder.clone(),
            id: id.clone(),
            manifest,
            table,
            verified: self.verified.clone(),
        })
    }

    /// Reads all blocks of a model and tells which are damaged. If it is replaced meanwhile, the new one is read.
    pub fn verify(&self, id: &ModelId, progress: OnProgress<'_>) -> Result<Vec<Damage>, Error> {
        loop {
            match self.blocks(id)?.damaged(progress) {
                Err(Error::Replaced { .. }) => {}
                damaged => return damaged,
            }
        }
    }

    /// Writes a model as one GGUF file, with the tensors and the metadata that it was imported from.
    pub fn export(&self, id: &ModelId, path: &Path, progress: OnProgress<'_>) -> Result<(), Error> {
        let blocks = self.blocks(id)?;
        let entries = blocks.entries()?;
        export(
            &blocks.load(blocks.metadata()?, &Pulse::default())?,
            &entries,
            path,
            progress,
        )
    }

    /// Forgets a model. Its blocks stay until [`Self::collect`].
    pub fn remove(&self, id: &ModelId) -> Result<(), Error> {
        let path = self.folder.manifest(id);
        if !path.exists() {
            return Err(models::no_model(&self.folder, id)?);
        }
        let _lock = self.folder.lock_for_removal()?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(models::no_model(&self.folder, id)?);
            }
            removed => removed.map_err(Error::io("remove", &path))?,
        }
        let home = self.folder.models().join(id.as_str());
        match fs::remove_dir(&home) {
            // What somebody else has put there is not ours to remove; without its manifest it is no model.
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => sync_folder(&home)?,
            removed => removed.map_err(Error::io("remove", &home))?,
        }
        sync_folder(&self.folder.models())
    }

    /// Removes the blocks that no model has, and what killed imports left behind. Refused while an import is on its
    /// way; waits for another collection. A model that is loaded keeps what it has mapped.
    pub fn collect(&self) -> Result<Collected, Error> {
        let removal = self.folder.lock_for_removal()?;
        let _lock = self.folder.lock_for_collection(&removal)?;
        let mut used = HashSet::new();
        for id in self.models()? {
            let hashes = models::hashes(&self.folder, &id)?;
            used.extend(hashes.into_iter().map(|hash| self.folder.block(hash)));
        }
        let mut collected = Collected::default();
        for home in list(&self.folder.blocks())? {
            for path in list(&home)?.into_iter().filter(|path| !used.contains(path)) {
                collected.bytes += remove(&path)?;
                collected.blocks += 1;
            }
        }
        for path in list(&self.folder.incoming())? {
            collected.bytes += remove(&path)?;
            collected.incoming += 1;
        }
        Ok(collected)
    }
}

/// Removes a file and tells how many bytes it had.
fn remove(path: &Path) -> Result<u64, Error> {
    let bytes = fs::metadata(path).map(|metadata| metadata.len());
    let removed = bytes.and_then(|bytes| fs::remove_file(path).map(|()| bytes));
    removed.map_err(Error::io("remove", path))
}
