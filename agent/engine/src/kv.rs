//! The keys and values of one sequence.

use std::sync::Arc;

use kernels::kv::{KvBlock, KvShape, POSITIONS};

use crate::error::ForwardError;

/// Keys and values of the tokens that a sequence has seen, for all layers: a list of blocks of 64 positions. It grows
/// with the sequence, so that a short answer under a long context takes little.
#[derive(Debug)]
pub struct KvCache {
    shape: KvShape,
    blocks: Vec<Arc<KvBlock>>,
    length: usize,
    limit: usize,
}

impl KvCache {
    /// An empty one that may grow to `limit` positions.
    pub fn new(shape: KvShape, limit: usize) -> Self {
        Self {
            shape,
            blocks: Vec::new(),
            length: 0,
            limit,
        }
    }

    /// A sequence whose first `length` positions are in `blocks`, of which there are as many as they need; whoever else
    /// has a full one may keep it.
    ///
    /// # Panics
    /// If there are fewer or more blocks, or more positions than `limit`.
    pub(crate) fn resumed(shape: KvShape, limit: usize, blocks: Vec<Arc<KvBlock>>, length: usize) -> Self {
        assert!(
            length <= limit && blocks.len() == length.div_ceil(POSITIONS),
            "{} blocks for {length} positions of {limit}",
            blocks.len()
        );
        let mut cache = Self {
            shape,
            blocks,
            length,
            limit,
        };
        cache.own_last();
        cache
    }

    /// Another sequence that begins with the same tokens: full blocks are shared, for they never change; the last one is
    /// copied.
    pub fn branch(&self) -> Self {
        let blocks = self.blocks[..self.length.div_ceil(POSITIONS)].to_vec();
        Self::resumed(self.shape, self.limit, blocks, self.length)
    }

    /// Makes the last block, which gets the next positions, nobody else's.
    fn own_last(&mut self) {
        if self.length.is_multiple_of(POSITIONS) {
            return;
        }
        if let Some(last) = self.blocks.last_mut().filter(|last| Arc::strong_count(last) > 1) {
            let mut block = KvBlock::new(self.shape);
            block.bytes_mut().copy_from_slice(last.bytes());
            *last = Arc::new(block);
        }
    }

    /// Positions that are filled.
    pub fn length(&self) -> usize {
        self.length
    }

    /// The blocks, in order of positions.
    pub fn blocks(&self) -> &[Arc<KvBlock>] {
        &self.blocks
    }

    /// Makes room for `more` positions.
    pub(crate) fn reserve(&mut self, more: usize) -> Result<(), ForwardError> {
        let needed = self.length + more;
        if needed > self.limit {
            return Err(ForwardError::ContextFull {
                needed,
                limit: self.limit,
            });
        }
        while self.blocks.len() * POSITIONS < needed {
            self.blocks.push(Arc::new(KvBlock::new(self.shape)));
        }
        Ok(())
    }

    /// The blocks, to be written at positions that were reserved.
    pub(crate) fn blocks_mut(&mut self) -> &mut [Arc<KvBlock>] {
        &mut self.blocks
    }

    /// Counts written positions as filled.
    pub(crate) fn advance(&mut self, new: usize) {
        self.length += new;
    }
}
