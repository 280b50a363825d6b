//! Attention of query heads over the keys and values of [`crate::kv`], in two ways that give the same bits: decode
//! ([`decode_range`], [`combine`]) for one query row of a sequence, and prefill ([`prefill_tile`]) for many.
//!
//! # Definition
//! A *group* is the query heads that share one KV head. For one query `q` of `head_dim` dimensions that sees the
//! positions `0..n`, with `fma(a, b, c)` = `a · b + c` rounded once, everything else rounded by itself, `exp` as
//! [`crate::ops::exp::exp`], and sums as [`crate::ops`] defines them:
//!
//! 1. The score of position `j` is `sⱼ = xⱼ · scale`. Over f16, `xⱼ` is 0, then for each dimension in order
//!    `xⱼ = fma(q, k, xⱼ)`. Over q8 the query is rounded as activations are ([`crate::activations::quantise`]), to `a`
//!    with scale `da` for each 32 dimensions; `xⱼ` is 0, then for each 32 dimensions in order, with `c = Σ a · k` in
//!    integers, `xⱼ = fma(c, da · dk, xⱼ)`.
//! 2. Positions are taken in *ranges* of 512 ([`RANGE`]), and those in blocks of 64. A range begins with `m = −∞`,
//!    `l = 0` and `o = 0`, `o` having `head_dim` dimensions. For each block in order, only positions below `n` taking
//!    part:
//!    - `m′ = max(m, max sⱼ)`, `c = exp(m − m′)`, `pⱼ = exp(sⱼ − m′)`, and `pⱼ = 0` for the positions from `n` on;
//!    - `l = fma(l, c, Σ pⱼ)`, the sum over all 64 positions;
//!    - `o = o · c`, then for each position in order `o = fma(pⱼ, v, o)`; over q8 `o = fma(pⱼ · dv, v, o)`.
//! 3. Ranges are combined in order: the first is the total; for each other one with `(m, l, o)`, the total being
//!    `(M, L, O)`: `M′ = max(M, m)`, `a = exp(M − M′)`, `b = exp(m − M′)`, `L = fma(L, a, l · b)`,
//!    `O = fma(O, a, o · b)`, `M = M′`.
//! 4. The result is `O · (1 / L)`.
//!
//! [`twin`] is this in plain code; [`reference`] is softmax in double precision. Nothing depends on how many rows are
//! computed together nor on who computes which range. A query is never affected by what is written after it.

mod avx2;
mod avx512;
mod block;
mod panel;
mod prefill;
mod quantised;
pub mod reference;
mod simd;
pub mod twin;

use std::borrow::Borrow;

use crate::kv::{KvBlock, KvHead, MOST_DIMENSIONS, POSITIONS};
use crate::ops::exp::exp;
use crate::path::{Instructions, Path, on_each_path};
use block::{MOST_TOGETHER, together};
pub use prefill::{Queries, Scratch, prefill_tile};

/// Positions of a range.
pub const RANGE: usize = 512;
/// Blocks of a range.
const RANGE_BLOCKS: usize = RANGE / POSITIONS;
/// Floats that go before the values in a partial result: the maximum and the sum.
const STATE: usize = 2;

/// What one KV head of one layer keeps of a sequence.
#[derive(Debug)]
pub struct History<'a, B> {
    /// The sequence's blocks, all of one shape; those beyond the positions that a query sees are not read.
    pub blocks: &'a [B],
    /// The layer.
    pub layer: usize,
    /// The KV head.
    pub kv_head: usize,
}

impl<B> Clone for History<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B> Copy for History<'_, B> {}

impl<'a, B: Borrow<KvBlock>> History<'a, B> {
    fn head(&self, block: usize) -> KvHead<'a> {
        self.blocks[block].borrow().head(self.layer, self.kv_head)
    }
}

/// Ranges that `positions` positions have.
pub fn ranges(positions: usize) -> usize {
    positions.div_ceil(RANGE)
}

/// Floats of the partial result of one range for a group: `[group, 2 + head_dim]`.
pub fn partial_len(group: usize, head_dim: usize) -> usize {
    group * (STATE + head_dim)
}

/// Decode: the partial result of one range for the group of one KV head.
///
/// `queries` is `[group, head_dim]`, all at the last of `positions` positions, which have been written. `partial` has
/// [`partial_len`] floats and is for [`combine`].
///
/// # Panics
/// If there is no such range, or lengths do not fit.
pub fn decode_range<B: Borrow<KvBlock>>(
    path: Path,
    history: History<'_, B>,
    positions: usize,
    range: usize,
    scale: f32,
    queries: &[f32],
    partial: &mut [f32],
) {
    decode_range_by(
        for_floats(path),
        history,
        positions,
        range,
        scale,
        queries,
        partial,
    );
}

/// The path that is fastest at floats where `path` was chosen. Scalar is chosen where vectors of integers are slow, but
/// to an emulator a vector of floats costs little more than one float: there AVX2 takes a quarter of the time.
fn for_floats(path: Path) -> Path {
    match path.instructions() {
        Instructions::Scalar => Path::new(Instructions::Avx2).unwrap_or(path),
        _ => path,
    }
}

fn decode_range_by<B: Borrow<KvBlock>>(
    path: Path,
    history: History<'_, B>,
    positions: usize,
    range: usize,
    scale: f32,
    queries: &[f32],
    partial: &mut [f32],
) {
    assert!(
        range < ranges(positions),
        "range {range} of {positions} positions"
    );
    let first = range * RANGE_BLOCKS;
    let last = positions.div_ceil(POSITIONS).min(first + RANGE_BLOCKS) - 1;
    let heads: [KvHead<'_>; RANGE_BLOCKS] = std::array::from_fn(|i| history.head((first + i).min(last)));
    let head_dim = heads[0].head_dim();
    assert!(queries.len().is_multiple_of(head_dim), "whole queries");
    let group = queries.len() / head_dim;
    assert_eq!(
        partial.len(),
        partial_len(group, head_dim),
        "room for the partial result"
    );
    let visible = (positions - range * RANGE).min(RANGE);
    let heads = &heads[..=last - first];
    let (mut queries, mut states) = (queries, partial);
    while !queries.is_empty() {
        let together = together(queries.len() / head_dim);
        let (some, rest) = queries.split_at(together * head_dim);
        let (state, others) = states.split_at_mut(partial_len(together, head_dim));
        decode_together(path, heads, visible, scale, some, state);
        (queries, states) = (rest, others);
    }
}

/// At most [`MOST_TOGETHER`] queries over the blocks of a range.
fn decode_together(
    path: Path,
    heads: &[KvHead<'_>],
    visible: usize,
    scale: f32,
    queries: &[f32],
    states: &mut [f32],
) {
    let head_dim = heads[0].head_dim();
    begin(states, head_dim);
    let rounded = quantised::Few::new(path, heads[0], queries);
    for (index, &head) in heads.iter().enumerate() {
        let visible = [(visible - index * POSITIONS).min(POSITIONS); MOST_TOGETHER];
        let queries = block::Queries {
            floats: queries,
            rounded: rounded.as_slice(),
            scale,
            visible: &visible[..queries.len() / head_dim],
        };
        let ahead = heads.get(index + 1).map_or(0, |next| next.distance_from(head));
        block::visit(path, head, ahead, queries, states);
    }
}

/// Makes partial results of nothing.
fn begin(states: &mut [f32], head_dim: usize) {
    for state in states.chunks_exact_mut(STATE + head_dim) {
        state.fill(0.0);
        state[0] = f32::NEG_INFINITY;
    }
}

on_each_path! {
    /// Decode: the result of a group from the partial results of all its ranges.
    ///
    /// `partials` is `[ranges, group, 2 + head_dim]` as [`decode_range`] left them, `output` `[group, head_dim]`.
    pub fn combine(head_dim: usize, partials: &[f32], output: &mut [f32]) = combine_body
}

#[inline(always)]
fn combine_body(head_dim: usize, partials: &[f32], output: &mut [f32]) {
    assert!(head_dim <= MOST_DIMENSIONS, "{head_dim} dimensions");
    let group = output.len() / head_dim;
    let mut total = [0.0; STATE + MOST_DIMENSIONS];
    let total = &mut total[..STATE + head_dim];
    for (index, output) in output.chunks_exact_mut(head_dim).enumerate() {
        let mut ranges = partials.chunks_exact(STATE + head_dim).skip(index).step_by(group);
        total.copy_from_slice(ranges.next().unwrap_or(&[]));
        for partial in ranges {
            fold(total, partial);
        }
        finish(total, output);
    }
}

on_each_path! {
    /// [`fold`] for each of some results, `[results, 2 + head_dim]` both.
    fn fold_each(head_dim: usize, totals: &mut [f32], partials: &[f32]) = fold_each_body
}

#[inline(always)]
fn fold_each_body(head_dim: usize, totals: &mut [f32], partials: &[f32]) {
    let partials = partials.chunks_exact(STATE + head_dim);
    for (total, partial) in totals.chunks_exact_mut(STATE + head_dim).zip(partials) {
        fold(total, partial);
    }
}

on_each_path! {
    /// [`finish`] for each of some results, `[results, 2 + head_dim]` and `[results, head_dim]`.
    fn finish_each(head_dim: usize, totals: &[f32], output: &mut [f32]) = finish_each_body
}

#[inline(always)]
fn finish_each_body(head_dim: usize, totals: &[f32], output: &mut [f32]) {
    let totals = totals.chunks_exact(STATE + head_dim);
    for (total, output) in totals.zip(output.chunks_exact_mut(head_dim)) {
        finish(total, output);
    }
}

/// Adds the partial result of the next range to the total.
#[inline(always)]
fn fold(total: &mut [f32], partial: &[f32]) {
    let largest = if partial[0] > total[0] {
        partial[0]
    } else {
        total[0]
    };
    let (a, b) = (exp(total[0] - largest), exp(partial[0] - largest));
    total[0] = largest;
    for (total, &partial) in total[1..].iter_mut().zip(&partial[1..]) {
        *total = total.mul_add(a, partial * b);
    }
}

/// The result of all ranges.
#[inline(always)]
fn finish(total: &[f32], output: &mut [f32]) {
    let inverse = 1.0 / total[1];
    for (output, &value) in output.iter_mut().zip(&total[STATE..]) {
        *output = value * inverse;
    }
}

#[cfg(test)]
mod tests;
