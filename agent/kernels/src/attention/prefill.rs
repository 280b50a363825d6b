//! Prefill: tiles of queries over tiles of keys. The whole matrix of scores never exists.

use std::borrow::Borrow;

use super::block::{self, Floats, MOST_TOGETHER, Rounded, Source, visit_as};
use super::quantised::Part;
use super::simd::{Simd, on_each_simd};
use super::{History, RANGE, RANGE_BLOCKS, STATE, begin, finish_each, fold_each, ranges};
use crate::kv::{Elements, Half, KvBlock, KvHead, POSITIONS, TILE};
use crate::layout::BLOCK;
use crate::path::Path;

/// Neighbouring rows of queries of one sequence, for the group of one KV head.
#[derive(Clone, Copy, Debug)]
pub struct Queries<'a> {
    /// Rows of `[group, head_dim]` that begin `stride` apart.
    pub values: &'a [f32],
    /// Floats from one row to the next.
    pub stride: usize,
    /// Rows.
    pub rows: usize,
    /// Query heads of the KV head.
    pub group: usize,
    /// The position of the first row.
    pub first_position: usize,
}

/// Memory that [`prefill_tile`] works in, for one thread; it grows to what was needed most.
#[derive(Debug, Default)]
pub struct Scratch {
    /// `[rows · group, head_dim]`
    queries: Vec<f32>,
    /// `[rows · group, head_dim / 32]` where keys are in 8 bits.
    rounded: Vec<Part>,
    /// Of the range, `[rows · group, 2 + head_dim]`.
    states: Vec<f32>,
    /// Of all ranges so far, `[rows · group, 2 + head_dim]`.
    totals: Vec<f32>,
    /// `[4, head_dim, 16]`
    keys: Vec<[f32; TILE]>,
    /// `[64, head_dim / 16, 16]`
    values: Vec<[f32; 16]>,
}

impl Queries<'_> {
    /// The first row that sees a position.
    fn seeing(&self, position: usize) -> usize {
        position.saturating_sub(self.first_position)
    }

    /// The position after the last row's.
    fn end(&self) -> usize {
        self.first_position + self.rows
    }
}

/// Prefill: the results of some rows for the group of one KV head, each row seeing what was written up to its own
/// position. `output` is `[rows, group, head_dim]`.
///
/// Keys and values are converted once for all rows, so 16 or more are good.
///
/// # Panics
/// If blocks for the last position are missing, or lengths do not fit.
pub fn prefill_tile<B: Borrow<KvBlock>>(
    path: Path,
    history: History<'_, B>,
    scale: f32,
    queries: Queries<'_>,
    output: &mut [f32],
    scratch: &mut Scratch,
) {
    if queries.rows == 0 {
        return;
    }
    let head = history.head(0);
    let head_dim = head.head_dim();
    assert_eq!(
        output.len(),
        queries.rows * queries.group * head_dim,
        "room for the results"
    );
    scratch.gather(queries, head);
    for range in 0..ranges(queries.end()) {
        let first = queries.seeing(range * RANGE) * queries.group * (STATE + head_dim);
        begin(&mut scratch.states[first..], head_dim);
        let blocks = range * RANGE_BLOCKS..queries.end().div_ceil(POSITIONS);
        for index in blocks.take(RANGE_BLOCKS) {
            let place = Place {
                begin: index * POSITIONS,
                scale,
            };
            visit(path, history.head(index), place, queries, scratch);
        }
        if range == 0 {
            scratch.totals.copy_from_slice(&scratch.states);
        } else {
            fold_each(
                path,
                head_dim,
                &mut scratch.totals[first..],
                &scratch.states[first..],
            );
        }
    }
    finish_each(path, head_dim, &scratch.totals, output);
}

impl Scratch {
    /// Puts queries side by side, rounded where keys are in 8 bits, and makes room for results.
    fn gather(&mut self, queries: Queries<'_>, head: KvHead<'_>) {
        let dims = head.head_dim();
        self.queries.clear();
        for row in queries.values.chunks(queries.stride).take(queries.rows) {
            self.queries.extend_from_slice(&row[..queries.group * dims]);
        }
        let count = queries.rows * queries.group;
        assert_eq!(self.queries.len(), count * dims, "a row for each query");
        self.rounded.clear();
        if let Elements::Q8(_) = head.elements {
            let (parts, _) = self.queries.as_chunks::<BLOCK>();
            self.rounded.extend(parts.iter().map(Part::round));
        }
        self.states.resize(count * (STATE + dims), 0.0);
        self.totals.resize(count * (STATE + dims), 0.0);
        self.keys.resize(POSITIONS * dims / TILE, [0.0; TILE]);
        self.values.resize(POSITIONS * dims / TILE, [0.0; TILE]);
    }
}

/// Where a block stands, and what scores are multiplied by.
#[derive(Clone, Copy)]
struct Place {
    /// The block's first position.
    begin: usize,
    scale: f32,
}

on_each_simd! {
    fn visit(head: KvHead<'_>, place: Place, queries: Queries<'_>, scratch: &mut Scratch) = visit_body
}

#[inline(always)]
fn visit_body<S: Simd>(simd: S, head: KvHead<'_>, place: Place, queries: Queries<'_>, scratch: &mut Scratch) {
    let dims = head.head_dim();
    let Scratch {
        queries: floats,
        rounded,
        states,
        keys: wide_keys,
        values: wide_values,
        ..
    } = scratch;
    let all = All {
        floats,
        rounded,
        place,
        queries,
    };
    match head.elements {
        Elements::F16 { keys, values } => {
            convert(simd, keys, wide_keys);
            convert(simd, values, wide_values);
            all.visit(simd, Floats::new(dims, wide_keys, wide_values), dims, states);
        }
        Elements::Q8(quants) => all.visit(simd, Rounded { dims, quants }, dims, states),
    }
}

#[inline(always)]
fn convert<S: Simd>(simd: S, halves: &[[Half; 16]], floats: &mut [[f32; 16]]) {
    for (halves, floats) in halves.iter().zip(floats) {
        simd.store(simd.load_f16(halves), floats);
    }
}

/// All queries of a tile before one block.
struct All<'a> {
    floats: &'a [f32],
    rounded: &'a [Part],
    place: Place,
    queries: Queries<'a>,
}

impl All<'_> {
    /// Takes the block into the results of those that see it.
    #[inline(always)]
    fn visit<S: Simd>(&self, simd: S, source: impl Source, dims: usize, states: &mut [f32]) {
        let (parts, state) = (self.rounded.len() * dims / self.floats.len(), STATE + dims);
        let count = self.queries.rows * self.queries.group;
        let mut first = self.queries.seeing(self.place.begin) * self.queries.group;
        while first < count {
            let together = MOST_TOGETHER.min(count - first);
            let visible: [usize; MOST_TOGETHER] = std::array::from_fn(|i| self.visible(first + i));
            let queries = block::Queries {
                floats: &self.floats[first * dims..][..together * dims],
                rounded: &self.rounded[first * parts..][..together * parts],
                scale: self.place.scale,
                visible: &visible[..together],
            };
            visit_as(
                simd,
                source,
                queries,
                &mut states[first * state..][..together * state],
            );
            first += together;
        }
    }

    /// How many of the block's positions a query sees.
    #[inline(always)]
    fn visible(&self, query: usize) -> usize {
        let position = self.queries.first_position + query / self.queries.group;
        (position + 1 - self.place.begin).min(POSITIONS)
    }
}
