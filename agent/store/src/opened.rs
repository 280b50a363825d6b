//! A model that is open and not loaded: what it says of itself is there before its weights are.

use std::path::Path;
use std::sync::Arc;

use crate::error::Error;
use crate::load::Blocks;
use crate::metadata::Metadata;
use crate::packed::{Packed, pack_source, plan};
use crate::pulse::Pulse;
use crate::source::Source;
use crate::tensor::Table;

/// A model of which only the metadata was read. Its weights can be loaded on one thread while another makes something
/// of the metadata: a vocabulary takes as long as the weights of a small model.
#[derive(Debug)]
pub struct Opened {
    metadata: Metadata,
    origin: Origin,
    pulse: Pulse,
}

#[derive(Debug)]
enum Origin {
    Gguf(Source),
    Stored(Arc<Blocks>),
}

impl Opened {
    /// Reads the head of a GGUF file, or of all parts of a split one.
    pub fn gguf(path: &Path) -> Result<Self, Error> {
        let source = Source::open(path)?;
        Ok(Self {
            metadata: source.metadata().clone(),
            origin: Origin::Gguf(source),
            pulse: Pulse::default(),
        })
    }

    pub(crate) fn stored(blocks: Blocks) -> Result<Self, Error> {
        Ok(Self {
            metadata: blocks.metadata()?,
            origin: Origin::Stored(Arc::new(blocks)),
            pulse: Pulse::default(),
        })
    }

    /// Has this counter beat for each piece of weights that is read, while they are loaded and while they are used.
    pub fn beating(mut self, pulse: Pulse) -> Self {
        self.pulse = pulse;
        self
    }

    /// Keys and values of the model file.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// Its tensors, and where each will lie.
    pub fn table(&self) -> Result<Table, Error> {
        match &self.origin {
            Origin::Gguf(source) => plan(source),
            Origin::Stored(blocks) => Ok(blocks.table.clone()),
        }
    }

    /// Bytes of weights that [`Self::load`] with this budget has in memory at a time: of its own, and mapped, which are
    /// pages of files that the kernel can take back.
    pub fn in_memory(&self, budget: Option<usize>) -> (u64, u64) {
        match &self.origin {
            Origin::Gguf(source) => (bytes(source), 0),
            Origin::Stored(blocks) => match budget.map(|budget| budget as u64) {
                Some(budget) if blocks.bytes() > budget => (budget, 0),
                _ => {
                    let decoded = blocks.decoded_bytes();
                    (decoded, blocks.bytes().saturating_sub(decoded))
                }
            },
        }
    }

    /// The model's weights, ready for the kernels. Of more than `budget` bytes of them only so many are in memory at a
    /// time, and the others are read when they are needed, in the order of the layers and ahead of their use; from a
    /// GGUF file they cannot be.
    pub fn load(&self, budget: Option<usize>) -> Result<Packed, Error> {
        let metadata = self.metadata.clone();
        match (&self.origin, budget) {
            (Origin::Gguf(source), None) => pack_source(source, metadata, &self.pulse),
            (Origin::Gguf(source), Some(budget)) => {
                check_budget(source, budget)?;
                pack_source(source, metadata, &self.pulse)
            }
            (Origin::Stored(blocks), Some(budget)) if blocks.bytes() > budget as u64 => {
                blocks.stream(metadata, budget, self.pulse.clone())
            }
            (Origin::Stored(blocks), _) => blocks.load(metadata, &self.pulse),
        }
    }
}

fn bytes(source: &Source) -> u64 {
    source.tensors().map(|tensor| tensor.bytes).sum()
}

fn check_budget(source: &Source, budget: usize) -> Result<(), Error> {
    let least = bytes(source) as usize;
    if least > budget {
        let path = source.path().to_owned();
        return Err(Error::Budget { path, budget, least });
    }
    Ok(())
}
