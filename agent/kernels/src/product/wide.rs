//! Products with vectors: what is the same for every set of instructions.
//!
//! A kernel multiplies `T` row tiles with `M` rows of activations: it unpacks a block of weights once and uses it for
//! all of them. With one row of activations the weights' way from memory is what takes time: several tiles at once
//! keep several streams in flight, and while a tile is multiplied its like in the next step is asked for, all planes of
//! it: a processor notices the streams of a short tile too late by itself. With many rows it is the arithmetic: `M` rows share what was unpacked, and so many
//! rows are taken in turn as stay in the cache.

mod floats;
mod kernels;
mod quants;
mod tiles;
mod unpack;
mod vectors;
mod weights;

use std::ops::Range;

use self::floats::{BF16, F16, F32};
use self::kernels::{Floats, Kernel, Multiply, Quantised};
use self::quants::{EightBits, FiveBits, FourBits};
pub(super) use self::tiles::{TileSums, Tiles, fit_tiles, multiply_by_tiles};
pub(super) use self::vectors::{Operation, Quad, Vectors, pair, quad};
use self::weights::{Halved, Nested, Scaled, Shifted};
use crate::activations::Activations;
use crate::kind::Kind;
use crate::layout::{Planes, ROWS};
use crate::matrix::Matrix;

/// Bytes of activations, rounded to 8 bits, that are to stay in the cache while the weights go by.
const CACHED: usize = 256 << 10;
/// The most rows of activations that are multiplied at once.
const MOST_ROWS: usize = 8;

/// As [`super::multiply`].
pub(super) fn multiply<V: Vectors>(
    v: V,
    matrix: &Matrix<'_>,
    tiles: Range<usize>,
    input: &Activations,
    output: &mut [f32],
) {
    let product = Product {
        v,
        matrix,
        tiles,
        input,
    };
    match matrix.kind() {
        Kind::F32 => product.compute::<Floats<F32<'_>>>(output),
        Kind::F16 => product.compute::<Floats<F16<'_>>>(output),
        Kind::BF16 => product.compute::<Floats<BF16<'_>>>(output),
        Kind::Q4_0 => product.compute::<Quantised<Scaled<'_, FourBits<'_, 8>>, 1, 1>>(output),
        Kind::Q4_1 => product.compute::<Quantised<Shifted<'_, FourBits<'_, 0>>, 1, 1>>(output),
        Kind::Q5_0 => product.compute::<Quantised<Scaled<'_, FiveBits<'_, 16>>, 1, 1>>(output),
        Kind::Q8_0 => product.compute::<Quantised<Scaled<'_, EightBits<'_>>, 1, 1>>(output),
        Kind::Q4K => product.compute::<Quantised<Nested<'_, FourBits<'_, 0>>, 8, 1>>(output),
        Kind::Q5K => product.compute::<Quantised<Nested<'_, FiveBits<'_, 0>>, 8, 1>>(output),
        Kind::Q6K => product.compute::<Quantised<Halved<'_>, 8, 2>>(output),
    }
}

/// A product to be computed.
struct Product<'a, V> {
    v: V,
    matrix: &'a Matrix<'a>,
    tiles: Range<usize>,
    input: &'a Activations,
}

impl<'a, V: Vectors> Product<'a, V> {
    fn compute<K: Kernel<'a, V>>(&self, output: &mut [f32]) {
        let panel = (CACHED / self.input.columns() / MOST_ROWS).max(1) * MOST_ROWS;
        for first in (0..self.input.rows()).step_by(panel) {
            let rows = first..self.input.rows().min(first + panel);
            if rows.len() > 1 {
                for tile in self.tiles.clone() {
                    self.tile::<K>(tile, rows.clone(), output);
                }
            } else {
                self.row::<K>(first, output);
            }
        }
    }

    /// All tiles times one row of activations, several at once.
    fn row<K: Kernel<'a, V>>(&self, row: usize, output: &mut [f32]) {
        let mut tile = self.tiles.start;
        while tile < self.tiles.end {
            tile += match self.tiles.end - tile {
                4.. => self.multiply::<K, 4, 1>(tile, row, output),
                _ => self.multiply::<K, 1, 1>(tile, row, output),
            };
        }
    }

    /// One tile times rows of activations, as many at once as there are.
    fn tile<K: Kernel<'a, V>>(&self, tile: usize, rows: Range<usize>, output: &mut [f32]) {
        let mut row = rows.start;
        while row < rows.end {
            row += match (rows.end - row).min(K::MOST_ROWS) {
                8.. => self.multiply::<K, 1, 8>(tile, row, output),
                4.. => self.multiply::<K, 1, 4>(tile, row, output),
                2.. => self.multiply::<K, 1, 2>(tile, row, output),
                _ => self.multiply::<K, 1, 1>(tile, row, output),
            }
        }
    }

    /// `T` tiles times `M` rows of activations, one of which is 1; gives the other.
    fn multiply<K: Kernel<'a, V>, const T: usize, const M: usize>(
        &self,
        tile: usize,
        row: usize,
        output: &mut [f32],
    ) -> usize {
        let (kind, columns) = (self.matrix.kind(), self.matrix.columns());
        let totals = self.v.run(Multiply {
            tiles: std::array::from_fn::<_, T, _>(|t| {
                K::of(&Planes::of(kind, columns, self.matrix.tile(tile + t)))
            }),
            next: std::array::from_fn::<_, T, _>(|t| self.after(tile + t, T)),
            inputs: std::array::from_fn::<_, M, _>(|m| self.input.row(row + m)),
        });
        let width = self.tiles.len() * ROWS;
        for (t, totals) in totals.iter().enumerate() {
            for (m, total) in totals.iter().enumerate() {
                let first = (row + m) * width + (tile + t - self.tiles.start) * ROWS;
                output[first..][..ROWS].copy_from_slice(total);
            }
        }
        T * M
    }

    /// Where the tile begins that is `step` further on, if it is one of ours; else `tile` itself, which is in the cache.
    fn after(&self, tile: usize, step: usize) -> *const u8 {
        let next = if tile + step < self.tiles.end {
            tile + step
        } else {
            tile
        };
        self.matrix.tile(next).as_ptr()
    }
}
