//! One chunk of attending.

use std::sync::{Arc, Mutex, PoisonError};

use super::super::Rows;
use super::stretch::{Decode, Group, Stretch};
use super::{Attention, Shape};
use crate::activations::quantise;
use crate::attention::{self, History, Queries};
use crate::kv::KvBlock;
use crate::path::Path;

/// What a thread attends with.
#[derive(Debug, Default)]
pub(in crate::compute) struct Room {
    results: Vec<f32>,
    scratch: attention::Scratch,
}

/// What is the same for all chunks of a batch.
#[derive(Clone, Copy)]
pub(super) struct Task<'a> {
    pub(super) path: Path,
    pub(super) how: &'a Attention<'a>,
    pub(super) shape: Shape,
    pub(super) query: &'a Rows,
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
    pub(super) fn decode(
        &self,
        stretch: &Stretch<'_>,
        decode: Decode,
        unit: usize,
        groups: &[Mutex<Group>],
        room: &mut Room,
    ) {
        let Decode { together, ranges, .. } = decode;
        let (group, range) = (unit / ranges, unit % ranges);
        let (dims, length) = (self.shape.dims, attention::partial_len(together, self.shape.dims));
        room.results.resize(length, 0.0);
        attention::decode_range(
            self.path,
            self.history(stretch, group * together / self.shape.group),
            stretch.position + 1,
            range,
            self.how.scale,
            &self.query.row(stretch.first_row)[group * together * dims..][..together * dims],
            &mut room.results,
        );
        let shared = &groups[decode.first_group + group];
        let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
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
    pub(super) fn prefill(&self, stretch: &Stretch<'_>, unit: usize, room: &mut Room) {
        let Shape { kv_heads, .. } = self.shape;
        let (tile, kv_head) = (stretch.output.down() - 1 - unit / kv_heads, unit % kv_heads);
        let mut block = stretch.output.take(tile, kv_head);
        let queries = self.queries(stretch, tile * stretch.output.block_rows(), block.rows(), kv_head);
        let width = self.shape.group * self.shape.dims;
        room.results.resize(block.rows() * width, 0.0);
        attention::prefill_tile(
            self.path,
            self.history(stretch, kv_head),
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

    /// Those of `rows` rows of a stretch, from its row `first` on, for one KV head.
    fn queries(&self, stretch: &Stretch<'_>, first: usize, rows: usize, kv_head: usize) -> Queries<'_> {
        let Shape { dims, group, .. } = self.shape;
        let columns = self.query.columns();
        Queries {
            values: &self.query.as_slice()[(stretch.first_row + first) * columns + kv_head * group * dims..],
            stride: columns,
            rows,
            group,
            first_position: stretch.position + first,
        }
    }
}
