//! Where the keys and values of a batch's rows go.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Part, Shape, Turn};
use crate::kv::{KvHeadMut, POSITIONS};
use crate::path::Path;

/// For each KV head, its part of the blocks that get new keys and values.
pub(super) struct Keep<'a> {
    /// Of each row, which of those blocks and which of its positions.
    places: Vec<(usize, usize)>,
    heads: Vec<Mutex<Vec<KvHeadMut<'a>>>>,
}

impl<'a> Keep<'a> {
    /// One layer's part of the blocks.
    pub(super) fn new(layer: usize, shape: Shape, parts: &'a mut [Part<'_>]) -> Self {
        let mut keep = Self {
            places: Vec::new(),
            heads: (0..shape.kv_heads).map(|_| Mutex::default()).collect(),
        };
        let mut blocks = 0;
        for part in parts.iter_mut().filter(|part| part.rows > 0) {
            let (first, last) = (part.position / POSITIONS, (part.end() - 1) / POSITIONS);
            let place = |position: usize| (blocks + position / POSITIONS - first, position % POSITIONS);
            keep.places.extend((part.position..part.end()).map(place));
            for block in &mut part.blocks[first..=last] {
                let block = Arc::get_mut(block).expect("a block that gets positions is nobody else's");
                for (kept, head) in keep.heads.iter_mut().zip(block.layer_mut(layer)) {
                    kept.get_mut().unwrap_or_else(PoisonError::into_inner).push(head);
                }
            }
            blocks += last + 1 - first;
        }
        keep
    }

    /// KV heads.
    pub(super) fn heads(&self) -> usize {
        self.heads.len()
    }

    /// One KV head, to write.
    pub(super) fn head(&self, kv_head: usize) -> KeepHead<'_, 'a> {
        KeepHead {
            places: &self.places,
            blocks: self.heads[kv_head].lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}

/// Where one KV head's new keys and values go.
pub(super) struct KeepHead<'k, 'a> {
    places: &'k [(usize, usize)],
    blocks: MutexGuard<'k, Vec<KvHeadMut<'a>>>,
}

impl KeepHead<'_, '_> {
    /// Keeps those of a row of the batch.
    pub(super) fn write(&mut self, path: Path, row: usize, key: &[f32], value: &[f32]) {
        let (block, position) = self.places[row];
        self.blocks[block].write(path, position, key, value);
    }

    /// Turns the keys of all rows, and keeps them with their values.
    pub(super) fn turn_and_write<'k, 'v>(
        &mut self,
        turn: Turn<'_>,
        pairs: impl Iterator<Item = (&'k mut [f32], &'v mut [f32])>,
    ) {
        for (row, (key, value)) in pairs.enumerate() {
            turn.keys(row, key);
            self.write(turn.path, row, key, value);
        }
    }
}
