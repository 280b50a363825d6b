//! Row tiles times rows of activations.
#![allow(
    clippy::needless_range_loop,
    reason = "indices tell tiles, rows and vectors apart"
)]

use super::floats::Elements;
use super::vectors::{Operation, Quad, Vectors};
use super::weights::{Block, Weights};
use crate::activations::Row;
use crate::layout::{Planes, ROWS};

/// What `T` row tiles times `M` rows of activations come to.
pub(super) type Totals<const T: usize, const M: usize> = [[[f32; ROWS]; M]; T];

/// A row tile that can be multiplied.
pub(super) trait Kernel<'a, V: Vectors>: Copy {
    /// The most rows of activations that are worth multiplying at once: their sums are to stay in registers, or to be
    /// few beside the products.
    const MOST_ROWS: usize;

    /// Takes a row tile.
    fn of(planes: &Planes<'a>) -> Self;

    /// Multiplies `T` row tiles with `M` rows of activations, and asks for the bytes at `next`.
    fn multiply<const T: usize, const M: usize>(
        v: V,
        tiles: [Self; T],
        next: [*const u8; T],
        inputs: [Row<'a>; M],
    ) -> Totals<T, M>;
}

/// `T` row tiles and `M` rows to be multiplied.
pub(super) struct Multiply<'a, K, const T: usize, const M: usize> {
    pub(super) tiles: [K; T],
    /// Where row tiles begin that come next.
    pub(super) next: [*const u8; T],
    pub(super) inputs: [Row<'a>; M],
}

impl<'a, V: Vectors, K: Kernel<'a, V>, const T: usize, const M: usize> Operation<V>
    for Multiply<'a, K, T, M>
{
    type Output = Totals<T, M>;

    #[inline(always)]
    fn run(self, v: V) -> Totals<T, M> {
        K::multiply(v, self.tiles, self.next, self.inputs)
    }
}

/// A row tile of quantised weights.
#[derive(Clone, Copy)]
pub(super) struct Quantised<W, const PARTS: usize, const DOTS: usize>(W);

impl<'a, V, W, const PARTS: usize, const DOTS: usize> Kernel<'a, V> for Quantised<W, PARTS, DOTS>
where
    V: Vectors,
    W: Weights<'a, V, PARTS, DOTS>,
{
    const MOST_ROWS: usize = 8;

    #[inline(always)]
    fn of(planes: &Planes<'a>) -> Self {
        Self(W::of(planes))
    }

    #[inline(always)]
    fn multiply<const T: usize, const M: usize>(
        v: V,
        tiles: [Self; T],
        next: [*const u8; T],
        inputs: [Row<'a>; M],
    ) -> Totals<T, M> {
        let inputs = inputs.map(Groups::<PARTS>::of);
        let mut sums = [[[W::nothing(v); 2]; M]; T];
        for group in 0..inputs[0].quants.len() {
            for t in 0..T {
                let scales_of_group = tiles[t].0.group(group);
                for part in 0..PARTS {
                    let block = group * PARTS + part;
                    ahead(v, next[t], block, W::LINES);
                    for at in 0..V::IN_TILE {
                        let quants = tiles[t].0.quants(v, block, at);
                        let scales = tiles[t].0.scales(v, &scales_of_group, part, block, at);
                        for m in 0..M {
                            let input = inputs[m].block(group, part);
                            let dots = W::dots(v, &quants, &input);
                            W::add(v, &scales, dots, &input, &mut sums[t][m][at]);
                        }
                    }
                }
            }
            for t in 0..T {
                for m in 0..M {
                    for at in 0..V::IN_TILE {
                        tiles[t].0.close(v, group, at, &mut sums[t][m][at]);
                    }
                }
            }
        }
        let mut totals = [[[0.0; ROWS]; M]; T];
        for t in 0..T {
            for m in 0..M {
                for at in 0..V::IN_TILE {
                    v.store(W::total(&sums[t][m][at]), &mut totals[t][m], at);
                }
            }
        }
        totals
    }
}

/// Asks for as many cache lines as a block has, those of a tile's block of that index.
#[inline(always)]
fn ahead<V: Vectors>(v: V, next: *const u8, block: usize, lines: usize) {
    for line in 0..lines {
        v.prefetch(next.wrapping_add(64 * (lines * block + line)));
    }
}

/// A row of activations in groups of blocks.
#[derive(Clone, Copy)]
pub(super) struct Groups<'a, const PARTS: usize> {
    quants: &'a [[[Quad; 8]; PARTS]],
    scales: &'a [[f32; PARTS]],
    sums: &'a [[[i16; 2]; PARTS]],
    scaled_sums: &'a [[f32; PARTS]],
}

impl<'a, const PARTS: usize> Groups<'a, PARTS> {
    #[inline(always)]
    pub(super) fn of(row: Row<'a>) -> Self {
        Self {
            quants: row.quants.as_chunks().0.as_chunks().0.as_chunks().0,
            scales: row.scales.as_chunks().0,
            sums: row.sums.as_chunks().0.as_chunks().0,
            scaled_sums: row.scaled_sums.as_chunks().0,
        }
    }

    #[inline(always)]
    pub(super) fn block(&self, group: usize, part: usize) -> Block<'a> {
        Block {
            quants: &self.quants[group][part],
            scale: self.scales[group][part],
            sums: self.sums[group][part],
            scaled_sum: self.scaled_sums[group][part],
        }
    }
}

/// A row tile of float weights.
#[derive(Clone, Copy)]
pub(super) struct Floats<E>(E);

impl<'a, V: Vectors, E: Elements<'a, V>> Kernel<'a, V> for Floats<E> {
    const MOST_ROWS: usize = 8 / V::IN_TILE;

    #[inline(always)]
    fn of(planes: &Planes<'a>) -> Self {
        Self(E::of(planes))
    }

    #[inline(always)]
    fn multiply<const T: usize, const M: usize>(
        v: V,
        tiles: [Self; T],
        next: [*const u8; T],
        inputs: [Row<'a>; M],
    ) -> Totals<T, M> {
        let inputs = inputs.map(|row| row.values.as_chunks::<4>().0);
        let mut sums = [[[v.zero(); 2]; M]; T];
        for four in 0..inputs[0].len() {
            for t in 0..T {
                ahead(v, next[t], four, E::LINES);
            }
            for i in 0..4 {
                for t in 0..T {
                    for at in 0..V::IN_TILE {
                        let weights = tiles[t].0.column(v, four, i, at);
                        for m in 0..M {
                            let value = v.splat(inputs[m][four][i]);
                            sums[t][m][at] = v.fma(weights, value, sums[t][m][at]);
                        }
                    }
                }
            }
        }
        let mut totals = [[[0.0; ROWS]; M]; T];
        for t in 0..T {
            for m in 0..M {
                for at in 0..V::IN_TILE {
                    v.store(sums[t][m][at], &mut totals[t][m], at);
                }
            }
        }
        totals
    }
}
