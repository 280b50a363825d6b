//! A loaded model, whatever it came from.

use std::ops::Range;
use std::path::Path;

use kernels::layout::ROWS;
use kernels::matrix::{Matrix, ShapeError};

use crate::error::Error;
use crate::hash::Hash;
use crate::memory::{HUGE_PAGE, Pages, Region, floats};
use crate::metadata::Metadata;
use crate::pack::{Packer, Scratch};
use crate::source::Source;
use crate::tensor::{Shape, Table, Tensor, TensorId, layer_segment};
use crate::workers;

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
    region: Region,
    /// Where each segment begins in the region.
    starts: Vec<usize>,
}

/// What a loaded model is put together from.
pub(crate) struct Parts<'a> {
    /// The file or folder that it is from, for messages.
    pub(crate) path: &'a Path,
    pub(crate) root: Option<Hash>,
    pub(crate) metadata: Metadata,
    pub(crate) table: Table,
    pub(crate) region: Region,
    /// Where each segment begins in the region.
    pub(crate) starts: Vec<usize>,
}

/// The matrices of one layer, which stay where they are while this lives.
#[derive(Debug)]
pub struct Layer<'a> {
    packed: &'a Packed,
    segment: usize,
    bytes: &'a [u8],
}

/// Some row tiles of a matrix, which stay where they are while this lives.
#[derive(Debug)]
pub struct Piece<'a> {
    tiles: Range<usize>,
    matrix: Matrix<'a>,
}

impl Packed {
    /// Reads a GGUF file, or all parts of a split one, and packs it into memory.
    pub fn from_gguf(path: &Path) -> Result<Self, Error> {
        let source = Source::open(path)?;
        let table = plan(&source)?;
        let starts: Vec<usize> = starts(table.segments()).collect();
        let bytes = starts
            .last()
            .zip(table.segments().last())
            .map_or(0, |(start, bytes)| start + bytes);
        let mut pages = Pages::new(bytes).map_err(|error| Error::Memory {
            path: path.to_owned(),
            bytes,
            source: error,
        })?;
        pack(&source, &table, &starts, pages.bytes_mut())?;
        Self::new(Parts {
            path,
            root: None,
            metadata: source.metadata().clone(),
            table,
            region: pages.into(),
            starts,
        })
    }

    /// Puts a model together, of which every matrix is one by the kernels' own measure, so that no guard need fail.
    pub(crate) fn new(parts: Parts<'_>) -> Result<Self, Error> {
        let packed = Self {
            root: parts.root,
            metadata: parts.metadata,
            table: parts.table,
            region: parts.region,
            starts: parts.starts,
        };
        packed.check(parts.path)?;
        Ok(packed)
    }

    fn check(&self, path: &Path) -> Result<(), Error> {
        for (_, tensor) in self.table.iter() {
            if let Shape::Matrix { .. } = tensor.shape {
                let bytes = &self.segment(tensor.segment)[tensor.range()];
                view(tensor, bytes).map_err(|error| Error::Tensor {
                    path: path.to_owned(),
                    tensor: tensor.name.clone(),
                    problem: format!("cannot be a matrix: {error}"),
                })?;
            }
        }
        Ok(())
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

    /// The tensor of that name.
    pub fn find(&self, name: &str) -> Option<TensorId> {
        self.table.find(name)
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
        floats(&self.segment(tensor.segment)[tensor.range()])
    }

    /// The matrices of a layer. Layers are best asked for in their order: so they are read ahead.
    pub fn layer(&self, layer: usize) -> Result<Layer<'_>, Error> {
        let segment = layer_segment(layer);
        Ok(Layer {
            packed: self,
            segment,
            bytes: self.segment(segment),
        })
    }

    /// One row tile (16 rows) of a matrix outside the layers: of the embedding, for its rows are asked for here and
    /// there.
    ///
    /// # Panics
    /// If the tensor is a vector, or has no such row tile.
    pub fn row_tile(&self, id: TensorId, tile: usize) -> Result<Piece<'_>, Error> {
        Ok(self.piece(self.tensor(id), tile..tile + 1))
    }

    /// All row tiles of a matrix outside the layers in order, in as many pieces as memory asks for: of the output.
    ///
    /// # Panics
    /// If the tensor is a vector.
    pub fn pieces(&self, id: TensorId) -> impl Iterator<Item = Result<Piece<'_>, Error>> {
        let tensor = self.tensor(id);
        std::iter::once(Ok(self.piece(tensor, 0..tensor.shape.tiles())))
    }

    fn piece(&self, tensor: &Tensor, tiles: Range<usize>) -> Piece<'_> {
        let bytes = &self.segment(tensor.segment)[tensor.range()];
        Piece {
            matrix: checked(tiles_of(tensor, bytes, &tiles)),
            tiles,
        }
    }

    /// A tensor's bytes in packed layout.
    pub(crate) fn bytes(&self, id: TensorId) -> &[u8] {
        let tensor = self.tensor(id);
        &self.segment(tensor.segment)[tensor.range()]
    }

    fn segment(&self, segment: usize) -> &[u8] {
        &self.region.bytes()[self.starts[segment]..][..self.table.segments()[segment]]
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
        checked(view(tensor, &self.bytes[tensor.range()]))
    }
}

impl Piece<'_> {
    /// Which row tiles of the whole matrix these are.
    pub fn tiles(&self) -> Range<usize> {
        self.tiles.clone()
    }

    /// They as a matrix of their own, whose row 0 is row `16 · tiles().start` of the whole.
    pub fn matrix(&self) -> Matrix<'_> {
        self.matrix
    }
}

/// The table of a source, its segments planned.
pub(crate) fn plan(source: &Source) -> Result<Table, Error> {
    Table::plan(source.tensors()).map_err(|(tensor, problem)| Error::Tensor {
        path: source.path().to_owned(),
        tensor,
        problem,
    })
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
fn pack(source: &Source, table: &Table, starts: &[usize], mut memory: &mut [u8]) -> Result<(), Error> {
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
        |(segment, start, piece)| packer.fill(segment, start, piece, &mut Scratch::default()),
    )
}

/// A tensor's bytes as the matrix that it is.
fn view<'a>(tensor: &Tensor, bytes: &'a [u8]) -> Result<Matrix<'a>, ShapeError> {
    tiles_of(tensor, bytes, &(0..tensor.shape.tiles()))
}

/// Some row tiles of a tensor's bytes as a matrix of their own.
///
/// # Panics
/// If the tensor is a vector, or has no such row tiles.
fn tiles_of<'a>(tensor: &Tensor, bytes: &'a [u8], tiles: &Range<usize>) -> Result<Matrix<'a>, ShapeError> {
    let Shape::Matrix { kind, rows, columns } = tensor.shape else {
        panic!("`{}` is a vector", tensor.name);
    };
    let tile = tensor.shape.unit_bytes();
    let rows = (tiles.end * ROWS).min(rows) - tiles.start * ROWS;
    Matrix::new(kind, rows, columns, &bytes[tiles.start * tile..tiles.end * tile])
}

/// What was checked when the model was loaded.
fn checked<'a>(matrix: Result<Matrix<'a>, ShapeError>) -> Matrix<'a> {
    matrix.unwrap_or_else(|error| panic!("a matrix that was one when the model was loaded: {error}"))
}
