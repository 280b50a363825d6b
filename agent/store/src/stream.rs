//! Weights that do not fit: read in the order in which they are needed, again for each token.
//!
//! In memory are all vectors, the first layers as far as the budget goes, and a ring of buffers for the others; of the
//! embedding, the rows that are asked for.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use crate::error::Error;
use crate::load::OpenBlocks;
use crate::memory::{PAGE, Pages};
use crate::ring::{Held, Ring};
use crate::tensor::{EMBEDDING, Table, Tensor, TensorId, layer_segment};

/// Buffers of the ring: one is computed with while the other is read into.
const BUFFERS: usize = 2;
/// The matrix that is multiplied last; a model without it uses the embedding again.
const OUTPUT: &str = "output.weight";

/// A model that is read while it is used.
#[derive(Debug)]
pub(crate) struct Stream {
    blocks: Arc<OpenBlocks>,
    vectors: Vectors,
    units: Arc<Vec<Unit>>,
    /// The first units, which stay in memory.
    kept: Vec<Pages>,
    ring: Arc<Ring>,
    reader: Option<JoinHandle<()>>,
    output: Option<TensorId>,
}

/// What is read at a time: a layer, or some row tiles of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Unit {
    segment: usize,
    range: Range<usize>,
    /// The row tiles of the output that it has.
    tiles: Option<Range<usize>>,
}

/// All vectors, side by side.
#[derive(Debug)]
struct Vectors {
    pages: Pages,
    /// Where each begins.
    offsets: HashMap<TensorId, usize>,
}

/// Bytes that stay where they are while this lives, from some place in a segment on.
#[derive(Debug)]
pub(crate) struct Bytes<'a> {
    memory: Memory<'a>,
    /// The place in the segment of the memory's first byte.
    start: usize,
}

#[derive(Debug)]
enum Memory<'a> {
    Borrowed(&'a [u8]),
    Held(Held<'a>),
    Own(Pages),
}

impl<'a> Bytes<'a> {
    pub(crate) fn borrowed(bytes: &'a [u8], start: usize) -> Self {
        let memory = Memory::Borrowed(bytes);
        Self { memory, start }
    }

    /// The bytes of a range of the segment.
    pub(crate) fn get(&self, range: Range<usize>) -> &[u8] {
        let bytes = match &self.memory {
            Memory::Borrowed(bytes) => bytes,
            Memory::Held(held) => held.bytes(),
            Memory::Own(pages) => pages.bytes(),
        };
        &bytes[range.start - self.start..range.end - self.start]
    }
}

impl Unit {
    /// Where its first page begins.
    fn start(&self) -> usize {
        self.range.start / PAGE * PAGE
    }

    /// Bytes of all its pages.
    fn bytes(&self) -> usize {
        self.range.end.next_multiple_of(PAGE) - self.start()
    }
}

impl Stream {
    /// Plans what stays in memory, reads that, and begins to read ahead.
    pub(crate) fn new(blocks: Arc<OpenBlocks>, budget: usize) -> Result<Self, Error> {
        let table = &blocks.blocks.table;
        let output = table.find(OUTPUT).or_else(|| table.find(EMBEDDING));
        let units = units(table, output);
        let buffer = units.iter().map(Unit::bytes).max().unwrap_or(0);
        let vectors = Vectors::read(&blocks)?;
        let least = vectors.pages.bytes().len() + BUFFERS * buffer;
        let Some(spare) = budget.checked_sub(least) else {
            let path = blocks.blocks.folder.root().to_owned();
            return Err(Error::Budget { path, budget, least });
        };
        let kept = how_many_fit(&units, spare);
        let keep = |unit: &Unit| {
            let mut pages = pages(&blocks, unit.bytes())?;
            blocks.read(unit.segment, unit.range.clone(), pages.bytes_mut())?;
            Ok(pages)
        };
        let kept: Vec<Pages> = units[..kept].iter().map(keep).collect::<Result<_, Error>>()?;
        let buffers = (0..BUFFERS)
            .map(|_| pages(&blocks, buffer))
            .collect::<Result<_, _>>()?;
        let ring = Arc::new(Ring::new(kept.len(), units.len(), buffers));
        let units = Arc::new(units);
        Ok(Self {
            reader: Some(read_ahead(&ring, &units, &blocks)?),
            blocks,
            vectors,
            units,
            kept,
            ring,
            output,
        })
    }

    /// A vector's bytes.
    pub(crate) fn vector(&self, id: TensorId, tensor: &Tensor) -> &[u8] {
        &self.vectors.pages.bytes()[self.vectors.offsets[&id]..][..tensor.shape.bytes()]
    }

    /// All of a layer.
    pub(crate) fn layer(&self, layer: usize) -> Result<Bytes<'_>, Error> {
        // Layers are the first units, in their order.
        debug_assert_eq!(self.units[layer].segment, layer_segment(layer));
        self.unit(layer)
    }

    /// Row tiles of a matrix, read for this once.
    pub(crate) fn tiles(&self, tensor: &Tensor, tiles: Range<usize>) -> Result<Bytes<'_>, Error> {
        let unit = Unit::of(tensor, tiles);
        let mut pages = pages(&self.blocks, unit.bytes())?;
        self.blocks
            .read(unit.segment, unit.range.clone(), pages.bytes_mut())?;
        let (memory, start) = (Memory::Own(pages), unit.start());
        Ok(Bytes { memory, start })
    }

    /// The row tiles of a matrix outside the layers, in pieces that fit.
    pub(crate) fn pieces(&self, tensor: &Tensor) -> Vec<Range<usize>> {
        pieces(tensor, self.units.iter().map(Unit::bytes).max().unwrap_or(0))
    }

    /// One of [`Self::pieces`]; those of the output are read ahead.
    pub(crate) fn piece(
        &self,
        id: TensorId,
        tensor: &Tensor,
        tiles: Range<usize>,
    ) -> Result<Bytes<'_>, Error> {
        let unit = self
            .units
            .iter()
            .position(|unit| unit.tiles.as_ref() == Some(&tiles));
        match unit {
            Some(unit) if self.output == Some(id) => self.unit(unit),
            _ => self.tiles(tensor, tiles),
        }
    }

    fn unit(&self, index: usize) -> Result<Bytes<'_>, Error> {
        let memory = match self.kept.get(index) {
            Some(pages) => Memory::Borrowed(pages.bytes()),
            None => Memory::Held(self.ring.acquire(index)?),
        };
        let start = self.units[index].start();
        Ok(Bytes { memory, start })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.ring.end();
        if let Some(reader) = self.reader.take() {
            // That it panicked was told where it did.
            reader.join().ok();
        }
    }
}

impl Unit {
    fn of(tensor: &Tensor, tiles: Range<usize>) -> Self {
        let bytes = tensor.shape.unit_bytes();
        Self {
            segment: tensor.segment,
            range: tensor.offset + tiles.start * bytes..tensor.offset + tiles.end * bytes,
            tiles: Some(tiles),
        }
    }
}

impl Vectors {
    fn read(blocks: &OpenBlocks) -> Result<Self, Error> {
        let vectors = || {
            blocks
                .blocks
                .table
                .iter()
                .filter(|(_, tensor)| tensor.is_vector())
        };
        // Each gets pages of its own to be read into; a model's vectors together are small.
        let room = |tensor: &Tensor| Unit::whole(tensor).bytes();
        let mut memory = pages(blocks, vectors().map(|(_, tensor)| room(tensor)).sum())?;
        let (mut rest, mut end) = (memory.bytes_mut(), 0);
        let mut offsets = HashMap::new();
        for (id, tensor) in vectors() {
            let unit = Unit::whole(tensor);
            let (this, after) = rest.split_at_mut(unit.bytes());
            blocks.read(unit.segment, unit.range.clone(), this)?;
            offsets.insert(id, end + unit.range.start - unit.start());
            (rest, end) = (after, end + unit.bytes());
        }
        Ok(Self {
            pages: memory,
            offsets,
        })
    }
}

impl Unit {
    fn whole(tensor: &Tensor) -> Self {
        Self {
            segment: tensor.segment,
            range: tensor.range(),
            tiles: None,
        }
    }
}

/// All units in the order of their use: the layers, then the output in pieces no larger than those.
fn units(table: &Table, output: Option<TensorId>) -> Vec<Unit> {
    let layer = |layer| Unit {
        segment: layer_segment(layer),
        range: 0..table.segments()[layer_segment(layer)],
        tiles: None,
    };
    let mut units: Vec<Unit> = (0..table.layers()).map(layer).collect();
    let largest = units.iter().map(Unit::bytes).max().unwrap_or(0);
    if let Some(output) = output
        .map(|id| table.get(id))
        .filter(|tensor| !tensor.is_vector())
    {
        units.extend(
            pieces(output, largest)
                .into_iter()
                .map(|tiles| Unit::of(output, tiles)),
        );
    }
    units
}

/// A matrix cut into runs of row tiles of about equal length, none of more than `most` bytes, if a tile is not.
fn pieces(tensor: &Tensor, most: usize) -> Vec<Range<usize>> {
    let tiles = tensor.shape.tiles();
    // The first and the last page may be used in part only.
    let fit = (most.saturating_sub(2 * PAGE) / tensor.shape.unit_bytes()).max(1);
    let length = tiles.div_ceil(tiles.div_ceil(fit).max(1)).max(1);
    (0..tiles)
        .step_by(length)
        .map(|start| start..(start + length).min(tiles))
        .collect()
}

/// How many of the first units fit into so many bytes; one at least is left to the ring.
fn how_many_fit(units: &[Unit], spare: usize) -> usize {
    let ends = units.iter().scan(0_usize, |end, unit| {
        *end += unit.bytes();
        Some(*end)
    });
    let fit = ends.take_while(|&end| end <= spare).count();
    fit.min(units.len().saturating_sub(1))
}

fn pages(blocks: &OpenBlocks, bytes: usize) -> Result<Pages, Error> {
    Pages::new(bytes).map_err(|error| Error::Memory {
        path: blocks.blocks.folder.root().to_owned(),
        bytes,
        error,
    })
}

fn read_ahead(
    ring: &Arc<Ring>,
    units: &Arc<Vec<Unit>>,
    blocks: &Arc<OpenBlocks>,
) -> Result<JoinHandle<()>, Error> {
    let (ring, units, blocks) = (ring.clone(), units.clone(), blocks.clone());
    let path = blocks.blocks.folder.root().to_owned();
    let read = move || {
        ring.fill(|unit, pages| {
            let unit = &units[unit];
            blocks.read(unit.segment, unit.range.clone(), pages.bytes_mut())
        });
    };
    let spawned = thread::Builder::new().name("weights".to_owned()).spawn(read);
    spawned.map_err(Error::io("start a thread to read", &path))
}
