//! Loading: blocks become one piece of address space.
//!
//! Each block has a slot of [`BLOCK_BYTES`], so that the blocks of a segment follow one another without a gap. Raw
//! blocks are mapped there, read-only: all processes share the page cache's one copy, which the kernel may take back
//! and read again. Others are decoded there. A store's files are replaced whole and never changed, so that a mapping
//! never changes nor ends under its reader; what a disk garbles after the check, nobody notices (as with any file).

use std::collections::HashSet;
use std::fs::File;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use crate::block::{BlockProblem, Damage, decode_block, open_block, open_direct, read_block, read_direct};
use crate::codec::{Codec, decode};
use crate::error::Error;
use crate::folder::Folder;
use crate::gguf::Entries;
use crate::hash::Hash;
use crate::id::ModelId;
use crate::manifest::{BLOCK_BYTES, Block, Manifest, Model};
use crate::memory::{PAGE, Pages, Region};
use crate::metadata::Metadata;
use crate::models;
use crate::packed::{Packed, Resident, Weights};
use crate::progress::{Count, OnProgress, Phase};
use crate::pulse::Pulse;
use crate::stream::Stream;
use crate::tensor::Table;
use crate::workers::{self, locked};

/// The blocks of a model, to be turned into memory.
#[derive(Debug)]
pub(crate) struct Blocks {
    pub(crate) folder: Arc<Folder>,
    pub(crate) id: ModelId,
    pub(crate) manifest: Manifest,
    pub(crate) table: Table,
    /// Hashes of the blocks that this process has compared already.
    pub(crate) verified: Arc<Mutex<HashSet<Hash>>>,
}

/// The blocks of a model that is read while it is used. Their files are held, so that a model that is removed can be
/// read on.
#[derive(Debug)]
pub(crate) struct OpenBlocks {
    pub(crate) blocks: Arc<Blocks>,
    /// Of the segments' blocks, in their order.
    files: Vec<File>,
    /// Beats for each block that is read.
    pulse: Pulse,
}

impl Blocks {
    /// Maps or decodes all blocks, each verified unless this process has done so before. The pulse beats for each.
    pub(crate) fn load(&self, metadata: Metadata, pulse: &Pulse) -> Result<Packed, Error> {
        let region = self.region(pulse)?;
        let start = |segment| self.model().first_block(segment) * BLOCK_BYTES;
        let starts = (0..self.model().segments.len()).map(start).collect();
        let weights = Weights::Resident(Resident { region, starts });
        Ok(Packed::new(
            Some(self.manifest.root),
            metadata,
            self.table.clone(),
            weights,
        ))
    }

    /// Keeps `budget` bytes of weights in memory, and reads the others when they are needed.
    pub(crate) fn stream(
        self: &Arc<Self>,
        metadata: Metadata,
        budget: usize,
        pulse: Pulse,
    ) -> Result<Packed, Error> {
        let (root, table) = (self.manifest.root, self.table.clone());
        let weights = Weights::Streamed(Stream::new(Arc::new(self.open(pulse)?), budget)?);
        Ok(Packed::new(Some(root), metadata, table, weights))
    }

    /// Bytes of all weights when loaded.
    pub(crate) fn bytes(&self) -> u64 {
        self.model().bytes()
    }

    /// Bytes of the weights that are decoded into memory, and so cannot be mapped.
    pub(crate) fn decoded_bytes(&self) -> u64 {
        let decoded = self
            .weights()
            .into_iter()
            .filter(|block| block.codec != Codec::Raw);
        decoded.map(|block| block.bytes as u64).sum()
    }

    fn model(&self) -> &Model {
        &self.manifest.model
    }

    fn damage(&self, number: usize) -> impl FnOnce(BlockProblem) -> Error {
        move |problem| match self.gone(&problem) {
            Some(gone) => gone,
            None => self.damage_of(number, problem).into(),
        }
    }

    fn damage_of(&self, number: usize, problem: BlockProblem) -> Damage {
        Damage::new(&self.folder, self.model(), &self.table, number, problem)
    }

    /// Why a block is missing, if that is no damage: whoever removes or replaces a model takes its manifest away before
    /// its blocks, and asks no reader.
    fn gone(&self, problem: &BlockProblem) -> Option<Error> {
        let BlockProblem::Missing = problem else {
            return None;
        };
        match models::manifest(&self.folder, &self.id) {
            Ok(now) if now.root != self.manifest.root => Some(Error::Replaced {
                path: self.folder.root().to_owned(),
                id: self.id.clone(),
            }),
            Err(gone @ Error::NoModel { .. }) => Some(gone),
            _ => None,
        }
    }

    /// Reads all blocks and tells which are damaged.
    pub(crate) fn damaged(&self, progress: OnProgress<'_>) -> Result<Vec<Damage>, Error> {
        let count = Count::new(Phase::Verifying, self.model().stored(), progress);
        let damaged = Mutex::new(Vec::new());
        let read = |scratch: &mut Vec<u8>, (number, block): (usize, &Block)| {
            if let Err(problem) = read_block(&self.folder, block, scratch) {
                if let Some(gone) = self.gone(&problem) {
                    return Err(gone);
                }
                locked(&damaged).push(self.damage_of(number, problem));
            }
            count.add(block.stored);
            Ok(())
        };
        workers::for_each(workers::available(), self.model().blocks(), read)?;
        let mut damaged = std::mem::take(&mut *locked(&damaged));
        damaged.sort_by_key(|damage| damage.block);
        Ok(damaged)
    }

    /// Keys and values, as they stood in the source.
    pub(crate) fn entries(&self) -> Result<Entries, Error> {
        let record = &self.model().metadata;
        let first = self.model().first_block(self.model().segments.len());
        let mut bytes = vec![0; record.bytes];
        let mut scratch = Vec::new();
        for ((index, block), target) in record
            .blocks
            .iter()
            .enumerate()
            .zip(bytes.chunks_mut(BLOCK_BYTES))
        {
            decode_block(&self.folder, block, &mut scratch, target).map_err(self.damage(first + index))?;
        }
        let count = record.entries;
        Ok(Entries { count, bytes })
    }

    pub(crate) fn metadata(&self) -> Result<Metadata, Error> {
        self.entries()?.metadata().map_err(|error| Error::Head {
            path: self.folder.root().to_owned(),
            error,
        })
    }

    fn region(&self, pulse: &Pulse) -> Result<Region, Error> {
        let blocks = self.weights();
        let bytes = blocks.len() * BLOCK_BYTES;
        let memory = |error| Error::Memory {
            path: self.folder.root().to_owned(),
            bytes,
            error,
        };
        let mut pages = Pages::new(bytes).map_err(&memory)?;
        let slots = pages.bytes_mut().chunks_mut(BLOCK_BYTES);
        let encoded = blocks.iter().enumerate().zip(slots);
        let encoded = encoded.filter(|((_, block), _)| block.codec != Codec::Raw);
        workers::for_each(
            workers::available(),
            encoded,
            |scratch, ((number, block), slot)| {
                let decoded = decode_block(&self.folder, block, scratch, &mut slot[..block.bytes]);
                pulse.beat();
                decoded.map_err(self.damage(number))
            },
        )?;
        let mut region = Region::from(pages);
        let raw = || {
            blocks
                .iter()
                .enumerate()
                .filter(|(_, block)| block.codec == Codec::Raw)
        };
        for (number, block) in raw() {
            let file = open_block(&self.folder, block).map_err(self.damage(number))?;
            region
                .map(number * BLOCK_BYTES, &file, block.bytes)
                .map_err(&memory)?;
        }
        workers::for_each(workers::available(), raw(), |(): &mut (), (number, block)| {
            let verified = self.verify(&region, number, block);
            pulse.beat();
            verified.map_err(self.damage(number))
        })?;
        Ok(region)
    }

    /// Verifies a raw block where it is mapped: that takes two thirds of the processor's time of reading it aside.
    fn verify(&self, region: &Region, number: usize, block: &Block) -> Result<(), BlockProblem> {
        let range = number * BLOCK_BYTES..number * BLOCK_BYTES + block.bytes;
        region.populate(range.clone()).map_err(BlockProblem::Read)?;
        let known = locked(&self.verified).contains(&block.hash);
        self.compare(block, known, &region.bytes()[range])
    }

    /// The blocks of the segments.
    fn weights(&self) -> Vec<&Block> {
        self.model()
            .segments
            .iter()
            .flat_map(|segment| &segment.blocks)
            .collect()
    }

    /// Opens all blocks of the segments.
    fn open(self: &Arc<Self>, pulse: Pulse) -> Result<OpenBlocks, Error> {
        let open = |(number, block)| open_direct(&self.folder, block).map_err(self.damage(number));
        let files = self.weights().into_iter().enumerate().map(open);
        let files = files.collect::<Result<_, _>>()?;
        let blocks = Arc::clone(self);
        Ok(OpenBlocks { blocks, files, pulse })
    }

    /// Compares the hash of a block that is not known to be right.
    fn compare(&self, block: &Block, known: bool, stored: &[u8]) -> Result<(), BlockProblem> {
        if !known && Hash::of(stored) != block.hash {
            return Err(BlockProblem::Hash);
        }
        locked(&self.verified).insert(block.hash);
        Ok(())
    }
}

impl OpenBlocks {
    /// Reads part of a segment past the page cache. `target` begins with the page that `range` begins in, and has
    /// whole pages.
    pub(crate) fn read(&self, segment: usize, range: Range<usize>, target: &mut [u8]) -> Result<(), Error> {
        let model = self.blocks.model();
        let base = range.start / PAGE * PAGE;
        let first = model.first_block(segment);
        let numbers = base / BLOCK_BYTES..range.end.div_ceil(BLOCK_BYTES);
        let blocks = &model.segments[segment].blocks[numbers.clone()];
        for (index, block) in numbers.zip(blocks) {
            let start = index * BLOCK_BYTES;
            let (from, to) = (base.max(start), range.end.min(start + block.bytes));
            let span = from - start..to - start;
            let target = &mut target[from - base..(to - base).next_multiple_of(PAGE)];
            self.read_span(first + index, block, span, target)
                .map_err(self.blocks.damage(first + index))?;
            self.pulse.beat();
        }
        Ok(())
    }

    /// Reads part of a block; all of it where it must be verified or decoded.
    fn read_span(
        &self,
        number: usize,
        block: &Block,
        span: Range<usize>,
        target: &mut [u8],
    ) -> Result<(), BlockProblem> {
        let (blocks, file) = (&self.blocks, &self.files[number]);
        let known = locked(&blocks.verified).contains(&block.hash);
        if block.codec == Codec::Raw && (known || span == (0..block.bytes)) {
            read_direct(file, span.clone(), target)?;
            return blocks.compare(block, known, &target[..span.len()]);
        }
        let mut pages = Pages::new(block.stored.next_multiple_of(PAGE)).map_err(BlockProblem::Read)?;
        read_direct(file, 0..block.stored, pages.bytes_mut())?;
        let stored = &pages.bytes()[..block.stored];
        blocks.compare(block, known, stored)?;
        let mut bytes = vec![0; block.bytes];
        decode(block.codec, stored, &mut bytes).map_err(BlockProblem::Read)?;
        target[..span.len()].copy_from_slice(&bytes[span]);
        Ok(())
    }
}
