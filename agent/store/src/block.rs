//! Blocks on disk: read, and believed only if their hash is right.

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;

use crate::codec::decode;
use crate::folder::Folder;
use crate::hash::Hash;
use crate::manifest::{Block, Model};
use crate::tensor::Table;

/// A block that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: block {block} {problem}; it holds {}", path.display(), held(tensors))]
pub struct Damage {
    /// The block's file.
    pub path: PathBuf,
    /// Its number in the model.
    pub block: usize,
    /// The tensors that lie in it, wholly or in part; none in a block of the metadata.
    pub tensors: Vec<String>,
    /// What is wrong with it.
    pub problem: BlockProblem,
}

/// What is wrong with a block.
#[derive(Debug, thiserror::Error)]
pub enum BlockProblem {
    /// Its file is not there.
    #[error("is missing")]
    Missing,
    /// Its file is shorter or longer.
    #[error("has {0} bytes, not as many as the manifest says")]
    Length(u64),
    /// Its bytes are others.
    #[error("does not have the hash that names it: its bytes were changed")]
    Hash,
    /// It cannot be read or decoded.
    #[error("cannot be read: {0}")]
    Read(#[source] io::Error),
}

fn held(tensors: &[String]) -> String {
    match tensors {
        [] => "metadata".to_owned(),
        tensors => tensors.join(", "),
    }
}

impl Damage {
    pub(crate) fn new(
        folder: &Folder,
        model: &Model,
        table: &Table,
        number: usize,
        problem: BlockProblem,
    ) -> Self {
        let path = model
            .blocks()
            .nth(number)
            .map(|(_, block)| folder.block(block.hash));
        Self {
            path: path.unwrap_or_default(),
            block: number,
            tensors: model.tensors_in(number, table),
            problem,
        }
    }
}

/// Opens a block's file, which has the length that the manifest says.
pub(crate) fn open_block(folder: &Folder, block: &Block) -> Result<File, BlockProblem> {
    let file = File::open(folder.block(block.hash)).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => BlockProblem::Missing,
        _ => BlockProblem::Read(error),
    })?;
    let length = file.metadata().map_err(BlockProblem::Read)?.len();
    if length != block.stored as u64 {
        return Err(BlockProblem::Length(length));
    }
    Ok(file)
}

/// Reads what is stored of a block, and compares its hash.
pub(crate) fn read_block(folder: &Folder, block: &Block) -> Result<Vec<u8>, BlockProblem> {
    let mut stored = vec![0; block.stored];
    open_block(folder, block)?
        .read_exact(&mut stored)
        .map_err(BlockProblem::Read)?;
    if Hash::of(&stored) != block.hash {
        return Err(BlockProblem::Hash);
    }
    Ok(stored)
}

/// Reads a block, and writes the bytes that it stands for.
pub(crate) fn decode_block(folder: &Folder, block: &Block, target: &mut [u8]) -> Result<(), BlockProblem> {
    let stored = read_block(folder, block)?;
    decode(block.codec, &stored, target).map_err(BlockProblem::Read)
}
