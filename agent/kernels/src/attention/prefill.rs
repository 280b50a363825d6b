//! Prefill: tiles of queries over tiles of keys. The whole matrix of scores never exists.

use std::borrow::Borrow;

use super::block::{self, Floats, MOST_TOGETHER, together};
use super::quantised::{Part, round};
use super::simd::{Simd, on_each_simd};
use super::{History, RANGE, RANGE_BLOCKS, STATE, begin, finish_each, fold_each, for_floats, ranges};
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
    wide: Wide,
}

/// The keys and values of a block as floats.
#[derive(Debug, Default)]
struct Wide {
    /// `[4, head_dim, 16]`
    keys: Vec<[f32; TILE]>,
    /// `[64, head_dim / 16, 16]`
    values: Vec<[f32; 16]>,
}

impl Wide {
    fn floats(&self, dims: usize) -> Floats<'_, f32> {
        Floats::new(dims, &self.keys, &self.values, 0)
    }
}

impl Queries<'_> {
    /// The first row that sees a position.
    fn seeing(&self, position: usize) -> usize {
        position.saturating_sub(self.first_position)
    }

    /// How many positions of the block that starts at `begin` a row sees.
    fn visible(&self, row: usize, begin: usize) -> usize {
        (self.first_position + row + 1 - begin).min(POSITIONS)
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
    prefill_tile_by(for_floats(path), history, scale, queries, output, scratch);
}

pub(super) fn prefill_tile_by<B: Borrow<KvBlock>>(
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
    scratch.gather(path, queries, head);
    for range in 0..ranges(queries.end()) {
        let first = queries.seeing(range * RANGE) * queries.group * (STATE + head_dim);
        begin(&mut scratch.states[first..], head_dim);
        let blocks = range * RANGE_BLOCKS..queries.end().div_ceil(POSITIONS);
        for index in blocks.take(RANGE_BLOCKS) {
            visit(
                path,
                history.head(index),
                index * POSITIONS,
                scale,
                queries,
                scratch,
            );
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
    fn gather(&mut self, path: Path, queries: Queries<'_>, head: KvHead<'_>) {
        let dims = head.head_dim();
        self.queries.clear();
        for row in queries.values.chunks(queries.stride).take(queries.rows) {
            self.queries.extend_from_slice(&row[..queries.group * dims]);
        }
        let count = queries.rows * queries.group;
        assert_eq!(self.queries.len(), count * dims, "a row for each query");
        let parts = match head.elements {
            Elements::F16 { .. } => 0,
            Elements::Q8(_) => self.queries.len() / BLOCK,
        };
        self.rounded.resize(parts, Part::ZERO);
        round(path, &self.queries, &mut self.rounded);
        self.states.resize(count * (STATE + dims), 0.0);
        self.totals.resize(count * (STATE + dims), 0.0);
        self.wide.keys.resize(POSITIONS * dims / TILE, [0.0; TILE]);
        self.wide.values.resize(POSITIONS * dims / TILE, [0.0; TILE]);
    }
}

on_each_simd! {
    /// Widens a block's keys and values.
    fn convert(keys: &[[Half; 16]], values: &[[Half; 16]], wide: &mut Wide) = convert_body
}

#[inline(always)]
fn convert_body<S: Simd>(simd: S, keys: &[[Half; 16]], values: &[[Half; 16]], wide: &mut Wide) {
    for (halves, floats) in keys.iter().zip(&mut wide.keys) {
        simd.store(simd.load_f16(halves), floats);
    }
    for (halves, floats) in values.iter().zip(&mut wide.values) {
        simd.store(simd.load_f16(halves), floats);
    }
}

/// Takes a block, whose first position is `begin`, into the results of all queries that see it.
fn visit(
    path: Path,
    head: KvHead<'_>,
    begin: usize,
    scale: f32,
    queries: Queries<'_>,
    scratch: &mut Scratch,
) {
    let dims = head.head_dim();
    if let Elements::F16 { keys, values } = head.elements {
        convert(path, keys, values, &mut scratch.wide);
    }
    let (parts, state) = (scratch.rounded.len() * dims / scratch.queries.len(), STATE + dims);
    let count = queries.rows * queries.group;
    let mut first = queries.seeing(begin) * queries.group;
    while first < count {
        let together = together(count - first);
        let visible: [usize; MOST_TOGETHER] =
            std::array::from_fn(|i| queries.visible((first + i) / queries.group, begin));
        let some = block::Queries {
            floats: &scratch.queries[first * dims..][..together * dims],
            rounded: &scratch.rounded[first * parts..][..together * parts],
            scale,
            visible: &visible[..together],
        };
        let states = &mut scratch.states[first * state..][..together * state];
        match head.elements {
            Elements::F16 { .. } => block::visit_f32(path, scratch.wide.floats(dims), some, states),
            Elements::Q8(_) => block::visit(path, head, 0, some, states),
        }
        first += together;
    }
}
