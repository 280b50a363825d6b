//! Products by tiles: instructions that multiply 16 rows of weights with 16 rows of activations at once.
//!
//! They take signed bytes. So a row tile is unpacked once, its quants less what stands for zero, and goes by all rows
//! of activations that stay in the cache. What a tile comes to are integers, block by block; scaling and adding them
//! is as for vectors, and takes more time than the tiles do: it is done for eight blocks and eight rows in turn,
//! whose sums are then in registers.
#![allow(
    clippy::needless_range_loop,
    reason = "indices tell rows, blocks and vectors apart"
)]

use std::cell::Cell;
use std::ops::Range;

use super::Product;
use super::kernels::{Groups, Quantised};
use super::quants::{EightBits, FiveBits, FourBits};
use super::unpack::{SignedBlock, unpack};
use super::vectors::{Operation, Vectors};
use super::weights::{Halved, Nested, Scaled, Shifted, Weights};
use crate::activations::Activations;
use crate::kind::Kind;
use crate::layout::{BLOCK, Planes, ROWS};
use crate::matrix::Matrix;

/// Bytes of activations that are to stay in the second-level cache while the weights go by.
const CACHED: usize = 1 << 20;
/// Rows of activations beyond whole tiles that vectors multiply faster than another tile would: it takes as long as a
/// full one, and vectors about a quarter of that for each of these.
const FEW: usize = 4;
/// Blocks that are multiplied before they are added.
const SPAN: usize = 8;
/// Rows of activations that are added in turn.
const HALF: usize = ROWS / 2;

/// What a tile comes to: integers of `[rows of activations, rows of weights]`.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(in crate::product) struct TileSums(pub(in crate::product) [[i32; ROWS]; ROWS]);

impl TileSums {
    const ZERO: Self = Self([[0; ROWS]; ROWS]);
}

/// Instructions for tiles, set up on this thread.
pub(in crate::product) trait Tiles {
    /// Sixteen rows of activations times a block of weights or half of one: `sums[m][n] = Σ rows[m · stride + k] ·
    /// weight`, over `k < 4 · N`, where the weight of row `n` and column `k` is `weights[k / 4][4 · n + k % 4]`.
    fn multiply<const N: usize>(
        &self,
        rows: &[i8],
        stride: usize,
        weights: &[[i8; 4 * ROWS]; N],
        sums: &mut TileSums,
    );
}

/// Whether tiles multiply that kind of weights with so many rows of activations.
pub(in crate::product) fn fit_tiles(kind: Kind, rows: usize) -> bool {
    !kind.is_float() && rows >= ROWS
}

/// As [`super::multiply`], for what [`fit_tiles`].
pub(in crate::product) fn multiply_by_tiles<V: Vectors, T: Tiles>(
    v: V,
    tiles_set_up: &T,
    matrix: &Matrix<'_>,
    tiles: Range<usize>,
    input: &Activations,
    output: &mut [f32],
) {
    let t = tiles_set_up;
    let product = Product {
        v,
        matrix,
        tiles,
        input,
    };
    match matrix.kind() {
        Kind::F32 | Kind::F16 | Kind::BF16 => unreachable!("floats do not fit tiles"),
        Kind::Q4_0 => product.by_tiles::<T, Scaled<'_, FourBits<'_, 8>>, 1, 1>(t, output),
        Kind::Q4_1 => product.by_tiles::<T, Shifted<'_, FourBits<'_, 0>>, 1, 1>(t, output),
        Kind::Q5_0 => product.by_tiles::<T, Scaled<'_, FiveBits<'_, 16>>, 1, 1>(t, output),
        Kind::Q8_0 => product.by_tiles::<T, Scaled<'_, EightBits<'_>>, 1, 1>(t, output),
        Kind::Q4K => product.by_tiles::<T, Nested<'_, FourBits<'_, 0>>, 8, 1>(t, output),
        Kind::Q5K => product.by_tiles::<T, Nested<'_, FiveBits<'_, 0>>, 8, 1>(t, output),
        Kind::Q6K => product.by_tiles::<T, Halved<'_>, 8, 2>(t, output),
    }
}

impl<'a, V: Vectors> Product<'a, V> {
    fn by_tiles<T, W, const PARTS: usize, const DOTS: usize>(&self, t: &T, output: &mut [f32])
    where
        T: Tiles,
        W: Weights<'a, V, PARTS, DOTS>,
    {
        let (kind, columns) = (self.matrix.kind(), self.input.columns());
        let (firsts, rest) = cover(self.input.rows());
        let mut unpacked = Unpacked::take(columns / BLOCK);
        let panel = (CACHED / columns / ROWS).max(1);
        for firsts in firsts.chunks(panel) {
            for tile in self.tiles.clone() {
                let planes = Planes::of(kind, columns, self.matrix.tile(tile));
                self.v.run(RowTile {
                    t,
                    kind,
                    planes,
                    weights: W::of(&planes),
                    unpacked: &mut unpacked.0,
                    input: self.input,
                    firsts,
                    output: &mut output[(tile - self.tiles.start) * ROWS..],
                    width: self.tiles.len() * ROWS,
                });
            }
        }
        for tile in self.tiles.clone() {
            self.tile::<Quantised<W, PARTS, DOTS>>(tile, rest.clone(), output);
        }
    }
}

thread_local! {
    /// What this thread unpacks a row tile into.
    static UNPACKED: Cell<Vec<SignedBlock>> = const { Cell::new(Vec::new()) };
}

/// Room for a row tile that is unpacked. Chunks of a product are short, and this takes hundreds of kilobytes, so a
/// thread keeps it from one to the next.
struct Unpacked(Vec<SignedBlock>);

impl Unpacked {
    /// Room for so many blocks, with whatever was there before.
    fn take(blocks: usize) -> Self {
        let mut room = UNPACKED.take();
        room.resize(blocks, SignedBlock::ZERO);
        Self(room)
    }
}

impl Drop for Unpacked {
    fn drop(&mut self) {
        UNPACKED.set(std::mem::take(&mut self.0));
    }
}

/// The first rows of tiles that cover `rows` rows, at least 16, and the few that are left for vectors. If more are left
/// than few, the last tile begins so much earlier: what it computes a second time is the same.
fn cover(rows: usize) -> (Vec<usize>, Range<usize>) {
    let whole = rows / ROWS * ROWS;
    let mut firsts: Vec<usize> = (0..whole).step_by(ROWS).collect();
    if rows - whole <= FEW {
        return (firsts, whole..rows);
    }
    firsts.push(rows - ROWS);
    (firsts, rows..rows)
}

/// A row tile of weights to be multiplied with tiles of activations.
struct RowTile<'a, 'b, T, W, const PARTS: usize, const DOTS: usize> {
    t: &'b T,
    kind: Kind,
    planes: Planes<'a>,
    weights: W,
    unpacked: &'b mut [SignedBlock],
    input: &'a Activations,
    /// The first rows of those tiles.
    firsts: &'b [usize],
    /// From the row tile's first output on.
    output: &'b mut [f32],
    /// Elements of a row of the output.
    width: usize,
}

impl<'a, V, T, W, const PARTS: usize, const DOTS: usize> Operation<V> for RowTile<'a, '_, T, W, PARTS, DOTS>
where
    V: Vectors,
    T: Tiles,
    W: Weights<'a, V, PARTS, DOTS>,
{
    type Output = ();

    #[inline(always)]
    fn run(self, v: V) {
        unpack(self.kind, &self.planes, self.unpacked);
        let mut dots = [[TileSums::ZERO; DOTS]; SPAN];
        for &first in self.firsts {
            let inputs =
                std::array::from_fn::<_, ROWS, _>(|m| Groups::<PARTS>::of(self.input.row(first + m)));
            let mut sums = [[W::nothing(v); 2]; ROWS];
            for blocks in spans(self.unpacked.len()) {
                let rows = self.input.quants_from(first);
                self.multiply(rows, blocks.clone(), &mut dots);
                for half in 0..2 {
                    let inputs = &inputs.as_chunks::<HALF>().0[half];
                    let sums = &mut sums.as_chunks_mut::<HALF>().0[half];
                    add(v, &self.weights, blocks.clone(), &dots, half * HALF, inputs, sums);
                }
            }
            for m in 0..ROWS {
                let (output, _) = self.output[(first + m) * self.width..].as_chunks_mut::<ROWS>();
                for at in 0..V::IN_TILE {
                    v.store(W::total(&sums[m][at]), &mut output[0], at);
                }
            }
        }
    }
}

impl<T: Tiles, W, const PARTS: usize, const DOTS: usize> RowTile<'_, '_, T, W, PARTS, DOTS> {
    /// Multiplies blocks; `rows` begins with the tile of activations.
    #[inline(always)]
    fn multiply(&self, rows: &[i8], blocks: Range<usize>, dots: &mut [[TileSums; DOTS]; SPAN]) {
        let stride = self.input.columns();
        for (block, dots) in blocks.zip(dots) {
            let SignedBlock(weights) = &self.unpacked[block];
            let rows = &rows[block * BLOCK..];
            match dots.as_mut_slice() {
                [all] => self.t.multiply::<8>(rows, stride, weights, all),
                halves => {
                    for (half, sums) in halves.iter_mut().enumerate() {
                        let weights = &weights.as_chunks::<4>().0[half];
                        self.t
                            .multiply::<4>(&rows[half * BLOCK / 2..], stride, weights, sums);
                    }
                }
            }
        }
    }
}

/// Adds what blocks came to for eight of a tile's rows of activations, from row `first` of the tile on.
#[inline(always)]
fn add<'a, V, W, const PARTS: usize, const DOTS: usize>(
    v: V,
    weights: &W,
    blocks: Range<usize>,
    dots: &[[TileSums; DOTS]; SPAN],
    first: usize,
    inputs: &[Groups<'_, PARTS>; HALF],
    total: &mut [[W::Sums; 2]; HALF],
) where
    V: Vectors,
    W: Weights<'a, V, PARTS, DOTS>,
{
    for at in 0..V::IN_TILE {
        let mut sums: [W::Sums; HALF] = std::array::from_fn(|m| total[m][at]);
        let mut group = weights.group(blocks.start / PARTS);
        for (block, dots) in blocks.clone().zip(dots) {
            let (index, part) = (block / PARTS, block % PARTS);
            if part == 0 {
                group = weights.group(index);
            }
            let scales = weights.scales(v, &group, part, block, at);
            for m in 0..HALF {
                let dots = std::array::from_fn(|dot| v.ints(&dots[dot].0[first + m], at));
                W::add(v, &scales, dots, &inputs[m].block(index, part), &mut sums[m]);
            }
            if part == PARTS - 1 {
                for m in 0..HALF {
                    weights.close(v, index, at, &mut sums[m]);
                }
            }
        }
        for m in 0..HALF {
            total[m][at] = sums[m];
        }
    }
}

/// Blocks in turns of [`SPAN`].
fn spans(blocks: usize) -> impl Iterator<Item = Range<usize>> {
    (0..blocks)
        .step_by(SPAN)
        .map(move |first| first..blocks.min(first + SPAN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_its_room_from_product_to_product() {
        let place = |blocks: usize| {
            let room = Unpacked::take(blocks);
            assert_eq!(room.0.len(), blocks);
            room.0.as_ptr().addr()
        };
        let first = place(64);
        assert_eq!([place(8), place(64), place(1)], [first; 3]);
    }
}
