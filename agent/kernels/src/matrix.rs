//! A weight matrix in packed layout.

use crate::kind::Kind;
use crate::layout::{ALIGNMENT, ROWS, Tile, packed_bytes, tile_bytes};

/// A view of a weight matrix `[rows, columns]` in the layout of [`crate::layout`].
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    kind: Kind,
    rows: usize,
    columns: usize,
    bytes: &'a [u8],
}

/// Why bytes are no matrix.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// The columns are no whole number of blocks.
    #[error("{columns} columns are not a multiple of the {block} that {name} has in a block", name = kind.name(), block = kind.block_columns())]
    Columns {
        /// The element type.
        kind: Kind,
        /// The columns.
        columns: usize,
    },
    /// There are more or fewer bytes than the shape needs.
    #[error("{found} bytes; {name} of {rows} × {columns} has {needed}", name = kind.name())]
    Bytes {
        /// The element type.
        kind: Kind,
        /// The rows.
        rows: usize,
        /// The columns.
        columns: usize,
        /// What the shape needs.
        needed: usize,
        /// What there is.
        found: usize,
    },
    /// The bytes do not begin on a multiple of [`crate::layout::ALIGNMENT`].
    #[error("the bytes do not begin on a multiple of 64")]
    Alignment,
}

impl<'a> Matrix<'a> {
    /// Takes bytes for a matrix of that shape.
    pub fn new(kind: Kind, rows: usize, columns: usize, bytes: &'a [u8]) -> Result<Self, ShapeError> {
        if columns == 0 || !columns.is_multiple_of(kind.block_columns()) {
            return Err(ShapeError::Columns { kind, columns });
        }
        let (needed, found) = (packed_bytes(kind, rows, columns), bytes.len());
        if needed != found {
            return Err(ShapeError::Bytes {
                kind,
                rows,
                columns,
                needed,
                found,
            });
        }
        if !bytes.as_ptr().addr().is_multiple_of(ALIGNMENT) {
            return Err(ShapeError::Alignment);
        }
        Ok(Self {
            kind,
            rows,
            columns,
            bytes,
        })
    }

    /// The bytes of one row tile.
    pub fn tile(&self, index: usize) -> &'a [u8] {
        let bytes = tile_bytes(self.kind, self.columns);
        &self.bytes[index * bytes..][..bytes]
    }

    /// The values of one row, `[columns]`, as ggml dequantises them; for looking up embeddings.
    pub fn dequantise(&self, row: usize, values: &mut [f32]) {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let tile = Tile::new(self.kind, self.columns, self.tile(row / ROWS));
        for (column, value) in values[..self.columns].iter_mut().enumerate() {
            *value = tile.value(row % ROWS, column);
        }
    }

    /// Row tiles.
    pub fn tiles(&self) -> usize {
        self.rows.div_ceil(ROWS)
    }

    /// The element type.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Rows: outputs of the product.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Columns: inputs of the product.
    pub fn columns(&self) -> usize {
        self.columns
    }
}
