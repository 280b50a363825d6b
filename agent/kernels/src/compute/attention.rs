//! Attention of a batch's rows, each over its own sequence: products, norms, rotary positions, keeping keys and
//! values, and attending.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::activations_grid::{ActivationsGrid, Rest};
use super::chunks::{self, Chunks};
use super::{Compute, Fusions, Linear, Norm, Rows};
use crate::activations::{Activations, quantise};
use crate::attention::{self, History, Queries};
use crate::kv::{KvBlock, KvHeadMut, POSITIONS};
use crate::layout::ROWS;
use crate::ops::{self, Convention, Rope};
use crate::path::Path;
use crate::shared::{BLOCKS, Grid};

/// Rows of a prefill that attend together: what is read of keys and values serves them all.
const TILE_ROWS: usize = 16;
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

/// The queries of one row that share one KV head, in decode.
#[derive(Debug, Default)]
struct Group {
    /// `[ranges, group, 2 + head_dim]`
    partials: Vec<f32>,
    /// Ranges that are not computed yet.
    left: usize,
}

impl Attention<'_> {
    fn norm_and_turn(
        &self,
        path: Path,
        norm: Option<Norm<'_>>,
        angles: (&[f32], &[f32]),
        dims: usize,
        row: &mut [f32],
    ) {
        if let Some(norm) = norm {
            ops::rms_norm_heads(path, row, norm.weight, norm.epsilon);
        }
        ops::rotate(path, self.convention, angles.0, angles.1, dims, row);
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
        let mut between = std::mem::take(&mut self.between);
        if self.fused.contains(Fusions::ATTENTION) && rows <= FUSED_ROWS {
            self.project_and_keep(how, angles, parts, input, &mut between);
        } else {
            let Between {
                query, key, value, ..
            } = &mut between;
            self.linear(&[how.query, how.key, how.value], input, &mut [query, key, value]);
            self.turn_and_keep(how, angles, parts, &mut between);
        }
        self.attend_kept(how, parts, &mut between, output);
        self.between = between;
    }

    /// Products of whole heads, which are turned and kept on the spot.
    fn project_and_keep(
        &mut self,
        how: &Attention<'_>,
        angles: &Angles,
        parts: &mut [Part<'_>],
        input: &Activations,
        between: &mut Between,
    ) {
        let Some(keep) = Keep::new(how, parts) else { return };
        let (dims, rows) = (keep.head_dim, input.rows());
        let head_tiles = dims / ROWS;
        let maps = [&how.query.weight, &how.key.weight, &how.value.weight];
        let length = chunks::length(maps, rows, self.pool.threads());
        let queries = Chunks::new(&maps[..1], rows, length, head_tiles);
        let pairs = Chunks::each(&how.key.weight, head_tiles);
        between.query.reset(rows, how.query.weight.rows());
        let grid = super::grid(&mut between.query, queries);
        let (path, scratch) = (self.path, &self.scratch);
        self.pool.run(pairs.count() + queries.count(), |chunk, thread| {
            let mut first = scratch.of(thread);
            if let Some(chunk) = chunk.checked_sub(pairs.count()) {
                let mut block = grid.take(0, chunk);
                for (row, values) in first.map(path, &how.query, queries, chunk, input).enumerate() {
                    how.norm_and_turn(path, how.query_norm, angles.of(row), dims, values);
                    block.row(row).copy_from_slice(values);
                }
            } else {
                let mut second = scratch.second_of(thread);
                let keys = first.map(path, &how.key, pairs, chunk, input);
                let values = second.map(path, &how.value, pairs, chunk, input);
                let mut kept = keep.head(chunk);
                for (row, (key, value)) in keys.zip(values).enumerate() {
                    how.norm_and_turn(path, how.key_norm, angles.of(row), dims, key);
                    kept.write(path, row, key, value);
                }
            }
        });
    }

    /// Turns what products left, and keeps keys and values.
    fn turn_and_keep(
        &mut self,
        how: &Attention<'_>,
        angles: &Angles,
        parts: &mut [Part<'_>],
        between: &mut Between,
    ) {
        let Some(keep) = Keep::new(how, parts) else { return };
        let (path, dims) = (self.path, keep.head_dim);
        let Between {
            query, key, value, ..
        } = between;
        let columns = query.columns();
        let step = super::each_alone(columns, query.rows());
        let queries = Grid::new(query.as_mut_slice(), columns, step, columns);
        let (rows, key_columns) = (key.rows(), key.columns());
        let keys = Grid::new(key.as_mut_slice(), key_columns, rows, dims);
        self.pool.run(keep.heads.len() + queries.down(), |chunk, _| {
            if let Some(chunk) = chunk.checked_sub(keep.heads.len()) {
                let mut block = queries.take(chunk, 0);
                for row in 0..block.rows() {
                    let angles = angles.of(chunk * step + row);
                    how.norm_and_turn(path, how.query_norm, angles, dims, block.row(row));
                }
            } else {
                let (mut block, mut kept) = (keys.take(0, chunk), keep.head(chunk));
                for row in 0..block.rows() {
                    let key = block.row(row);
                    how.norm_and_turn(path, how.key_norm, angles.of(row), dims, key);
                    kept.write(path, row, key, &value.row(row)[chunk * dims..][..dims]);
                }
            }
        });
    }

    /// Attends to what is kept.
    fn attend_kept(
        &mut self,
        how: &Attention<'_>,
        parts: &[Part<'_>],
        between: &mut Between,
        output: &mut Activations,
    ) {
        let threads = self.pool.threads();
        let Some(shape) = Shape::of(how, parts) else {
            return;
        };
        let Between { query, groups, .. } = between;
        let mut first_chunk = 0;
        let stretches: Vec<_> = stretches(shape, parts, threads, output)
            .map(|stretch| {
                let first = first_chunk;
                first_chunk += stretch.units();
                (first, stretch)
            })
            .collect();
        prepare(groups, shape, &stretches);
        let (path, scratch, query, groups) = (self.path, &self.scratch, &*query, &*groups);
        self.pool.run(first_chunk, |chunk, thread| {
            let found = stretches.partition_point(|&(first, _)| first <= chunk) - 1;
            let (first, stretch) = &stretches[found];
            let task = Task {
                path,
                how,
                shape,
                query,
            };
            let mut room = scratch.attention_of(thread);
            match stretch.way {
                Way::Decode { first_group, .. } => {
                    task.decode(stretch, chunk - first, &groups[first_group..], &mut room);
                }
                Way::Prefill => task.prefill(stretch, chunk - first, &mut room),
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

/// Where new keys and values go: for each KV head, its part of the blocks that get any.
struct Keep<'a> {
    head_dim: usize,
    /// Of each row, which of those blocks and which of its positions.
    places: Vec<(usize, usize)>,
    heads: Vec<Mutex<Vec<KvHeadMut<'a>>>>,
}

impl<'a> Keep<'a> {
    /// `None` where there are no rows.
    fn new(how: &Attention<'_>, parts: &'a mut [Part<'_>]) -> Option<Self> {
        let Shape { dims, kv_heads, .. } = Shape::of(how, parts)?;
        let mut keep = Self {
            head_dim: dims,
            places: Vec::new(),
            heads: (0..kv_heads).map(|_| Mutex::default()).collect(),
        };
        let mut blocks = 0;
        for part in parts.iter_mut().filter(|part| part.rows > 0) {
            let (first, last) = (part.position / POSITIONS, (part.end() - 1) / POSITIONS);
            let place = |position: usize| (blocks + position / POSITIONS - first, position % POSITIONS);
            keep.places.extend((part.position..part.end()).map(place));
            for block in &mut part.blocks[first..=last] {
                let block = Arc::get_mut(block).expect("a block that gets positions is nobody else's");
                for (kept, head) in keep.heads.iter_mut().zip(block.layer_mut(how.layer)) {
                    kept.get_mut().unwrap_or_else(PoisonError::into_inner).push(head);
                }
            }
            blocks += last + 1 - first;
        }
        Some(keep)
    }

    /// One KV head, to write.
    fn head(&self, kv_head: usize) -> KeepHead<'_, 'a> {
        KeepHead {
            places: &self.places,
            blocks: self.heads[kv_head].lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// Where one KV head's new keys and values go.
struct KeepHead<'k, 'a> {
    places: &'k [(usize, usize)],
    blocks: MutexGuard<'k, Vec<KvHeadMut<'a>>>,
}

impl KeepHead<'_, '_> {
    /// Keeps those of a row of the batch.
    fn write(&mut self, path: Path, row: usize, key: &[f32], value: &[f32]) {
        let (block, position) = self.places[row];
        self.blocks[block].write(path, position, key, value);
    }
}

/// The rows of a part, and how they are attended for.
struct Stretch<'a> {
    blocks: &'a [Arc<KvBlock>],
    position: usize,
    /// The first row's place in the batch.
    first_row: usize,
    way: Way,
    output: ActivationsGrid<'a>,
}

#[derive(Clone, Copy)]
enum Way {
    /// One row, shared out by ranges of positions and by query heads, of which `together` share what is read.
    Decode {
        together: usize,
        ranges: usize,
        first_group: usize,
    },
    /// Several, shared out by rows and by KV heads.
    Prefill,
}

impl Stretch<'_> {
    /// Chunks that it is shared out in.
    fn units(&self) -> usize {
        let blocks = self.output.down() * self.output.across();
        match self.way {
            Way::Decode { ranges, .. } => blocks * ranges,
            Way::Prefill => blocks,
        }
    }
}

/// The stretches of a batch.
fn stretches<'a>(
    shape: Shape,
    parts: &'a [Part<'_>],
    threads: usize,
    output: &'a mut Activations,
) -> impl Iterator<Item = Stretch<'a>> {
    let mut output = Rest::of(output);
    let (mut first_row, mut first_group) = (0, 0);
    parts.iter().filter(|part| part.rows > 0).map(move |part| {
        let (way, heads, rows) = if part.rows == 1 {
            let ranges = attention::ranges(part.end());
            let together = heads_together(shape, ranges, threads);
            let way = Way::Decode {
                together,
                ranges,
                first_group,
            };
            first_group += shape.kv_heads * shape.group / together;
            (way, together, 1)
        } else {
            let rows = TILE_ROWS.max((part.rows * shape.kv_heads).div_ceil(BLOCKS));
            (Way::Prefill, shape.group, rows)
        };
        let stretch = Stretch {
            blocks: part.blocks,
            position: part.position,
            first_row,
            way,
            output: output.take(part.rows, rows, heads * shape.dims),
        };
        first_row += part.rows;
        stretch
    })
}

/// Query heads of a KV head that are computed together: all of them, but fewer where threads would have nothing to do.
fn heads_together(shape: Shape, ranges: usize, threads: usize) -> usize {
    let wanted = threads.div_ceil(shape.kv_heads * ranges);
    let splits = (wanted..=shape.group).find(|&splits| shape.group.is_multiple_of(splits));
    shape.group / splits.unwrap_or(shape.group)
}

/// Makes room for partial results.
fn prepare(groups: &mut Vec<Mutex<Group>>, shape: Shape, stretches: &[(usize, Stretch<'_>)]) {
    for (_, stretch) in stretches {
        let Way::Decode {
            together,
            ranges,
            first_group,
        } = stretch.way
        else {
            continue;
        };
        let end = first_group + stretch.output.across();
        if groups.len() < end {
            groups.resize_with(end, Mutex::default);
        }
        for group in &mut groups[first_group..end] {
            let group = group.get_mut().unwrap_or_else(PoisonError::into_inner);
            group.left = ranges;
            group
                .partials
                .resize(ranges * attention::partial_len(together, shape.dims), 0.0);
        }
    }
}

/// What a thread attends with.
#[derive(Debug, Default)]
pub(super) struct Room {
    results: Vec<f32>,
    scratch: attention::Scratch,
}

/// What is the same for all chunks of a batch.
#[derive(Clone, Copy)]
struct Task<'a> {
    path: Path,
    how: &'a Attention<'a>,
    shape: Shape,
    query: &'a Rows,
}

impl Task<'_> {
    fn history<'a>(&self, stretch: &Stretch<'a>, kv_head: usize) -> History<'a, Arc<KvBlock>> {
        History {
            blocks: stretch.blocks,
            layer: self.how.layer,
            kv_head,
        }
    }

    /// One range for some heads; who computes the last one combines them.
    fn decode(&self, stretch: &Stretch<'_>, unit: usize, groups: &[Mutex<Group>], room: &mut Room) {
        let Way::Decode { together, ranges, .. } = stretch.way else {
            return;
        };
        let (dims, length) = (self.shape.dims, attention::partial_len(together, self.shape.dims));
        let (group, range) = (unit / ranges, unit % ranges);
        let kv_head = group * together / self.shape.group;
        let queries = &self.query.row(stretch.first_row)[group * together * dims..][..together * dims];
        room.results.resize(length, 0.0);
        let history = self.history(stretch, kv_head);
        let positions = stretch.position + 1;
        attention::decode_range(
            self.path,
            history,
            positions,
            range,
            self.how.scale,
            queries,
            &mut room.results,
        );

        let mut shared = groups[group].lock().unwrap_or_else(PoisonError::into_inner);
        shared.partials[range * length..][..length].copy_from_slice(&room.results);
        shared.left -= 1;
        if shared.left == 0 {
            let mut block = stretch.output.take(0, group);
            let mut output = block.row(0);
            attention::combine(self.path, dims, &shared.partials, output.values);
            quantise(self.path, &mut output);
        }
    }

    /// Some rows for the heads of one KV head. The last rows, which see most, come first.
    fn prefill(&self, stretch: &Stretch<'_>, unit: usize, room: &mut Room) {
        let Shape {
            dims,
            kv_heads,
            group,
        } = self.shape;
        let (tile, kv_head) = (stretch.output.down() - 1 - unit / kv_heads, unit % kv_heads);
        let mut block = stretch.output.take(tile, kv_head);
        let first = tile * stretch.output.block_rows();
        let (rows, columns, width) = (block.rows(), self.query.columns(), group * dims);
        let queries = Queries {
            values: &self.query.as_slice()[(stretch.first_row + first) * columns + kv_head * width..],
            stride: columns,
            rows,
            group,
            first_position: stretch.position + first,
        };
        room.results.resize(rows * width, 0.0);
        let history = self.history(stretch, kv_head);
        attention::prefill_tile(
            self.path,
            history,
            self.how.scale,
            queries,
            &mut room.results,
            &mut room.scratch,
        );
        for (row, results) in room.results.chunks_exact(width).enumerate() {
            let mut output = block.row(row);
            output.values.copy_from_slice(results);
            quantise(self.path, &mut output);
        }
    }
}

#[cfg(test)]
mod tests;
