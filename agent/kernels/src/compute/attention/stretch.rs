//! How the rows of a batch are shared out for attending.

use std::sync::{Arc, Mutex, PoisonError};

use super::super::activations_grid::{ActivationsGrid, Rest};
use super::{Part, Shape};
use crate::activations::Activations;
use crate::attention;
use crate::kv::KvBlock;
use crate::shared::BLOCKS;

/// Rows of a prefill that attend together: what is read of keys and values serves them all.
const TILE_ROWS: usize = 16;

/// The rows of a part, and how they are attended for.
pub(super) struct Stretch<'a> {
    pub(super) blocks: &'a [Arc<KvBlock>],
    pub(super) position: usize,
    /// The first row's place in the batch.
    pub(super) first_row: usize,
    /// The first of its chunks among the batch's.
    pub(super) first_chunk: usize,
    pub(super) way: Way,
    pub(super) output: ActivationsGrid<'a>,
}

#[derive(Clone, Copy)]
pub(super) enum Way {
    /// One row, shared out by ranges of positions and by query heads.
    Decode(Decode),
    /// Several, shared out by rows and by KV heads.
    Prefill,
}

#[derive(Clone, Copy)]
pub(super) struct Decode {
    /// Query heads that share what is read.
    pub(super) together: usize,
    /// Ranges of positions.
    pub(super) ranges: usize,
    /// The first of its groups among the batch's.
    pub(super) first_group: usize,
}

/// The queries of one row that share one KV head, in decode.
#[derive(Debug, Default)]
pub(super) struct Group {
    /// `[ranges, group, 2 + head_dim]`
    pub(super) partials: Vec<f32>,
    /// Ranges that are not computed yet.
    pub(super) left: usize,
}

impl Stretch<'_> {
    /// Chunks that it is shared out in.
    pub(super) fn units(&self) -> usize {
        let blocks = self.output.down() * self.output.across();
        match self.way {
            Way::Decode(decode) => blocks * decode.ranges,
            Way::Prefill => blocks,
        }
    }
}

/// The stretches of a batch.
pub(super) fn stretches<'a>(
    shape: Shape,
    parts: &'a [Part<'_>],
    threads: usize,
    output: &'a mut Activations,
) -> Vec<Stretch<'a>> {
    let mut output = Rest::of(output);
    let (mut first_row, mut first_chunk, mut first_group) = (0, 0, 0);
    let mut stretches = Vec::new();
    for part in parts.iter().filter(|part| part.rows > 0) {
        let (way, rows, heads) = share_out(shape, part, threads, first_group);
        let stretch = Stretch {
            blocks: part.blocks,
            position: part.position,
            first_row,
            first_chunk,
            way,
            output: output.take(part.rows, rows, heads * shape.dims),
        };
        first_row += part.rows;
        first_chunk += stretch.units();
        if let Way::Decode(_) = way {
            first_group += stretch.output.across();
        }
        stretches.push(stretch);
    }
    stretches
}

/// How a part is attended for, and rows and query heads of a block of its output.
fn share_out(shape: Shape, part: &Part<'_>, threads: usize, first_group: usize) -> (Way, usize, usize) {
    if part.rows > 1 {
        let rows = TILE_ROWS.max((part.rows * shape.kv_heads).div_ceil(BLOCKS));
        return (Way::Prefill, rows, shape.group);
    }
    let ranges = attention::ranges(part.end());
    let together = heads_together(shape, ranges, threads);
    let decode = Decode {
        together,
        ranges,
        first_group,
    };
    (Way::Decode(decode), 1, together)
}

/// Query heads of a KV head that are computed together: all of them, but fewer where threads would have nothing to do.
pub(super) fn heads_together(shape: Shape, ranges: usize, threads: usize) -> usize {
    let wanted = threads.div_ceil(shape.kv_heads * ranges);
    let splits = (wanted..=shape.group).find(|&splits| shape.group.is_multiple_of(splits));
    shape.group / splits.unwrap_or(shape.group)
}

/// Makes room for partial results.
pub(super) fn prepare(groups: &mut Vec<Mutex<Group>>, shape: Shape, stretches: &[Stretch<'_>]) {
    for stretch in stretches {
        let Way::Decode(decode) = stretch.way else {
            continue;
        };
        let end = decode.first_group + stretch.output.across();
        if groups.len() < end {
            groups.resize_with(end, Mutex::default);
        }
        let length = attention::partial_len(decode.together, shape.dims);
        for group in &mut groups[decode.first_group..end] {
            let group = group.get_mut().unwrap_or_else(PoisonError::into_inner);
            group.left = decode.ranges;
            group.partials.resize(decode.ranges * length, 0.0);
        }
    }
}
