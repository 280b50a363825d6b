//! A few queries over one block of 64 positions.

use std::ops::Range;

use super::STATE;
use super::panel::{Element, Onto, Panel, Product};
use super::quantised::{self, Part};
use super::simd::{Simd, on_each_simd};
use crate::kv::{Elements, Half, KvHead, POSITIONS, Quants, TILE, TILES};
use crate::layout::BLOCK;
use crate::ops::exp::exp;
use crate::ops::select::largest;
use crate::ops::sum::sum;
use crate::path::Path;

/// Most queries that are computed together: their accumulators fill the registers.
pub(super) const MOST_TOGETHER: usize = 6;

/// How many of so many queries are computed together next: of these numbers there is code.
pub(super) fn together(left: usize) -> usize {
    match left {
        0..=4 => left,
        5 => 3,
        7 | 8 => 4,
        _ => MOST_TOGETHER,
    }
}

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

impl Queries<'_> {
    /// One of them.
    #[inline(always)]
    fn only(self, index: usize) -> Self {
        let count = self.visible.len();
        let part = |all: usize| index * (all / count)..(index + 1) * (all / count);
        Self {
            floats: &self.floats[part(self.floats.len())],
            rounded: &self.rounded[part(self.rounded.len())],
            visible: &self.visible[index..=index],
            ..self
        }
    }

    /// What all of them see.
    #[inline(always)]
    fn fewest(&self) -> usize {
        self.visible.iter().copied().fold(POSITIONS, usize::min)
    }
}

/// Takes one block, as it is kept, into the partial results of queries, `[queries, 2 + head_dim]`. `ahead` bytes from
/// it, wrapping, is the block that comes next, which is asked for meanwhile where elements are floats: a processor
/// notices too late that one block is done with.
pub(super) fn visit(path: Path, head: KvHead<'_>, ahead: usize, queries: Queries<'_>, states: &mut [f32]) {
    let dims = head.head_dim();
    match head.elements {
        Elements::F16 { keys, values } => {
            visit_f16(path, Floats::new(dims, keys, values, ahead), queries, states);
        }
        Elements::Q8(quants) => visit_q8(path, Rounded { dims, quants }, queries, states),
    }
}

on_each_simd! {
    /// Over 16-bit floats.
    fn visit_f16(source: Floats<'_, Half>, queries: Queries<'_>, states: &mut [f32]) = visit_body
}

on_each_simd! {
    /// Over floats that were converted before.
    pub(super) fn visit_f32(source: Floats<'_, f32>, queries: Queries<'_>, states: &mut [f32]) = visit_body
}

on_each_simd! {
    /// Over keys and values in 8 bits.
    fn visit_q8(source: Rounded<'_>, queries: Queries<'_>, states: &mut [f32]) = visit_body
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
fn visit_body<S: Simd>(simd: S, source: impl Source, queries: Queries<'_>, states: &mut [f32]) {
    if S::ACCUMULATORS == 1 {
        let state = states.len() / queries.visible.len();
        for (index, state) in states.chunks_exact_mut(state).enumerate() {
            visit_together::<S, 1>(simd, source, queries.only(index), &mut [[0.0; POSITIONS]], state);
        }
        return;
    }
    let mut scores = [[0.0; POSITIONS]; MOST_TOGETHER];
    match queries.visible.len() {
        1 => visit_together::<S, 1>(simd, source, queries, &mut scores, states),
        2 => visit_together::<S, 2>(simd, source, queries, &mut scores, states),
        3 => visit_together::<S, 3>(simd, source, queries, &mut scores, states),
        4 => visit_together::<S, 4>(simd, source, queries, &mut scores, states),
        6 => visit_together::<S, 6>(simd, source, queries, &mut scores, states),
        other => unreachable!("{other} queries together"),
    }
    visit_apart(simd, source, queries, &scores, states);
}

/// The block for `Q` queries, without the values of positions that not all of them see.
#[inline(always)]
fn visit_together<S: Simd, const Q: usize>(
    simd: S,
    source: impl Source,
    queries: Queries<'_>,
    scores: &mut [[f32; POSITIONS]],
    states: &mut [f32],
) {
    let Some(scores) = scores.first_chunk_mut::<Q>() else {
        unreachable!("{Q} queries together");
    };
    let most = queries.visible.iter().copied().fold(0, usize::max);
    source.scores(simd, queries, most.div_ceil(TILE), scores);
    let (mut corrections, state) = ([0.0; Q], states.len() / Q);
    for (q, state) in states.chunks_exact_mut(state).enumerate() {
        corrections[q] = weigh(&mut scores[q], queries.visible[q], queries.scale, state);
    }
    let weights = std::array::from_fn(|q| &scores[q]);
    source.values(simd, weights, 0..queries.fewest(), corrections, states);
}

/// The values of positions that not all queries see, one query after the other.
#[inline(always)]
fn visit_apart<S: Simd>(
    simd: S,
    source: impl Source,
    queries: Queries<'_>,
    scores: &[[f32; POSITIONS]; MOST_TOGETHER],
    states: &mut [f32],
) {
    let (fewest, state) = (queries.fewest(), states.len() / queries.visible.len());
    let each = states.chunks_exact_mut(state).zip(queries.visible).zip(scores);
    for ((state, &visible), weights) in each {
        if fewest < visible {
            source.values(simd, [weights], fewest..visible, [1.0], state);
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
    pub(super) fn new(dims: usize, keys: &'a [[E; 16]], values: &'a [[E; 16]], ahead: usize) -> Self {
        Self {
            dims,
            keys: Panel {
                groups: keys,
                row: 1,
                tile: dims,
                ahead,
            },
            values: Panel {
                groups: values,
                row: dims / 16,
                tile: 1,
                ahead,
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
                ahead: 0,
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
