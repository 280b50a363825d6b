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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::layout::AlignedBytes;

    /// Sizes as a broken file may give them: small ones, those around powers of two, and any.
    fn sizes() -> impl Strategy<Value = usize> {
        let around = (0..64_u32, 0..3_usize)
            .prop_map(|(power, off)| (1_usize << power).wrapping_add(off).wrapping_sub(1));
        prop_oneof![0..600_usize, around, any::<usize>(), Just(usize::MAX)]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn an_absurd_shape_is_refused_and_no_panic(
            kind in prop::sample::select(&Kind::ALL[..]), rows in sizes(), columns in sizes(), length in 0..5000_usize,
        ) {
            let bytes = AlignedBytes::zeros(length);
            match Matrix::new(kind, rows, columns, &bytes) {
                Ok(matrix) => {
                    let tile = (columns / kind.block_columns() * kind.block_bytes() * ROWS).next_multiple_of(ALIGNMENT);
                    prop_assert_eq!(length, rows.div_ceil(ROWS) * tile);
                    prop_assert_eq!((matrix.rows(), matrix.columns()), (rows, columns));
                }
                Err(ShapeError::Columns { .. }) => {
                    prop_assert!(columns == 0 || !columns.is_multiple_of(kind.block_columns()));
                }
                Err(ShapeError::Bytes { needed, found, .. }) => prop_assert!(needed != found),
                Err(ShapeError::Alignment) => prop_assert!(false, "the bytes are aligned"),
            }
        }

        #[test]
        fn the_right_number_of_bytes_is_taken(
            kind in prop::sample::select(&Kind::ALL[..]), rows in 1..100_usize, blocks in 1..4_usize, more in 1..64_usize,
        ) {
            let columns = blocks * kind.block_columns();
            let needed = packed_bytes(kind, rows, columns);
            let bytes = AlignedBytes::zeros(needed + more);
            prop_assert!(Matrix::new(kind, rows, columns, &bytes[..needed]).is_ok());
            prop_assert!(Matrix::new(kind, rows, columns, &bytes).is_err());
            prop_assert!(Matrix::new(kind, rows, columns, &bytes[..needed - 1]).is_err());
            let moved = Matrix::new(kind, rows, columns, &bytes[more..][..needed]);
            prop_assert_eq!(moved.err(), Some(ShapeError::Alignment));
        }
    }
}
