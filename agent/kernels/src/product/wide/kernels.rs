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

/// What a row tile times `M` rows of activations comes to.
pub(super) type Totals<const M: usize> = [[f32; ROWS]; M];

/// A row tile that can be multiplied.
pub(super) trait Kernel<'a, V: Vectors>: Copy {
    /// The most rows of activations that are worth multiplying at once: their sums are to stay in registers, or to be
    /// few beside the products.
    const MOST_ROWS: usize;

    /// Takes a row tile.
    fn of(planes: &Planes<'a>) -> Self;

    /// Multiplies the row tile with `M` rows of activations, and asks for as many bytes as it has at `ahead`.
    fn multiply<const M: usize>(self, v: V, ahead: *const u8, inputs: [Row<'a>; M]) -> Totals<M>;
}

/// A row tile and `M` rows to be multiplied.
pub(super) struct Multiply<'a, K, const M: usize> {
    pub(super) tile: K,
    /// Bytes that will be needed later, as many as the tile has.
    pub(super) ahead: *const u8,
    pub(super) inputs: [Row<'a>; M],
}

impl<'a, V: Vectors, K: Kernel<'a, V>, const M: usize> Operation<V> for Multiply<'a, K, M> {
    type Output = Totals<M>;

    #[inline(always)]
    fn run(self, v: V) -> Totals<M> {
        self.tile.multiply(v, self.ahead, self.inputs)
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
    fn multiply<const M: usize>(self, v: V, ahead: *const u8, inputs: [Row<'a>; M]) -> Totals<M> {
        let inputs = inputs.map(Groups::<PARTS>::of);
        let mut sums = [[W::nothing(v); 2]; M];
        for group in 0..inputs[0].quants.len() {
            let scales_of_group = self.0.group(group);
            for part in 0..PARTS {
                let block = group * PARTS + part;
                ask(v, ahead, block, W::BYTES);
                for at in 0..V::IN_TILE {
                    let quants = self.0.quants(v, block, at);
                    let scales = self.0.scales(v, &scales_of_group, part, block, at);
                    for m in 0..M {
                        let input = inputs[m].block(group, part);
                        let dots = W::dots(v, &quants, &input);
                        W::add(v, &scales, dots, &input, &mut sums[m][at]);
                    }
                }
            }
            for m in 0..M {
                for at in 0..V::IN_TILE {
                    self.0.close(v, group, at, &mut sums[m][at]);
                }
            }
        }
        let mut totals = [[0.0; ROWS]; M];
        for m in 0..M {
            for at in 0..V::IN_TILE {
                v.store(W::total(&sums[m][at]), &mut totals[m], at);
            }
        }
        totals
    }
}

/// Asks for the bytes of the block of that index.
#[inline(always)]
fn ask<V: Vectors>(v: V, from: *const u8, block: usize, bytes: usize) {
    for line in 0..bytes.div_ceil(64) {
        v.prefetch(from.wrapping_add(block * bytes + 64 * line));
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
    fn multiply<const M: usize>(self, v: V, ahead: *const u8, inputs: [Row<'a>; M]) -> Totals<M> {
        let inputs = inputs.map(|row| row.values.as_chunks::<4>().0);
        let mut sums = [[v.zero(); 2]; M];
        for four in 0..inputs[0].len() {
            ask(v, ahead, four, E::BYTES);
            for i in 0..4 {
                for at in 0..V::IN_TILE {
                    let weights = self.0.column(v, four, i, at);
                    for m in 0..M {
                        sums[m][at] = v.fma(weights, v.splat(inputs[m][four][i]), sums[m][at]);
                    }
                }
            }
        }
        let mut totals = [[0.0; ROWS]; M];
        for m in 0..M {
            for at in 0..V::IN_TILE {
                v.store(sums[m][at], &mut totals[m], at);
            }
        }
        totals
    }
}
