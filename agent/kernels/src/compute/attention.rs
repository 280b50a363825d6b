//! Attention of a batch's rows, each over its own sequence: products, norms, rotary positions, keeping keys and
//! values, and attending.

mod keep;
mod stretch;
mod task;

use std::sync::{Arc, Mutex};

use super::chunks::{self, Chunks};
use super::{Compute, Fusions, Linear, Norm, Rows};
use crate::activations::Activations;
use crate::kv::KvBlock;
use crate::layout::ROWS;
use crate::ops::{self, Convention, Rope};
use crate::path::Path;
use crate::shared::Grid;

use keep::Keep;
use stretch::{Group, Way, prepare, stretches};
pub(super) use task::Room;
use task::Task;

/// Most rows of a batch whose heads are turned and kept where their products are computed; with more, chunks of whole
/// heads would be too long to share out evenly.
const FUSED_ROWS: usize = 8;

/// How one layer attends.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a> {
    /// The layer.
    pub layer: usize,
    /// Queries, `[heads · head_dim, columns]`.
    pub query: Linear<'a>,
    /// Keys, `[kv_heads · head_dim, columns]`.
    pub key: Linear<'a>,
    /// Values, `[kv_heads · head_dim, columns]`.
    pub value: Linear<'a>,
    /// Normalises each head of the queries, `[head_dim]`.
    pub query_norm: Option<Norm<'a>>,
    /// Normalises each head of the keys, `[head_dim]`.
    pub key_norm: Option<Norm<'a>>,
    /// Which dimensions are turned together.
    pub convention: Convention,
    /// What scores are multiplied by.
    pub scale: f32,
}

/// The rows of one sequence in a batch.
#[derive(Debug)]
pub struct Part<'a> {
    /// How many; they follow those of the part before.
    pub rows: usize,
    /// The position of the first.
    pub position: usize,
    /// The sequence's blocks, enough for all positions. Those that get new ones are nobody else's.
    pub blocks: &'a mut [Arc<KvBlock>],
}

/// Cosines and sines for the positions of a batch's rows.
#[derive(Debug, Default)]
pub struct Angles(Rows);

impl Angles {
    /// Those of one row.
    fn of(&self, row: usize) -> (&[f32], &[f32]) {
        let row = self.0.row(row);
        row.split_at(row.len() / 2)
    }
}

/// What attention needs between its regions.
#[derive(Debug, Default)]
pub(super) struct Between {
    query: Rows,
    key: Rows,
    value: Rows,
    /// For each decoded row, its heads.
    groups: Vec<Mutex<Group>>,
}

/// Turns heads of a batch's rows where they are.
#[derive(Clone, Copy)]
struct Turn<'a> {
    path: Path,
    how: &'a Attention<'a>,
    angles: &'a Angles,
    dims: usize,
}

impl Turn<'_> {
    /// Query heads of a row of the batch.
    fn queries(&self, row: usize, heads: &mut [f32]) {
        self.turn(self.how.query_norm, row, heads);
    }

    /// Key heads of a row of the batch.
    fn keys(&self, row: usize, heads: &mut [f32]) {
        self.turn(self.how.key_norm, row, heads);
    }

    fn turn(&self, norm: Option<Norm<'_>>, row: usize, heads: &mut [f32]) {
        if let Some(norm) = norm {
            ops::rms_norm_heads(self.path, heads, norm.weight, norm.epsilon);
        }
        let (cosines, sines) = self.angles.of(row);
        ops::rotate(self.path, self.how.convention, cosines, sines, self.dims, heads);
    }
}

impl Part<'_> {
    fn end(&self) -> usize {
        self.position + self.rows
    }
}

impl Compute {
    /// Angles for the rows of a batch.
    pub fn angles(&mut self, rope: &Rope, parts: &[Part<'_>], angles: &mut Angles) {
        let positions: Vec<_> = parts.iter().flat_map(|part| part.position..part.end()).collect();
        angles.0.reset(positions.len(), rope.dimensions());
        self.each_float_row(&mut angles.0, |row, values| {
            let (cosines, sines) = values.split_at_mut(rope.dimensions() / 2);
            rope.angles(positions[row], cosines, sines);
        });
    }

    /// Attends: `input` is `[rows, columns]` of all parts, one after the other; `output` becomes
    /// `[rows, heads · head_dim]`, rounded for the next product. Keys and values of the rows are kept in the parts'
    /// blocks; each row sees those of its sequence up to its own.
    ///
    /// # Panics
    /// If shapes do not fit, a part has too few blocks, or a block that gets positions is shared.
    pub fn attend(
        &mut self,
        how: &Attention<'_>,
        angles: &Angles,
        parts: &mut [Part<'_>],
        input: &Activations,
        output: &mut Activations,
    ) {
        let rows: usize = parts.iter().map(|part| part.rows).sum();
        assert_eq!(rows, input.rows(), "rows of the parts and of the batch");
        output.reset(rows, how.query.weight.rows());
        let Some(shape) = Shape::of(how, parts) else {
            return;
        };
        let mut between = std::mem::take(&mut self.between);
        let turn = Turn {
            path: self.path,
            how,
            angles,
            dims: shape.dims,
        };
        let keep = Keep::new(how.layer, shape, parts);
        if self.fused.contains(Fusions::ATTENTION) && rows <= FUSED_ROWS {
            self.project_and_keep(turn, keep, input, &mut between);
        } else {
            let Between {
                query, key, value, ..
            } = &mut between;
            self.linear(&[how.query, how.key, how.value], input, &mut [query, key, value]);
            self.turn_and_keep(turn, keep, &mut between);
        }
        self.attend_kept(how, shape, parts, &mut between, output);
        self.between = between;
    }

    /// Products of whole heads, which are turned and kept on the spot.
    fn project_and_keep(
        &mut self,
        turn: Turn<'_>,
        keep: Keep<'_>,
        input: &Activations,
        between: &mut Between,
    ) {
        let (path, how, rows) = (self.path, turn.how, input.rows());
        let head_tiles = turn.dims / ROWS;
        let maps = [&how.query.weight, &how.key.weight, &how.value.weight];
        let length = chunks::length(maps, rows, self.pool.threads());
        let queries = Chunks::new(&maps[..1], rows, length, head_tiles);
        let pairs = Chunks::each(&how.key.weight, head_tiles);
        between.query.reset(rows, how.query.weight.rows());
        let grid = super::grid(&mut between.query, queries);
        let scratch = &self.scratch;
        self.pool.run(pairs.count() + queries.count(), |chunk, thread| {
            let mut first = scratch.of(thread);
            if let Some(chunk) = chunk.checked_sub(pairs.count()) {
                let mut block = grid.take(0, chunk);
                for (row, values) in first.map(path, &how.query, queries, chunk, input).enumerate() {
                    turn.queries(row, values);
                    block.row(row).copy_from_slice(values);
                }
            } else {
                let mut second = scratch.second_of(thread);
                let keys = first.map(path, &how.key, pairs, chunk, input);
                let values = second.map(path, &how.value, pairs, chunk, input);
                keep.head(chunk).turn_and_write(turn, keys.zip(values));
            }
        });
    }

    /// Turns what products left, and keeps keys and values.
    fn turn_and_keep(&mut self, turn: Turn<'_>, keep: Keep<'_>, between: &mut Between) {
        let Between {
            query, key, value, ..
        } = between;
        let (dims, columns) = (turn.dims, query.columns());
        let step = super::each_alone(columns, query.rows());
        let queries = Grid::new(query.as_mut_slice(), columns, step, columns);
        let (rows, key_columns) = (key.rows(), key.columns());
        let keys = Grid::new(key.as_mut_slice(), key_columns, rows, dims);
        self.pool.run(keep.heads() + queries.down(), |chunk, _| {
            if let Some(chunk) = chunk.checked_sub(keep.heads()) {
                let mut block = queries.take(chunk, 0);
                for row in 0..block.rows() {
                    turn.queries(chunk * step + row, block.row(row));
                }
            } else {
                let (mut block, mut kept) = (keys.take(0, chunk), keep.head(chunk));
                for row in 0..block.rows() {
                    let key = block.row(row);
                    turn.keys(row, key);
                    kept.write(turn.path, row, key, &value.row(row)[chunk * dims..][..dims]);
                }
            }
        });
    }

    /// Attends to what is kept.
    fn attend_kept(
        &mut self,
        how: &Attention<'_>,
        shape: Shape,
        parts: &[Part<'_>],
        between: &mut Between,
        output: &mut Activations,
    ) {
        let Between { query, groups, .. } = between;
        let stretches = stretches(shape, parts, self.pool.threads(), output);
        prepare(groups, shape, &stretches);
        let (scratch, groups) = (&self.scratch, &*groups);
        let task = Task {
            path: self.path,
            how,
            shape,
            query,
        };
        let chunks = stretches.last().map_or(0, |last| last.first_chunk + last.units());
        self.pool.run(chunks, |chunk, thread| {
            let found = stretches.partition_point(|stretch| stretch.first_chunk <= chunk) - 1;
            let stretch = &stretches[found];
            let unit = chunk - stretch.first_chunk;
            let mut room = scratch.attention_of(thread);
            match stretch.way {
                Way::Decode(decode) => task.decode(stretch, decode, unit, groups, &mut room),
                Way::Prefill => task.prefill(stretch, unit, &mut room),
            }
        });
    }
}

/// Heads of a batch's attention.
#[derive(Clone, Copy)]
struct Shape {
    dims: usize,
    kv_heads: usize,
    /// Query heads of a KV head.
    group: usize,
}

impl Shape {
    /// `None` where there are no rows.
    fn of(how: &Attention<'_>, parts: &[Part<'_>]) -> Option<Self> {
        let part = parts.iter().find(|part| part.rows > 0)?;
        let kv = part.blocks.first().expect("blocks for all positions").shape();
        let (dims, kv_heads) = (kv.head_dim(), kv.kv_heads());
        let keys = (how.key.weight.rows(), how.value.weight.rows());
        assert_eq!(
            keys,
            (kv_heads * dims, kv_heads * dims),
            "rows of keys and values"
        );
        let queries = how.query.weight.rows();
        assert!(
            queries.is_multiple_of(kv_heads * dims),
            "{queries} rows of queries"
        );
        Some(Self {
            dims,
            kv_heads,
            group: queries / (kv_heads * dims),
        })
    }
}

#[cfg(test)]
mod tests;
