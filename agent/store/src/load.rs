//! Loading: blocks become one piece of address space.
//!
//! Each block has a slot of [`BLOCK_BYTES`], so that the blocks of a segment follow one another without a gap. Raw
//! blocks are mapped there, read-only: all processes share the page cache's one copy, which the kernel may take back
//! and read again. Others are decoded there. A store's files are replaced whole and never changed, so that a mapping
//! never changes nor ends under its reader; what a disk garbles after the check, nobody notices (as with any file).

use std::collections::HashSet;
use std::sync::Mutex;

use crate::block::{BlockProblem, Damage, decode_block, open_block, read_block};
use crate::codec::Codec;
use crate::error::Error;
use crate::folder::Folder;
use crate::gguf::Entries;
use crate::hash::Hash;
use crate::manifest::{BLOCK_BYTES, Block, Manifest, Model};
use crate::memory::{Pages, Region};
use crate::metadata::Metadata;
use crate::packed::{Packed, Parts};
use crate::tensor::Table;
use crate::workers::{self, locked};

/// A model whose blocks are being turned into memory.
pub(crate) struct Loader<'a> {
    pub(crate) folder: &'a Folder,
    pub(crate) manifest: &'a Manifest,
    pub(crate) table: Table,
    /// Hashes of the blocks that this process has compared already.
    pub(crate) verified: &'a Mutex<HashSet<Hash>>,
}

impl Loader<'_> {
    /// Maps or decodes all blocks, each verified unless this process has done so before.
    pub(crate) fn load(self) -> Result<Packed, Error> {
        let metadata = self.metadata()?;
        let region = self.region()?;
        let starts =
            (0..self.model().segments.len()).map(|segment| self.model().first_block(segment) * BLOCK_BYTES);
        Packed::new(Parts {
            path: self.folder.root(),
            root: Some(self.manifest.root),
            metadata,
            starts: starts.collect(),
            table: self.table,
            region,
        })
    }

    fn model(&self) -> &Model {
        &self.manifest.model
    }

    fn damage(&self, number: usize) -> impl FnOnce(BlockProblem) -> Error {
        move |problem| Damage::new(self.folder, self.model(), &self.table, number, problem).into()
    }

    /// Keys and values, as they stood in the source.
    pub(crate) fn entries(&self) -> Result<Entries, Error> {
        let record = &self.model().metadata;
        let first = self.model().first_block(self.model().segments.len());
        let mut bytes = vec![0; record.bytes];
        for ((index, block), target) in record
            .blocks
            .iter()
            .enumerate()
            .zip(bytes.chunks_mut(BLOCK_BYTES))
        {
            decode_block(self.folder, block, target).map_err(self.damage(first + index))?;
        }
        let count = record.entries;
        Ok(Entries { count, bytes })
    }

    fn metadata(&self) -> Result<Metadata, Error> {
        self.entries()?.metadata().map_err(|source| Error::Head {
            path: self.folder.root().to_owned(),
            source,
        })
    }

    fn region(&self) -> Result<Region, Error> {
        let blocks = self.weights();
        let bytes = blocks.len() * BLOCK_BYTES;
        let memory = |source| Error::Memory {
            path: self.folder.root().to_owned(),
            bytes,
            source,
        };
        let mut pages = Pages::new(bytes).map_err(&memory)?;
        let slots = pages.bytes_mut().chunks_mut(BLOCK_BYTES);
        let work = blocks.iter().enumerate().zip(slots);
        workers::for_each(workers::available(), work, |((number, block), slot)| {
            self.fill(block, slot).map_err(self.damage(number))
        })?;
        let mut region = Region::from(pages);
        for (number, block) in blocks
            .iter()
            .enumerate()
            .filter(|(_, block)| block.codec == Codec::Raw)
        {
            let file = open_block(self.folder, block).map_err(self.damage(number))?;
            region
                .map(number * BLOCK_BYTES, &file, block.bytes)
                .map_err(&memory)?;
        }
        Ok(region)
    }

    /// Verifies a raw block; decodes another.
    fn fill(&self, block: &Block, slot: &mut [u8]) -> Result<(), BlockProblem> {
        if block.codec != Codec::Raw {
            decode_block(self.folder, block, &mut slot[..block.bytes])?;
        } else if !locked(self.verified).contains(&block.hash) {
            read_block(self.folder, block)?;
        }
        locked(self.verified).insert(block.hash);
        Ok(())
    }

    /// The blocks of the segments.
    fn weights(&self) -> Vec<&Block> {
        self.model()
            .segments
            .iter()
            .flat_map(|segment| &segment.blocks)
            .collect()
    }
}
