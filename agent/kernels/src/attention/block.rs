//! A few queries over one block of 64 positions.

use std::ops::Range;

use super::STATE;
use super::panel::{Element, Onto, Panel, Product};
use super::quantised::{self, Part};
use super::simd::Simd;
use crate::kv::{Elements, KvHead, POSITIONS, Quants, TILE, TILES};
use crate::layout::BLOCK;
use crate::ops::exp::exp;
use crate::ops::select::largest;
use crate::ops::sum::sum;

/// Most queries that are computed together: their accumulators fill the registers.
pub(super) const MOST_TOGETHER: usize = 6;

/// Queries that are computed together, at most [`MOST_TOGETHER`].
#[derive(Clone, Copy)]
pub(super) struct Queries<'a> {
    /// `[queries, head_dim]`
    pub(super) floats: &'a [f32],
    /// `[queries, head_dim / 32]` where keys are in 8 bits, else empty.
    pub(super) rounded: &'a [Part],
    /// What scores are multiplied by.
    pub(super) scale: f32,
    /// How many of the block's positions each of them sees, from 1 to 64.
    pub(super) visible: &'a [usize],
}

/// Takes one block, as it is kept, into the partial results of queries, `[queries, 2 + head_dim]`.
#[inline(always)]
pub(super) fn visit<S: Simd>(simd: S, head: KvHead<'_>, queries: Queries<'_>, states: &mut [f32]) {
    let dims = head.head_dim();
    match head.elements {
        Elements::F16 { keys, values } => {
            visit_as(simd, Floats::new(dims, keys, values), queries, states);
        }
        Elements::Q8(quants) => visit_as(simd, Rounded { dims, quants }, queries, states),
    }
}

/// Keys and values of a block in one of the ways that they are kept.
pub(super) trait Source: Copy {
    /// The scores, not yet scaled, of the first `tiles` times 16 positions.
    fn scores<S: Simd, const Q: usize>(
        self,
        simd: S,
        queries: Queries<'_>,
        tiles: usize,
        scores: &mut [[f32; POSITIONS]; Q],
    );

    /// Multiplies the accumulated values of `states` by the corrections, and adds the values of some positions, each
    /// times its weight.
    fn values<S: Simd, const Q: usize>(
        self,
        simd: S,
        weights: [&[f32; POSITIONS]; Q],
        positions: Range<usize>,
        corrections: [f32; Q],
        states: &mut [f32],
    );
}

#[inline(always)]
pub(super) fn visit_as<S: Simd>(simd: S, source: impl Source, queries: Queries<'_>, states: &mut [f32]) {
    match queries.visible.len() {
        1 => visit_together::<S, 1>(simd, source, queries, states),
        2 => visit_together::<S, 2>(simd, source, queries, states),
        3 => visit_together::<S, 3>(simd, source, queries, states),
        4 => visit_together::<S, 4>(simd, source, queries, states),
        5 => visit_together::<S, 5>(simd, source, queries, states),
        6 => visit_together::<S, 6>(simd, source, queries, states),
        more => unreachable!("{more} queries together"),
    }
}

#[inline(always)]
fn visit_together<S: Simd, const Q: usize>(
    simd: S,
    source: impl Source,
    queries: Queries<'_>,
    states: &mut [f32],
) {
    let visible: [usize; Q] = std::array::from_fn(|q| queries.visible[q]);
    let fewest = visible.into_iter().fold(POSITIONS, usize::min);
    let most = visible.into_iter().fold(0, usize::max);
    let mut scores = [[0.0; POSITIONS]; Q];
    source.scores(simd, queries, most.div_ceil(TILE), &mut scores);
    let (mut corrections, state) = ([0.0; Q], states.len() / Q);
    for (q, state) in states.chunks_exact_mut(state).enumerate() {
        corrections[q] = weigh(&mut scores[q], visible[q], queries.scale, state);
    }
    let weights = std::array::from_fn(|q| &scores[q]);
    source.values(simd, weights, 0..fewest, corrections, states);
    for (q, state) in states.chunks_exact_mut(state).enumerate() {
        if fewest < visible[q] {
            source.values(simd, [weights[q]], fewest..visible[q], [1.0], state);
        }
    }
}

/// Turns scores into weights, and takes them into the maximum and the sum. Returns what the values accumulated so far
/// are to be multiplied by.
#[inline(always)]
fn weigh(scores: &mut [f32; POSITIONS], visible: usize, scale: f32, state: &mut [f32]) -> f32 {
    for (position, score) in scores.iter_mut().enumerate() {
        *score = if position < visible {
            *score * scale
        } else {
            f32::NEG_INFINITY
        };
    }
    let found = largest(scores);
    let maximum = if found > state[0] { found } else { state[0] };
    for score in scores.iter_mut() {
        *score = exp(*score - maximum);
    }
    let correction = exp(state[0] - maximum);
    state[0] = maximum;
    state[1] = state[1].mul_add(correction, sum(scores));
    correction
}

/// Keys `[head_dim, 64]` and values `[64, head_dim]` that are floats.
#[derive(Clone, Copy)]
pub(super) struct Floats<'a, E> {
    dims: usize,
    keys: Panel<'a, E>,
    values: Panel<'a, E>,
}

impl<'a, E> Floats<'a, E> {
    /// From the groups as they lie in a block.
    #[inline(always)]
    pub(super) fn new(dims: usize, keys: &'a [[E; 16]], values: &'a [[E; 16]]) -> Self {
        Self {
            dims,
            keys: Panel {
                groups: keys,
                row: 1,
                tile: dims,
            },
            values: Panel {
                groups: values,
                row: dims / 16,
                tile: 1,
            },
        }
    }
}

impl<E: Element> Source for Floats<'_, E> {
    #[inline(always)]
    fn scores<S: Simd, const Q: usize>(
        self,
        simd: S,
        queries: Queries<'_>,
        tiles: usize,
        scores: &mut [[f32; POSITIONS]; Q],
    ) {
        let product = Product {
            simd,
            rows: std::array::from_fn(|q| &queries.floats[q * self.dims..][..self.dims]),
            panel: self.keys,
            onto: Onto::<Q>::Zeros,
            output: scores.as_flattened_mut(),
            stride: POSITIONS,
        };
        product.compute(tiles);
    }

    #[inline(always)]
    fn values<S: Simd, const Q: usize>(
        self,
        simd: S,
        weights: [&[f32; POSITIONS]; Q],
        positions: Range<usize>,
        corrections: [f32; Q],
        states: &mut [f32],
    ) {
        let product = Product {
            simd,
            rows: std::array::from_fn(|q| &weights[q][positions.clone()]),
            panel: self.values.below(positions.start),
            onto: Onto::Corrected(corrections),
            output: &mut states[STATE..],
            stride: STATE + self.dims,
        };
        product.compute(self.dims / 16);
    }
}

/// Keys and values in 8 bits.
#[derive(Clone, Copy)]
pub(super) struct Rounded<'a> {
    pub(super) dims: usize,
    pub(super) quants: Quants<'a>,
}

impl Source for Rounded<'_> {
    #[inline(always)]
    fn scores<S: Simd, const Q: usize>(
        self,
        simd: S,
        queries: Queries<'_>,
        tiles: usize,
        scores: &mut [[f32; POSITIONS]; Q],
    ) {
        let parts = self.dims / BLOCK;
        let rows = std::array::from_fn(|q| &queries.rounded[q * parts..][..parts]);
        for tile in 0..tiles {
            let sums = quantised::scores::<S, Q>(simd, self.quants, tile, rows);
            for (scores, sums) in scores.iter_mut().zip(sums) {
                simd.store(sums, &mut scores.as_chunks_mut().0[tile]);
            }
        }
    }

    #[inline(always)]
    fn values<S: Simd, const Q: usize>(
        self,
        simd: S,
        weights: [&[f32; POSITIONS]; Q],
        positions: Range<usize>,
        corrections: [f32; Q],
        states: &mut [f32],
    ) {
        let scales = self.quants.value_scales.as_chunks::<TILES>().0;
        for (part, scales) in scales.iter().enumerate() {
            let mut scaled = [[0.0; POSITIONS]; Q];
            for (scaled, weights) in scaled.iter_mut().zip(weights) {
                let groups = scaled.as_chunks_mut().0.iter_mut().zip(weights.as_chunks().0);
                for ((scaled, weights), scales) in groups.zip(scales) {
                    simd.store(simd.multiply(simd.load(weights), simd.load_f16(scales)), scaled);
                }
            }
            let values = Panel {
                groups: &self.quants.values[part * BLOCK / 16..],
                row: self.dims / 16,
                tile: 1,
            };
            let product = Product {
                simd,
                rows: std::array::from_fn(|q| &scaled[q][positions.clone()]),
                panel: values.below(positions.start),
                onto: Onto::Corrected(corrections),
                output: &mut states[STATE + part * BLOCK..],
                stride: STATE + self.dims,
            };
            product.compute(BLOCK / 16);
        }
    }
}
