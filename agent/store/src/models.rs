//! Which models a store's folder has, and their manifests.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use serde::Deserialize;

use crate::error::Error;
use crate::folder::{Folder, list};
use crate::hash::Hash;
use crate::id::ModelId;
use crate::manifest::Manifest;

/// Longest manifest, in bytes: one of a model of a terabyte has half of it.
pub(crate) const MAX_MANIFEST_BYTES: u64 = 64 << 20;

/// The names of all models.
pub(crate) fn models(folder: &Folder) -> Result<Vec<ModelId>, Error> {
    let id = |path: PathBuf| path.file_name()?.to_str()?.parse().ok();
    let ids = list(&folder.models())?.into_iter().filter_map(id);
    Ok(ids.filter(|id| folder.manifest(id).exists()).collect())
}

/// What a model is made of.
pub(crate) fn manifest(folder: &Folder, id: &ModelId) -> Result<Manifest, Error> {
    let json = whole(folder, id)?;
    Manifest::parse(&json).map_err(|problem| wrong(folder, id, problem))
}

/// The root hash that a model's manifest names.
pub(crate) fn root(folder: &Folder, id: &ModelId) -> Result<Hash, Error> {
    #[derive(Deserialize)]
    struct Named {
        root: Hash,
    }
    let json = whole(folder, id)?;
    let named: Named = serde_json::from_slice(&json).map_err(|error| wrong(folder, id, error.to_string()))?;
    Ok(named.root)
}

fn wrong(folder: &Folder, id: &ModelId, problem: String) -> Error {
    let path = folder.manifest(id);
    Error::Manifest { path, problem }
}

/// A manifest's bytes; one that is too long is refused before it is read.
fn whole(folder: &Folder, id: &ModelId) -> Result<Vec<u8>, Error> {
    let file = open(folder, id)?;
    let bytes = file
        .metadata()
        .map_err(Error::io("read", &folder.manifest(id)))?
        .len();
    if bytes > MAX_MANIFEST_BYTES {
        let problem = format!("has {bytes} bytes; at most {MAX_MANIFEST_BYTES} are allowed");
        return Err(wrong(folder, id, problem));
    }
    beginning(&file, folder, id)
}

fn open(folder: &Folder, id: &ModelId) -> Result<File, Error> {
    let path = folder.manifest(id);
    match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(no_model(folder, id)?),
        file => file.map_err(Error::io("open", &path)),
    }
}

fn beginning(file: &File, folder: &Folder, id: &ModelId) -> Result<Vec<u8>, Error> {
    let mut json = Vec::new();
    let read = file.take(MAX_MANIFEST_BYTES).read_to_end(&mut json);
    read.map_err(Error::io("read", &folder.manifest(id)))?;
    Ok(json)
}

/// The hashes of all blocks that a model has, so far as that can be told.
///
/// A manifest that cannot be read stops nothing: its model cannot be loaded. But it may be of a newer Hearth, which comes
/// back after an update that was taken back, or may be mended; so every block is kept that it names in whatever form.
/// What it does not name any more, nobody can load by it again.
pub(crate) fn hashes(folder: &Folder, id: &ModelId) -> Result<HashSet<Hash>, Error> {
    let json = beginning(&open(folder, id)?, folder, id)?;
    Ok(match Manifest::parse(&json) {
        Ok(manifest) => manifest.model.blocks().map(|(_, block)| block.hash).collect(),
        Err(_) => named(&json),
    })
}

/// All that looks like a hash.
fn named(json: &[u8]) -> HashSet<Hash> {
    let words = json.split(|byte| !byte.is_ascii_alphanumeric());
    let texts = words.filter_map(|word| str::from_utf8(word).ok());
    texts.filter_map(|word| word.parse().ok()).collect()
}

/// That there is no model of that name, with those that there are.
pub(crate) fn no_model(folder: &Folder, id: &ModelId) -> Result<Error, Error> {
    Ok(Error::NoModel {
        path: folder.root().to_owned(),
        id: id.clone(),
        known: models(folder)?,
    })
}
