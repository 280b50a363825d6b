//! Blocks on disk: read, and believed only if their hash is right.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::PathBuf;

use nix::fcntl::{OFlag, PosixFadviseAdvice, posix_fadvise};

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
    Read(io::Error),
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
    open(folder, block, OFlag::empty())
}

fn open(folder: &Folder, block: &Block, flags: OFlag) -> Result<File, BlockProblem> {
    let opened = OpenOptions::new()
        .read(true)
        .custom_flags(flags.bits())
        .open(folder.block(block.hash));
    let file = opened.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => BlockProblem::Missing,
        _ => BlockProblem::Read(error),
    })?;
    let length = file.metadata().map_err(BlockProblem::Read)?.len();
    if length != block.stored as u64 {
        return Err(BlockProblem::Length(length));
    }
    Ok(file)
}

/// Reads what is stored of a block into `scratch`, and compares its hash.
pub(crate) fn read_block(folder: &Folder, block: &Block, scratch: &mut Vec<u8>) -> Result<(), BlockProblem> {
    scratch.resize(block.stored, 0);
    let read = open_block(folder, block)?.read_exact(scratch);
    read.map_err(BlockProblem::Read)?;
    if Hash::of(scratch) != block.hash {
        return Err(BlockProblem::Hash);
    }
    Ok(())
}

/// Reads a block, and writes the bytes that it stands for.
pub(crate) fn decode_block(
    folder: &Folder,
    block: &Block,
    scratch: &mut Vec<u8>,
    target: &mut [u8],
) -> Result<(), BlockProblem> {
    read_block(folder, block, scratch)?;
    decode(block.codec, scratch, target).map_err(BlockProblem::Read)
}

/// Opens a block's file to be read past the page cache: streamed weights would only drive out what is used again.
pub(crate) fn open_direct(folder: &Folder, block: &Block) -> Result<File, BlockProblem> {
    open(folder, block, OFlag::O_DIRECT).or_else(|problem| match problem {
        // A file system that cannot read directly: its pages are given back after reading.
        BlockProblem::Read(error) if error.kind() == io::ErrorKind::InvalidInput => open_block(folder, block),
        problem => Err(problem),
    })
}

/// Reads part of what is stored of a block. `span` begins at a multiple of a page; `target` has whole pages.
pub(crate) fn read_direct(file: &File, span: Range<usize>, target: &mut [u8]) -> Result<(), BlockProblem> {
    read_at_least(file, span.start as u64, span.len(), target).map_err(BlockProblem::Read)?;
    let advice = PosixFadviseAdvice::POSIX_FADV_DONTNEED;
    posix_fadvise(file, 0, 0, advice).map_err(|error| BlockProblem::Read(error.into()))
}

/// Asks for all of `target`, for direct reads are of whole pages; the file's end may be in the last one.
fn read_at_least(file: &File, offset: u64, bytes: usize, target: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < bytes {
        match file.read_at(&mut target[done..], offset + done as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => done += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
