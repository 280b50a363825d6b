//! A loaded model, whatever it came from.

use std::ops::Range;
use std::path::Path;

use kernels::layout::ROWS;
use kernels::matrix::Matrix;

use crate::error::Error;
use crate::hash::Hash;
use crate::memory::{HUGE_PAGE, Pages, Region, floats};
use crate::metadata::Metadata;
use crate::opened::Opened;
use crate::pack::{Packer, Scratch};
use crate::pulse::Pulse;
use crate::source::Source;
use crate::stream::{Bytes, Stream};
use crate::tensor::{Shape, Table, Tensor, TensorId, layer_segment};
use crate::workers;

/// Most bytes that packing may add to twice the source's.
const MAX_PADDING: u64 = 64 << 20;
/// Bytes that one thread packs at a time.
const PIECE: usize = 4 << 20;

/// A model's weights, laid out for the kernels, and what it says of itself.
///
/// Vectors are always in memory. Matrices are had through guards, because weights that do not fit are read when they
/// are needed: [`Self::layer`] for those of a layer, [`Self::row_tile`] for a few rows of the embedding,
/// [`Self::pieces`] for the output.
#[derive(Debug)]
pub struct Packed {
    root: Option<Hash>,
    metadata: Metadata,
    table: Table,
    weights: Weights,
}

/// Where weights are.
#[derive(Debug)]
pub(crate) enum Weights {
    /// In memory, all of them.
    Resident(Resident),
    /// On disk, but for those that are in use.
    Streamed(Stream),
}

/// Weights in one piece of address space.
#[derive(Debug)]
pub(crate) struct Resident {
    pub(crate) region: Region,
    /// Where each segment begins in it.
    pub(crate) starts: Vec<usize>,
}

/// The matrices of one layer, which stay where they are while this lives.
#[derive(Debug)]
pub struct Layer<'a> {
    packed: &'a Packed,
    segment: usize,
    bytes: Bytes<'a>,
}

/// Some row tiles of a matrix, which stay where they are while this lives.
#[derive(Debug)]
pub struct Piece<'a> {
    tensor: &'a Tensor,
    tiles: Range<usize>,
    bytes: Bytes<'a>,
}

impl Packed {
    /// Reads a GGUF file, or all parts of a split one, and packs it into memory.
    pub fn from_gguf(path: &Path) -> Result<Self, Error> {
        Opened::gguf(path)?.load(None)
    }

    pub(crate) fn new(root: Option<Hash>, metadata: Metadata, table: Table, weights: Weights) -> Self {
        Self {
            root,
            metadata,
            table,
            weights,
        }
    }

    /// Keys and values of the model file.
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The hash that names all of it; none if it is not from a store.
    pub fn root(&self) -> Option<Hash> {
        self.root
    }

    /// All tensors.
    pub fn tensors(&self) -> &Table {
        &self.table
    }

    /// A tensor's name and shape.
    pub fn tensor(&self, id: TensorId) -> &Tensor {
        self.table.get(id)
    }

    /// How many layers there are: the tensors `blk.N.…` are of layer `N`.
    pub fn layers(&self) -> usize {
        self.table.layers()
    }

    /// The elements of a vector.
    ///
    /// # Panics
    /// If the tensor is a matrix.
    pub fn vector(&self, id: TensorId) -> &[f32] {
        let tensor = self.tensor(id);
        assert!(tensor.is_vector(), "`{}` is a matrix", tensor.name);
        floats(match &self.weights {
            Weights::Resident(resident) => resident.bytes(tensor.segment, tensor.range()),
            Weights::Streamed(stream) => stream.vector(id, tensor),
        })
    }

    /// The matrices of a layer. Layers are best asked for in their order, for so they are read ahead, and one is best
    /// given back before the next is asked for: there may be no memory for more than two.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn layer(&self, layer: usize) -> Result<Layer<'_>, Error> {
        assert!(layer < self.layers(), "there are {} layers", self.layers());
        let segment = layer_segment(layer);
        Ok(Layer {
            packed: self,
            segment,
            bytes: match &self.weights {
                Weights::Resident(resident) => {
                    let bytes = self.table.segments()[segment];
                    Bytes::borrowed(resident.bytes(segment, 0..bytes), 0)
                }
                Weights::Streamed(stream) => stream.layer(layer)?,
            },
        })
    }

    /// One row tile (16 rows) of a matrix outside the layers: of the embedding, for its rows are asked for here and
    /// there.
    ///
    /// # Panics
    /// If the tensor is a vector, or has no such row tile.
    pub fn row_tile(&self, id: TensorId, tile: usize) -> Result<Piece<'_>, Error> {
        let (tensor, tiles) = (self.tensor(id), tile..tile + 1);
        assert!(
            tile < tensor.shape.tiles(),
            "`{}` has no row tile {tile}",
            tensor.name
        );
        let bytes = match &self.weights {
            Weights::Resident(resident) => resident.tensor(tensor),
            Weights::Streamed(stream) => stream.tiles(tensor, tiles.clone())?,
        };
        Ok(Piece { tensor, tiles, bytes })
    }

    /// All row tiles of a matrix outside the layers in order, in as many pieces as memory asks for: of the output,
    /// after the last layer, for so it is read ahead.
    ///
    /// # Panics
    /// If the tensor is a vector.
    pub fn pieces(&self, id: TensorId) -> impl Iterator<Item = Result<Piece<'_>, Error>> {
        let tensor = self.tensor(id);
        assert!(!tensor.is_vector(), "`{}` is a vector", tensor.name);
        let pieces = match &self.weights {
            Weights::Resident(_) => std::iter::once(0..tensor.shape.tiles()).collect(),
            Weights::Streamed(stream) => stream.pieces(tensor),
        };
        pieces.into_iter().map(move |tiles| {
            let bytes = match &self.weights {
                Weights::Resident(resident) => resident.tensor(tensor),
                Weights::Streamed(stream) => stream.piece(id, tensor, tiles.clone())?,
            };
            Ok(Piece { tensor, tiles, bytes })
        })
    }
}

impl Resident {
    fn bytes(&self, segment: usize, range: Range<usize>) -> &[u8] {
        &self.region.bytes()[self.starts[segment]..][range]
    }

    fn tensor(&self, tensor: &Tensor) -> Bytes<'_> {
        Bytes::borrowed(self.bytes(tensor.segment, tensor.range()), tensor.offset)
    }
}

impl Layer<'_> {
    /// One of its matrices.
    ///
    /// # Panics
    /// If the tensor is a vector, or of another layer.
    pub fn matrix(&self, id: TensorId) -> Matrix<'_> {
        let tensor = self.packed.tensor(id);
        assert_eq!(
            tensor.segment, self.segment,
            "`{}` is of another layer",
            tensor.name
        );
        view(tensor, &(0..tensor.shape.tiles()), &self.bytes)
    }
}

impl Piece<'_> {
    /// Which row tiles of the whole matrix these are.
    pub fn tiles(&self) -> Range<usize> {
        self.tiles.clone()
    }

    /// They as a matrix of their own, whose row 0 is row `16 · tiles().start` of the whole.
    pub fn matrix(&self) -> Matrix<'_> {
        view(self.tensor, &self.tiles, &self.bytes)
    }
}

/// Some row tiles of a tensor as a matrix of their own.
///
/// # Panics
/// If the tensor is a vector, or has no such row tiles.
fn view<'a>(tensor: &Tensor, tiles: &Range<usize>, bytes: &'a Bytes<'_>) -> Matrix<'a> {
    let Shape::Matrix { kind, rows, columns } = tensor.shape else {
        panic!("`{}` is a vector", tensor.name);
    };
    let tile = tensor.shape.unit_bytes();
    let range = tensor.offset + tiles.start * tile..tensor.offset + tiles.end * tile;
    let rows = (tiles.end * ROWS).min(rows) - tiles.start * ROWS;
    let matrix = Matrix::new(kind, rows, columns, bytes.get(range));
    matrix.unwrap_or_else(|error| panic!("`{}`, whose shape was checked: {error}", tensor.name))
}

/// Packs a source into memory.
pub(crate) fn pack_source(source: &Source, metadata: Metadata, pulse: &Pulse) -> Result<Packed, Error> {
    let table = plan(source)?;
    let starts: Vec<usize> = starts(table.segments()).collect();
    let last = starts.last().zip(table.segments().last());
    let bytes = last.map_or(0, |(start, bytes)| start + bytes);
    let mut pages = Pages::new(bytes).map_err(|error| Error::Memory {
        path: source.path().to_owned(),
        bytes,
        error,
    })?;
    pack(source, &table, &starts, pages.bytes_mut(), pulse)?;
    let region = pages.into();
    let weights = Weights::Resident(Resident { region, starts });
    Ok(Packed::new(None, metadata, table, weights))
}

/// The table of a source, its segments planned.
pub(crate) fn plan(source: &Source) -> Result<Table, Error> {
    let table = Table::plan(source.tensors()).map_err(|(tensor, problem)| Error::Tensor {
        path: source.path().to_owned(),
        tensor,
        problem,
    })?;
    check_padding(source, &table)?;
    Ok(table)
}

/// Packed weights take as much room as in the source, apart from vectors of 16-bit floats and the last row tile of
/// each matrix. A file that is made of such would take 16 times its size.
fn check_padding(source: &Source, table: &Table) -> Result<(), Error> {
    let packed: u64 = table.segments().iter().map(|&bytes| bytes as u64).sum();
    let bytes: u64 = source.tensors().map(|tensor| tensor.bytes).sum();
    if packed > 2 * bytes + MAX_PADDING {
        let path = source.path().to_owned();
        return Err(Error::Padding { path, bytes, packed });
    }
    Ok(())
}

/// Where segments begin that lie one after the other, the large ones on huge pages' boundaries.
fn starts(segments: &[usize]) -> impl Iterator<Item = usize> {
    segments.iter().scan(0_usize, |end, &bytes| {
        let alignment = if bytes >= 2 * HUGE_PAGE { HUGE_PAGE } else { 64 };
        let start = end.next_multiple_of(alignment);
        *end = start + bytes;
        Some(start)
    })
}

/// Packs all segments on all processors.
fn pack(
    source: &Source,
    table: &Table,
    starts: &[usize],
    mut memory: &mut [u8],
    pulse: &Pulse,
) -> Result<(), Error> {
    let mut pieces = Vec::new();
    let mut passed = 0;
    for (segment, (&start, &bytes)) in starts.iter().zip(table.segments()).enumerate() {
        let (this, rest) = std::mem::take(&mut memory)[start - passed..].split_at_mut(bytes);
        pieces.extend(
            this.chunks_mut(PIECE)
                .enumerate()
                .map(|(index, piece)| (segment, index * PIECE, piece)),
        );
        (memory, passed) = (rest, start + bytes);
    }
    let packer = Packer::new(source, table);
    workers::for_each(
        workers::available(),
        pieces.into_iter(),
        |scratch: &mut Scratch, (segment, start, piece)| {
            packer.fill(segment, start, piece, scratch)?;
            pulse.beat();
            Ok(())
        },
    )
}
