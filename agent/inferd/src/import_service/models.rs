//! What is done with the models on the disk.

use std::fs::{self, File, TryLockError};
use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use api::import::{NewModel, Refused, RefusedKind};
use api::models::{
    CodecShare, DamagedBlock, ModelChange, ModelSettings, Phase, Place, RemovedModel, StoredModel,
    Verification,
};
use engine::catalog::{Catalog, Entry, Source as Origin};
use engine::model;
use engine::template::renderer::Renderer;
use store::manifest::{Manifest, Model};
use store::source::Source;
use store::{Codec, Damage, Error, ModelId, Store};

use crate::model_settings::{self, ChangeError};

use super::spool::{self, Spool};
use super::wire::{Teller, refused};

/// What is told of a name that a model file gives itself, in characters.
const LONGEST_NAME: usize = 200;

/// What nobody here can see: whether the engine has the model's blocks mapped.
const HELD: &str = "what the engine has in use of it comes back when it lets go: when it has answered, at the next request or \
    the next list of models that can be asked";

/// The models of the image and those that were added.
pub(super) struct Models {
    image: Catalog,
    added: Catalog,
    store: Store,
    renderer: Renderer,
}

impl Models {
    /// Those of the image in one folder, added ones in the other. Templates of new ones are tried by `renderer`.
    pub(super) fn new(image: &Path, store: &Path, renderer: Renderer) -> Self {
        Self {
            image: Catalog::new(vec![image.to_owned()]),
            added: Catalog::new(vec![store.to_owned()]),
            store: Store::new(store),
            renderer,
        }
    }

    /// All of them, those of the image first.
    pub(super) fn list(&self) -> Result<Vec<StoredModel>, Refused> {
        let image = self
            .image
            .entries()
            .into_iter()
            .map(|entry| found(&entry, Place::Image));
        let added = self
            .added
            .entries()
            .into_iter()
            .map(|entry| found(&entry, Place::Added));
        let settings = model_settings::read(self.store.path());
        image
            .chain(added)
            .map(|model: Result<StoredModel, Refused>| {
                let model = model?;
                let settings = settings.told(&model.id);
                Ok(StoredModel { settings, ..model })
            })
            .collect()
    }

    /// Receives a model's files, and packs and stores them if they are one that can be asked.
    pub(super) fn add(
        &self,
        new: &NewModel,
        input: &mut impl BufRead,
        teller: &Teller<impl Write + Send>,
    ) -> Result<StoredModel, Refused> {
        let id = parse(&new.name)?;
        let folder = self.store.path();
        fs::create_dir_all(folder)
            .map_err(|error| failed(format!("cannot make {}: {error}", folder.display())))?;
        let _turn = self.turn()?;
        self.refuse_taken(&id)?;
        // What a killed import left would otherwise take the room of every later one. What cannot be removed is told to
        // the journal, and counts as taken.
        self.collect().ok();
        let room = spool::room(spool::free(folder)?, folder, &new.files)?;
        teller.tell(&api::import::Reply::Ready).map_err(|_| gone())?;
        let spool = Spool::receive(input, &new.files, folder, room)?;
        let stored = self.store(&id, &spool, teller);
        // What it could not remove is told to the journal, and does not make the model less there.
        self.collect().ok();
        stored
    }

    fn refuse_taken(&self, id: &ModelId) -> Result<(), Refused> {
        let way_out = match (self.image.find(id.as_str()), self.added.find(id.as_str())) {
            (None, None) => return Ok(()),
            (Some(_), _) => "in the image, which keeps it; choose another name",
            (None, Some(_)) => "already; remove it first, or choose another name",
        };
        let message = format!("there is a model `{id}` {way_out}");
        Err(refused(RefusedKind::Taken, message))
    }

    fn store(
        &self,
        id: &ModelId,
        spool: &Spool,
        teller: &Teller<impl Write + Send>,
    ) -> Result<StoredModel, Refused> {
        let source = Source::from_files(spool.files()?).map_err(of_store)?;
        model::check(&source, self.renderer).map_err(|error| refused(RefusedKind::Unusable, error))?;
        let left = AtomicBool::new(false);
        let progress = |progress: store::Progress| {
            if teller
                .progress(Phase::Packing, progress.done, progress.total)
                .is_err()
            {
                left.store(true, Ordering::Relaxed);
                spool.discard();
            }
        };
        let manifest = self.store.import(&source, id, &progress);
        // Told before the manifest was written, the import has failed; told after, nobody has heard that it has not.
        let manifest = match manifest {
            Err(_) if left.load(Ordering::Relaxed) => return Err(gone()),
            manifest => manifest.map_err(of_store)?,
        };
        tracing::info!("{id} added: {} bytes, {}", manifest.model.stored(), manifest.root);
        Ok(stored(id, Place::Added, &manifest))
    }

    /// Reads all blocks of a model.
    pub(super) fn verify(
        &self,
        name: &str,
        teller: &Teller<impl Write + Send>,
    ) -> Result<Verification, Refused> {
        let id = parse(name)?;
        let Some(entry) = self.find(&id) else {
            return Err(self.unknown(&id));
        };
        let Origin::Stored(store, id) = entry.source else {
            let message = format!("`{id}` is a plain GGUF file, which has no hashes to compare");
            return Err(refused(RefusedKind::Fixed, message));
        };
        let manifest = store.manifest(&id).map_err(of_store)?;
        let progress = |progress: store::Progress| {
            if teller
                .progress(Phase::Verifying, progress.done, progress.total)
                .is_err()
            {
                // Nothing is half done, and nobody is left to read for.
                tracing::info!("the verification of {id} is given up: nobody listens");
                std::process::exit(0);
            }
        };
        let damaged = store.verify(&id, &progress).map_err(of_store)?;
        Ok(Verification {
            root: manifest.root.to_string(),
            blocks: manifest.model.blocks().count() as u64,
            stored: manifest.model.stored(),
            damaged: damaged.iter().map(damaged_block).collect(),
            id: id.to_string(),
        })
    }

    /// Changes what is set of a model. The engine reads it at the next request; a context
    /// counts when the model is loaded next.
    pub(super) fn set(&self, name: &str, change: &ModelChange) -> Result<StoredModel, Refused> {
        let id = parse(name)?;
        let found = |models: Vec<StoredModel>| models.into_iter().find(|model| model.id == id.as_str());
        if self.find(&id).is_none() {
            return Err(self.unknown(&id));
        }
        let _turn = self.settings_turn()?;
        // Removing takes turns with this, too: what is there now keeps its settings.
        if found(self.list()?).is_none() {
            return Err(self.unknown(&id));
        }
        model_settings::change(self.store.path(), id.as_str(), change).map_err(|error| {
            let kind = match error {
                ChangeError::Wrong(_) => RefusedKind::Invalid,
                ChangeError::File(_) => RefusedKind::Failed,
            };
            refused(kind, error)
        })?;
        tracing::info!("what is set of {id} was changed");
        found(self.list()?).ok_or_else(|| self.unknown(&id))
    }

    /// Two changes at once would lose one.
    fn settings_turn(&self) -> Result<File, Refused> {
        let folder = self.store.path();
        let path = folder.join("settings.turn");
        let file = fs::create_dir_all(folder).and_then(|()| File::create(&path));
        let locked = file.and_then(|file| file.lock().map(|()| file));
        locked.map_err(|error| failed(format!("cannot lock {}: {error}", path.display())))
    }

    /// Forgets a model and gives back its room.
    pub(super) fn remove(&self, name: &str) -> Result<RemovedModel, Refused> {
        let id = parse(name)?;
        if self.added.find(id.as_str()).is_none() {
            return Err(self.not_removable(&id));
        }
        self.take_out(&id)?;
        let (freed, note) = match self.collect() {
            Ok(bytes) => (bytes, Some(HELD.to_owned())),
            Err(note) => (0, Some(note)),
        };
        Ok(RemovedModel {
            id: id.to_string(),
            freed,
            note,
        })
    }

    /// Takes a model out of the store, and what was set of it out of the settings.
    fn take_out(&self, id: &ModelId) -> Result<(), Refused> {
        let _turn = self.settings_turn()?;
        match self.store.remove(id) {
            Err(Error::NoModel { .. }) => return Err(self.not_removable(id)),
            removed => removed.map_err(of_store)?,
        }
        tracing::info!("{id} removed");
        if let Err(problem) = model_settings::forget(self.store.path(), id.as_str()) {
            tracing::error!("what was set of {id} stays: {problem}");
        }
        Ok(())
    }

    fn not_removable(&self, id: &ModelId) -> Refused {
        match (self.image.find(id.as_str()), self.added.find(id.as_str())) {
            (Some(_), _) => {
                let message = format!("`{id}` is part of the image, which nothing changes but an update");
                refused(RefusedKind::Fixed, message)
            }
            (None, Some(entry)) => {
                let path = entry.source.path();
                let message = format!(
                    "`{id}` was not added but put there as a file: remove {}",
                    path.display()
                );
                refused(RefusedKind::Fixed, message)
            }
            (None, None) => self.unknown(id),
        }
    }

    /// Only one model is added at a time: each was promised half of what is free.
    fn turn(&self) -> Result<File, Refused> {
        let path = self.store.path().join("turn");
        let file = File::create(&path)
            .map_err(|error| failed(format!("cannot open {}: {error}", path.display())))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => {
                let message = "another model is being added; try again when that is done";
                Err(refused(RefusedKind::Busy, message))
            }
            Err(TryLockError::Error(error)) => {
                Err(failed(format!("cannot lock {}: {error}", path.display())))
            }
        }
    }

    /// Removes what no model has: blocks, and what a killed import left. The bytes that they had, or why they are still
    /// there.
    fn collect(&self) -> Result<u64, String> {
        match self.store.collect() {
            Ok(collected) => Ok(collected.bytes),
            Err(Error::Busy { .. }) => {
                Err("its room is given back when the import that is under way has ended".to_owned())
            }
            Err(error) => {
                let problem = format!("its room could not be given back: {error}");
                tracing::error!("{problem}");
                Err(problem)
            }
        }
    }

    fn find(&self, id: &ModelId) -> Option<Entry> {
        let id = id.as_str();
        self.image.find(id).or_else(|| self.added.find(id))
    }

    fn unknown(&self, id: &ModelId) -> Refused {
        refused(
            RefusedKind::Unknown,
            format!("there is no model `{id}`; \"hearth model list\" shows those that there are"),
        )
    }
}

fn parse(name: &str) -> Result<ModelId, Refused> {
    name.parse().map_err(|error| refused(RefusedKind::Invalid, error))
}

fn gone() -> Refused {
    failed("nobody listens any more: the import is given up")
}

fn failed(message: impl ToString) -> Refused {
    refused(RefusedKind::Failed, message)
}

fn of_store(error: Error) -> Refused {
    let kind = match error {
        Error::Head { .. } | Error::Split { .. } | Error::Tensor { .. } | Error::Padding { .. } => {
            RefusedKind::Unusable
        }
        Error::Full { .. } | Error::NoRoom { .. } => RefusedKind::NoSpace,
        Error::Busy { .. } => RefusedKind::Busy,
        Error::NoModel { .. } => RefusedKind::Unknown,
        _ => RefusedKind::Failed,
    };
    refused(kind, error)
}

fn found(entry: &Entry, place: Place) -> Result<StoredModel, Refused> {
    match &entry.source {
        Origin::Stored(store, id) => Ok(match store.manifest(id) {
            Ok(manifest) => stored(id, place, &manifest),
            Err(error) => StoredModel {
                problem: Some(error.to_string()),
                ..bare(&entry.id, place, 0)
            },
        }),
        Origin::Gguf(path) => {
            let metadata = fs::metadata(path)
                .map_err(|error| failed(format!("cannot read {}: {error}", path.display())))?;
            Ok(bare(&entry.id, place, metadata.len()))
        }
    }
}

/// A model of which nothing is known but its size.
fn bare(id: &str, place: Place, bytes: u64) -> StoredModel {
    StoredModel {
        id: id.to_owned(),
        place,
        root: None,
        name: None,
        family: None,
        parameters: None,
        kind: None,
        context: None,
        bytes,
        stored: bytes,
        codecs: Vec::new(),
        problem: None,
        settings: ModelSettings::default(),
    }
}

fn stored(id: &ModelId, place: Place, manifest: &Manifest) -> StoredModel {
    let (model, summary) = (&manifest.model, &manifest.model.summary);
    StoredModel {
        id: id.to_string(),
        place,
        root: Some(manifest.root.to_string()),
        name: summary.name.as_deref().map(short),
        family: summary.architecture.as_deref().map(short),
        parameters: Some(summary.parameters),
        kind: Some(summary.kind.clone()),
        context: summary.context,
        bytes: model.blocks().map(|(_, block)| block.bytes as u64).sum(),
        stored: model.stored(),
        codecs: codecs(model),
        problem: None,
        settings: ModelSettings::default(),
    }
}

/// The beginning of a text that whoever made the file has chosen.
fn short(text: &str) -> String {
    text.chars().take(LONGEST_NAME).collect()
}

fn codecs(model: &Model) -> Vec<CodecShare> {
    let all = [
        (Codec::Raw, "raw"),
        (Codec::Lz4, "lz4"),
        (Codec::Zstd2, "zstd-2"),
        (Codec::Zstd4, "zstd-4"),
    ];
    let share = |(codec, name): (Codec, &str)| {
        let blocks = || model.blocks().filter(|(_, block)| block.codec == codec);
        CodecShare {
            codec: name.to_owned(),
            blocks: blocks().count() as u64,
            bytes: blocks().map(|(_, block)| block.bytes as u64).sum(),
            stored: blocks().map(|(_, block)| block.stored as u64).sum(),
        }
    };
    all.map(share)
        .into_iter()
        .filter(|share| share.blocks > 0)
        .collect()
}

fn damaged_block(damage: &Damage) -> DamagedBlock {
    DamagedBlock {
        block: damage.block as u64,
        problem: damage.problem.to_string(),
        tensors: damage.tensors.clone(),
    }
}
