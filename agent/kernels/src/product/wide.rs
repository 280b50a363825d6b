//! Products with vectors: what is the same for every set of instructions.
//!
//! A kernel multiplies a row tile with `M` rows of activations: it unpacks a block of weights once and uses it for all
//! of them. With one row of activations the weights' way from memory is what takes time: memory is gone through from
//! its beginning to its end, and with each block as many bytes are asked for as it has, more than a tile ahead, so that
//! all planes of the next tile are on their way; a processor notices the streams of a short tile too late by itself.
//! With many rows it is the arithmetic: `M` rows share what was unpacked, and so many rows are taken in turn as stay in
//! the cache.

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
/// How far ahead weights are asked for, beyond the like place in the next tile: what is on its way is to arrive before
/// it is needed, and to stay in the second-level cache until then.
const AHEAD: usize = 8 << 10;

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
            for tile in self.tiles.clone() {
                self.tile::<K>(tile, rows.clone(), output);
            }
        }
    }

    /// One tile times rows of activations, as many at once as there are.
    fn tile<K: Kernel<'a, V>>(&self, tile: usize, rows: Range<usize>, output: &mut [f32]) {
        let mut row = rows.start;
        while row < rows.end {
            row += match (rows.end - row).min(K::MOST_ROWS) {
                8.. => self.multiply::<K, 8>(tile, row, output),
                4.. => self.multiply::<K, 4>(tile, row, output),
                2.. => self.multiply::<K, 2>(tile, row, output),
                _ => self.multiply::<K, 1>(tile, row, output),
            }
        }
    }

    /// One tile times `M` rows of activations; gives `M`.
    fn multiply<K: Kernel<'a, V>, const M: usize>(
        &self,
        tile: usize,
        row: usize,
        output: &mut [f32],
    ) -> usize {
        let (kind, columns) = (self.matrix.kind(), self.matrix.columns());
        let bytes = self.matrix.tile(tile);
        let totals = self.v.run(Multiply {
            tile: K::of(&Planes::of(kind, columns, bytes)),
            ahead: bytes.as_ptr().wrapping_add(bytes.len() + AHEAD),
            inputs: std::array::from_fn::<_, M, _>(|m| self.input.row(row + m)),
        });
        let width = self.tiles.len() * ROWS;
        for (m, total) in totals.iter().enumerate() {
            let first = (row + m) * width + (tile - self.tiles.start) * ROWS;
            output[first..][..ROWS].copy_from_slice(total);
        }
        M
    }
}
