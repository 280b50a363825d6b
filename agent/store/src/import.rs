//! Import: a source's tensors, packed and cut into blocks.
//!
//! Blocks come first, the manifest last, so that a process killed at any moment leaves the model there was, or the
//! new one. A block that is there is not written again: an import that was cut off goes on where it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::block::{BlockProblem, read_block};
use crate::codec::{Content, encode};
use crate::error::Error;
use crate::folder::{Folder, make_folder, sync_folder};
use crate::hash::Hash;
use crate::id::ModelId;
use crate::manifest::{
    BLOCK_BYTES, Block, Manifest, MetadataRecord, Model, Segment, SourceFile, Summary, TensorRecord,
};
use crate::models::MAX_MANIFEST_BYTES;
use crate::pack::{Packer, Scratch};
use crate::packed::plan;
use crate::progress::{Count, OnProgress, Phase};
use crate::source::Source;
use crate::tensor::Table;
use crate::workers;

/// Imports a source under that name.
pub(crate) fn import(
    folder: &Folder,
    source: &Source,
    id: &ModelId,
    progress: OnProgress<'_>,
) -> Result<Manifest, Error> {
    let _lock = folder.lock_for_import()?;
    let table = plan(source)?;
    let mut model = without_blocks(source, &table);
    // What is too long already need not be packed first.
    manifest_json(&folder.manifest(id), model.clone())?;
    let writer = BlockWriter::new(folder);
    model.segments = write_segments(&writer, source, &table, progress)?;
    model.metadata.blocks = writer.write_all(&source.entries().bytes)?;
    writer.sync()?;
    write_manifest(folder, id, model)
}

/// All that is known of a model before it is packed.
fn without_blocks(source: &Source, table: &Table) -> Model {
    Model {
        summary: Summary::of(source, table),
        sources: source
            .files()
            .map(|(path, bytes)| source_file(path, bytes))
            .collect(),
        metadata: MetadataRecord::new(source.entries(), Vec::new()),
        tensors: table
            .iter()
            .map(|(_, tensor)| TensorRecord::new(tensor))
            .collect(),
        segments: Vec::new(),
    }
}

/// Bytes of all that is stored of a source, but for the manifest, if nothing of it can be compressed.
pub(crate) fn packed_bytes(source: &Source) -> Result<u64, Error> {
    let weights: u64 = plan(source)?.segments().iter().map(|&bytes| bytes as u64).sum();
    Ok(weights + source.entries().bytes.len() as u64)
}

fn source_file(path: &Path, bytes: u64) -> SourceFile {
    let name = path.file_name().unwrap_or(path.as_os_str());
    SourceFile {
        name: name.to_string_lossy().into_owned(),
        bytes,
    }
}

/// Packs all segments, a block at a time on each processor.
fn write_segments(
    writer: &BlockWriter<'_>,
    source: &Source,
    table: &Table,
    progress: OnProgress<'_>,
) -> Result<Vec<Segment>, Error> {
    let total = table.segments().iter().map(|&bytes| bytes as u64).sum();
    let (count, packer) = (
        Count::new(Phase::Packing, total, progress),
        Packer::new(source, table),
    );
    let written = Mutex::new(BTreeMap::new());
    let write = |scratch: &mut BlockScratch, (segment, start, bytes)| {
        scratch.packed.clear();
        scratch.packed.resize(bytes, 0);
        packer.fill(segment, start, &mut scratch.packed, &mut scratch.source)?;
        let content = packer.content(segment, start, bytes);
        let block = writer.write(content, &scratch.packed, &mut scratch.stored)?;
        workers::locked(&written).insert((segment, start), block);
        count.add(bytes);
        Ok::<_, Error>(())
    };
    workers::for_each(workers::available(), places(table), write)?;
    let mut segments: Vec<Segment> = table
        .segments()
        .iter()
        .map(|&bytes| Segment::empty(bytes))
        .collect();
    for ((segment, _), block) in std::mem::take(&mut *workers::locked(&written)) {
        segments[segment].blocks.push(block);
    }
    Ok(segments)
}

/// What one thread uses again for each block.
#[derive(Default)]
struct BlockScratch {
    source: Scratch,
    packed: Vec<u8>,
    stored: Vec<u8>,
}

/// Segment, beginning in it and length of each block.
fn places(table: &Table) -> impl Iterator<Item = (usize, usize, usize)> {
    table.segments().iter().enumerate().flat_map(|(segment, &bytes)| {
        let starts = (0..bytes).step_by(BLOCK_BYTES);
        starts.map(move |start| (segment, start, BLOCK_BYTES.min(bytes - start)))
    })
}

fn write_manifest(folder: &Folder, id: &ModelId, model: Model) -> Result<Manifest, Error> {
    let path = folder.manifest(id);
    let (manifest, json) = manifest_json(&path, model)?;
    // What is written must be what is read back: else a model would be there that nobody can load.
    Manifest::parse(&json).map_err(|problem| Error::Manifest {
        path: path.clone(),
        problem,
    })?;
    let home = folder.models().join(id.as_str());
    // A removal of the model that had the name would take the folder away again.
    let _lock = folder.lock_for_removal()?;
    make_folder(&home)?;
    folder.write(&path, &json)?;
    sync_folder(&home)?;
    Ok(manifest)
}

/// A manifest and its text, which is short enough to be read again.
fn manifest_json(path: &Path, model: Model) -> Result<(Manifest, Vec<u8>), Error> {
    let invalid = |problem| Error::Manifest {
        path: path.to_owned(),
        problem,
    };
    let manifest = Manifest::new(model).map_err(|error| invalid(error.to_string()))?;
    let json = serde_json::to_vec(&manifest).map_err(|error| invalid(error.to_string()))?;
    if json.len() as u64 > MAX_MANIFEST_BYTES {
        return Err(invalid(format!(
            "the names in the model file make it longer than {MAX_MANIFEST_BYTES} bytes; no more is read"
        )));
    }
    Ok((manifest, json))
}

/// Writes blocks under the names of their hashes, each once.
struct BlockWriter<'a> {
    folder: &'a Folder,
    /// Folders with new names in them.
    touched: Mutex<BTreeSet<PathBuf>>,
}

impl<'a> BlockWriter<'a> {
    fn new(folder: &'a Folder) -> Self {
        Self {
            folder,
            touched: Mutex::new(BTreeSet::new()),
        }
    }

    fn write_all(&self, bytes: &[u8]) -> Result<Vec<Block>, Error> {
        let mut scratch = Vec::new();
        let blocks = bytes.chunks(BLOCK_BYTES);
        blocks
            .map(|block| self.write(Content::Bytes, block, &mut scratch))
            .collect()
    }

    fn write(&self, content: Content, bytes: &[u8], scratch: &mut Vec<u8>) -> Result<Block, Error> {
        let (codec, stored) =
            encode(content, bytes).map_err(Error::io("encode a block for", self.folder.root()))?;
        let block = Block {
            hash: Hash::of(&stored),
            bytes: bytes.len(),
            stored: stored.len(),
            codec,
        };
        let home = self.folder.block_home(block.hash);
        make_folder(&home)?;
        if !is_there(self.folder, &block, scratch)? {
            self.folder.write(&self.folder.block(block.hash), &stored)?;
        }
        // The name of a block that was there may not have reached the disk either.
        workers::locked(&self.touched).insert(home);
        Ok(block)
    }

    fn sync(&self) -> Result<(), Error> {
        let touched = workers::locked(&self.touched);
        touched.iter().try_for_each(|folder| sync_folder(folder))
    }
}

/// Whether a block is there unharmed. One that an earlier import left is trusted no more than any other, and so an
/// import after damage mends it.
fn is_there(folder: &Folder, block: &Block, scratch: &mut Vec<u8>) -> Result<bool, Error> {
    match read_block(folder, block, scratch) {
        Ok(()) => Ok(true),
        Err(BlockProblem::Missing | BlockProblem::Length(_) | BlockProblem::Hash) => Ok(false),
        Err(BlockProblem::Read(error)) => Err(Error::io("read", &folder.block(block.hash))(error)),
    }
}
